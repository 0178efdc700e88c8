"""From a request and a representation to the answer."""

from http import HTTPStatus
from typing import NoReturn

import pytest

from trio_evserver.semantics.entity_tag import EntityTag
from trio_evserver.semantics.message import EMPTY, Content, Parts, Refusal, Region, Request, Response
from trio_evserver.semantics.policy import Policy
from trio_evserver.semantics.representation import Representation
from trio_evserver.semantics.respond import (
    ALLOW,
    answer,
    check_method,
    options,
    page,
    redirect,
)

CONTENT = b"0123456789"
DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"
POLICY = Policy(max_ranges=4, boundary=lambda: b"SEP", now=lambda: 784_200_000.0)


def selected(content: bytes | None = CONTENT, size: int = 10) -> Representation:
    return Representation(
        size=size,
        modified=784_111_777,
        modified_is_strong=True,
        entity_tag=EntityTag(b"a", False),
        media_type=b"text/plain; charset=utf-8",
        cache_control=b"no-cache",
        content=content,
        render=lambda fields: b"head of %d, " % len(fields),
    )


def asked(method: bytes = b"GET", **fields: bytes) -> Request:
    names = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    return Request(method, b"/f", b"/f", None, b"host", b"HTTP/1.1", names)


def never() -> NoReturn:
    raise AssertionError("neither the clock nor chance is needed for this answer")


def octets(response: Response) -> bytes:
    """The content that the response stands for, where its regions are of CONTENT."""
    match response.body:
        case Content(data=data):
            return data
        case Parts(parts=parts):
            return b"".join(
                part if isinstance(part, bytes) else CONTENT[part.offset : part.offset + part.length]
                for part in parts
            )
    return b""


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_a_plain_request_gets_the_answer_that_lies_ready(method: bytes) -> None:
    """Without one of the six fields nothing is computed: the very object is returned, head and all."""
    representation = selected()
    request = asked(method, host=b"h", accept=b"*/*", if_none=b"x")
    assert answer(request, representation, Policy(boundary=never, now=never)) is representation.complete


STATUSES: list[tuple[dict[str, bytes], int, str]] = [
    ({"if_none_match": b'"a"'}, 304, "the tag matches"),
    ({"if_none_match": b'"b"'}, 200, "another tag"),
    ({"if_modified_since": DATE}, 304, "not modified"),
    ({"if_match": b'"b"'}, 412, "If-Match fails"),
    ({"if_match": b'"b"', "range": b"bytes=0-0"}, 412, "conditions go before ranges, §13.2.2"),
    ({"if_none_match": b'"a"', "range": b"bytes=0-0"}, 304, "conditions go before ranges"),
    ({"if_match": b'"b"', "range": b"bytes=99-"}, 412, "even before unsatisfiable ones"),
    ({"range": b"bytes=0-0"}, 206, "a range"),
    ({"range": b"bytes=99-"}, 416, "a range that meets nothing"),
    ({"range": b"bytes=-0"}, 416, "a suffix of nothing"),
    ({"range": b"bytes=2-1"}, 200, "an invalid range is ignored"),
    ({"range": b"lines=0-0"}, 200, "another unit is ignored"),
    ({"range": b"bytes=0-,0-"}, 200, "more than the whole"),
    ({"range": b"bytes=" + b"0-0," * 300}, 200, "hundreds of ranges"),
    ({"range": b"bytes=0-0", "if_range": b'"a"'}, 206, "If-Range holds"),
    ({"range": b"bytes=0-0", "if_range": b'"b"'}, 200, "If-Range fails: the whole of the new one"),
    ({"range": b"bytes=99-", "if_range": b'"b"'}, 200, "If-Range fails: then nothing is unsatisfiable"),
    ({"range": b"bytes=0-0", "if_range": DATE}, 206, "If-Range by date"),
    ({"if_range": b'"b"'}, 200, "If-Range without Range MUST be ignored, §13.1.5"),
    ({"range": b"bytes=0-0", "if_match": b'"a"', "if_unmodified_since": DATE}, 206, "all hold"),
]


@pytest.mark.parametrize(("fields", "status", "why"), STATUSES)
def test_get(fields: dict[str, bytes], status: int, why: str) -> None:
    """GET gets the status that §13.2.2 and §14.2 give it, and a ready answer where there is one."""
    representation = selected()
    found = answer(asked(**fields), representation, POLICY)
    assert found.status == status, why
    if status == 200:
        assert found is representation.complete
    if status == 304:
        assert found is representation.not_modified


@pytest.mark.parametrize(("fields", "status", "why"), STATUSES)
def test_head_is_get_without_range(fields: dict[str, bytes], status: int, why: str) -> None:
    """HEAD has the conditions of GET; its Range MUST be ignored (§14.2)."""
    expected = 200 if status in (206, 416) else status
    assert answer(asked(b"HEAD", **fields), selected(), POLICY).status == expected, why


def test_a_single_range() -> None:
    """All fields of the 200, with the part's length, and a Content-Range (§15.3.7.1)."""
    representation = selected()
    found = answer(asked(range=b"bytes=2-4"), representation, POLICY)
    assert isinstance(found, Response)
    assert found.status is HTTPStatus.PARTIAL_CONTENT
    assert found.fields == (
        (b"Content-Length", b"3"),
        (b"Content-Range", b"bytes 2-4/10"),
        (b"Content-Type", b"text/plain; charset=utf-8"),
        (b"Accept-Ranges", b"bytes"),
        (b"Last-Modified", DATE),
        (b"ETag", b'"a"'),
        (b"Cache-Control", b"no-cache"),
        (b"X-Content-Type-Options", b"nosniff"),
    )
    assert found.body == Content(b"234")
    assert found.head == b"head of 2, head of 3, head of 3, "


