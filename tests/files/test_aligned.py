"""Memory that files are copied into."""

import ctypes
import mmap

import pytest

from trio_evserver.files.aligned import page_aligned


@pytest.mark.parametrize("size", [0, 1, 4096, 100_000, 1024 * 1024])
def test_it_begins_with_a_page(size: int) -> None:
    """It has as many bytes as were asked for, which can be written to."""
    memory = page_aligned(size)
    assert len(memory) == size
    memory[:] = bytes(size)
    if size:
        assert ctypes.addressof(ctypes.c_char.from_buffer(memory)) % mmap.PAGESIZE == 0
