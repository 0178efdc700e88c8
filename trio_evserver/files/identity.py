"""What stat(2) says of a file: whether it is one, and whether it is still the same."""

import os
import stat

import msgspec


class Identity(msgspec.Struct, frozen=True, gc=False):
    """What distinguishes a file and its content from any other, as far as stat(2) can tell; times in
    nanoseconds.
    """

    device: int
    inode: int
    size: int
    modified: int
    changed: int


def identity_of(status: os.stat_result) -> Identity:
    """The identity in a stat result."""
    return Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def is_regular(status: os.stat_result) -> bool:
    """Whether it is a regular file, the only kind that is served."""
    return stat.S_ISREG(status.st_mode)


def is_directory(status: os.stat_result) -> bool:
    """Whether it is a directory."""
    return stat.S_ISDIR(status.st_mode)
