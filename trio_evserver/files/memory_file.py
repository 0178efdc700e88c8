"""Content in a file that lies in memory and has no name (memfd_create(2)).

sendfile(2) sends its pages as they are, without a copy, and nobody can write to them any more.
"""

import errno
import fcntl
import os
from collections.abc import Callable

# Nobody may write to it, change its size, or take this back: fcntl(2), file sealing.
_SEALS = ("F_SEAL_WRITE", "F_SEAL_GROW", "F_SEAL_SHRINK", "F_SEAL_SEAL")


def open_memory_file(content: bytes) -> int | None:
    """A descriptor of a file with this content; None where the system has no such files, no descriptor or no
    memory for one.
    """

    def fill(descriptor: int) -> None:
        written = 0
        while written < len(content):
            written += os.write(descriptor, memoryview(content)[written:])

    return _make(fill)


def copy_to_memory(descriptor: int, size: int) -> int | None:
    """The same with the first `size` bytes of another file, which should be in memory already."""

    def fill(copy: int) -> None:
        offset = 0
        while offset < size:
            count = os.sendfile(copy, descriptor, offset, size - offset)
            if not count:
                raise OSError(errno.EIO, "the file has become shorter")
            offset += count

    return _make(fill)


def _make(fill: Callable[[int], None]) -> int | None:
    if not hasattr(os, "memfd_create"):
        return None
    try:
        descriptor = os.memfd_create("trio_evserver", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError:
        return None
    try:
        fill(descriptor)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, sum(getattr(fcntl, name) for name in _SEALS))
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
