"""Whatever we accept, h11 and llhttp read as the same requests, but for what `differences` lists."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.differences import LOWERED, STOPS, Stop
from fuzz.messages import TAIL, ended_bodies, fields, requests, streams
from fuzz.peers import PEERS, Reading, ours
from trio_evserver.semantics.message import Request


def check(data: bytes) -> None:
    """Each request that we read, the peers read in the same place, and no other one."""
    accepted, clean = ours(data)
    for peer, read in PEERS.items():
        _compare(peer, data, accepted, read(data), clean)


def _compare(peer: str, stream: bytes, accepted: list[Request], theirs: list[Reading], clean: bool) -> None:
    for index, request in enumerate(accepted):
        if _stops(peer, request, stream, behind=False):
            return
        assert theirs[index : index + 1] == [_as_read_by(peer, request)], f"{peer} reads {theirs}"
        if _stops(peer, request, stream, behind=True):
            return
    if clean:
        assert len(theirs) == len(accepted), f"{peer} reads more: {theirs}"


def _stops(peer: str, request: Request, stream: bytes, *, behind: bool) -> bool:
    return any(
        stop.peer == peer and stop.behind is behind and stop.applies(request, stream) for stop in STOPS
    )


def _as_read_by(peer: str, request: Request) -> Reading:
    lowered = LOWERED.get(peer, set())
    fields = {name: value.lower() if name in lowered else value for name, value in request.fields.items()}
    return Reading(request.method, request.target, fields)


@given(streams)
def test_streams(stream: bytes) -> None:
    """Streams of nearly valid requests, and one more request to witness where the last one ended."""
    check(stream)
    check(stream + TAIL)


@given(st.lists(fields, max_size=3), requests())
def test_one_valid_request_line(lines: list[bytes], behind: bytes) -> None:
    """Fields are where the disagreements are: so they come in a head that is good but for them."""
    check(b"\r\n".join((b"PUT / HTTP/1.1", b"Host: a", *lines, b"", b"")) + behind)


@given(
    st.lists(
        st.sampled_from([b"hello", b"5\r\nhello\r\n", b"0\r\n\r\n", b"0\r\n", b"A: b\r\n", TAIL]), max_size=4
    )
)
def test_framing(pieces: list[bytes]) -> None:
    """Bodies under either framing end at the same octet for all."""
    for field in (b"Transfer-Encoding: chunked", b"Content-Length: 5", b"X: y"):
        check(b"PUT / HTTP/1.1\r\nHost: a\r\n" + field + b"\r\n\r\n" + b"".join(pieces))


@given(ended_bodies)
def test_trailers(body: bytes) -> None:
    """No trailer field changes for anybody where the body ends, or whether a request follows."""
    check(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body + TAIL)


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.reason)
def test_each_difference_is_real(stop: Stop) -> None:
    """A row of the table that no longer describes the peer has to go."""
    accepted, clean = ours(stop.example)
    assert clean
    assert len(PEERS[stop.peer](stop.example)) < len(accepted)
    check(stop.example)
