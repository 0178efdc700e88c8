"""Faults below the sockets of a server: the n-th call of one kind fails, whichever connection makes it.

What is replaced is the listening socket, the sockets that it accepts, the hub's epoll, and what the rooms
call of the modules `select` and `fcntl`; every line above the system calls is the real one.
"""

import errno
import fcntl
import os
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, cast

import pytest

from tests.serving.conversations import BUFFER
from trio_evserver.serving import listener as listener_module
from trio_evserver.serving import open_site as open_site_module
from trio_evserver.serving import socket_transport as transport_module
from trio_evserver.serving.hub import Hub

SHORT = 0
"""In place of an error: one byte is taken, or comes."""


class Calls:
    """The system calls of a server's sockets, of which the n-th after `arm` fails."""

    def __init__(self) -> None:
        self._call, self._code, self._countdown = "", 0, 0
        self.epoll: Epoll | None = None
        self.fired = False

    def arm(self, call: str, code: int, n: int) -> None:
        """From now on, the n-th call of this kind."""
        self._call, self._code, self._countdown, self.fired = call, code, n, False

    def disarm(self) -> None:
        """No more faults."""
        self._call = ""

    def is_short(self, call: str) -> bool:
        """Whether this call is cut short. Raises OSError if it is its turn to fail."""
        if call != self._call:
            return False
        self._countdown -= 1
        if self._countdown:
            return False
        self.fired = True
        if self._code != SHORT:
            raise OSError(self._code, os.strerror(self._code))
        return True

    def run(self, call: str, real: Callable[..., Any], *arguments: Any) -> Any:
        """`real(*arguments)`, or the fault."""
        self.is_short(call)
        return real(*arguments)


class Listening(socket.socket):
    """A listening socket on a free port, whose connections have small buffers."""

    def __init__(self, calls: Calls) -> None:
        super().__init__()
        self._calls = calls
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        self.bind(("127.0.0.1", 0))
        self.listen()
        self.setblocking(False)

    def accept(self) -> "tuple[Accepted, object]":
        self._calls.is_short("accept")
        descriptor, peer = self._accept()  # type: ignore[attr-defined]  # what socket.accept itself is made of
        return Accepted(self._calls, descriptor), peer


class Accepted(socket.socket):
    """A connection of it."""

    def __init__(self, calls: Calls, descriptor: int) -> None:
        super().__init__(fileno=descriptor)
        self._calls = calls

    def setblocking(self, flag: bool) -> None:
        self._calls.run("setblocking", super().setblocking, flag)

    def setsockopt(self, *arguments: Any) -> None:
        self._calls.run("setsockopt", super().setsockopt, *arguments)

    def getsockopt(self, *arguments: Any) -> Any:
        return self._calls.run("getsockopt", super().getsockopt, *arguments)

    def shutdown(self, how: int) -> None:
        self._calls.run("shutdown", super().shutdown, how)

    def close(self) -> None:
        super().close()  # whatever it says, the descriptor is gone: close(2)
        self._calls.is_short("close")

    def recv(self, size: int, *rest: Any) -> bytes:
        return super().recv(1 if self._is_short("recv") else size)

    def send(self, data: Any, *rest: Any) -> int:
        return super().send(memoryview(data)[:1] if self._is_short("send") else data, *rest)

    def sendmsg(self, buffers: Any, *rest: Any) -> int:
        if self._is_short("sendmsg"):
            return super().send(memoryview(buffers[0])[:1])
        return super().sendmsg(buffers)

    def _is_short(self, call: str) -> bool:
        try:
            short = self._calls.is_short(call)
        except BlockingIOError:
            self._tell_again()
            raise
        if short:
            self._tell_again()
        return short

    def _tell_again(self) -> None:
        """After a call that did not wait, or took less than there was, the kernel tells of the next change;
        here nothing changes, so the hub has to be told by hand.
        """
        if self._calls.epoll is not None:
            self._calls.epoll.tell_again(self.fileno())


class Epoll:
    """An epoll whose calls can fail."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._real = select.epoll()
        self._masks: dict[int, int] = {}
        calls.epoll = self
        self.fileno, self.close, self.unregister = self._real.fileno, self._real.close, self._real.unregister

    def register(self, descriptor: int, mask: int) -> None:
        self._calls.run("epoll_ctl", self._real.register, descriptor, mask)
        self._masks[descriptor] = mask

    def poll(self, *arguments: Any) -> Any:
        return self._calls.run("epoll_wait", self._real.poll, *arguments)

    def tell_again(self, descriptor: int) -> None:
        """EPOLL_CTL_MOD looks anew, and tells what it finds; what is not watched yet is told of then."""
        with suppress(KeyError, FileNotFoundError):
            self._real.modify(descriptor, self._masks[descriptor])


class Poll:
    """A poll object whose calls can fail."""

    def __init__(self, calls: Calls, name: str) -> None:
        self._calls = calls
        self._name = name
        self._real = select.poll()
        self.register = self._real.register

    def poll(self, *arguments: Any) -> Any:
        return self._calls.run(self._name, self._real.poll, *arguments)


def failing_sockets(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """The calls of all sites that are opened from now on; none of them fails yet."""
    calls = Calls()
    if hasattr(select, "epoll"):
        monkeypatch.setattr(open_site_module, "open_hub", lambda: Hub(cast("Any", Epoll(calls))))
    monkeypatch.setattr(transport_module, "poll", lambda: Poll(calls, "poll"))
    monkeypatch.setattr(transport_module, "ioctl", partial(calls.run, "ioctl", fcntl.ioctl))
    monkeypatch.setattr(listener_module, "poll", lambda: Poll(calls, "poll of the listener"))
    return calls


def name_of(code: int) -> str:
    """How an error is called."""
    return errno.errorcode[code] if code else "one byte"
