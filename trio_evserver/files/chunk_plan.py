"""Which reads a body is made of. Pure."""

from collections.abc import Iterator
from typing import TypeAlias

from trio_evserver.semantics.message import Region

Chunk: TypeAlias = bytes | Region


def plan(parts: tuple[Chunk, ...], chunk_size: int, tail: int = 0) -> Iterator[Chunk]:
    """The parts in order, each region cut into chunks of at most `chunk_size` bytes, and the last chunk of
    the last region once more, so that it is at most `tail` bytes long (0: not so).

    Chunks end at multiples of `chunk_size` in the file, so that two replies of one file ask for the same
    pages.
    """
    last = max((number for number, part in enumerate(parts) if isinstance(part, Region)), default=None)
    for number, part in enumerate(parts):
        if isinstance(part, bytes):
            yield part
            continue
        offset, end = part.offset, part.offset + part.length
        while offset < end:
            stop = min(end, offset - offset % chunk_size + chunk_size)
            if number == last and stop == end and stop - offset > tail:
                stop -= tail
            yield Region(offset, stop - offset)
            offset = stop


class Chunks:
    """The chunks that are to come: `first`, None after the last, can be cut, and bytes be put back before
    it.
    """

    __slots__ = ("_behind", "_plan", "first")

    def __init__(self, chunks: Iterator[Chunk]) -> None:
        self._plan = chunks
        self._behind: list[Chunk] = []  # they come before those of the plan, the last of them first
        self.first: Chunk | None = next(chunks, None)

    def __repr__(self) -> str:
        return f"<Chunks {self.first!r}>"

    def take(self) -> None:
        """The first is done."""
        self.first = self._behind.pop() if self._behind else next(self._plan, None)

    def take_part(self, length: int) -> None:
        """Of the first, a region, so many bytes are done."""
        chunk = self.first
        assert isinstance(chunk, Region)
        if length < chunk.length:
            self.first = Region(chunk.offset + length, chunk.length - length)
        else:
            self.take()

    def shorten(self, length: int) -> None:
        """Make two of the first, if it is a longer region: one of so many bytes, and the rest."""
        chunk = self.first
        if isinstance(chunk, Region) and chunk.length > length:
            self.first = Region(chunk.offset + length, chunk.length - length)
            self.put_back(Region(chunk.offset, length))

    def put_back(self, region: Region) -> None:
        """It comes first."""
        if self.first is not None:
            self._behind.append(self.first)
        self.first = region
