"""Faults below `Disk`: the n-th system call that it makes fails, as SQLite's own tests have it.

`os` is replaced in disk.py alone, and the two openat2 of a disk by ones that count, so that every line above
the system calls is the real one, by openat2 or by the walk.
"""

import ctypes
import errno
import os
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from trio_evserver.files import disk as disk_module
from trio_evserver.files.capabilities import Capabilities
from trio_evserver.files.disk import Disk


class Fault(NamedTuple):
    """What happens to one call: `code` is the error, 0 for a read that brings `share` of what it should,
    DELAYED for a call that waits to be let go, in a thread that is not the event loop's.

    `calls` are those it can happen to. `statuses` are honest answers while it lasts; `breaks` is whether a
    reply that has begun may be broken off.
    """

    name: str
    code: int
    calls: frozenset[str]
    statuses: frozenset[int]
    breaks: bool = True
    share: float = 0.0


DELAYED = -1
OPENAT2 = "openat2"
READS = frozenset({"pread", "preadv"})
ANY = frozenset({"open", "fstat", "stat", "readlink", OPENAT2}) | READS
DELAY = Fault("delay", DELAYED, ANY | {"close"}, frozenset({200}), breaks=False)
LASTING = [
    Fault("EIO", errno.EIO, ANY, frozenset({200, 500})),
    Fault("EMFILE", errno.EMFILE, ANY, frozenset({200, 503})),
    Fault("ESTALE", errno.ESTALE, ANY, frozenset({200, 500})),
    # A sandbox that closes while the server runs: openat2 was there when it was tried.
    Fault("ENOSYS", errno.ENOSYS, frozenset({OPENAT2}), frozenset({200, 500})),
    Fault("EPERM", errno.EPERM, frozenset({OPENAT2}), frozenset({200, 403})),
    # Renames that never end, or a file under a lease.
    Fault("EAGAIN", errno.EAGAIN, frozenset({OPENAT2, "preadv"}), frozenset({200, 503})),
    Fault("EOPNOTSUPP", errno.EOPNOTSUPP, frozenset({"preadv"}), frozenset({200}), breaks=False),
    Fault("no bytes", 0, READS, frozenset({200, 500})),
]
"""What goes on once it has begun. A lasting EINTR is not among them: nobody is interrupted for ever."""
FAULTS = [
    Fault("EIO", errno.EIO, ANY, frozenset({200, 500})),
    Fault("EACCES", errno.EACCES, ANY, frozenset({200, 403})),
    Fault("EMFILE", errno.EMFILE, ANY, frozenset({200, 503})),
    Fault("ENOMEM", errno.ENOMEM, ANY, frozenset({200, 503})),
    Fault("ENOENT", errno.ENOENT, ANY, frozenset({200, 404})),
    Fault("ESTALE", errno.ESTALE, ANY, frozenset({200, 500})),
    # Python itself tries again after EINTR (PEP 475); ctypes does not.
    Fault("EINTR", errno.EINTR, frozenset({OPENAT2}), frozenset({200}), breaks=False),
    Fault("EAGAIN", errno.EAGAIN, frozenset({OPENAT2, "preadv"}), frozenset({200}), breaks=False),
    Fault("short read", 0, READS, frozenset({200}), breaks=False, share=0.5),
    Fault("no bytes", 0, READS, frozenset({200, 500})),
    Fault("close reports EIO", errno.EIO, frozenset({"close"}), frozenset({200}), breaks=False),
]


class Failing:
    """The system calls of one disk, of which the n-th after `arm` fails, or all from the n-th on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fault: Fault | None = None
        self._countdown = 0
        self._lasting = False
        self._loop = threading.get_ident()
        self.go = threading.Event()
        self.fired = False

    def arm(self, fault: Fault, n: int, *, lasting: bool = False) -> None:
        """From now on, the n-th of the calls that the fault can happen to; if `lasting` those after it,
        too.
        """
        self._fault, self._countdown, self._lasting, self.fired = fault, n, lasting, False
        self.go.clear()

    def disarm(self) -> None:
        """No more faults; what was held up goes on."""
        self._fault = None
        self.go.set()

    def due(self, call: str) -> Fault | None:
        """The fault, if it is this call's turn; a delay is waited for here, and its caller sees none."""
        fault = self._due(call)
        if fault is not DELAY:
            return fault
        assert self.go.wait(10)
        return None

    def _due(self, call: str) -> Fault | None:
        with self._lock:
            fault = self._fault
            if fault is None or call not in fault.calls:
                return None
            if fault is DELAY and threading.get_ident() == self._loop:
                return None
            self._countdown -= 1
            if self._countdown > 0 or (self._countdown < 0 and not self._lasting):
                return None
            self.fired = True
            return fault

    def __getattr__(self, name: str) -> Any:
        """As the module `os`."""
        real = getattr(os, name)
        return self._watched(name, real) if name in ANY or name == "close" else real

    def _watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            fault = self.due(name)
            if fault is None:
                return real(*args, **options)
            if name == "close":  # Linux closes it, whatever it says
                real(*args, **options)
            if fault.code:
                raise OSError(fault.code, os.strerror(fault.code))
            return _less(name, real, fault.share, *args)

        return call

    def syscall(self, real: Callable[..., int]) -> Callable[..., int]:
        """As `real`, the syscall(2) of a C library."""

        def call(*args: Any) -> int:
            fault = self.due(OPENAT2)
            if fault is None:
                return real(*args)
            ctypes.set_errno(fault.code)
            return -1

        return call


def _less(name: str, real: Callable[..., Any], share: float, descriptor: int, what: Any, *rest: Any) -> Any:
    """A read of which only a share of the bytes comes."""
    length = int(share * (what if name == "pread" else len(what[0])))
    if not length:
        return b"" if name == "pread" else 0
    return real(descriptor, length if name == "pread" else [memoryview(what[0])[:length]], *rest)


def failing_disk(monkeypatch: pytest.MonkeyPatch, capabilities: Capabilities) -> tuple[Disk, Failing]:
    """A disk and its system calls, none of which fails yet."""
    failing = Failing()
    monkeypatch.setattr(disk_module, "os", failing)
    disk = Disk(capabilities)
    disk.status_of = failing.stat  # in its class it is os.stat itself, for speed
    for name in ("_waiting", "_resident"):
        if (real := getattr(disk, name)) is not None:
            setattr(disk, name, failing.syscall(real))
    return disk, failing
