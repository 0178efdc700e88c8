"""The Range field with the unit "bytes" (RFC 9110 §14.1.2, §14.2), resolved against a representation's size.

A Range is a wish. One that is malformed, of another unit, or would cost more than the whole is ignored, as
§14.2 allows, and the whole is sent; only one that is valid and meets nothing deserves 416. Ranges were used
to make servers send one file a thousand times over (CVE-2011-3192) or sort it quadratically
(CVE-2025-62727): so they are counted before they are resolved, and what is selected never exceeds the size.
"""

import enum
import re
from collections.abc import Iterable
from typing import Final, TypeAlias

from trio_evserver.semantics.byte_range import ByteRange

# No size has more than 19 digits; 20 hold the 2**64 - 1 that some clients send for "the end". Longer
# numbers, which could only be an attack on int(), make the field malformed.
_SPEC: Final = re.compile(rb"([0-9]{1,20}+)-([0-9]{1,20}+)?|-([0-9]{1,20}+)")

_SINGLE: Final = re.compile(rb"bytes=([0-9]{1,20}+)-([0-9]{1,20}+)")


class Unranged(enum.Enum):
    """No range is selected: either the field is ignored (200), or it meets nothing (416)."""

    WHOLE = "whole"
    UNSATISFIABLE = "unsatisfiable"


Selection: TypeAlias = Unranged | tuple[ByteRange, ...]

_Spec: TypeAlias = tuple[int | None, int | None]  # (first, last), (first, None), or a suffix: (None, length)


def select(value: bytes, size: int, max_ranges: int) -> Selection:
    """What the field value selects of `size` bytes.

    Ranges come in the order asked for; there is at least one, and none touches another.
    Work is linear in the value and, for up to `max_ranges` ranges, n log n in their number.
    """
    single = _SINGLE.fullmatch(value)
    if single is not None and max_ranges:
        first, last = int(single[1]), int(single[2])
        if first <= last < size:  # the common case; any other goes the long way
            return (ByteRange(first, last),)
    specs = _parse(value, max_ranges)
    if specs is None:
        return Unranged.WHOLE
    if size == 0:
        return _of_nothing(specs)
    ranges = [found for spec in specs if (found := _resolve(spec, size)) is not None]
    if not ranges:
        return Unranged.UNSATISFIABLE
    if sum(found.length for found in ranges) > size:
        return Unranged.WHOLE
    return coalesce(ranges)


def coalesce(ranges: Iterable[ByteRange]) -> tuple[ByteRange, ...]:
    """Overlapping and adjacent ranges made one, in the place of the first that went into it (§15.3.7.2).

    Ranges with a gap between them stay apart, though a small one could be filled: the client gets what it
    asked for.
    """
    merged: list[tuple[int, ByteRange]] = []
    for place, found in sorted(enumerate(ranges), key=lambda placed: placed[1].first):
        if merged and found.first <= merged[-1][1].last + 1:
            before, kept = merged[-1]
            merged[-1] = (min(before, place), ByteRange(kept.first, max(kept.last, found.last)))
        else:
            merged.append((place, found))
    return tuple(found for _, found in sorted(merged, key=lambda placed: placed[0]))


def _parse(value: bytes, max_ranges: int) -> list[_Spec] | None:
    """The range-specs; None where the field is to be ignored. Empty list elements do not count (§5.6.1.2)."""
    unit, _, range_set = value.partition(b"=")
    if unit.lower() != b"bytes":  # range units are case-insensitive, §14.1
        return None
    elements = [stripped for element in range_set.split(b",") if (stripped := element.strip(b" \t"))]
    if not 0 < len(elements) <= max_ranges:
        return None
    specs: list[_Spec] = []
    for element in elements:
        spec = _parse_spec(element)
        if spec is None:
            return None
        specs.append(spec)
    return specs


def _parse_spec(element: bytes) -> _Spec | None:
    found = _SPEC.fullmatch(element)
    if found is None:
        return None
    first, last, suffix = (None if digits is None else int(digits) for digits in found.groups())
    if first is None:
        return None, suffix
    return None if last is not None and last < first else (first, last)  # §14.1.2: such a range is invalid


def _resolve(spec: _Spec, size: int) -> ByteRange | None:
    """The bytes of a representation of at least one byte; None where it has none of them."""
    match spec:
        case None, int(suffix):
            return ByteRange(max(size - suffix, 0), size - 1) if suffix else None
        case int(first), last if first < size:
            return ByteRange(first, size - 1 if last is None else min(last, size - 1))
    return None


def _of_nothing(specs: list[_Spec]) -> Unranged:
    """For an empty representation.

    §14.1.2 calls every suffix-range of non-zero length satisfiable, also here, where it selects nothing; a
    Content-Range cannot say "nothing", so the whole is sent. All else is past the end.
    """
    suffixed = any(first is None and length for first, length in specs)
    return Unranged.WHOLE if suffixed else Unranged.UNSATISFIABLE
