"""Where bodies end, and which of them are refused; however they arrive (RFC 9112 §6, §7)."""

from http import HTTPStatus

import pytest

from tests.http1.feeding import TAIL, outcomes, ways
from trio_evserver.http1.body import ChunkedBody, LengthBody
from trio_evserver.http1.buffer import Buffer
from trio_evserver.http1.connection import Event
from trio_evserver.http1.limits import Limits
from trio_evserver.semantics.message import Request

LIMITS = Limits(line=24, body=60, fields=3)
HEAD = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

WHOLE = [
    (b"0\r\n\r\n", "last-chunk alone"),
    (b"000\r\n\r\n", "last-chunk = 1*(0)"),
    (b"5\r\nhello\r\n0\r\n\r\n", "one chunk"),
    (b"00A\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n", "two, upper case"),
    (b"a\r\n0\r\n\r\nGET /\r\n0\r\n\r\n", "the data looks like an end"),
    (b'1;a;b=c;d="e;f"\r\nx\r\n0;g\r\n\r\n', "extensions"),
    (b"0\r\nA: b\r\nC:\r\n\r\n", "trailer fields"),
    (b"0\r\nExpect: x\r\nUpgrade: y\r\n\r\n", "trailer fields change nothing (9110 §6.5.1)"),
    (b"1\r\nx\r\n" * 9 + b"0\r\n\r\n", "59 octets"),
    (b"1\r\nx\r\n" * 9 + b"00\r\n\r\n", "60 octets: the limit"),
    (b"0;" + b"x" * 22 + b"\r\n\r\n", "a chunk line of 24 octets: the limit"),
]


@pytest.mark.parametrize("body", [row[0] for row in WHOLE], ids=[row[1] for row in WHOLE])
def test_chunked(body: bytes) -> None:
    """A good body is thrown away to its last octet, and the request behind it is the next one."""
    for pieces in ways(HEAD + body + TAIL):
        first, second, last = outcomes(pieces, LIMITS)
        assert isinstance(first, Request)
        assert isinstance(second, Request)
        assert (first.target, second.target, last) == (b"/", b"/tail", Event.CLOSED), pieces


REFUSED = [
    (b"x\r\n", 400, "no hex digit", "9112 §7.1"),
    (b"\r\n", 400, "no size", "9112 §7.1"),
    (b"0x1\r\nx\r\n0\r\n\r\n", 400, "prefix", "9112 §7.1"),
    (b"+1\r\nx\r\n0\r\n\r\n", 400, "sign", "9112 §7.1"),
    (b"-1\r\nx\r\n0\r\n\r\n", 400, "sign", "9112 §7.1"),
    (b"1_0\r\n", 400, "underscore", "9112 §7.1"),
    (b" 1\r\nx\r\n0\r\n\r\n", 400, "blank before", "9112 §7.1"),
    (b"1 \r\nx\r\n0\r\n\r\n", 400, "blank after", "9112 §7.1"),
    (b"00000000000000001\r\nx\r\n0\r\n\r\n", 400, "17 digits", "9112 §7.1"),
    (b"1\nx\r\n0\r\n\r\n", 400, "LF ends the size", "9112 §2.2"),
    (b"1\rx\r\n0\r\n\r\n", 400, "CR ends the size", "9112 §2.2"),
    (b"1;a\nb\r\nx\r\n0\r\n\r\n", 400, "LF in an extension", "9112 §7.1.1"),
    (b"1;\r\nx\r\n0\r\n\r\n", 400, "empty extension", "9112 §7.1.1"),
    (b"1;a\x00\r\nx\r\n0\r\n\r\n", 400, "NUL in an extension", "9112 §7.1.1"),
    (b"1\r\nxy\r\n0\r\n\r\n", 400, "data longer than its size", "9112 §7.1"),
    (b"1\r\nx\n0\r\n\r\n", 400, "LF ends the data", "9112 §7.1"),
    (b"1\r\nx\rx", 400, "CR alone ends the data", "9112 §7.1"),
    (b"3\r\nx\r\n0\r\n\r\n", 400, "data shorter than its size", "9112 §7.1"),
    (b"0\n\r\n", 400, "LF ends the last chunk", "9112 §2.2"),
    (b"0\r\n\n", 400, "LF ends the body", "9112 §2.2"),
    (b"0\r\nx\r\n\r\n", 400, "trailer without a colon", "9112 §7.1.2"),
    (b"0\r\nA : b\r\n\r\n", 400, "blank before the colon", "9112 §5.1"),
    (b"0\r\nA: b\r\n c\r\n\r\n", 400, "folded trailer", "9112 §5.2"),
    (b"0\r\nA: \x00\r\n\r\n", 400, "NUL in a trailer", "9110 §5.5"),
    (b"0\r\nContent-Length: 3\r\n\r\n", 400, "length in a trailer", "9110 §6.5.1"),
    (b"0\r\nTRANSFER-encoding: x\r\n\r\n", 400, "coding in a trailer", "9110 §6.5.1"),
    (b"0\r\nA: b\r\nHost: x\r\n\r\n", 400, "Host in a trailer", "9110 §6.5.1"),
    (b"0\r\nConnection: close\r\n\r\n", 400, "Connection in a trailer", "9110 §6.5.1"),
    (b"0\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n", 431, "four trailers", "6585 §5"),
    (b"3b\r\n", 413, "a chunk beyond the limit", "9110 §15.5.14"),
    (b"f" * 16 + b"\r\n", 413, "a huge chunk", "9110 §15.5.14"),
    (b"1\r\nx\r\n" * 9 + b"000\r\n\r\n", 413, "61 octets of framing and data", "9110 §15.5.14"),
    (b"0;" + b"x" * 23 + b"\r\n\r\n", 413, "a chunk line of 25 octets", "9112 §7.1.1"),
    (b"1" + b";x" * 300, 413, "an extension without an end", "9112 §7.1.1"),
    (b"zz" * 300 + b"\n", 413, "over the limit before anything else shows", "9112 §7.1.1"),
    (b"0\r\nA: " + b"x" * 300, 413, "a trailer without an end", "9110 §15.5.14"),
]


