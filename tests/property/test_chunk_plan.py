"""Law: a plan covers exactly the bytes of the parts, in order, in chunks that lie within one block each."""

from hypothesis import given
from hypothesis import strategies as st

from trio_evserver.files.chunk_plan import plan
from trio_evserver.semantics.message import Region

FILE = bytes(range(256))
REGIONS = st.builds(
    lambda offset, length: Region(offset, min(length, len(FILE) - offset)),
    st.integers(0, len(FILE) - 1),
    st.integers(1, len(FILE)),
)


def bytes_of(part: bytes | Region) -> bytes:
    return part if isinstance(part, bytes) else FILE[part.offset : part.offset + part.length]


@given(st.lists(st.binary(max_size=8) | REGIONS, max_size=6), st.integers(1, 300), st.integers(0, 300))
def test_a_plan_covers_the_parts(parts: list[bytes | Region], chunk_size: int, tail: int) -> None:
    """Joined, the chunks are the parts; none is empty, none crosses a multiple of the chunk size, and the
    last of a file is not longer than the tail.
    """
    chunks = list(plan(tuple(parts), chunk_size, tail))
    assert b"".join(map(bytes_of, chunks)) == b"".join(map(bytes_of, parts))
    for chunk in chunks:
        if isinstance(chunk, Region):
            assert chunk.length >= 1
            assert chunk.offset // chunk_size == (chunk.offset + chunk.length - 1) // chunk_size
    regions = [chunk for chunk in chunks if isinstance(chunk, Region)]
    if regions and tail:
        assert regions[-1].length <= tail
