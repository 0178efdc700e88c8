"""Makes the rooms of trio_evserver/files/ as `open_site` does, with what a test wants otherwise."""

import math
import os
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from trio_evserver.files.capabilities import Capabilities
from trio_evserver.files.disk import Disk
from trio_evserver.files.document_root import DocumentRoot
from trio_evserver.files.file_cache import FileCache
from trio_evserver.files.first_read import FirstRead
from trio_evserver.files.gate import Gate
from trio_evserver.files.lease import Lease
from trio_evserver.files.opened import Opened, Unread
from trio_evserver.files.options import ETagSource, FileOptions, Symlinks
from trio_evserver.files.workers import RunSync, Workers
from trio_evserver.semantics.message import Refusal
from trio_evserver.semantics.representation import Representation
from trio_evserver.semantics.resource_path import ResourcePath
from trio_evserver.semantics.target import resolve

SECOND = 1_000_000_000

EVERY_WAY = {
    "all": Capabilities(),
    "no openat2": Capabilities(openat2=False),
    "no nowait": Capabilities(nowait=False),
    "no sendfile": Capabilities(sendfile=False),
    "neither": Capabilities(openat2=False, nowait=False),
}
"""The faster ways, and each of them turned off: the same tests run on all."""


def path_of(target: str) -> ResourcePath:
    """The resource that a target names, which must be a good one."""
    resolved = resolve(target.encode())
    assert isinstance(resolved, ResourcePath)
    return resolved


async def lease_on(cache: FileCache, target: str) -> Lease | Refusal:
    """What whoever asks for `target` is given: the lease is to be released."""
    path = path_of(target)
    entry = cache.find_nowait(path)
    if entry is not None:
        return entry.lease()
    found = cache.look(path)
    return found if isinstance(found, Lease | Refusal) else await cache.fetch(path, found)


def document_root(
    path: Path,
    disk: Disk,
    *,
    index: tuple[str, ...] = ("index.html",),
    symlinks: Symlinks = Symlinks.INSIDE,
    etag: ETagSource = ETagSource.AUTO,
    content_limit: int = 1024,
    in_place: int = 1_000_000,
    first_read: int = 4096,
    clock: Callable[[], int] = time.time_ns,
) -> DocumentRoot:
    """A document root that closes every descriptor at once."""
    reading = FirstRead(
        disk,
        etag=etag,
        content_limit=content_limit,
        in_place=in_place,
        first_read=first_read,
        close=disk.close,
        clock=clock,
    )
    return DocumentRoot(path, disk, index=index, symlinks=symlinks, first_read=reading)


def make_workers(threads: int, run_sync: RunSync | None = None) -> Workers:
    """Workers at whose gate nobody is refused; their tasks are the siblings of whoever calls."""
    nursery = trio.lowlevel.current_task().parent_nursery
    assert nursery is not None
    return Workers(Gate(threads, queue=1_000_000, patience=math.inf), nursery, run_sync)


async def until_idle(workers: Workers) -> None:
    """Until every token is back: threads report to the run in their own time."""
    with trio.fail_after(10):
        while workers.statistics().in_flight:
            await trio.lowlevel.checkpoint()


def describe(opened: Opened) -> tuple[Representation, bool]:
    """The plainest description; everything may be kept."""
    representation = Representation(
        size=opened.file.identity.size,
        modified=None,
        modified_is_strong=False,
        entity_tag=None,
        media_type=b"text/plain",
        cache_control=b"no-cache",
        content=opened.content,
        render=lambda fields: b"",
    )
    return representation, True


@asynccontextmanager
async def file_cache(
    root: DocumentRoot,
    disk: Disk,
    options: FileOptions,
    *,
    describe: Callable[[Opened], tuple[Representation, bool]] = describe,
    run_sync: RunSync | None = None,
) -> AsyncIterator[FileCache]:
    """A cache in a nursery of its own, both closed at the end."""
    async with trio.open_nursery() as nursery:
        workers = make_workers(options.threads, run_sync)
        cache = FileCache(root, disk, workers, options, describe=describe, nursery=nursery)
        try:
            yield cache
        finally:
            cache.close()
            nursery.cancel_scope.cancel()


def load_cached(root: DocumentRoot, target: str) -> Opened | Refusal:
    """What is found with the name from memory alone, and with whatever of the content is not, as a worker
    reads it. Raises BlockingIOError.
    """
    found = root.load_cached(path_of(target))
    return root.read(found, path_of(target)) if isinstance(found, Unread) else found


def content_of(found: Lease | Refusal | Opened) -> bytes | int:
    """What was found: content, read from the descriptor if need be, or the status of a refusal. Lets go
    of it.
    """
    if isinstance(found, Refusal):
        return int(found.status)
    content = found.content if isinstance(found, Opened) else found.representation.content
    if content is None:
        content = os.pread(found.file.descriptor, found.file.identity.size, 0)
    found.file.release()
    return content


def descriptors() -> set[str]:
    """The process's open descriptors with what they lead to, but for that of the question."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except OSError:  # the listing's own
            continue
    return found


def settle(path: Path, seconds: float = 3600) -> None:
    """Give `path` an mtime so long ago; its ctime is now all the same."""
    then = time.time_ns() - int(seconds * SECOND)
    os.utime(path, ns=(then, then))


def wait_tick(path: Path) -> None:
    """Until the kernel would stamp a change with another time than it gave `path`, some milliseconds."""
    stamped = path.stat().st_ctime_ns
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        while True:
            os.utime(scratch)
            if os.stat(scratch).st_mtime_ns > stamped:
                return


class SlowDisk(Disk):
    """A disk whose workers' openings are held up for as long as it is `held`; `openings` counts them."""

    def __init__(self, capabilities: Capabilities = Capabilities()) -> None:
        super().__init__(capabilities)
        self.openings = 0
        self._go = threading.Event()
        self._go.set()

    def hold(self) -> None:
        self._go.clear()

    def let_go(self) -> None:
        self._go.set()

    def open_beneath(self, root: int, path: bytes, *, follow: bool) -> int:
        self.openings += 1
        assert self._go.wait(10)
        return super().open_beneath(root, path, follow=follow)
