"""A representation has its 200 and its 304 ready."""

from http import HTTPStatus

import pytest

from trio_evserver.semantics.entity_tag import EntityTag
from trio_evserver.semantics.fields import FieldLines
from trio_evserver.semantics.message import EMPTY, Body, Content, Parts, Region
from trio_evserver.semantics.representation import Representation

TAG = EntityTag(b"a", False)
MODIFIED = 784_111_777


def render(fields: FieldLines) -> bytes:
    return b"".join(b"%b: %b\r\n" % line for line in fields)


def made(
    size: int = 3,
    modified: int | None = MODIFIED,
    entity_tag: EntityTag | None = TAG,
    content: bytes | None = None,
) -> Representation:
    return Representation(
        size=size,
        modified=modified,
        modified_is_strong=True,
        entity_tag=entity_tag,
        media_type=b"image/png",
        cache_control=b"no-cache",
        content=content,
        render=render,
    )


def test_the_complete_answer() -> None:
    """The 200 has the representation's metadata in a fixed order, and the same rendered."""
    complete = made().complete
    assert complete.status is HTTPStatus.OK
    assert complete.fields == (
        (b"Content-Length", b"3"),
        (b"Content-Type", b"image/png"),
        (b"Accept-Ranges", b"bytes"),
        (b"Last-Modified", b"Sun, 06 Nov 1994 08:49:37 GMT"),
        (b"ETag", b'"a"'),
        (b"Cache-Control", b"no-cache"),
        (b"X-Content-Type-Options", b"nosniff"),
    )
    assert complete.head == render(complete.fields)


NOSNIFF = (b"X-Content-Type-Options", b"nosniff")
CACHE = (b"Cache-Control", b"no-cache")


@pytest.mark.parametrize(
    ("modified", "entity_tag", "fields", "why"),
    [
        (MODIFIED, TAG, ((b"ETag", b'"a"'), CACHE, NOSNIFF), "a tag makes the date superfluous"),
        (MODIFIED, EntityTag(b"a", True), ((b"ETag", b'W/"a"'), CACHE, NOSNIFF), "a weak tag too"),
        (MODIFIED, None, ((b"Last-Modified", b"Sun, 06 Nov 1994 08:49:37 GMT"), CACHE, NOSNIFF), "no tag"),
        (None, TAG, ((b"ETag", b'"a"'), CACHE, NOSNIFF), "no date"),
        (None, None, (CACHE, NOSNIFF), "neither"),
    ],
)
def test_the_not_modified_answer(
    modified: int | None, entity_tag: EntityTag | None, fields: FieldLines, why: str
) -> None:
    """The 304 has what guides a cache and nothing else (§15.4.5), no Content-Length and no content."""
    not_modified = made(modified=modified, entity_tag=entity_tag).not_modified
    assert not_modified.status is HTTPStatus.NOT_MODIFIED
    assert not_modified.fields == fields, why
    assert not_modified.head == render(fields)
    assert not_modified.body is EMPTY


@pytest.mark.parametrize(
    ("modified", "entity_tag", "absent"),
    [(None, TAG, b"Last-Modified"), (MODIFIED, None, b"ETag"), (0, None, b"ETag")],
)
def test_a_validator_that_there_is_not_is_not_sent(
    modified: int | None, entity_tag: EntityTag | None, absent: bytes
) -> None:
    """A missing validator leaves its field out, and only its own."""
    names = {name for name, _ in made(modified=modified, entity_tag=entity_tag).complete.fields}
    assert absent not in names
    assert len(names) == 6


@pytest.mark.parametrize(
    ("size", "content", "body", "why"),
    [
        (3, b"abc", Content(b"abc"), "held in memory"),
        (3, None, Parts((Region(0, 3),), 3), "read from the file: one region over all"),
        (0, None, EMPTY, "nothing to read: a region has at least one byte"),
        (0, b"", EMPTY, "nothing held"),
    ],
)
def test_the_body(size: int, content: bytes | None, body: Body, why: str) -> None:
    """The body of the 200 is what the content is: held, to be read, or nothing."""
    assert made(size=size, content=content).complete.body == body, why


def test_content_of_another_length_is_a_bug() -> None:
    """A Content-Length that belies the content must never leave this module."""
    with pytest.raises(ValueError, match="2 bytes of content for a representation of 3"):
        made(size=3, content=b"ab")
