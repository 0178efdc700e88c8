"""Law: ranges select exactly the bytes that a naive reading of RFC 9110 §14.1.2 selects, one by one.

For every size and every value: each range has at least one byte and lies within the size; they neither
overlap nor touch; their union is the model's; their order is that of the request; together they are no longer
than the whole.
"""

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from trio_evserver.semantics.byte_ranges import Unranged, select

MAX_RANGES = 5

POSITIONS = st.integers(0, 24)
SPECS = (
    st.tuples(POSITIONS, POSITIONS)
    | st.tuples(POSITIONS, st.none())
    | st.tuples(st.none(), POSITIONS)
    | st.tuples(POSITIONS, st.just(2**64 - 1))
)
Spec = tuple[int | None, int | None]


def written(specs: list[Spec]) -> bytes:
    ends = (("" if end is None else str(end) for end in spec) for spec in specs)
    return f"bytes={','.join('-'.join(spec) for spec in ends)}".encode()


def is_invalid(spec: Spec) -> bool:
    """An int-range is invalid if its last-pos is present and less than its first-pos."""
    first, last = spec
    return first is not None and last is not None and last < first


def is_satisfiable(spec: Spec, size: int) -> bool:
    """An int-range whose first-pos is less than the current length, a suffix-range of non-zero length."""
    first, last = spec
    return last != 0 if first is None else first < size


def bytes_of(spec: Spec, size: int) -> set[int]:
    """The positions that the spec names, asked of every position that there is."""
    first, last = spec
    if first is None:
        assert last is not None
        return {position for position in range(size) if size - position <= last}
    return {position for position in range(size) if first <= position and (last is None or position <= last)}


def model(specs: list[Spec], size: int) -> set[int] | Unranged:
    if not 0 < len(specs) <= MAX_RANGES or any(map(is_invalid, specs)):
        return Unranged.WHOLE
    if not any(is_satisfiable(spec, size) for spec in specs):
        return Unranged.UNSATISFIABLE
    if size == 0 or sum(len(bytes_of(spec, size)) for spec in specs) > size:
        return Unranged.WHOLE
    return set().union(*(bytes_of(spec, size) for spec in specs))


@given(st.lists(SPECS, max_size=MAX_RANGES + 2), st.integers(0, 20))
@example([(None, 0)], 10)
@example([(None, 5)], 0)
@example([(0, None)], 0)
@example([(0, 4), (5, 9)], 10)
def test_the_bytes_are_the_models(specs: list[Spec], size: int) -> None:
    """Ignored, unsatisfiable, or the same set of bytes."""
    found, expected = select(written(specs), size, MAX_RANGES), model(specs, size)
    if isinstance(found, Unranged):
        assert found is expected
        return
    assert {position for one in found for position in range(one.first, one.last + 1)} == expected
    assert all(0 <= one.first <= one.last < size and one.length == one.last - one.first + 1 for one in found)
    assert sum(one.length for one in found) <= size
    edges = sorted((one.first, one.last) for one in found)
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(edges))


@given(st.lists(SPECS, min_size=1, max_size=MAX_RANGES), st.integers(1, 20))
def test_the_order_is_the_requests(specs: list[Spec], size: int) -> None:
    """Ranges come in the order in which the request first names a byte of each (§15.3.7.2)."""
    found = select(written(specs), size, MAX_RANGES)
    if isinstance(found, Unranged):
        return
    starts = [min(bytes_of(spec, size), default=-1) for spec in specs]
    first_named = [
        next(place for place, start in enumerate(starts) if one.first <= start <= one.last) for one in found
    ]
    assert first_named == sorted(first_named)


PIECES = st.sampled_from(
    [b"bytes", b"BYTES", b"=", b"-", b",", b" ", b"\t", b"0", b"1", b"9" * 30, b"x", b"\xff"]
)


@given(st.lists(PIECES, max_size=15).map(b"".join), st.integers(0, 2**63 - 1))
def test_it_is_total(value: bytes, size: int) -> None:
    """Any value on any size is a selection within the size."""
    found = select(value, size, MAX_RANGES)
    if not isinstance(found, Unranged):
        assert 0 < len(found) <= MAX_RANGES
        assert all(0 <= one.first <= one.last < size for one in found)
