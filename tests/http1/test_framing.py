"""Which framing a body has; every way to smuggle is refused (RFC 9112 §6, §11.2)."""

from http import HTTPStatus

import pytest

from tests.http1.feeding import TAIL, outcomes, ways
from trio_evserver.http1.errors import RemoteProtocolError
from trio_evserver.http1.framing import CHUNKED, NO_BODY, Framing, Length, request_framing
from trio_evserver.http1.limits import Limits

LIMITS = Limits(body=1000)

FRAMINGS = [
    (b"", NO_BODY, "no field at all"),
    (b"Content-Length: 0\r\n", NO_BODY, "nothing follows"),
    (b"Content-Length: 000\r\n", NO_BODY, "1*DIGIT"),
    (b"Content-Length: 5\r\n", Length(5), "1*DIGIT"),
    (b"content-LENGTH:\t0005 \r\n", Length(5), "leading zeros are digits"),
    (b"Content-Length: 1000\r\n", Length(1000), "the limit itself"),
    (b"Transfer-Encoding: chunked\r\n", CHUNKED, "9112 §7.1"),
    (b"Transfer-Encoding: ChunkeD\r\n", CHUNKED, "coding names have no case, 9112 §7"),
]


def _fields(lines: bytes) -> dict[bytes, bytes]:
    pairs = [line.split(b":", 1) for line in lines.split(b"\r\n") if line]
    return {name.lower(): value.strip() for name, value in pairs}


@pytest.mark.parametrize(
    ("lines", "framing"), [r[:2] for r in FRAMINGS], ids=[f"{r[0]!r} {r[2]}" for r in FRAMINGS]
)
def test_framing(lines: bytes, framing: Framing) -> None:
    """The unambiguous ways to announce a body, or none."""
    assert request_framing(b"HTTP/1.1", _fields(lines), LIMITS) == framing


CL, TE = b"Content-Length: ", b"Transfer-Encoding: "

REFUSED = [
    (CL + b"5\r\n" + CL + b"5\r\n", 400, "repeated, equal", "9110 §8.6"),
    (CL + b"5\r\nX: y\r\n" + CL + b"6\r\n", 400, "repeated, different", "9112 §6.3"),
    (CL + b"0\r\n" + CL + b"0\r\n", 400, "repeated zero", "9110 §8.6"),
    (CL + b"5, 5\r\n", 400, "a list of equal ones", "9110 §8.6"),
    (CL + b"\r\n", 400, "empty", "9110 §8.6"),
    (CL + b"+5\r\n", 400, "sign", "9110 §8.6"),
    (CL + b"-5\r\n", 400, "sign", "9110 §8.6"),
    (CL + b"0x5\r\n", 400, "hexadecimal", "9110 §8.6"),
    (CL + b"5.0\r\n", 400, "fraction", "9110 §8.6"),
    (CL + b"5_0\r\n", 400, "underscore", "9110 §8.6"),
    (CL + b"5 5\r\n", 400, "blank inside", "9110 §8.6"),
    (CL + b"\xb2\r\n", 400, "a digit, but not in ASCII", "9110 §8.6"),
    (CL + b"0" * 20 + b"\r\n", 400, "20 digits", "9110 §8.6"),
    (CL + b"1001\r\n", 413, "beyond the limit", "9110 §15.5.14"),
    (CL + b"9" * 19 + b"\r\n", 413, "19 digits", "9110 §15.5.14"),
    (CL + b"5\r\n" + TE + b"chunked\r\n", 400, "both", "9112 §6.1"),
    (TE + b"chunked\r\n" + CL + b"0\r\n", 400, "both, length zero", "9112 §6.1"),
    (TE + b"gzip\r\n" + CL + b"5\r\n", 400, "both, unknown coding", "9112 §6.1"),
    (TE + b"gzip\r\n", 501, "unknown coding", "9112 §6.1"),
    (TE + b"identity\r\n", 501, "no coding any more", "9112 §6.1"),
    (TE + b"xchunked\r\n", 501, "unknown coding", "9112 §6.1"),
    (TE + b"gzip, chunked\r\n", 501, "unknown, then chunked", "9112 §6.1"),
    (TE + b"gzip\r\n" + TE + b"chunked\r\n", 501, "the same in two lines", "9112 §6.1"),
    (TE + b"gzip;q=1, chunked\r\n", 501, "unknown, with a parameter", "9112 §6.1"),
    (TE + b"chunked, gzip\r\n", 400, "chunked is not final", "9112 §6.3"),
    (TE + b"chunked, identity\r\n", 400, "chunked is not final", "9112 §6.3"),
    (TE + b"chunked, chunked\r\n", 400, "chunked twice", "9112 §6.1"),
    (TE + b"chunked\r\n" + TE + b"chunked\r\n", 400, "chunked twice, in two lines", "9112 §6.1"),
    (TE + b"chunked;a=b\r\n", 400, "a parameter on chunked", "9112 §7.1"),
    (TE + b"\r\n", 400, "empty", "9112 §6.1"),
    (TE + b"chunked,\r\n", 400, "an empty member", "9110 §5.6.1"),
    (TE + b",chunked\r\n", 400, "an empty member", "9110 §5.6.1"),
    (TE + b'"chunked"\r\n', 400, "quoted", "9112 §6.1"),
    (TE + b"chunk ed\r\n", 400, "blank inside", "9112 §6.1"),
    (TE + b"\x0bchunked\r\n", 400, "vertical tab", "9110 §5.5"),
    (b"Transfer-Encoding : chunked\r\n", 400, "blank before the colon", "9112 §5.1"),
    (b"X: y\r\n " + TE + b"chunked\r\n", 400, "folded", "9112 §5.2"),
]


@pytest.mark.parametrize(
    ("lines", "status"), [r[:2] for r in REFUSED], ids=[f"{r[3]}: {r[2]} {r[0]!r}" for r in REFUSED]
)
def test_refused(lines: bytes, status: int) -> None:
    """What can be read in two ways ends the connection, however it arrives; the tail is no request."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n"
    for pieces in [*ways(head), *ways(head + b"0\r\n\r\n" + TAIL)]:
        assert outcomes(pieces, LIMITS) == [HTTPStatus(status)], pieces


@pytest.mark.parametrize("coding", [b"chunked", b"gzip", b"identity"])
def test_no_transfer_encoding_in_http_1_0(coding: bytes) -> None:
    """Transfer-Encoding in HTTP/1.0 means that the framing is faulty (RFC 9112 §6.1)."""
    with pytest.raises(RemoteProtocolError) as refused:
        request_framing(b"HTTP/1.0", {b"transfer-encoding": coding}, LIMITS)
    assert refused.value.status == HTTPStatus.BAD_REQUEST


def test_content_length_in_http_1_0() -> None:
    """Content-Length means in HTTP/1.0 what it means in HTTP/1.1."""
    assert request_framing(b"HTTP/1.0", {b"content-length": b"7"}, LIMITS) == Length(7)
