"""Content in a file that lies in memory and has no name (memfd_create(2)).

sendfile(2) sends its pages as they are, without a copy, and nobody can write to them any more.
"""

import fcntl
import os

# Nobody may write to it, change its size, or take this back: fcntl(2), file sealing.
_SEALS = ("F_SEAL_WRITE", "F_SEAL_GROW", "F_SEAL_SHRINK", "F_SEAL_SEAL")


def open_memory_file(content: bytes) -> int | None:
    """A descriptor of a file with this content; None where the system has no such files, no descriptor or no
    memory for one.
    """
    if not hasattr(os, "memfd_create"):
        return None
    try:
        descriptor = os.memfd_create("trio_evserver", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError:
        return None
    try:
        written = 0
        while written < len(content):
            written += os.write(descriptor, memoryview(content)[written:])
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, sum(getattr(fcntl, name) for name in _SEALS))
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
