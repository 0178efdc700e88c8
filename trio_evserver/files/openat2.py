"""openat2(2), which CPython has no binding for (cpython#141878): its number, its flags and how to call it."""

import ctypes
import errno
import os
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

Syscall: TypeAlias = Callable[..., int]

# All architectures share the number but alpha, where a trial fails and the fallback serves.
OPENAT2 = 437
AT_FDCWD = -100
# The RESOLVE_ flags of linux/openat2.h.
NO_XDEV, NO_MAGICLINKS, NO_SYMLINKS, BENEATH, CACHED = 0x01, 0x02, 0x04, 0x08, 0x20


class OpenHow(ctypes.Structure):
    """struct open_how: flags, mode, resolve."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


SIZE = ctypes.sizeof(OpenHow)


@cache
def how(flags: int, resolve: int) -> Any:
    """A pointer to these arguments; there are few, and the kernel does not write to them."""
    return ctypes.byref(OpenHow(flags, 0, resolve))


def bind(library: type[ctypes.CDLL]) -> Syscall:
    """syscall(2) with the arguments of openat2; where it fails it returns -1 and `ctypes.get_errno` tells."""
    syscall = library(None, use_errno=True).syscall
    syscall.argtypes = (
        ctypes.c_long,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.POINTER(OpenHow),
        ctypes.c_size_t,
    )
    syscall.restype = ctypes.c_long
    bound: Syscall = syscall
    return bound


def open_at(syscall: Syscall, directory: int, path: bytes, resolve: int, flags: int) -> int:
    """A descriptor of `path`, looked for from `directory`. Raises OSError."""
    arguments = how(flags, resolve)
    while True:
        descriptor = syscall(OPENAT2, directory, path, arguments, SIZE)
        if descriptor >= 0:
            return descriptor
        code = ctypes.get_errno()
        if code != errno.EINTR:
            raise OSError(code, os.strerror(code))
