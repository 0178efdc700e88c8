"""The reader of HTTP/1 on arbitrary streams: requests, then the end or a refusal, however they arrive."""

from hypothesis import given
from hypothesis import strategies as st

from fuzz.messages import streams
from tests.http1.feeding import outcomes
from trio_evserver.http1.connection import Event
from trio_evserver.http1.limits import Limits
from trio_evserver.semantics.message import Request

REFUSALS = {400, 413, 414, 431, 501, 505}
LIMITS = (Limits(), Limits(line=20, head=60, fields=3, body=12))


def check(data: bytes) -> None:
    """Every stream gives requests, then one end: CLOSED or a refusal; octet by octet the same."""
    for limits in LIMITS:
        found = outcomes([data], limits)
        assert all(isinstance(outcome, Request) for outcome in found[:-1])
        assert found[-1] is Event.CLOSED or found[-1] in REFUSALS
        assert outcomes([data[i : i + 1] for i in range(len(data))], limits) == found
        for request in found[:-1]:
            assert isinstance(request, Request)
            check_request(request)


def check_request(request: Request) -> None:
    """What an accepted request promises to the floor above."""
    assert request.path.startswith(b"/") or request.path in (b"*", b"")
    assert request.host or request.version == b"HTTP/1.0"
    assert request.version in (b"HTTP/1.1", b"HTTP/1.0")
    assert not any(octet in request.target for octet in b"\0\r\n #")
    for name, value in request.fields.items():
        assert name == name.lower()
        assert value == value.lstrip(b" \t")
        assert value == value.rstrip(b" \t") or value.endswith(b", ")  # the last of several was empty
        assert not any(octet in value for octet in b"\0\r\n")


@given(streams)
def test_nearly_valid(stream: bytes) -> None:
    """Streams in which a few things are wrong."""
    check(stream)


@given(st.binary(max_size=200))
def test_anything(stream: bytes) -> None:
    """Any octets at all."""
    check(stream)
