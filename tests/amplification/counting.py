"""What a request costs, counted: system calls on files, bytes read, calls of functions, memory at its peak.
Time is not measured: it would say as much about the machine.
"""

import gc
import os
import sys
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import trio

from tests.conftest import LONG_AGO
from tests.serving.conversations import NOW, hear_all, run_inline
from trio_evserver.files.capabilities import Capabilities
from trio_evserver.files.disk import Disk
from trio_evserver.files.options import FileOptions
from trio_evserver.serving.open_site import open_site
from trio_evserver.serving.options import Options
from trio_evserver.serving.server import serve_connection
from trio_evserver.serving.site import Site

CHUNK = 4096
SIZE = 64 * CHUNK
LARGE = b"".join(b"%08d" % number for number in range(SIZE // 8))
"""Streamed, in 64 chunks, no two of them alike."""
SMALL = LARGE[:1000]
"""Kept in memory."""
FILES = FileOptions(chunk_size=CHUNK, cache_size=16 * CHUNK)


class CountingDisk(Disk):
    """`calls` by name; `bytes` that were read."""

    def __init__(self, capabilities: Capabilities = Capabilities()) -> None:
        super().__init__(capabilities)
        self.forget()

    def forget(self) -> None:
        """Count from here."""
        self.calls: Counter[str] = Counter()
        self.bytes = 0

    @property
    def opened(self) -> int:
        """How many names were opened, or not."""
        return sum(count for name, count in self.calls.items() if name.startswith("open"))

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        data = super().read(descriptor, length, offset)
        self.bytes += len(data)
        return data

    def read_cached(self, descriptor: int, device: int, buffer: memoryview, offset: int) -> int:
        length = super().read_cached(descriptor, device, buffer, offset)
        self.bytes += length
        return length

    def __getattribute__(self, name: str) -> object:
        if name in _COUNTED:
            self.calls[name] += 1
        return super().__getattribute__(name)


_COUNTED = {
    "open_file", "open_beneath", "open_beneath_cached", "open_anywhere", "status", "status_of", "read",
    "read_cached", "read_link",
}  # fmt: skip


def make(root: Path) -> Path:
    """A site of the two files."""
    root.mkdir()
    for name, content in (("large", LARGE), ("small", SMALL)):
        (root / name).write_bytes(content)
        os.utime(root / name, (LONG_AGO, LONG_AGO))
    return root


@asynccontextmanager
async def counted_site(
    root: Path, options: Options = Options(files=FILES), capabilities: Capabilities = Capabilities()
) -> AsyncIterator[tuple[Site, CountingDisk]]:
    """A site without threads, and the disk that counts what it does."""
    disk = CountingDisk(capabilities)
    try:
        # Long after the files were made, so that they are not suspected of changing.
        async with open_site(
            root, options, disk=disk, run_sync=run_inline, use_hub=False, clock=lambda: NOW
        ) as site:
            disk.forget()
            with trio.fail_after(60):
                yield site, disk
    finally:
        disk.shutdown()


async def talk(site: Site, data: bytes) -> bytes:
    """What the site says to a peer that sends all of it and then ends its side."""
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, theirs, site)
        nursery.start_soon(_say, ours, data)
        return await hear_all(ours)


async def _say(stream: trio.abc.HalfCloseableStream, data: bytes) -> None:
    try:
        await stream.send_all(data)
        await stream.send_eof()
    except trio.BrokenResourceError:  # refused before its end
        return


class Peak:
    """`bytes` that were allocated by Python at the most, beyond what was at the beginning."""

    bytes = 0


@contextmanager
def memory_peak() -> Iterator[Peak]:
    """The peak of the block."""
    peak = Peak()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        yield peak
        peak.bytes = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def calls_of(work: Callable[[], object]) -> int:
    """How many functions, of Python and of C, are called by `work()`: its cost in steps, which cannot hide a
    loop of ours.
    """
    count = 0

    def called(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count
