"""Opening a file beneath a directory without openat2(2): one name at a time, links read one by one, so that
nothing is left to race.
"""

import errno
import os
from typing import Protocol

# O_NONBLOCK: opening a FIFO must not wait for its writer. O_NOCTTY: a terminal in the root must not become
# ours.
READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
# O_PATH needs only search permission on a directory, as a plain path walk does.
DIRECTORY = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC

_MAX_LINKS = 40  # as the kernel's own MAXSYMLINKS


class Links(Protocol):
    """The disk, as far as it is needed here."""

    def read_link(self, directory: int, name: bytes) -> bytes:
        """Where the link `name` leads."""

    def close(self, descriptor: int) -> None:
        """Close it."""


def open_beneath(disk: Links, root: int, path: bytes, follow: bool) -> int:
    """A descriptor for reading `path` below the directory `root`, as `Disk.open_beneath` has it."""
    parents = [root]
    names = path.split(b"/")[::-1]
    links = 0
    try:
        while True:
            name = names.pop()
            if name == b"..":
                if len(parents) == 1:
                    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
                disk.close(parents.pop())
            elif name not in (b"", b"."):
                flags = (DIRECTORY if names else READ) | os.O_NOFOLLOW
                try:
                    opened = os.open(name, flags, dir_fd=parents[-1])
                except OSError as error:
                    target = _link(disk, parents[-1], name, error)
                    links += 1
                    if not follow or links > _MAX_LINKS:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error
                    if target.startswith(b"/"):
                        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV)) from error
                    names += target.split(b"/")[::-1]
                else:
                    if not names:
                        return opened
                    parents.append(opened)
            if not names:  # the last name was "..", "." or empty: a directory
                return os.open(b".", READ, dir_fd=parents[-1])
    finally:
        for parent in parents[1:]:
            disk.close(parent)


def _link(disk: Links, directory: int, name: bytes, refused: OSError) -> bytes:
    """Where the link `name` leads; raises `refused`, the reason why it could not be opened, if it is no
    link.
    """
    # A link under O_NOFOLLOW is ELOOP on Linux and macOS, EMLINK on FreeBSD, and ENOTDIR where
    # O_DIRECTORY is judged first.
    if refused.errno not in (errno.ELOOP, errno.EMLINK, errno.ENOTDIR):
        raise refused
    try:
        return disk.read_link(directory, name)
    except OSError:
        raise refused from None
