"""Which reads a body is made of. Pure."""

from collections.abc import Iterator

from trio_evserver.semantics.message import Region


def plan(parts: tuple[bytes | Region, ...], chunk_size: int) -> Iterator[bytes | Region]:
    """The parts in order, each region cut into chunks of at most `chunk_size` bytes.

    Chunks end at multiples of `chunk_size` in the file, so that two replies of one file ask for the same
    pages.
    """
    for part in parts:
        if isinstance(part, bytes):
            yield part
            continue
        offset, end = part.offset, part.offset + part.length
        while offset < end:
            stop = min(end, offset - offset % chunk_size + chunk_size)
            yield Region(offset, stop - offset)
            offset = stop
