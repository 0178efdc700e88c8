"""One region of an open file, by each of the ways to have it: left in the page cache and sent from there,
read from the page cache on the event loop, or read in a worker. Whichever it is, the file is asked each
time whether it is still the one that was announced.
"""

import errno
import os
from collections.abc import Callable
from time import monotonic

from trio_evserver.files.disk import Buffer, Disk
from trio_evserver.files.open_file import OpenFile
from trio_evserver.files.span import Span
from trio_evserver.files.workers import Workers
from trio_evserver.semantics.message import Parts, Region

# However large a chunk is, no more bytes are copied on the event loop at a time.
_MOST_CACHED = 1024 * 1024
# What sendfile(2) says where it never works: a file system without it, an old kernel, a seccomp profile.
_NEVER = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM})


# Pages that were in memory are taken to be there for so many seconds more: in that time the kernel does not
# come round to pages that were just used, however little memory it has.
_STAYS = 0.01
_MOST_REMEMBERED = 64  # parts of one file

# Less than this is read, and sent together with the head.
_SMALL = 16 * 1024
LONGEST_SPAN = 512 * 1024
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
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`cached_reads`: the page cache is asked on the event loop, for `chunk_size` bytes at a time at
        most. `clock` tells seconds.
        """
        self._clock = clock
        self._disk = disk
        self._workers = workers
        self._cached_reads = cached_reads
        self._without_sendfile: set[int] = set()  # devices
        # One for all replies: it stays in the processor's cache, and no page of it is ever cleared again.
        self._buffer = memoryview(bytearray(min(chunk_size, _MOST_CACHED)))

    def __repr__(self) -> str:
        return f"<RegionReader cached_reads={self._cached_reads}>"

    def find_whole(self, file: OpenFile, body: Parts) -> Span | None:
        """The whole of `body`, where it is one part of the file, all of it can be sent in place, and it is
        neither too short for that nor too long for a turn: good until the next checkpoint.
        """
        part = body.parts[0]
        if len(body.parts) > 1 or isinstance(part, bytes) or not _SMALL <= part.length <= LONGEST_SPAN:
            return None
        try:
            span = self.find_span(file, part)
        except (OSError, FileChangedError):  # whatever it is, it comes again
            return None
        return span if span.length == part.length else None

    def find_span(self, file: OpenFile, region: Region) -> Span:
        """What the page cache holds of the beginning of `region`, at least a byte, where it can be sent in
        place; BlockingIOError: nothing.
        """
        if file.copy is not None:
            return Span(file.copy, region.offset, region.length)
        device = file.identity.device
        if not (self._cached_reads and file.local) or device in self._without_sendfile:
            raise BlockingIOError
        length = self._resident_length(file, region)
        self._check(file)
        return Span(file.descriptor, region.offset, length)

    def _resident_length(self, file: OpenFile, region: Region) -> int:
        """What the page cache holds of the beginning of `region`; BlockingIOError: nothing."""
        offset, length, now = region.offset, region.length, self._clock()
        begins, until = file.resident.get(offset + length, (0, 0.0))
        if begins <= offset and now < until:
            return length
        found = self._disk.cached_length(file.descriptor, file.identity.device, length, offset)
        if len(file.resident) >= _MOST_REMEMBERED:
            file.resident.clear()
        file.resident[offset + found] = (offset, now + _STAYS)
        return found

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
        if not (self._cached_reads and file.local):
            raise BlockingIOError
        length = self._disk.read_cached(file.descriptor, file.identity.device, buffer, region.offset)
        self._check(file)
        return buffer[:length]

    def is_lent(self, data: memoryview) -> bool:
        """Whether `data` lies in the buffer of `read_cached`."""
        return data.obj is self._buffer.obj

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
