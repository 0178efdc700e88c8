"""Law: the pieces in which octets arrive change nothing."""

from hypothesis import example, given
from hypothesis import strategies as st

from tests.http1.feeding import TAIL, outcomes, ways
from trio_evserver.http1.limits import Limits

LIMITS = Limits(line=24, head=90, fields=4, body=30)

HEAD = b"PUT / HTTP/1.1\r\nHost: a\r\n"
PIECES = st.sampled_from(
    (
        *(HEAD, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", HEAD + b"Content-Length: 5\r\n\r\nhello", TAIL),
        *(b"GET /", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"\r\n", b"\r", b"\n", b" ", b"\x00", b"X:"),
        *(b"Host: a\r\n", b"Connection: close\r\n", b"Content-Length: 5\r\n"),
        *(b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n", b"1;a=b\r\n", b"0\r\n", b"0\r\n\r\n"),
        *(b"x" * 20, b"f" * 9, b"A: b\r\n"),
    )
)
STREAMS = st.lists(PIECES | st.binary(max_size=2), max_size=8).map(b"".join)


@given(STREAMS)
@example(HEAD + b"Content-Length: 1\r\n\r\n\r" + b"\n" + TAIL)
@example(b"\r\n" + TAIL + b"\r\n\r\n" + TAIL)
def test_every_split(stream: bytes) -> None:
    """Whole, octet by octet, and in two at every place: the same requests and the same end."""
    for tail in (b"", TAIL):
        expected = outcomes([stream + tail], LIMITS)
        for pieces in ways(stream + tail):
            assert outcomes(pieces, LIMITS) == expected, pieces


@given(STREAMS, st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_any_pieces(stream: bytes, sizes: list[int]) -> None:
    """Pieces of any sizes, in turn."""
    pieces: list[bytes] = []
    start = 0
    while start < len(stream):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(stream[start : start + size])
        start += size
    assert outcomes(pieces, LIMITS) == outcomes([stream], LIMITS)
