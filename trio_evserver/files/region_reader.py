"""One region of an open file, by each of the ways to have it: left in the page cache and sent from there,
read from the page cache on the event loop, or read in a worker. Whichever it is, the file is asked each
time whether it is still the one that was announced.
"""

import errno
import os
from collections.abc import Callable
from time import monotonic
from typing import Final

from trio_evserver.files.aligned import page_aligned
from trio_evserver.files.disk import Buffer, Disk
from trio_evserver.files.open_file import OpenFile
from trio_evserver.files.page_cache import PageCache
from trio_evserver.files.span import Span
from trio_evserver.files.warming import AfterLook, Warmer, Warming
from trio_evserver.files.workers import Workers
from trio_evserver.semantics.message import Parts, Region

# For so many bytes that are not there one worker waits; of more, several read parts at the same time.
_LONGEST_WARMED: Final = 512 * 1024
# However large a chunk is, no more bytes are copied on the event loop at a time.
_MOST_CACHED: Final = 1024 * 1024
# What sendfile(2) says where it never works: a file system without it, an old kernel, a seccomp profile.
_NEVER: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM})

SMALL: Final = 16 * 1024
"""Less than so many bytes are read, and sent together with the head."""
LONGEST_SPAN = 1024 * 1024
"""What is sent in place at a time, in bytes, if it is more than a chunk: the longer, the longer the turn."""


class FileChangedError(Exception):
    """The file is not any more the one whose length and validators were announced."""


class RegionReader:
    """Reads regions. One per site."""

    def __init__(
        self,
        disk: Disk,
        workers: Workers,
        *,
        cached_reads: bool,
        chunk_size: int,
        after_look: AfterLook | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`cached_reads`: the page cache is asked on the event loop, for `chunk_size` bytes at a time at
        most. `after_look` as of `Warmer`. `clock` tells seconds.
        """
        self._disk = disk
        self._workers = workers
        looks_again = after_look is not None
        self._page_cache = PageCache(
            disk, workers, enabled=cached_reads, looks_again=looks_again, clock=clock
        )
        self._warmer = Warmer(disk, workers, self._page_cache, after_look, clock)
        self._without_sendfile: set[int] = set()  # devices
        # One for all replies: it stays in the processor's cache, and no page of it is ever cleared again.
        self._buffer = page_aligned(min(chunk_size, _MOST_CACHED))

    def __repr__(self) -> str:
        return f"<RegionReader of {self._page_cache!r}>"

    def short(self, file: OpenFile, body: Parts) -> Region | None:
        """What `body` consists of, where that is one part of the file, can be sent in place, and is neither
        too short for that nor too long for a turn.
        """
        part = body.parts[0]
        if len(body.parts) > 1 or isinstance(part, bytes) or not SMALL <= part.length <= LONGEST_SPAN:
            return None
        if file.copy is None and not (
            file.identity.device not in self._without_sendfile and self._page_cache.knows(file)
        ):
            return None
        return part

    def find_whole(self, file: OpenFile, short: Region, *, current: bool) -> Span | None:
        """All of a `short` region, if it is there: good until the next checkpoint. If the file is known to be
        `current`, it is not asked again.
        """
        try:
            span = self.find_span(file, short, current=current)
        except (OSError, FileChangedError):  # whatever it is, it comes again
            return None
        return span if span is not None and span.length == short.length else None

    def warm(self, file: OpenFile, body: Parts) -> Warming | None:
        """What brings all of a short body into the page cache, where it is worth a wait."""
        short = self.short(file, body)
        if short is None or short.length > _LONGEST_WARMED:
            return None
        return self._warmer.warm(file, short)

    def find_span(self, file: OpenFile, region: Region, *, current: bool = False) -> Span | None:
        """What the page cache holds of the beginning of `region`, at least a byte, where it can be sent in
        place; None: nothing. `current` as above. Raises OSError and FileChangedError.
        """
        if file.copy is not None:
            return Span(file.copy, region.offset, region.length)
        if file.identity.device in self._without_sendfile:
            return None
        length = self._page_cache.length(file, region)
        if not length:
            return None
        if not current:
            self._check(file)
        return Span(file.descriptor, region.offset, length)

    def cannot_send(self, file: OpenFile, error: OSError) -> None:
        """A span of the file could not be sent: if it never can be, files of its device are read from now
        on.
        """
        if file.copy is not None:
            file.drop_copy()
        elif error.errno in _NEVER:
            self._without_sendfile.add(file.identity.device)

    def read_cached(self, file: OpenFile, region: Region) -> memoryview:
        """What the page cache holds of the beginning of `region`, at least a byte; BlockingIOError: nothing.

        It lies in a buffer that is used again by whoever calls next: it is good until the next checkpoint.
        """
        buffer = self._buffer[: region.length]
        if file.copy is not None:
            return buffer[: os.preadv(file.copy, [buffer], region.offset)]
        length = self._page_cache.read(file, buffer, region.offset)
        self._check(file)
        return buffer[:length]

    def is_lent(self, data: memoryview) -> bool:
        """Whether `data` lies in the buffer of `read_cached`."""
        return data.obj is self._buffer.obj

    def close(self) -> None:
        """Nothing is waited for any more."""
        self._warmer.close()

    async def read(self, file: OpenFile, region: Region) -> Buffer:
        """The bytes of `region`, read in a worker; takes over one use of the file for as long as it reads."""

        def job() -> bytes:
            try:
                data = self._disk.read(file.descriptor, region.length, region.offset)
                if len(data) < region.length:
                    raise FileChangedError(f"ends at {region.offset + len(data)}")
                self._check(file)
                return data
            finally:
                file.release()

        return await self._workers.run(job, mount=file.mount, never_ran=file.release)

    def _check(self, file: OpenFile) -> None:
        """After each read: is it still the file that was announced?

        A file that has grown was appended to, and the bytes that were announced are still right; one whose
        name was removed or given to another has a new ctime and the old bytes. Anything else may have
        rewritten what was read.
        """
        status = self._disk.status(file.descriptor)
        identity = file.identity
        if status.st_mtime_ns != identity.modified and status.st_size <= identity.size:
            raise FileChangedError("rewritten" if status.st_size == identity.size else "cut short")