@pytest.mark.parametrize(
    ("body", "status"), [row[:2] for row in REFUSED], ids=[f"{row[3]}: {row[2]}" for row in REFUSED]
)
def test_refused(body: bytes, status: int) -> None:
    """A bad body ends the connection with its status, and the tail is not read as a request."""
    for pieces in [*ways(HEAD + body), *ways(HEAD + body + TAIL)]:
        first, *rest = outcomes(pieces, LIMITS)
        assert isinstance(first, Request)
        assert rest == [HTTPStatus(status)], pieces


@pytest.mark.parametrize("body", [row[0] for row in WHOLE], ids=[row[1] for row in WHOLE])
def test_end_of_input_within_a_chunked_body(body: bytes) -> None:
    """A body that stops anywhere before its end is malformed (RFC 9112 §8)."""
    for size in range(len(body)):
        first, *rest = outcomes([HEAD + body[:size]], LIMITS)
        assert isinstance(first, Request)
        assert rest == [HTTPStatus.BAD_REQUEST], size


def test_length() -> None:
    """Exactly so many octets are the body; fewer and the end of input are malformed (RFC 9112 §6.3)."""
    head = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
    for pieces in ways(head + b"\r\n\r\nGET /" + TAIL):
        _, second, last = outcomes(pieces, LIMITS)
        assert isinstance(second, Request)
        assert (second.target, last) == (b"/tail", Event.CLOSED)
    for size in range(9):
        assert outcomes([head, b"x" * size], LIMITS)[1:] == [HTTPStatus.BAD_REQUEST]


def test_untouched_until_an_octet_is_read() -> None:
    """A body is untouched while nothing has arrived; that is when 100 (Continue) is still of use."""
    for body in (LengthBody(3), ChunkedBody(LIMITS)):
        buffer = Buffer()
        assert not body.discard(buffer)
        assert body.untouched
        buffer.append(b"0\r\n")
        body.discard(buffer)
        assert not body.untouched


def test_repr() -> None:
    """Where a body stands can be seen in a log."""
    body = LengthBody(3)
    buffer = Buffer()
    buffer.append(b"x")
    body.discard(buffer)
    assert repr(body) == "<LengthBody 2 of 3 left>"
    assert repr(ChunkedBody(LIMITS)) == "<ChunkedBody in SIZE>"
