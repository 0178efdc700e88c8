"""What a file's status says about its validators."""

import pytest

from tests.files.making import SECOND
from trio_evserver.files.identity import Identity
from trio_evserver.files.options import ETagSource
from trio_evserver.files.validators import MAX_DIGESTED, Validators, is_settled, validators, wants_digest
from trio_evserver.semantics.entity_tag import EntityTag

MS = 1_000_000
NOW = 1_700_000_000 * SECOND
THEN = NOW - 100 * SECOND + 123_456_789


def identity(*, modified: int = THEN, changed: int = THEN, size: int = 10) -> Identity:
    return Identity(1, 2, size, modified, changed)


@pytest.mark.parametrize(
    ("found", "source", "digest", "expected", "why"),
    [
        (
            identity(),
            ETagSource.AUTO,
            "",
            Validators(EntityTag(b"%x-a" % THEN, False), THEN // SECOND, True, True),
            "time and size, strong, Last-Modified truncated to the second",
        ),
        (
            identity(modified=0),
            ETagSource.AUTO,
            "d1",
            Validators(EntityTag(b"d1", False), None, False, True),
            "an image layer: the content's hash, no Last-Modified",
        ),
        (
            identity(modified=SECOND),
            ETagSource.AUTO,
            "d1",
            Validators(EntityTag(b"d1", False), None, False, True),
            "mtime 1, as some build tools set it",
        ),
        (
            identity(modified=2 * SECOND - 1),
            ETagSource.AUTO,
            "d1",
            Validators(EntityTag(b"d1", False), None, False, True),
            "second 1 to its last nanosecond",
        ),
        (
            identity(modified=2 * SECOND),
            ETagSource.AUTO,
            "",
            Validators(EntityTag(b"77359400-a", False), 2, True, True),
            "second 2 is a time like any other",
        ),
        (
            identity(modified=-SECOND),
            ETagSource.AUTO,
            "d1",
            Validators(EntityTag(b"d1", False), None, False, True),
            "before the epoch: as meaningless",
        ),
        (
            identity(modified=0, size=MAX_DIGESTED + 1),
            ETagSource.AUTO,
            "",
            Validators(None, None, False, True),
            "meaningless and too large to hash: no validator at all",
        ),
        (
            identity(modified=NOW + 60 * SECOND),
            ETagSource.AUTO,
            "",
            Validators(EntityTag(b"%x-a" % (NOW + 60 * SECOND), False), None, False, True),
            "in the future: no Last-Modified (RFC 9110 §8.8.2.1)",
        ),
        (
            identity(modified=NOW - 19 * MS, changed=NOW - 19 * MS),
            ETagSource.AUTO,
            "",
            Validators(EntityTag(b"%x-a" % (NOW - 19 * MS), True), NOW // SECOND - 1, True, False),
            "changed 19 ms ago: weak, and not to be kept",
        ),
        (
            identity(modified=THEN, changed=NOW - 19 * MS),
            ETagSource.AUTO,
            "",
            Validators(EntityTag(b"%x-a" % THEN, True), THEN // SECOND, True, False),
            "its mtime was set back, its ctime tells",
        ),
        (
            identity(modified=NOW - 20 * MS, changed=NOW - 20 * MS),
            ETagSource.AUTO,
            "",
            Validators(EntityTag(b"%x-a" % (NOW - 20 * MS), False), NOW // SECOND - 1, True, True),
            "20 ms ago: two ticks have passed",
        ),
        (
            identity(),
            ETagSource.CONTENT,
            "d1",
            Validators(EntityTag(b"d1", False), THEN // SECOND, True, True),
            "from the content, because it was asked for",
        ),
        (
            identity(size=MAX_DIGESTED + 1),
            ETagSource.CONTENT,
            "",
            Validators(None, THEN // SECOND, True, True),
            "no other tag in its place: it would be another promise",
        ),
        (
            identity(),
            ETagSource.OFF,
            "",
            Validators(None, THEN // SECOND, True, True),
            "no tag",
        ),
    ],
)
def test_validators(found: Identity, source: ETagSource, digest: str, expected: Validators, why: str) -> None:
    """The tag, Last-Modified and whether the file may be kept follow from its status alone."""
    assert validators(found, source, digest, NOW) == expected, why


def test_last_modified_is_weak_within_its_second() -> None:
    """RFC 9110 §8.8.2.2: another change in the same second would have the same date."""
    middle = NOW + SECOND // 2
    found = validators(identity(modified=NOW + 1, changed=NOW + 1), ETagSource.AUTO, "", middle)
    assert (found.modified, found.modified_is_strong) == (NOW // SECOND, False)


def test_replicas_agree() -> None:
    """Device, inode and ctime differ between two copies of a site; the tags do not."""
    other = Identity(8, 9, 10, THEN, NOW - 50 * SECOND)
    tags = {validators(one, ETagSource.AUTO, "", NOW).entity_tag for one in (identity(), other)}
    assert len(tags) == 1


@pytest.mark.parametrize(
    ("found", "source", "expected", "why"),
    [
        (identity(), ETagSource.AUTO, False, "its time will do"),
        (identity(modified=0), ETagSource.AUTO, True, "its time means nothing"),
        (identity(modified=0, size=MAX_DIGESTED), ETagSource.AUTO, True, "the largest"),
        (identity(modified=0, size=MAX_DIGESTED + 1), ETagSource.AUTO, False, "larger"),
        (identity(), ETagSource.CONTENT, True, "asked for"),
        (identity(size=MAX_DIGESTED + 1), ETagSource.CONTENT, False, "larger"),
        (identity(modified=0), ETagSource.OFF, False, "no tag, no hash"),
    ],
)
def test_content_is_hashed_only_where_needed(
    found: Identity, source: ETagSource, expected: bool, why: str
) -> None:
    """Reading a whole file for its tag is the exception."""
    assert wants_digest(found, source) is expected, why


def test_a_clock_behind_the_files_is_no_proof() -> None:
    """Kernel time may be a little ahead of ours: a change "in 5 ms" is as fresh as one 5 ms ago."""
    assert not is_settled(identity(modified=NOW + 5 * MS, changed=NOW + 5 * MS), NOW)
