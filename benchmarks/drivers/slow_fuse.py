"""A file system in which every read takes its time, or none is ever answered: FUSE by its raw protocol.

Run as `python -m benchmarks.drivers.slow_fuse FOLDER SECONDS SIZE`. It prints "mounted", and serves until
SIGTERM. Any name of digits is a file of SIZE bytes, so that no file need be read twice; looking one up costs
nothing. SIGUSR1: from now on no read is answered, but an interrupted one (as a disk behind a network does: a
read that cannot be interrupted keeps its process from ending, whatever the process does).

The protocol: linux/fuse.h, version 7.31; mounted with fusermount3 (Debian: fuse3), so it needs no privilege.
"""

import array
import contextlib
import errno
import heapq
import os
import re
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
from enum import IntEnum

ROOT, FIRST = 1, 2  # node numbers: the folder, and the file named 0
VALID = 3600  # seconds for which the kernel may keep what it was told of a name
_REQUEST = struct.Struct("=IIQQIIIHH")
_REPLY = struct.Struct("=IiQ")
_ATTRIBUTES = struct.Struct("=QQQQQQIIIIIIIIII")
_NAME = re.compile(rb"(\d{1,9})(?:\.bin)?\0")


class Op(IntEnum):
    """The operations of linux/fuse.h that a folder of files to read is asked for."""

    LOOKUP = 1
    FORGET = 2
    GETATTR = 3
    OPEN = 14
    READ = 15
    STATFS = 17
    RELEASE = 18
    FLUSH = 25
    INIT = 26
    OPENDIR = 27
    READDIR = 28
    RELEASEDIR = 29
    ACCESS = 34
    INTERRUPT = 36
    DESTROY = 38
    BATCH_FORGET = 42


class SlowDisk:
    """The file system behind one /dev/fuse descriptor."""

    def __init__(self, device: int, delay: float, size: int) -> None:
        self.device = device
        self.delay = delay
        self.size = size
        self.hung = False
        self._content = content(size)
        self._due: list[tuple[float, int]] = []
        self._reads: dict[int, bytes] = {}  # by the request's number: what it will be answered

    def run(self) -> None:
        """Answer until the file system is unmounted."""
        poll = select.poll()
        poll.register(self.device, select.POLLIN)
        while True:
            if poll.poll(self._until_due()):
                try:
                    request = os.read(self.device, 1 << 21)
                except InterruptedError:
                    continue
                except OSError as error:
                    if error.errno == errno.ENODEV:
                        return
                    if error.errno in (errno.ENOENT, errno.EAGAIN):  # it was interrupted before it was read
                        continue
                    raise
                self._serve(request)
            self._answer_due()

    def _until_due(self) -> float | None:
        if self.hung or not self._due:
            return 100.0
        return max(0.0, (self._due[0][0] - time.monotonic()) * 1000 + 0.5)

    def _answer_due(self) -> None:
        now = time.monotonic()
        while self._due and self._due[0][0] <= now and not self.hung:
            _, unique = heapq.heappop(self._due)
            if unique in self._reads:
                self._reply(unique, self._reads.pop(unique))

    def _serve(self, request: bytes) -> None:
        _, operation, unique, node, *_ = _REQUEST.unpack_from(request)
        body = request[_REQUEST.size :]
        match operation:
            case Op.INIT:
                # version 7.31, read-ahead as offered, reads side by side, 64 pages a read
                ahead = struct.unpack_from("=I", body, 8)[0]
                said = (7, 31, ahead, 1 | 1 << 22, 512, 512, 4096, 1, 64, 0, 0, 0)
                self._reply(unique, struct.pack("=IIIIHHIIHHII24x", *said))
            case Op.LOOKUP:
                self._look_up(unique, body)
            case Op.GETATTR:
                self._reply(unique, struct.pack("=QII", VALID, 0, 0) + self._attributes(node))
            case Op.OPEN | Op.OPENDIR:
                self._reply(unique, struct.pack("=QII", 0, 0, 0))
            case Op.READ:
                offset, length = struct.unpack_from("=QI", body, 8)
                self._reads[unique] = self._content[offset : offset + length]
                heapq.heappush(self._due, (time.monotonic() + self.delay, unique))
            case Op.INTERRUPT:
                interrupted = struct.unpack_from("=Q", body)[0]
                if self._reads.pop(interrupted, None) is not None:
                    self._reply(interrupted, b"", errno.EINTR)
            case Op.FORGET | Op.BATCH_FORGET:
                pass  # the kernel forgets a name and waits for nothing
            case Op.STATFS:
                self._reply(unique, struct.pack("=QQQQQIIII24x", 1, 1, 0, 1, 1, 4096, 255, 4096, 0))
            case Op.RELEASE | Op.FLUSH | Op.READDIR | Op.RELEASEDIR | Op.ACCESS | Op.DESTROY:
                self._reply(unique, b"")
            case _:
                self._reply(unique, b"", errno.ENOSYS)

    def _look_up(self, unique: int, name: bytes) -> None:
        found = _NAME.fullmatch(name)
        if found is None:
            self._reply(unique, b"", errno.ENOENT)
            return
        node = FIRST + int(found[1])
        self._reply(unique, struct.pack("=QQQQII", node, 0, VALID, VALID, 0, 0) + self._attributes(node))

    def _attributes(self, node: int) -> bytes:
        size, mode = (0, stat.S_IFDIR | 0o755) if node == ROOT else (self.size, stat.S_IFREG | 0o644)
        made = 1_700_000_000
        ids = (os.getuid(), os.getgid(), 0, 4096, 0)
        return _ATTRIBUTES.pack(node, size, -(-size // 512), made, made, made, 0, 0, 0, mode, 1, *ids)

    def _reply(self, unique: int, data: bytes, failed: int = 0) -> None:
        with contextlib.suppress(OSError):  # ENOENT: nobody waits for it any more
            os.write(self.device, _REPLY.pack(_REPLY.size + len(data), -failed, unique) + data)


def content(size: int) -> bytes:
    """What every file of this file system holds."""
    return bytes(range(256)) * (size // 256) + bytes(size % 256)


def mount(folder: str) -> int:
    """The descriptor of /dev/fuse for a file system that is now mounted there. Raises OSError."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, its:
        subprocess.run(
            ["fusermount3", "-o", "ro,nosuid,nodev,fsname=slow", "--", folder],
            env={**os.environ, "_FUSE_COMMFD": str(its.fileno())},
            pass_fds=[its.fileno()],
            check=True,
        )
        _, passed, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(4))
        return array.array("i", passed[0][2][:4])[0]


def main() -> None:
    """Mount, say so, serve; unmounted on SIGTERM and on an error."""
    folder, delay, size = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    disk = SlowDisk(mount(folder), delay, size)

    def hang(number: int, frame: object) -> None:
        disk.hung = True

    signal.signal(signal.SIGUSR1, hang)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    try:
        print("mounted", flush=True)
        disk.run()
    finally:
        os.close(disk.device)  # whoever still reads is told that the disk is gone
        subprocess.run(["fusermount3", "-u", "-z", "-q", "--", folder], check=False)


if __name__ == "__main__":
    main()
