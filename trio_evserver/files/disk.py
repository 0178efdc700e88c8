"""All system calls on files, and nothing else, but for sendfile(2), which is the transport's.

Everything here is synchronous. A call runs in a worker thread, or on the event loop where its `cached` form
promises not to wait for a device. The faster ways are found by trying them once, so that an old kernel, a
strict seccomp profile, a file system without support or another operating system simply has less of them;
`Capabilities` turns each off by hand, which is how the tests run every fallback.

Sources: openat2(2), preadv2(2), open(2), proc_pid_mountinfo(5).
"""

import ctypes
import errno
import os
from contextlib import suppress
from typing import TypeAlias

from trio_evserver.files import openat2, path_walk
from trio_evserver.files.aligned import page_aligned
from trio_evserver.files.capabilities import Capabilities
from trio_evserver.files.identity import identity_of
from trio_evserver.files.kernel_readahead import KernelReadahead
from trio_evserver.files.mounts import MountTable
from trio_evserver.files.open_file import OpenFile
from trio_evserver.files.path_walk import DIRECTORY, READ

Buffer: TypeAlias = bytes | bytearray | memoryview

_BENEATH = openat2.BENEATH | openat2.NO_MAGICLINKS
_RENAME_RACES = 16  # "..", met in a link while a rename is under way, is EAGAIN: openat2(2) says to try again

# To learn which pages are in memory they are copied, all to one place, which stays in the processor's first
# cache. One call takes IOV_MAX places, linux/uio.h. (mincore(2) and cachestat(2) tell only a file's owner.)
_PROBE = [page_aligned(4096)] * 1024

# The kernel reads so much at a time, at the least, in one request to the device: of what has begun to come a
# page of each tells.
_READ_TOGETHER = 64 * 1024
_OCTET = [bytearray(1)]


