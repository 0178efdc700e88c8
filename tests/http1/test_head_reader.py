"""What one head may share with the next, and what it may not."""

from http import HTTPStatus

import pytest

from trio_evserver.http1.errors import RemoteProtocolError
from trio_evserver.http1.head_reader import HeadReader
from trio_evserver.http1.limits import Limits

FIRST = b"GET /a HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n"
SHARED = [
    (b"GET /b?c HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n", True, "another target"),
    (b"HEAD /a HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n", True, "another method of the two"),
    (b"GET /a HTTP/1.1\r\nHost: h\r\nX: z\r\n\r\n", False, "one octet differs"),
    (b"GET /a HTTP/1.1\r\nHost: h\r\nX: y\r\nZ: z\r\n\r\n", False, "one line more"),
    (b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n", False, "one line less"),
    (b"GET /a HTTP/1.0\r\nHost: h\r\nX: y\r\n\r\n", False, "another version: it would persist"),
    (b"OPTIONS /a HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n", False, "a rarer method"),
    (b"GET http://i/a HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n", False, "another form: the host is the target's"),
]


@pytest.mark.parametrize(("head", "shared", "why"), SHARED, ids=[row[2] for row in SHARED])
def test_what_is_shared(head: bytes, shared: bool, why: str) -> None:
    """The very mapping of the fields is shared where every octet after the request line is the same."""
    reader = HeadReader(Limits())
    before, _, _ = reader.read(FIRST)
    request, _, _ = reader.read(head)
    assert (request.fields is before.fields) is shared, why


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "no other request may follow"),
        (b"GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n", "it has a body"),
        (b"GET /a HTTP/1.1\r\nHost: h\r\nCookie: " + b"a" * 2048 + b"\r\n\r\n", "it is long"),
    ],
)
def test_what_is_not_remembered(head: bytes, why: str) -> None:
    """Field lines that say what concerns one request alone, or would cost much memory."""
    reader = HeadReader(Limits())
    before, _, _ = reader.read(head)
    assert reader.read(head)[0].fields is not before.fields, why


def test_limits_hold_for_repeated_field_lines() -> None:
    """A longer request line before the same field lines is refused as it would be alone."""
    tail = b" HTTP/1.1\r\nHost: h\r\n\r\n"
    reader = HeadReader(Limits(line=40, head=80))
    reader.read(b"GET /a" + tail)
    assert reader.read(b"GET /" + b"a" * 26 + tail)[0].path == b"/" + b"a" * 26  # 40 octets
    with pytest.raises(RemoteProtocolError) as refused:
        reader.read(b"GET /" + b"a" * 27 + tail)
    assert refused.value.status is HTTPStatus.REQUEST_URI_TOO_LONG
    reader = HeadReader(Limits(line=80, head=60))
    reader.read(b"GET /a" + tail)
    with pytest.raises(RemoteProtocolError) as refused:
        reader.read(b"GET /" + b"a" * 40 + tail)
    assert refused.value.status is HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
