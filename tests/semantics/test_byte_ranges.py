"""Byte ranges, RFC 9110 §14.1.2 and §14.2."""

import pytest

from trio_evserver.semantics.byte_range import ByteRange
from trio_evserver.semantics.byte_ranges import Selection, Unranged, coalesce, select

WHOLE, UNSATISFIABLE = Unranged.WHOLE, Unranged.UNSATISFIABLE


def ranges(*ends: tuple[int, int]) -> tuple[ByteRange, ...]:
    return tuple(ByteRange(first, last) for first, last in ends)


@pytest.mark.parametrize(
    ("value", "selection", "why"),
    [
        (b"bytes=0-0", ranges((0, 0)), "the first byte"),
        (b"bytes=9-9", ranges((9, 9)), "the last byte"),
        (b"bytes=-1", ranges((9, 9)), "the last byte, as a suffix"),
        (b"bytes=-5", ranges((5, 9)), "the last five"),
        (b"bytes=-99", ranges((0, 9)), "a suffix longer than the content is the whole, as 206"),
        (b"bytes=-10", ranges((0, 9)), "a suffix of just the size"),
        (b"bytes=0-", ranges((0, 9)), "open-ended"),
        (b"bytes=4-", ranges((4, 9)), "open-ended from the middle"),
        (b"bytes=4-99", ranges((4, 9)), "the last position is clipped"),
        (b"bytes=0-18446744073709551615", ranges((0, 9)), "2**64 - 1 for the end, as some clients send it"),
        (b"bytes=000-0001", ranges((0, 1)), "leading zeros are digits"),
        (b"Bytes=0-1", ranges((0, 1)), "units are case-insensitive, §14.1"),
        (b"bytes=-0", UNSATISFIABLE, "a suffix of nothing is unsatisfiable"),
        (b"bytes=10-", UNSATISFIABLE, "starts just past the end"),
        (b"bytes=10-20", UNSATISFIABLE, "past the end"),
        (b"bytes=99999999999999999999-", UNSATISFIABLE, "far past the end, in as many digits as are read"),
        (b"bytes=10-,-0", UNSATISFIABLE, "two, neither satisfiable"),
        (b"bytes=0-1,50-60", ranges((0, 1)), "the satisfiable one of two"),
        (b"bytes=-0,9-", ranges((9, 9)), "the satisfiable one of two, in the other order"),
        (b"bytes=0-1,4-5", ranges((0, 1), (4, 5)), "two"),
        (b"bytes=8-9,0-1", ranges((8, 9), (0, 1)), "two, in the order asked for, §15.3.7.2"),
        (b"bytes= 0-1 ,\t4-5 ", ranges((0, 1), (4, 5)), "OWS around list elements, §5.6.1"),
        (b"bytes=,0-1,,4-5,", ranges((0, 1), (4, 5)), "empty elements are ignored, §5.6.1.2"),
        (b"bytes=0-3,2-5", ranges((0, 5)), "overlapping: one"),
        (b"bytes=0-1,2-3", ranges((0, 3)), "adjacent: one"),
        (b"bytes=0-1,3-4", ranges((0, 1), (3, 4)), "a gap of one byte: two"),
        (b"bytes=6-7,0-1,7-8", ranges((6, 8), (0, 1)), "coalesced into the place of the earlier, §15.3.7.2"),
        (b"bytes=0-4,5-9", ranges((0, 9)), "all of it in two halves is as long as the whole"),
        (b"bytes=0-9,0-0", WHOLE, "more bytes than the whole"),
        (b"bytes=0-,0-,0-", WHOLE, "the whole three times, CVE-2011-3192"),
        (b"bytes=" + b"0-0," * 5, WHOLE, "more ranges than allowed"),
        (b"bytes=" + b"20-," * 5, WHOLE, "counted before they are resolved"),
        (b"bytes=5-2", WHOLE, "last before first is invalid"),
        (b"bytes=5-2,0-0", WHOLE, "one invalid makes the set invalid"),
        (b"bytes=20-10", WHOLE, "invalid goes before unsatisfiable"),
        (b"bytes", WHOLE, "no set"),
        (b"bytes=", WHOLE, "an empty set"),
        (b"bytes=,", WHOLE, "only empty elements"),
        (b"bytes=-", WHOLE, "neither end"),
        (b"bytes=a-b", WHOLE, "other-range, which bytes does not have"),
        (b"bytes=0", WHOLE, "no dash"),
        (b"bytes=0-1-2", WHOLE, "two dashes"),
        (b"bytes=--1", WHOLE, "two dashes, as a suffix"),
        (b"bytes=+0-1", WHOLE, "a sign"),
        (b"bytes=0x0-1", WHOLE, "hexadecimal"),
        (b"bytes=0_0-1", WHOLE, "an underscore, which int() would take"),
        (b"bytes=0 -1", WHOLE, "a blank within"),
        (b"bytes =0-1", WHOLE, "a blank before ="),
        (b"bytes:0-1", WHOLE, "a colon"),
        ("bytes=\u0660-1".encode(), WHOLE, "digits of another script"),
        (b"items=0-1", WHOLE, "another unit, §14.2"),
        (b"", WHOLE, "nothing"),
        (b"bytes=" + b"9" * 5000 + b"-", WHOLE, "too long a number, which int() would refuse"),
        (b"bytes=0-" + b"9" * 21, WHOLE, "one digit too many"),
    ],
)
def test_a_value_on_ten_bytes(value: bytes, selection: Selection, why: str) -> None:
    """Each value selects of ten bytes, with at most four ranges, what §14.1.2 and the caps say."""
    assert select(value, 10, 4) == selection, why


