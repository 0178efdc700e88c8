"""Law: what is written is read back; the two comparisons are what §8.8.3.2 calls them."""

from hypothesis import given
from hypothesis import strategies as st

from trio_evserver.semantics.entity_tag import AnyTag, EntityTag, parse_entity_tag, parse_entity_tags

ETAGC = [0x21, *range(0x23, 0x7F), *range(0x80, 0x100)]
TAGS = st.builds(EntityTag, st.lists(st.sampled_from(ETAGC), max_size=6).map(bytes), st.booleans())
COMMA = st.sampled_from([b",", b", ", b" ,\t", b",,", b" , , "])


@given(TAGS)
def test_writer_then_reader(tag: EntityTag) -> None:
    """A tag is read back as itself, alone and as a list of one."""
    assert parse_entity_tag(tag.render()) == tag
    assert parse_entity_tags(tag.render()) == (tag,)


@given(st.lists(TAGS, min_size=1, max_size=6), st.data())
def test_a_list_is_read_back(tags: list[EntityTag], data: st.DataObject) -> None:
    """However its commas are spaced, and with empty elements anywhere (RFC 9110 §5.6.1.2)."""
    value = data.draw(st.sampled_from([b"", b", "]))
    for tag in tags[:-1]:
        value += tag.render() + data.draw(COMMA)
    value += tags[-1].render() + data.draw(st.sampled_from([b"", b" ,"]))
    assert parse_entity_tags(value) == tuple(tags)


@given(st.lists(st.sampled_from([b'"', b"W/", b",", b" ", b"a", b"*", b"\xff", b"\t", b"\n"])).map(b"".join))
def test_the_reader_is_total(value: bytes) -> None:
    """Anything is None, any, or tags that occur in it as they are written."""
    found = parse_entity_tags(value)
    if isinstance(found, tuple):
        assert found
        assert all(tag.render() in value for tag in found)
    else:
        assert (found is AnyTag.ANY) == (value == b"*")


@given(TAGS, TAGS)
def test_the_comparisons(one: EntityTag, other: EntityTag) -> None:
    """Both are symmetric; strong is narrower than weak, and for two strong tags the same."""
    assert one.matches_strongly(other) == other.matches_strongly(one)
    assert one.matches_weakly(other) == other.matches_weakly(one)
    assert one.matches_strongly(other) <= one.matches_weakly(other)
    assert one.matches_weakly(one)
    if not one.weak and not other.weak:
        assert one.matches_strongly(other) == one.matches_weakly(other) == (one == other)
