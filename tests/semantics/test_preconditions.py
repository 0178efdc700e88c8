"""Conditional requests, RFC 9110 §13."""

import pytest

from trio_evserver.semantics.entity_tag import EntityTag
from trio_evserver.semantics.preconditions import (
    Decision,
    Verdict,
    evaluate,
    if_match,
    if_modified_since,
    if_none_match,
    if_range_holds,
    if_unmodified_since,
)

ABSENT, HOLDS, FAILS = Verdict.ABSENT, Verdict.HOLDS, Verdict.FAILS
STRONG, WEAK = EntityTag(b"a", False), EntityTag(b"a", True)

NOW = 784_200_000.0
MODIFIED = 784_111_777
BEFORE, SAME, AFTER = (b"Sun, 06 Nov 1994 08:49:%d GMT" % second for second in (36, 37, 38))


@pytest.mark.parametrize(
    ("value", "entity_tag", "verdict", "why"),
    [
        (None, STRONG, ABSENT, "not sent"),
        (b'"a"', STRONG, HOLDS, "the tag"),
        (b'"b", "a"', STRONG, HOLDS, "one of a list"),
        (b'"b"', STRONG, FAILS, "another tag"),
        (b'W/"a"', STRONG, FAILS, "strong comparison: a weak tag never matches"),
        (b'"a"', WEAK, FAILS, "strong comparison: nor is a weak one matched"),
        (b"*", STRONG, HOLDS, "there is a current representation"),
        (b"*", None, HOLDS, "it needs no tag for that"),
        (b'"a"', None, FAILS, "nothing to match"),
        (b"a", STRONG, FAILS, "malformed matches nothing"),
        (b"", STRONG, FAILS, "empty is there, and malformed"),
    ],
)
def test_if_match(value: bytes | None, entity_tag: EntityTag | None, verdict: Verdict, why: str) -> None:
    """§13.1.1."""
    assert if_match({} if value is None else {b"if-match": value}, entity_tag) is verdict, why


@pytest.mark.parametrize(
    ("value", "entity_tag", "verdict", "why"),
    [
        (None, STRONG, ABSENT, "not sent"),
        (b'"a"', STRONG, FAILS, "the tag"),
        (b'"b", "a"', STRONG, FAILS, "one of a list"),
        (b'"b"', STRONG, HOLDS, "another tag"),
        (b'W/"a"', STRONG, FAILS, "weak comparison"),
        (b'"a"', WEAK, FAILS, "weak comparison"),
        (b"*", STRONG, FAILS, "there is a current representation"),
        (b"*", None, FAILS, "it needs no tag for that"),
        (b'"a"', None, HOLDS, "nothing to match"),
        (b"a", STRONG, HOLDS, "malformed matches nothing"),
        (b"", STRONG, HOLDS, "empty is there, and malformed"),
    ],
)
def test_if_none_match(value: bytes | None, entity_tag: EntityTag | None, verdict: Verdict, why: str) -> None:
    """§13.1.2."""
    assert if_none_match({} if value is None else {b"if-none-match": value}, entity_tag) is verdict, why


DATES = [
    (None, MODIFIED, ABSENT, ABSENT, "not sent"),
    (BEFORE, MODIFIED, HOLDS, FAILS, "changed since"),
    (SAME, MODIFIED, FAILS, HOLDS, "not changed since"),
    (AFTER, MODIFIED, FAILS, HOLDS, "not changed for a while"),
    (b"Sunday, 06-Nov-94 08:49:37 GMT", MODIFIED, FAILS, HOLDS, "an obsolete format is a date all the same"),
    (b"now", MODIFIED, ABSENT, ABSENT, "not a date: MUST be ignored"),
    (SAME + b", " + SAME, MODIFIED, ABSENT, ABSENT, "two dates: MUST be ignored"),
    (SAME, None, ABSENT, ABSENT, "no modification date: MUST be ignored"),
]


@pytest.mark.parametrize(("value", "modified", "since", "unmodified", "why"), DATES)
def test_the_dates(
    value: bytes | None, modified: int | None, since: Verdict, unmodified: Verdict, why: str
) -> None:
    """§13.1.3 and §13.1.4, which are each other's opposite."""
    fields = {} if value is None else {b"if-modified-since": value, b"if-unmodified-since": value}
    assert if_modified_since(fields, modified, NOW) is since, why
    assert if_unmodified_since(fields, modified, NOW) is unmodified, why


