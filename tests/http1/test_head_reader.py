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


@pytest.mark.parametrize("connection", ["the same connection", "another"])
@pytest.mark.parametrize(("head", "shared", "why"), SHARED, ids=[row[2] for row in SHARED])
def test_what_is_shared(head: bytes, shared: bool, why: str, connection: str) -> None:
    """The very mapping of the fields is shared where every octet after the request line is the same."""
    reader = HeadReader(Limits())
    before, _, _, section = reader.read(FIRST, None)
    request, _, persists, _ = reader.read(head, section if connection == "the same connection" else None)
    assert (request.fields is before.fields) is shared, why
    assert persists is (b"HTTP/1.1" in head)


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n", "it has a body"),
        (b"GET /a HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 2048 + b"\r\n\r\n", "it is long"),
        (b"GET http://i/a HTTP/1.1\r\nHost: h\r\n\r\n", "the host is the target's"),
    ],
)
def test_what_is_not_remembered(head: bytes, why: str) -> None:
    """Field lines that say what concerns one request alone, or would cost much memory."""
    reader = HeadReader(Limits())
    before, _, _, section = reader.read(head, None)
    assert section is None
    assert reader.read(head, None)[0].fields is not before.fields, why


@pytest.mark.parametrize("name", [b"Cookie", b"Authorization", b"proxy-authorization"])
def test_what_is_private_stays_with_its_connection(name: bytes) -> None:
    """Secrets are not held when their connection has ended."""
    reader = HeadReader(Limits())
    head = b"GET /a HTTP/1.1\r\nHost: h\r\n%b: secret\r\n\r\n" % name
    before, _, _, section = reader.read(head, None)
    assert reader.read(head, section)[0].fields is before.fields
    assert reader.read(head, None)[0].fields is not before.fields


def test_a_connection_that_ends_is_remembered_as_that() -> None:
    """Whether another request may follow is what the field lines say, too."""
    reader = HeadReader(Limits())
    head = b"GET /a HTTP/1.0\r\nHost: h\r\n\r\n"
    (before, _, first, _), (again, _, second, _) = reader.read(head, None), reader.read(head, None)
    assert again.fields is before.fields
    assert not first
    assert not second


def test_few_are_remembered() -> None:
    """What all connections may share is bounded; the one that was met first is forgotten first."""
    reader = HeadReader(Limits())

    def fields(number: int) -> object:
        return reader.read(b"GET /a HTTP/1.1\r\nHost: h%d\r\n\r\n" % number, None)[0].fields

    first = [fields(number) for number in range(64)]
    assert [fields(number) is first[number] for number in range(64)] == [True] * 64
    fields(64)
    assert fields(1) is first[1]
    assert fields(0) is not first[0]


def test_limits_hold_for_repeated_field_lines() -> None:
    """A longer request line before the same field lines is refused as it would be alone."""
    tail = b" HTTP/1.1\r\nHost: h\r\n\r\n"
    reader = HeadReader(Limits(line=40, head=80))
    reader.read(b"GET /a" + tail, None)
    assert reader.read(b"GET /" + b"a" * 26 + tail, None)[0].path == b"/" + b"a" * 26  # 40 octets
    with pytest.raises(RemoteProtocolError) as refused:
        reader.read(b"GET /" + b"a" * 27 + tail, None)
    assert refused.value.status is HTTPStatus.REQUEST_URI_TOO_LONG
    reader = HeadReader(Limits(line=80, head=60))
    reader.read(b"GET /a" + tail, None)
    with pytest.raises(RemoteProtocolError) as refused:
        reader.read(b"GET /" + b"a" * 40 + tail, None)
    assert refused.value.status is HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