class Disk:
    """File-system calls, by the best way at hand; each raises OSError as the call does.

    A `cached` call raises BlockingIOError instead of waiting for a device: with EAGAIN for its number where
    the kernel was asked, and now begins to read.
    """

    def __init__(self, capabilities: Capabilities = Capabilities()) -> None:
        self.mounts = MountTable()
        self.readahead = KernelReadahead(self.mounts)
        self._waiting: openat2.Syscall | None = None
        self._resident: openat2.Syscall | None = None
        # Both names exist in Linux's C libraries alone: elsewhere the number below would be some other call.
        if capabilities.openat2 and hasattr(os, "RWF_NOWAIT") and hasattr(os, "O_PATH"):
            waiting = openat2.bind(ctypes.CDLL)  # drops the GIL: for calls that may wait
            resident = openat2.bind(ctypes.PyDLL)  # keeps it: cheaper, for calls that do not
            if self._knows(waiting, openat2.BENEATH):
                self._waiting = waiting
                # Linux 5.12; openat2 itself is of 5.6.
                if self._knows(resident, openat2.BENEATH | openat2.CACHED):
                    self._resident = resident
        self._nowait = capabilities.nowait and hasattr(os, "RWF_NOWAIT")
        self._without_nowait: set[int] = set()
        self._with_nowait: set[int] = set()
        self._sendfile = capabilities.sendfile and self._nowait
        self._null = self._open_null() if self._sendfile else None

    def __repr__(self) -> str:
        return f"<Disk openat2={self.has_openat2} nowait={self._nowait} sendfile={self._sendfile}>"

    @property
    def has_openat2(self) -> bool:
        """Whether paths are contained by openat2."""
        return self._waiting is not None

    def shutdown(self) -> None:
        """Let go of what it has open itself; nothing is asked of it any more."""
        self.mounts.close()
        null, self._null = self._null, None
        if null is not None:
            null.release()  # a thread that was left behind may still use it

    # Opening

    def open_directory(self, path: bytes) -> int:
        """A descriptor for walking down from the directory at `path`; symbolic links are followed."""
        return os.open(path, DIRECTORY)

    def open_directory_cached(self, path: bytes) -> int:
        """As `open_directory`, from the kernel's name cache alone."""
        if self._resident is None:
            raise BlockingIOError
        return openat2.open_at(self._resident, openat2.AT_FDCWD, path, openat2.CACHED, DIRECTORY)

    def open_file(self, path: bytes) -> int:
        """A descriptor for reading the file at `path`; symbolic links are followed."""
        return os.open(path, READ)

    def open_beneath(self, root: int, path: bytes, *, follow: bool) -> int:
        """A descriptor for reading `path` below the directory `root`, which no name or link in it can leave.

        With `follow` relative links that stay inside are followed; an absolute one, or one that leaves, is
        EXDEV. Without it every link is ELOOP.
        """
        if self._waiting is None:
            return path_walk.open_beneath(self, root, path, follow)
        resolve = _BENEATH | (0 if follow else openat2.NO_SYMLINKS)
        for _ in range(_RENAME_RACES):
            try:
                return openat2.open_at(self._waiting, root, path, resolve, READ)
            except BlockingIOError:
                continue
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))  # as for a file that is under a lease

    def open_anywhere(self, root: int, path: bytes) -> int:
        """A descriptor for reading `path` from the directory `root`, wherever links lead."""
        return os.open(path, READ, dir_fd=root)

    def open_beneath_cached(self, root: int, path: bytes, *, follow: bool) -> int:
        """As `open_beneath`, from the kernel's name cache alone and without leaving the mount of `root`."""
        if self._resident is None:
            raise BlockingIOError
        resolve = _BENEATH | openat2.CACHED | openat2.NO_XDEV | (0 if follow else openat2.NO_SYMLINKS)
        try:
            return openat2.open_at(self._resident, root, path, resolve, READ)
        except OSError as error:
            if error.errno == errno.EXDEV:  # another mount, or an escape: a worker finds out which
                raise BlockingIOError from error
            raise

    def _knows(self, syscall: openat2.Syscall, resolve: int) -> bool:
        """Whether openat2 exists and takes these flags."""
        try:
            descriptor = openat2.open_at(syscall, openat2.AT_FDCWD, b".", resolve, DIRECTORY)
        except OSError as error:
            return isinstance(error, BlockingIOError)
        os.close(descriptor)
        return True

    def read_link(self, directory: int, name: bytes) -> bytes:
        """Where the link `name` leads."""
        return os.readlink(name, dir_fd=directory)

    def close(self, descriptor: int) -> None:
        """Close it; what close(2) reports about a file that was only read changes nothing and is dropped."""
        try:
            os.close(descriptor)
        except OSError as error:
            if error.errno == errno.EBADF:  # no report but a bug of ours: it might have been another's file
                raise

    # Status

    def status(self, descriptor: int) -> os.stat_result:
        """fstat(2)."""
        return os.fstat(descriptor)

    status_of = staticmethod(os.stat)
    """stat(2): symbolic links are followed."""

    # Reading

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        """`length` bytes from `offset`; fewer only where the file ends before them."""
        data = os.pread(descriptor, length, offset)
        if len(data) == length or not data:
            return data
        pieces = [data]  # a signal or a boundary of the file system cut the read short
        missing = length - len(data)
        while missing and (data := os.pread(descriptor, missing, offset + length - missing)):
            pieces.append(data)
            missing -= len(data)
        return b"".join(pieces)

    def read_cached(self, descriptor: int, device: int, buffer: memoryview, offset: int) -> int:
        """Fill the beginning of `buffer` with what the page cache holds from `offset` on, which must lie
        inside the file; how many bytes that is, at least 1.

        Raises BlockingIOError where it holds none of them, or cannot tell. `device` is the file's st_dev:
        whether a file system supports the question is remembered by it.
        """
        if self._nowait and device not in self._without_nowait:
            try:
                count = os.preadv(descriptor, [buffer], offset, os.RWF_NOWAIT)
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP:
                    raise
                self._without_nowait.add(device)
                return self.read_cached(descriptor, device, buffer, offset)
        elif self.mounts.in_memory(device):
            count = os.preadv(descriptor, [buffer], offset)
        else:
            raise BlockingIOError
        # Linux 5.9 and 5.10 say 0 where they mean EAGAIN; a file that has shrunk is found by the worker.
        if count == 0:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return count

    # The page cache

    def tells_residency(self, descriptor: int, device: int) -> bool:
        """Whether what is in the page cache of an open file of `device`, which is not empty, can be told
        without waiting, and be sent in place.
        """
        if not self._sendfile or device in self._without_nowait:
            return False
        if device in self._with_nowait:
            return True
        try:
            os.preadv(descriptor, [bytearray(1)], 0, os.RWF_NOWAIT)
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                self._without_nowait.add(device)
            return False  # if it is the file's, reading meets it, too
        self._with_nowait.add(device)
        return True

    def make_resident(self, descriptor: int, length: int, offset: int) -> None:
        """Wait until the page cache holds `length` bytes from `offset`, as far as the file goes."""
        null = self._null
        if null is not None:
            null.acquire()
            try:
                length, offset = self._splice(descriptor, null.descriptor, length, offset)
            finally:
                null.release()
        while length > 0:
            count = os.preadv(descriptor, _PROBE[: -(-length // len(_PROBE[0]))], offset)
            length, offset = length - count if count else 0, offset + count

    def _splice(self, descriptor: int, null: int, length: int, offset: int) -> tuple[int, int]:
        """To where nothing is kept: sendfile(2) waits for each page and hands it on without a copy; what it
        could not do.
        """
        with suppress(OSError):  # if it is the disk's, reading meets it, too
            while length > 0 and (count := os.sendfile(null, descriptor, offset, length)):
                length, offset = length - count, offset + count
        return length, offset

    def _open_null(self) -> OpenFile:
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        return OpenFile(null, identity_of(os.fstat(null)), mount=b"/", local=True, close=self.close)

    def begin(self, descriptor: int, device: int, length: int) -> None:
        """Have the kernel begin to read the first `length` bytes of a file, where there is a better way than
        to ask for all of them. Raises BlockingIOError, with EAGAIN, if they are not there.
        """
        windows = self.readahead.windows(device, length) if device in self._with_nowait else None
        if windows is None:
            return
        try:
            os.preadv(descriptor, _PROBE[: windows.asked], 0, os.RWF_NOWAIT)
        except BlockingIOError:
            for mark, begins in windows.marks:
                if begins < length:
                    with suppress(OSError):  # it is not there either
                        os.preadv(descriptor, _OCTET, mark, os.RWF_NOWAIT)
            raise

    def cached_length(self, descriptor: int, device: int, length: int, offset: int) -> int:
        """How many of `length` bytes from `offset` the page cache holds without a gap, at least 1 and at most
        4 MiB.

        Raises BlockingIOError where it holds none of them, or cannot tell, or nothing may be sent in place.
        `device` is the file's st_dev.
        """
        if not self._sendfile or device in self._without_nowait:
            raise BlockingIOError
        try:
            count = os.preadv(descriptor, _PROBE[: -(-length // len(_PROBE[0]))], offset, os.RWF_NOWAIT)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            self._without_nowait.add(device)
            raise BlockingIOError from error
        if count == 0:  # as in `read_cached`
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return min(count, length)

    def has_come(self, descriptor: int, device: int, length: int, offset: int) -> bool:
        """Whether what a question began to read, `length` bytes from `offset`, is there, as far as a few
        pages of it tell. What has not begun to come does now, as for a reader that goes through all of it.
        """
        last = offset + length - 1
        try:
            for place in (*range(offset, last, _READ_TOGETHER), last):
                if not os.preadv(descriptor, _OCTET, place, os.RWF_NOWAIT):
                    return False
            if offset or not self.readahead.is_on_trial(device, length):
                return True
            is_whole = self.cached_length(descriptor, device, length, 0) == length
        except OSError:  # if it is the disk's, reading meets it, too
            return False
        self.readahead.tried(device, is_right=is_whole)
        return is_whole
