"""The state machine: what may follow what, persistence, expectations, the end of input (RFC 9112 §9)."""

from http import HTTPStatus

import pytest

from tests.http1.feeding import TAIL, outcomes, ways
from trio_evserver.http1.connection import Connection, Event
from trio_evserver.http1.errors import LocalProtocolError, RemoteProtocolError
from trio_evserver.http1.limits import Limits
from trio_evserver.semantics.message import Request

LIMITS = Limits()
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def head(*lines: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    return b"\r\n".join((b"PUT / " + version, b"Host: a", *lines, b"", b""))


def seen(connection: Connection) -> tuple[bool, bool]:
    """Is a body due, and is it waited with until 100 (Continue)?"""
    return connection.has_body, connection.expects_continue


def fed(data: bytes) -> Connection:
    """A connection that has received `data` and given its first request."""
    connection = Connection(LIMITS)
    connection.receive_data(data)
    assert isinstance(connection.next_request(), Request)
    return connection


PERSISTENCE = [
    (b"HTTP/1.1", (), True, "the default of 1.1"),
    (b"HTTP/1.1", (b"Connection: keep-alive",), True, "said again"),
    (b"HTTP/1.1", (b"Connection: close",), False, "close"),
    (b"HTTP/1.1", (b"Connection: Upgrade,\tCLOSE",), False, "close among others, case does not count"),
    (b"HTTP/1.1", (b"Connection: keep-alive, close",), False, "close is stronger"),
    (b"HTTP/1.1", (b"Connection: x", b"Connection: close"), False, "in the second line"),
    (b"HTTP/1.1", (b"Connection: closed",), True, "another option"),
    (b"HTTP/1.1", (b"Connection:",), True, "an empty list"),
    (b"HTTP/1.9", (), True, "as 1.1, 9110 §2.5"),
    (b"HTTP/1.0", (), False, "the default of 1.0"),
    (b"HTTP/1.0", (b"Connection: Keep-Alive",), True, "asked for"),
    (b"HTTP/1.0", (b"Connection: keep-alive, close",), False, "close is stronger"),
    (b"HTTP/1.0", (b"Keep-Alive: timeout=5",), False, "another field"),
]


@pytest.mark.parametrize(
    ("version", "lines", "keep_alive"),
    [row[:3] for row in PERSISTENCE],
    ids=[f"{row[0].decode()} {row[3]}" for row in PERSISTENCE],
)
def test_persistence(version: bytes, lines: tuple[bytes, ...], keep_alive: bool) -> None:
    """Whether another request may follow (RFC 9112 §9.3); one that may not is not read (§9.6)."""
    request = head(*lines, version=version)
    assert fed(request).keep_alive is keep_alive
    for pieces in ways(request + TAIL):
        found = outcomes(pieces, LIMITS)
        assert len(found) == (3 if keep_alive else 2), pieces
        assert found[-1] is Event.CLOSED


def test_nothing_follows_the_last_request_s_body() -> None:
    """With "close" and a body, the body is discarded and then the connection has ended."""
    connection = fed(head(b"Connection: close", b"Content-Length: 2") + b"xy" + TAIL)
    assert connection.discard_body()
    assert connection.next_request() is Event.CLOSED
    assert not connection.buffered


def test_pipelining() -> None:
    """Requests that arrive together come out in order; the last may be followed by the end of input."""
    targets = [b"/%d" % n for n in range(50)]
    stream = b"".join(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target for target in targets)
    for pieces in ([stream], [stream[:333], stream[333:]], [stream[i : i + 7] for i in range(0, 3000, 7)]):
        *requests, last = outcomes(pieces, LIMITS)
        assert [request.target for request in requests if isinstance(request, Request)] == targets
        assert last is Event.CLOSED


def test_one_empty_line_before_each_request() -> None:
    """One CRLF is skipped before a request line (RFC 9112 §2.2), and no second one."""
    for pieces in ways(b"\r\n" + GET + b"\r\n" + GET + b"\r\n"):
        assert len(outcomes(pieces, LIMITS)) == 3
    for pieces in ways(GET + b"\r\n\r\n" + GET):
        assert outcomes(pieces, LIMITS)[1:] == [HTTPStatus.BAD_REQUEST]


def test_end_of_input() -> None:
    """Between requests it closes; within a head it is a malformed request (RFC 9112 §8)."""
    assert outcomes([], LIMITS) == [Event.CLOSED]
    assert outcomes([b"\r\n"], LIMITS) == [Event.CLOSED]
    for size in range(1, len(GET)):
        assert outcomes([GET[:size]], LIMITS) == [HTTPStatus.BAD_REQUEST], size


def test_half_closed_peer_is_still_answered() -> None:
    """Requests that arrived before the end of input are all taken after it."""
    connection = Connection(LIMITS)
    connection.receive_data(GET + TAIL)
    connection.receive_data(b"")
    assert isinstance(connection.next_request(), Request)
    assert connection.keep_alive
    assert isinstance(connection.next_request(), Request)
    assert connection.next_request() is Event.CLOSED
    assert connection.next_request() is Event.CLOSED


def test_what_is_seen_of_a_connection_at_rest() -> None:
    """Before anything arrives there is no request, no body, no expectation; and all is in order."""
    connection = Connection(LIMITS)
    assert connection.next_request() is Event.NEED_DATA
    assert connection.discard_body()
    assert connection.keep_alive
    seen = (
        connection.has_body,
        connection.expects_continue,
        connection.expectation_failed,
        connection.reading_head,
        connection.buffered,
    )
    assert seen == (False,) * 5
    assert repr(connection) == "<http1.Connection HEAD, 0 octets unread>"


def test_reading_head() -> None:
    """True from a head's first octet up to its end, and not while a whole head waits."""
    connection = Connection(LIMITS)
    for size in range(1, len(GET)):
        connection.receive_data(GET[size - 1 : size])
        assert connection.next_request() is Event.NEED_DATA
        assert connection.reading_head
        assert connection.buffered
    connection.receive_data(GET[-1:] + TAIL)
    assert not connection.reading_head
    assert isinstance(connection.next_request(), Request)
    assert not connection.reading_head
    assert connection.buffered


def test_a_body_has_to_be_discarded_first() -> None:
    """Asking for the next request before that is our own mistake, and changes nothing."""
    connection = fed(head(b"Content-Length: 2") + b"x")
    assert seen(connection) == (True, False)
    with pytest.raises(LocalProtocolError):
        connection.next_request()
    assert not connection.discard_body()
    assert seen(connection) == (True, False)
    assert not connection.reading_head
    connection.receive_data(b"y" + TAIL)
    assert connection.discard_body()
    assert seen(connection) == (False, False)
    assert isinstance(connection.next_request(), Request)


@pytest.mark.parametrize(
    "data", [b"bad\r\n\r\n", head(b"Transfer-Encoding: chunked") + b"nix\r\n"], ids=["in a head", "in a body"]
)
def test_nothing_is_parsed_after_an_error(data: bytes) -> None:
    """After a refusal no octet is looked at again, whatever arrives (RFC 9112 §9.6)."""
    connection = Connection(LIMITS)
    connection.receive_data(data + TAIL)

    def read() -> None:
        connection.next_request()
        connection.discard_body()

    with pytest.raises(RemoteProtocolError):
        read()
    connection.receive_data(TAIL)
    connection.receive_data(b"")
    connection.receive_data(TAIL)
    assert not connection.keep_alive
    assert not connection.buffered
    with pytest.raises(LocalProtocolError):
        connection.next_request()
    with pytest.raises(LocalProtocolError):
        connection.discard_body()


def test_no_data_after_the_end_of_input() -> None:
    """The end of input is final; to say it twice is harmless."""
    connection = Connection(LIMITS)
    connection.receive_data(b"")
    connection.receive_data(b"")
    with pytest.raises(LocalProtocolError):
        connection.receive_data(b"x")


EXPECTATIONS = [
    # version, lines, waits for 100, deserves 417, reason
    (b"HTTP/1.1", (b"Expect: 100-continue", b"Content-Length: 2"), True, False, "§10.1.1"),
    (b"HTTP/1.1", (b"Expect: 100-Continue", b"Transfer-Encoding: chunked"), True, False, "no case"),
    (b"HTTP/1.1", (b"Expect: 100-continue",), False, False, "no body"),
    (b"HTTP/1.1", (b"Expect: 100-continue", b"Content-Length: 0"), False, False, "an empty body"),
    (b"HTTP/1.1", (b"Content-Length: 2",), False, False, "no expectation"),
    (b"HTTP/1.1", (b"Expect: x", b"Content-Length: 2"), False, True, "an unknown one"),
    (b"HTTP/1.1", (b"Expect: x",), False, True, "an unknown one, no body"),
    (b"HTTP/1.1", (b"Expect: 100-continue, x=y", b"Content-Length: 2"), True, True, "both"),
    (b"HTTP/1.1", (b"Expect:", b"Content-Length: 2"), False, False, "an empty list"),
    (b"HTTP/1.0", (b"Expect: 100-continue", b"Content-Length: 2"), False, False, "1.0 knows none"),
    (b"HTTP/1.0", (b"Expect: x", b"Content-Length: 2"), False, False, "1.0 knows none"),
]


@pytest.mark.parametrize(
    ("version", "lines", "waits", "failed"),
    [row[:4] for row in EXPECTATIONS],
    ids=[f"{row[0].decode()} {row[4]}" for row in EXPECTATIONS],
)
def test_expectations(version: bytes, lines: tuple[bytes, ...], waits: bool, failed: bool) -> None:
    """Expect is understood in HTTP/1.1 alone, and 100-continue is all it may say (RFC 9110 §10.1.1)."""
    connection = fed(head(*lines, version=version))
    assert connection.expects_continue is waits
    assert connection.expectation_failed is failed


def test_no_continue_once_the_body_comes() -> None:
    """An octet of the body in the buffer, or already discarded, answers the question."""
    lines = (b"Expect: 100-continue", b"Content-Length: 2")
    assert not fed(head(*lines) + b"x").expects_continue
    connection = fed(head(*lines))
    assert not connection.discard_body()
    assert seen(connection) == (True, True)
    connection.receive_data(b"x")
    assert seen(connection) == (True, False)
    assert not connection.discard_body()
    assert seen(connection) == (True, False)


def test_errors_say_what_and_quote_nothing() -> None:
    """An error has the status, and a reason without the peer's octets."""
    connection = Connection(LIMITS)
    connection.receive_data(b"\x1b[31mevil\r\n\r\n")
    with pytest.raises(RemoteProtocolError) as refused:
        connection.next_request()
    assert refused.value.status is HTTPStatus.BAD_REQUEST
    assert refused.value.detail
    assert "evil" not in str(refused.value)
    assert str(refused.value).startswith("400 Bad Request: ")