@pytest.mark.parametrize(
    ("value", "entity_tag", "modified_is_strong", "holds", "why"),
    [
        (b'"a"', STRONG, True, True, "the tag"),
        (b'"b"', STRONG, True, False, "another tag"),
        (b'W/"a"', STRONG, True, False, "a weak tag is never used here"),
        (b'"a"', WEAK, True, False, "nor is a weak one matched"),
        (b'"a"', None, True, False, "nothing to match"),
        (b'"a", "b"', STRONG, True, False, "a list is not allowed"),
        (b"*", STRONG, True, False, "nor is any"),
        (SAME, STRONG, True, True, "the date, and it is strong"),
        (SAME, STRONG, False, False, "the date, but it is weak"),
        (BEFORE, STRONG, True, False, "an earlier date"),
        (AFTER, STRONG, True, False, "a later date: exactly the same or not at all"),
        (b"a", STRONG, True, False, "neither tag nor date"),
        (b"", STRONG, True, False, "nothing"),
    ],
)
def test_if_range(
    value: bytes, entity_tag: EntityTag | None, modified_is_strong: bool, holds: bool, why: str
) -> None:
    """§13.1.5."""
    assert if_range_holds(value, entity_tag, MODIFIED, modified_is_strong, NOW) is holds, why


def test_if_range_without_a_modification_date() -> None:
    """A date cannot match where none is known; above all not one that is malformed."""
    assert not if_range_holds(SAME, STRONG, None, True, NOW)
    assert not if_range_holds(b"now", STRONG, None, True, NOW)


PROCEED, NOT_MODIFIED, PRECONDITION_FAILED = (
    Decision.PROCEED,
    Decision.NOT_MODIFIED,
    Decision.PRECONDITION_FAILED,
)


@pytest.mark.parametrize(
    ("fields", "reading", "writing", "why"),
    [
        ({}, PROCEED, PROCEED, "no condition"),
        ({b"if-match": b'"b"'}, PRECONDITION_FAILED, PRECONDITION_FAILED, "step 1, false"),
        ({b"if-match": b'"a"'}, PROCEED, PROCEED, "step 1, true"),
        ({b"if-match": b'"a"', b"if-unmodified-since": BEFORE}, PROCEED, PROCEED, "step 2 is not asked"),
        ({b"if-match": b'"a"', b"if-none-match": b'"a"'}, NOT_MODIFIED, PRECONDITION_FAILED, "1, then 3"),
        ({b"if-match": b'"b"', b"if-none-match": b'"a"'}, PRECONDITION_FAILED, PRECONDITION_FAILED, "1 ends"),
        ({b"if-unmodified-since": BEFORE}, PRECONDITION_FAILED, PRECONDITION_FAILED, "step 2, false"),
        ({b"if-unmodified-since": SAME}, PROCEED, PROCEED, "step 2, true"),
        ({b"if-unmodified-since": b"x"}, PROCEED, PROCEED, "step 2, to be ignored"),
        ({b"if-none-match": b'"a"'}, NOT_MODIFIED, PRECONDITION_FAILED, "step 3, false"),
        ({b"if-none-match": b'"b"'}, PROCEED, PROCEED, "step 3, true"),
        ({b"if-none-match": b'"b"', b"if-modified-since": SAME}, PROCEED, PROCEED, "step 4 is not asked"),
        ({b"if-none-match": b"b", b"if-modified-since": SAME}, PROCEED, PROCEED, "not even after nonsense"),
        ({b"if-modified-since": SAME}, NOT_MODIFIED, PROCEED, "step 4, false; for GET and HEAD only"),
        ({b"if-modified-since": BEFORE}, PROCEED, PROCEED, "step 4, true"),
        ({b"if-unmodified-since": SAME, b"if-modified-since": SAME}, NOT_MODIFIED, PROCEED, "2, then 4"),
        ({b"if-range": b'"b"', b"range": b"bytes=0-"}, PROCEED, PROCEED, "step 5 is the range's affair"),
    ],
)
def test_the_order(fields: dict[bytes, bytes], reading: Decision, writing: Decision, why: str) -> None:
    """The steps of §13.2.2, for GET and HEAD and for any other method."""
    for is_get_or_head, decision in ((True, reading), (False, writing)):
        found = evaluate(fields, entity_tag=STRONG, modified=MODIFIED, is_get_or_head=is_get_or_head, now=NOW)
        assert found is decision, why
