"""What values have in common."""

import pytest

from trio_evserver.semantics.byte_range import ByteRange
from trio_evserver.semantics.message import EMPTY, Content, Empty, Region, Request
from trio_evserver.semantics.value import Value


def test_equal_are_those_of_a_kind_with_equal_parts() -> None:
    assert Region(0, 5) == Region(0, 5)
    assert Region(0, 5) != Region(0, 6)
    assert Region(0, 5) != ByteRange(0, 5), "another kind"
    assert Region(0, 5) != (0, 5)
    assert Empty() == EMPTY


def test_equal_ones_have_one_hash() -> None:
    assert len({Region(0, 5), Region(0, 5), Region(5, 0)}) == 2


def test_one_that_holds_a_mapping_has_no_hash() -> None:
    request = Request(b"GET", b"/", b"/", None, b"host", b"HTTP/1.1", {b"host": b"host"})
    with pytest.raises(TypeError):
        hash(request)


def test_it_shows_what_it_is_made_with() -> None:
    assert repr(Region(3, 5)) == "Region(3, 5)"
    assert repr(Content(b"x")) == "Content(b'x')"
    assert repr(EMPTY) == "Empty()"


def test_it_has_no_other_attribute() -> None:
    with pytest.raises(AttributeError):
        Region(0, 5).size = 5  # type: ignore[attr-defined]  # that is what is refused


def test_the_base_alone_is_no_value() -> None:
    with pytest.raises(NotImplementedError):
        repr(Value())
