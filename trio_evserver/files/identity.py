"""What stat(2) says of a file: whether it is one, and whether it is still the same."""

import os
import stat
from typing import Final, final

from trio_evserver.semantics.value import Value


@final
class Identity(Value):
    """What distinguishes a file and its content from any other, as far as stat(2) can tell; times in
    nanoseconds.
    """

    __slots__ = ("changed", "device", "inode", "modified", "size")

    def __init__(self, device: int, inode: int, size: int, modified: int, changed: int) -> None:
        self.device: Final = device
        self.inode: Final = inode
        self.size: Final = size
        self.modified: Final = modified
        self.changed: Final = changed

    def _key(self) -> tuple[object, ...]:
        return self.device, self.inode, self.size, self.modified, self.changed


def identity_of(status: os.stat_result) -> Identity:
    """The identity in a stat result."""
    return Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def is_regular(status: os.stat_result) -> bool:
    """Whether it is a regular file, the only kind that is served."""
    return stat.S_ISREG(status.st_mode)


def is_directory(status: os.stat_result) -> bool:
    """Whether it is a directory."""
    return stat.S_ISDIR(status.st_mode)
