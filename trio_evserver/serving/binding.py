"""From what to listen on to listening sockets."""

import errno
import ipaddress
import os
import re
import socket
from collections.abc import Sequence
from typing import TypeAlias

# What the kernel's accept queue starts with; it is then bounded by time (admission.py).
_BACKLOG = 1024
# Seconds in which the kernel keeps a connection that has not said anything yet, tcp(7).
_SILENT = 1
# When port 0 is to be the same port of several addresses, another may hold the first one's choice there.
_PORT_TRIES = 16

# An address that a machine without its family, or without that loopback, cannot have.
_NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


Address: TypeAlias = tuple[object, ...]
"""As sockets have it: (host, port) for IPv4, (host, port, flow, scope) for IPv6."""


class BindError(OSError):
    """An address cannot be listened on; the text is a sentence that names it and what to do."""


def parse_bind(specification: str, port: int) -> tuple[str, int]:
    """Host and port of "HOST", "HOST:PORT", "[V6]", "[V6]:PORT" or a bare IPv6 address, with `port` where
    it names none.

    Raises ValueError, whose text names the specification.
    """
    host, port_text = specification, ""
    if specification.startswith("["):
        host, bracket, rest = specification[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{specification!r} is no address: expected [V6] or [V6]:PORT")
        port_text = rest[1:]
    elif specification.count(":") == 1:
        host, _, port_text = specification.partition(":")
    if ":" in host:
        _require_ipv6(host, specification)
    if not host:
        raise ValueError(f"{specification!r} names no host")
    if not port_text:
        return host, port
    if not re.fullmatch("[0-9]{1,5}", port_text) or int(port_text) > 65535:
        raise ValueError(f"{specification!r} has no port from 0 to 65535")
    return host, int(port_text)


def _require_ipv6(host: str, specification: str) -> None:
    try:
        ipaddress.IPv6Address(host)
    except ValueError as error:
        raise ValueError(f"{specification!r} is no IPv6 address: {error}") from None


class ListeningSocket(socket.socket):
    """A listening socket whose `accept` takes a microsecond less: it asks for family and type, of which the
    standard library makes enumerations each time.
    """

    __slots__ = ("family", "type")

    def __init__(self, family: int = -1, type: int = -1, fileno: int | None = None) -> None:
        super().__init__(family, type, fileno=fileno)
        self.family = super().family  # type: ignore[misc]  # a property there, and the reason for all this
        self.type = super().type  # type: ignore[misc]  # the same


def open_sockets(binds: Sequence[str], port: int) -> list[socket.socket]:
    """Listening, non-blocking sockets for `binds`; those with port 0 all get the same free one.

    An address of a family that this machine does not have is left out as long as another one can be had.
    Raises `BindError`; ValueError for a specification that is none. Looks up host names, so it may block.
    """
    wanted = [parse_bind(bind, port) for bind in binds]
    for attempt in range(_PORT_TRIES):
        try:
            return _open_all(wanted)
        except BindError as error:
            free_port = any(not wanted_port for _, wanted_port in wanted)
            if not free_port or error.errno != errno.EADDRINUSE or attempt == _PORT_TRIES - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def _open_all(wanted: Sequence[tuple[str, int]]) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    absent: list[BindError] = []
    free_port = 0
    try:
        for host, port in wanted:
            for family, address in _resolve(host, port or free_port):
                try:
                    listener = _listen(family, address)
                except BindError as error:
                    if error.errno not in _NO_SUCH_ADDRESS:
                        raise
                    absent.append(error)
                    continue
                sockets.append(listener)
                if not port:
                    free_port = listener.getsockname()[1]
        if not sockets:
            raise absent[0]
    except BaseException:
        for listener in sockets:
            listener.close()
        raise
    return sockets


def _resolve(host: str, port: int) -> list[tuple[int, Address]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise BindError(
            errno.EADDRNOTAVAIL, f"{host!r} is not an address that can be listened on: {error.strerror}"
        ) from error
    return list(dict.fromkeys((int(family), address) for family, _, _, _, address in found))


def _listen(family: int, address: Address) -> socket.socket:
    try:
        listener = ListeningSocket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _explained(error, address) from error
    try:
        # So that a restart does not wait for the last life's connections to fade out of TIME_WAIT.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Inherited by every connection: replies are written whole, there is nothing to wait for.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_DEFER_ACCEPT"):
            # Who connects says something at once; when it is accepted, its request is there.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, _SILENT)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise _explained(error, address) from error
    return listener


def _explained(error: OSError, address: Address) -> BindError:
    where = format_address(address)
    reason = {
        errno.EADDRINUSE: "something else is listening there: stop it, or choose another with --port",
        errno.EACCES: "ports below 1024 need a privilege: choose another with --port",
    }.get(error.errno or 0, os.strerror(error.errno or 0))
    return BindError(error.errno, f"cannot listen on {where}: {reason}")


def format_address(address: Address) -> str:
    """HOST:PORT, with an IPv6 host in brackets."""
    host, port = str(address[0]), address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
