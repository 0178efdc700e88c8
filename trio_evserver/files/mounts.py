"""Which devices answer from memory or a local disk, as the mount table says (proc_pid_mountinfo(5))."""

import os
import re
import select
import threading

# File systems on which stat(2) of a path that is held open finds everything it needs in memory.
# devtmpfs is what /dev/shm lies in.
_LOCAL = frozenset({"ext4", "xfs", "btrfs", "tmpfs", "devtmpfs", "overlay"})
_SLASH = 0x2F
_IN_MEMORY = frozenset({"tmpfs"})


class MountTable:
    """File-system types by device number. Where there is no table nothing is known to be local. Thread-safe.

    Device numbers of unmounted file systems are given to later mounts, so the table is read again whenever
    the kernel says that it has changed, which poll(2) on it tells without reading it.
    """

    def __init__(self, path: str = "/proc/self/mountinfo") -> None:
        self._types: dict[int, str] = {}
        self.points: tuple[bytes, ...] = ()  # another tuple whenever the table has been read
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return
        self._changes = select.poll()
        self._changes.register(self._descriptor, select.POLLPRI)
        self._read()

    def __repr__(self) -> str:
        return f"<MountTable {len(self._types)} devices>"

    def is_local(self, device: int) -> bool:
        """Whether calls on open files of `device` do not wait for a network or another process. May read a
        table.
        """
        self._refresh()
        return self._types.get(device) in _LOCAL

    def kind_of(self, device: int) -> str | None:
        """The type of its file system, as of the last `is_local`; None if that is not known."""
        return self._types.get(device)

    def in_memory(self, device: int) -> bool:
        """Whether reads from `device` never wait for a disk."""
        return self._types.get(device) in _IN_MEMORY

    def point_of(self, path: bytes) -> bytes:
        """The mount point that the absolute `path` lies under by its name, links not followed, as of the last
        `is_local`; b"/" without a table. Makes no system call.
        """
        for point in self.points:
            if path.startswith(point) and (path == point or point == b"/" or path[len(point)] == _SLASH):
                return point
        return b"/"

    def close(self) -> None:
        """Forget the table and close it."""
        with self._lock:
            self._types = {}
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _refresh(self) -> None:
        with self._lock:
            if self._descriptor is not None and self._changes.poll(0):
                self._read()

    def _read(self) -> None:
        assert self._descriptor is not None
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        pieces = []
        while piece := os.read(self._descriptor, 65536):
            pieces.append(piece)
        table = b"".join(pieces)
        self._types = parse_mountinfo(table)
        self.points = parse_mount_points(table)


def parse_mountinfo(table: bytes) -> dict[int, str]:
    """File-system types by st_dev. A device that stands for several types, which no sane table has, is left
    out.
    """
    types: dict[int, str] = {}
    for line in table.splitlines():
        # 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
        before, _, after = line.partition(b" - ")
        major, _, minor = before.split(b" ")[2].partition(b":")
        device = os.makedev(int(major), int(minor))
        kind = os.fsdecode(after.split(b" ", 1)[0])
        if types.setdefault(device, kind) != kind:
            types[device] = "ambiguous"
    return types


def parse_mount_points(table: bytes) -> tuple[bytes, ...]:
    """Mount points, the longest first; blanks and backslashes in them are written in octal."""
    points = {
        _OCTAL.sub(lambda code: bytes((int(code[1], 8),)), line.split(b" ")[4]) for line in table.splitlines()
    }
    return tuple(sorted(points, key=len, reverse=True))


_OCTAL = re.compile(rb"\\([0-7]{3})")
