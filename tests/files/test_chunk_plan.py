"""Which reads a body is made of."""

import pytest

from trio_evserver.files.chunk_plan import plan
from trio_evserver.semantics.message import Region


@pytest.mark.parametrize(
    ("parts", "expected", "why"),
    [
        ((), [], "no parts, no chunks"),
        ((b"literal",), [b"literal"], "literal bytes are never cut"),
        ((Region(0, 10),), [Region(0, 10)], "exactly one chunk"),
        ((Region(0, 9),), [Region(0, 9)], "less than a chunk"),
        ((Region(0, 11),), [Region(0, 10), Region(10, 1)], "one byte more"),
        (
            (Region(7, 10),),
            [Region(7, 3), Region(10, 7)],
            "chunks end at multiples, wherever a region begins",
        ),
        ((Region(19, 2),), [Region(19, 1), Region(20, 1)], "two bytes across a boundary"),
        (
            (b"--a", Region(0, 12), b"--a", Region(5, 1), b"--a--"),
            [b"--a", Region(0, 10), Region(10, 2), b"--a", Region(5, 1), b"--a--"],
            "multipart/byteranges: parts in their order",
        ),
    ],
)
def test_parts_become_chunks(
    parts: tuple[bytes | Region, ...], expected: list[bytes | Region], why: str
) -> None:
    """Regions are cut at multiples of the chunk size, here 10, and nothing is reordered."""
    assert list(plan(parts, 10)) == expected, why


def test_a_plan_is_made_as_it_is_followed() -> None:
    """A region of any size costs no memory: chunks come one by one."""
    chunks = plan((Region(0, 2**63),), 1)
    assert [next(chunks), next(chunks)] == [Region(0, 1), Region(1, 1)]
