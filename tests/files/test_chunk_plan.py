"""Which reads a body is made of."""

import pytest

from trio_evserver.files.chunk_plan import Chunk, Chunks, plan
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


@pytest.mark.parametrize(
    ("parts", "expected", "why"),
    [
        ((), [], "no end of nothing"),
        ((b"literal",), [b"literal"], "no region"),
        (
            (Region(0, 30),),
            [Region(0, 10), Region(10, 10), Region(20, 6), Region(26, 4)],
            "the end by itself",
        ),
        ((Region(0, 13),), [Region(0, 10), Region(10, 3)], "the last chunk is short enough"),
        ((Region(0, 4),), [Region(0, 4)], "all of it is"),
        ((Region(3, 5),), [Region(3, 1), Region(4, 4)], "one byte more"),
        (
            (Region(0, 9), b"--a", Region(0, 9), b"--a--"),
            [Region(0, 9), b"--a", Region(0, 5), Region(5, 4), b"--a--"],
            "of the last region alone, though another is like it",
        ),
    ],
)
def test_the_tail_is_a_chunk(parts: tuple[Chunk, ...], expected: list[Chunk], why: str) -> None:
    """The last chunk of a region is at most as long as the tail, here 4."""
    assert list(plan(parts, 10, 4)) == expected, why


def test_chunks_are_cut_and_put_back() -> None:
    """What is done is gone; what is put back comes first, and all that follows in its order."""
    chunks = Chunks(iter([Region(0, 10), b"--a", Region(20, 5)]))
    chunks.shorten(10)
    assert chunks.first == Region(0, 10), "short enough"
    chunks.shorten(6)
    assert chunks.first == Region(0, 6)
    chunks.take_part(2)
    assert chunks.first == Region(2, 4)
    chunks.take_part(4)
    chunks.put_back(Region(5, 1))
    assert repr(chunks) == "<Chunks Region(5, 1)>"
    seen: list[Chunk] = []
    for _ in range(4):
        chunk = chunks.first
        assert chunk is not None
        seen.append(chunk)
        if isinstance(chunk, bytes):
            chunks.shorten(1)  # literal bytes are never cut
        chunks.take()
    assert seen == [Region(5, 1), Region(6, 4), b"--a", Region(20, 5)]
    chunks.put_back(Region(24, 1))
    assert chunks.first == Region(24, 1), "also after the last"
    chunks.take()
    assert chunks.first is None