@pytest.mark.parametrize(
    ("value", "selection", "why"),
    [
        (b"bytes=0-", UNSATISFIABLE, "first-pos is not less than the length"),
        (b"bytes=0-0", UNSATISFIABLE, "the same"),
        (b"bytes=-0", UNSATISFIABLE, "a suffix of length zero"),
        (b"bytes=-5", WHOLE, "satisfiable by the letter of §14.1.2, and selects nothing"),
        (b"bytes=0-,-5", WHOLE, "one of two satisfiable"),
        (b"bytes=5-2", WHOLE, "invalid"),
    ],
)
def test_a_value_on_nothing(value: bytes, selection: Selection, why: str) -> None:
    """An empty representation has no byte to select; only a suffix is not unsatisfiable."""
    assert select(value, 0, 4) == selection, why


@pytest.mark.parametrize(
    ("allowed", "selection"), [(3, ranges((0, 0), (2, 2), (4, 4))), (2, WHOLE), (0, WHOLE)]
)
def test_the_cap_counts_ranges(allowed: int, selection: Selection) -> None:
    """As many ranges as are allowed are answered, one more is not; with none allowed ranges are off."""
    assert select(b"bytes=0-0,,2-2,4-4", 10, allowed) == selection


@pytest.mark.parametrize("value", [b"0-0," * 200_000, b"," * 500_000, b"0-" * 200_000, b"-1, " * 200_000])
def test_a_hostile_set_ends(value: bytes) -> None:
    """Hundreds of thousands of specs are turned down in linear time; quadratic work would not end."""
    assert select(b"bytes=" + value, 10**9, 16) is WHOLE


def test_sizes_beyond_32_and_64_bits() -> None:
    """No arithmetic wraps (CVE-2017-7529 was a sum that did)."""
    size = 2**63 - 1
    assert select(b"bytes=-18446744073709551615", size, 4) == ranges((0, size - 1))
    assert select(b"bytes=4294967296-4294967297", size, 4) == ranges((2**32, 2**32 + 1))


@pytest.mark.parametrize(
    ("given", "left", "why"),
    [
        ((), (), "none"),
        (((5, 6), (0, 1)), ((5, 6), (0, 1)), "apart: the order stays"),
        (((0, 9), (2, 3)), ((0, 9),), "contained"),
        (((2, 3), (0, 9)), ((0, 9),), "containing"),
        (((4, 5), (0, 1), (2, 3)), ((0, 5),), "three adjacent, out of order"),
        (((8, 9), (0, 3), (5, 5), (2, 4)), ((8, 9), (0, 5)), "a chain, in the place of its first"),
    ],
)
def test_coalescing(given: tuple[tuple[int, int], ...], left: tuple[tuple[int, int], ...], why: str) -> None:
    """Overlapping and adjacent ranges become one, which stands where the first of them stood (§15.3.7.2)."""
    assert coalesce(ranges(*given)) == ranges(*left), why


def test_length() -> None:
    """Both ends are included (§14.1.2)."""
    assert ByteRange(3, 3).length == 1
    assert ByteRange(0, 9).length == 10
