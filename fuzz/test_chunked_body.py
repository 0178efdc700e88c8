"""The chunked framing: a body ends where a literal transcription of RFC 9112 §7.1 says, or is refused."""

import re

from hypothesis import given
from hypothesis import strategies as st

from fuzz.messages import TAIL, chunked_bodies
from tests.http1.feeding import outcomes
from trio_evserver.http1.limits import Limits
from trio_evserver.semantics.message import Request

HEAD = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
LIMITS = Limits()

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;%b(?:=(?:%b|%b))?)*\r\n" % (_TOKEN, _TOKEN, _QUOTED))
_NO_TRAILERS = rb"(?:connection|content-length|host|transfer-encoding)"
_TRAILERS = re.compile(rb"(?i)(?:(?!%b:)%b:[\t \x21-\x7e\x80-\xff]*\r\n)*\r\n" % (_NO_TRAILERS, _TOKEN))


def body_end(data: bytes) -> int | None:
    """Where the chunked body that begins `data` ends, None if none does: whole input, no limits."""
    position = 0
    while match := _SIZE_LINE.match(data, position):
        position = match.end()
        size = int(match[1], 16)
        if not size:
            trailers = _TRAILERS.match(data, position)
            return trailers.end() if trailers else None
        if data[position + size : position + size + 2] != b"\r\n":
            return None
        position += size + 2
    return None


def check(data: bytes) -> None:
    """A body is accepted if and only if the model finds its end, and the next request begins there."""
    end = body_end(data)
    found = outcomes([HEAD + data], LIMITS)
    if end is None:
        assert len(found) == 2
        assert found[-1] in (400, 413, 431)
    else:
        assert found[1:] == outcomes([data[end:]], LIMITS)


@given(chunked_bodies, st.booleans())
def test_nearly_valid(body: bytes, tail: bool) -> None:
    """Chunks in which a few things are wrong."""
    check(body + TAIL if tail else body)


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=5), st.binary(max_size=9))
def test_valid_then_anything(chunks: list[bytes], rest: bytes) -> None:
    """Good chunks, then anything at all; a request behind a good end is found."""
    body = b"".join(b"%X\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    check(body + rest)
    check(body + b"0\r\n\r\n" + TAIL)
    first, second, _ = outcomes([HEAD + body + b"0\r\n\r\n" + TAIL], LIMITS)
    assert isinstance(first, Request)
    assert isinstance(second, Request)
