"""Range on arbitrary values: ignored, unsatisfiable, or exactly the octets of a naive model."""

import re

from hypothesis import given
from hypothesis import strategies as st

from tests.property.test_byte_ranges import MAX_RANGES, Spec, model
from trio_evserver.semantics.byte_ranges import Unranged, select

_SPEC = re.compile(rb"(\d{1,20})-(\d{1,20})?|-(\d{1,20})")
# Cheap for the model, which asks every octet, and on both sides of all edges.
SIZES = (0, 1, 2, 10, 99)
HUGE = 2**63 - 1


def specs(value: bytes) -> list[Spec] | None:
    """The ranges that the value writes; None if it is malformed."""
    if not re.match(rb"bytes=", value, re.IGNORECASE):
        return None
    elements = [element.strip(b" \t") for element in value[6:].split(b",")]
    matches = [_SPEC.fullmatch(element) for element in elements if element]
    if not matches or None in matches:
        return None
    groups = [match.groups() for match in matches if match]
    numbers = [tuple(None if group is None else int(group) for group in found) for found in groups]
    return [(None, suffix) if first is None else (first, last) for first, last, suffix in numbers]


def check(value: bytes) -> None:
    """The model's octets for every size; and for the largest of all sizes, something within it."""
    wanted = specs(value)
    for size in SIZES:
        found = select(value, size, MAX_RANGES)
        expected = Unranged.WHOLE if wanted is None else model(wanted, size)
        if isinstance(found, Unranged):
            assert found is expected
        else:
            assert {octet for one in found for octet in range(one.first, one.last + 1)} == expected
    found = select(value, HUGE, MAX_RANGES)
    assert isinstance(found, Unranged) or all(0 <= one.first <= one.last < HUGE for one in found)


_PIECES = b"0 1 9 10 98 99 100 99999999999999999999 - - - , , 00 +1 0x1 1_0 -0 bytes=".split()
_PIECES += [b" ", b"\t", b"", b"\xb2", b"\xd9\xa1"]


@given(st.lists(st.sampled_from(_PIECES), max_size=16).map(lambda pieces: b"bytes=" + b"".join(pieces)))
def test_nearly_valid(value: bytes) -> None:
    """Values in which a few things are wrong."""
    check(value)


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda rest: b"bytes=" + rest))
def test_anything(value: bytes) -> None:
    """Any octets at all."""
    check(value)