def test_several_ranges() -> None:
    """multipart/byteranges; no Content-Range in the head (§15.3.7.2), and the exact length."""
    found = answer(asked(range=b"bytes=8-9,0-1"), selected(), POLICY)
    assert isinstance(found, Response)
    fields = dict(found.fields)
    assert fields[b"Content-Type"] == b"multipart/byteranges; boundary=SEP"
    assert b"Content-Range" not in fields
    assert int(fields[b"Content-Length"]) == len(octets(found))
    assert octets(found).index(b"\r\n\r\n89\r\n") < octets(found).index(b"\r\n\r\n01\r\n")
    assert fields[b"ETag"] == b'"a"'


@pytest.mark.parametrize(
    "value", [b"bytes=0-1,2-3", b"bytes=0-3,90-"], ids=["coalesced into one", "one of two satisfiable"]
)
def test_one_range_that_is_left_is_a_single_one(value: bytes) -> None:
    """What comes down to one range is answered as one, not as a multipart of one part."""
    found = answer(asked(range=value), selected(), POLICY)
    assert isinstance(found, Response)
    assert dict(found.fields)[b"Content-Range"] == b"bytes 0-3/10"


@pytest.mark.parametrize("value", [b"bytes=2-4", b"bytes=8-9,0-1"])
def test_a_file_that_is_not_held_is_answered_in_regions(value: bytes) -> None:
    """The same octets and fields, whether the content is held or still to be read."""
    held = answer(asked(range=value), selected(), POLICY)
    read = answer(asked(range=value), selected(content=None), POLICY)
    assert isinstance(held, Response)
    assert isinstance(read, Response)
    assert isinstance(read.body, Parts)
    assert any(isinstance(part, Region) for part in read.body.parts)
    assert (read.fields, octets(read)) == (held.fields, octets(held))
    assert int(dict(read.fields)[b"Content-Length"]) == read.body.length


def test_an_unsatisfiable_range_says_the_size() -> None:
    """416 names the current length, so that the client can ask again (§15.5.17)."""
    found = answer(asked(range=b"bytes=10-"), selected(), POLICY)
    assert isinstance(found, Refusal)
    assert found.status is HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    assert found.fields == ((b"Content-Range", b"bytes */10"),)


@pytest.mark.parametrize(
    ("value", "status", "why"),
    [(b"bytes=0-", 416, "past the end"), (b"bytes=-5", 200, "satisfiable, and nothing"), (b"x", 200, "none")],
)
def test_an_empty_file(value: bytes, status: int, why: str) -> None:
    """There is no 206 of nothing."""
    assert answer(asked(range=value), selected(b"", 0), POLICY).status == status, why


@pytest.mark.parametrize(
    ("method", "status", "why"),
    [
        (b"GET", None, "served"),
        (b"HEAD", None, "served"),
        (b"OPTIONS", None, "served"),
        (b"POST", 405, "known, not allowed, §15.5.6"),
        (b"PUT", 405, "known"),
        (b"DELETE", 405, "known"),
        (b"PATCH", 405, "known, RFC 5789"),
        (b"CONNECT", 405, "known"),
        (b"TRACE", 405, "known"),
        (b"get", 501, "methods are case-sensitive, §9.1"),
        (b"BREW", 501, "unknown, §15.6.2"),
        (b"GETS", 501, "unknown"),
        (b"", 501, "no method"),
    ],
)
def test_methods(method: bytes, status: int | None, why: str) -> None:
    """A 405 MUST say what is allowed (§15.5.6); a 501 need not."""
    found = check_method(method)
    if status is None:
        assert found is None, why
        return
    assert found is not None
    assert found.status == status, why
    assert found.fields == (((b"Allow", ALLOW),) if status == 405 else ())


def test_options() -> None:
    """OPTIONS says what is allowed; a 204 has no Content-Length (§8.6) and no content."""
    assert options() == Response(HTTPStatus.NO_CONTENT, ((b"Allow", b"GET, HEAD, OPTIONS"),), EMPTY)


@pytest.mark.parametrize("content", [b"<p>no</p>", b""])
def test_a_page(content: bytes) -> None:
    """The refusal's own fields, an exact length, a type that is not sniffed; kept by nobody."""
    refusal = Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "detail for the log", ((b"Allow", ALLOW),))
    found = page(refusal, content, b"text/html; charset=utf-8")
    assert found.status is HTTPStatus.METHOD_NOT_ALLOWED
    assert found.fields == (
        (b"Allow", ALLOW),
        (b"Content-Type", b"text/html; charset=utf-8"),
        (b"Content-Length", b"%d" % len(content)),
        (b"Cache-Control", b"no-store"),
        (b"X-Content-Type-Options", b"nosniff"),
    )
    assert octets(found) == content
    assert b"detail" not in octets(found)


def test_a_redirect() -> None:
    """301 with its Location (§15.4.2), which a page turns into a response."""
    found = redirect(b"/a/")
    assert found.status is HTTPStatus.MOVED_PERMANENTLY
    assert found.fields == ((b"Location", b"/a/"),)
