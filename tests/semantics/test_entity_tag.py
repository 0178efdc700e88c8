"""Entity tags, RFC 9110 §8.8.3 and §13.1.1."""

import pytest

from trio_evserver.semantics.entity_tag import AnyTag, EntityTag, parse_entity_tag, parse_entity_tags

A, B, WEAK_A = EntityTag(b"a", False), EntityTag(b"b", False), EntityTag(b"a", True)


@pytest.mark.parametrize(
    ("one", "other", "strongly", "weakly"),
    [
        (EntityTag(b"1", True), EntityTag(b"1", True), False, True),
        (EntityTag(b"1", True), EntityTag(b"2", True), False, False),
        (EntityTag(b"1", True), EntityTag(b"1", False), False, True),
        (EntityTag(b"1", False), EntityTag(b"1", True), False, True),
        (EntityTag(b"1", False), EntityTag(b"1", False), True, True),
        (EntityTag(b"a", False), EntityTag(b"A", False), False, False),
    ],
)
def test_the_two_comparisons(one: EntityTag, other: EntityTag, strongly: bool, weakly: bool) -> None:
    """The table of §8.8.3.2, with its mirror image, and that tags are case-sensitive."""
    assert one.matches_strongly(other) is strongly
    assert one.matches_weakly(other) is weakly


@pytest.mark.parametrize(
    ("value", "tag", "why"),
    [
        (b'"a"', A, "strong"),
        (b'W/"a"', WEAK_A, "weak"),
        (b'""', EntityTag(b"", False), "empty is a tag, as in §8.8.3"),
        (b'"a,b"', EntityTag(b"a,b", False), "a comma is an etagc"),
        (b'"W/"', EntityTag(b"W/", False), "W/ within the quotes means nothing"),
        (b'"\xe9\xff"', EntityTag(b"\xe9\xff", False), "obs-text"),
        (b'"a\\"', EntityTag(b"a\\", False), "a backslash escapes nothing: opaque-tag is no quoted-string"),
        (b"a", None, "no quotes"),
        (b'"a', None, "one quote"),
        (b'w/"a"', None, "weak is case-sensitive"),
        (b'W/ "a"', None, "no blank after W/"),
        (b'"a b"', None, "a blank is no etagc"),
        (b'"a\x7f"', None, "nor is DEL"),
        (b'"a\n"', None, "nor a line end"),
        (b'"a"\n', None, "nothing may follow"),
        (b'"a", "b"', None, "a list is not one tag"),
        (b"*", None, "any is not one tag"),
        (b"", None, "nothing"),
    ],
)
def test_one_tag(value: bytes, tag: EntityTag | None, why: str) -> None:
    """A tag is read as the grammar of §8.8.3 has it, or not at all; what is read is written back the same."""
    assert parse_entity_tag(value) == tag, why
    if tag is not None:
        assert tag.render() == value, why


@pytest.mark.parametrize(
    ("value", "tags", "why"),
    [
        (b"*", AnyTag.ANY, "any"),
        (b'"a"', (A,), "one"),
        (b'"a", "b"', (A, B), "two"),
        (b'"a","b"', (A, B), "without blanks"),
        (b'"a" \t,\t "b"', (A, B), "OWS, §5.6.1"),
        (b'W/"a", "b"', (WEAK_A, B), "weak and strong"),
        (b'"a,b", "b"', (EntityTag(b"a,b", False), B), "a comma within a tag does not divide"),
        (b', ,"a",, "b" , ', (A, B), "empty elements are ignored, §5.6.1.2"),
        (b"", None, "a list of at least one, §13.1.1"),
        (b" , ,", None, "only empty elements"),
        (b'*, "a"', None, "any is not a member of a list"),
        (b'"a" "b"', None, "no comma"),
        (b'"a", b', None, "one member is no tag"),
        (b'"a" x', None, "something follows"),
        (b"**", None, "not any"),
    ],
)
def test_a_list(value: bytes, tags: object, why: str) -> None:
    """If-Match and If-None-Match hold "*" or a list of at least one tag; anything else is None."""
    assert parse_entity_tags(value) == tags, why


@pytest.mark.parametrize(
    "value",
    [
        b" ," * 100_000 + b"x",
        b" " * 200_000 + b"x",
        b'"a",' * 100_000 + b"x",
        b'"a"' + b" ," * 100_000 + b"x",
        b'W/"' * 100_000,
    ],
)
def test_a_hostile_list_is_refused_in_one_pass(value: bytes) -> None:
    """A long list that fails at its end ends; were the pattern to backtrack, this test would not."""
    assert parse_entity_tags(value) is None
