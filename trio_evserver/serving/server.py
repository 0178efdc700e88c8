"""The composition root: options in, a running server out."""

import os
import socket
from collections.abc import Sequence
from functools import partial
from typing import TypeAlias

import trio

from trio_evserver.observe.access_log import AccessLog
from trio_evserver.serving.attendants import converse
from trio_evserver.serving.binding import ListeningSocket, format_address, open_sockets
from trio_evserver.serving.listener import accept_sockets, accept_streams, peer_of
from trio_evserver.serving.open_site import open_site
from trio_evserver.serving.options import Options
from trio_evserver.serving.site import Site
from trio_evserver.serving.statistics import Statistics
from trio_evserver.serving.stream_transport import StreamTransport

Listener: TypeAlias = socket.socket | trio.abc.Listener[trio.abc.Stream]
"""A listening socket, or any Trio listener."""

_INTERNET = (socket.AF_INET, socket.AF_INET6)


class Server:
    """A running server, as `serve` hands it to its starter."""

    def __init__(
        self,
        site: Site,
        addresses: tuple[tuple[object, ...], ...],
        accepting: trio.CancelScope,
        serving: trio.CancelScope,
    ) -> None:
        self.addresses = addresses
        """What `getsockname` says of each internet socket listened on: (host, port) for IPv4, (host, port,
        flow, scope) for IPv6.
        """
        self._site = site
        self._accepting = accepting
        self._serving = serving
        self._ended = trio.Event()

    def __repr__(self) -> str:
        return f"<Server {' '.join(self.urls)} connections={self._site.connections}>"

    @property
    def urls(self) -> tuple[str, ...]:
        """Where a browser finds the site, an address each."""
        return tuple(f"http://{format_address(address)}/" for address in self.addresses)

    def statistics(self) -> Statistics:
        """Where the server stands."""
        return self._site.statistics()

    async def drain(self) -> None:
        """Stop gracefully, and return when the server has ended.

        No connection is accepted any more, idle ones are closed, answers in flight go on for
        `Options.grace` seconds at most. Cancellation: leaves the server draining.
        """
        if not self._site.draining:
            self._accepting.cancel()
            self._site.drain()
            self._serving.deadline = trio.current_time() + self._site.options.grace
        await self._ended.wait()

    def ended(self) -> None:
        """The last connection has ended."""
        self._ended.set()


async def serve(
    root: str | os.PathLike[str],
    options: Options = Options(),
    *,
    listeners: Sequence[Listener] | None = None,
    access_log: AccessLog | None = None,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the directory, or the single file, `root` until cancelled or drained.

    `await nursery.start(serve, root)` returns a `Server` once it accepts connections. It listens on
    `listeners`, and closes them at the end, or else on what the options name. Raises BindError where it
    cannot listen, ValueError for addresses that are none, OSError where `root` cannot be looked at.

    Cancellation: prompt, every socket is closed. For a graceful stop call `Server.drain`.
    """
    if listeners is None:
        listeners = await trio.to_thread.run_sync(partial(open_sockets, options.bind, options.port))
    unwrapped = [_unwrapped(listener) for listener in listeners]
    try:
        async with open_site(root, options, access_log=access_log) as site:
            await _serve_site(site, unwrapped, task_status)
    finally:
        await _close_all([*unwrapped, *listeners])


async def serve_connection(stream: trio.abc.Stream, site: Site) -> None:
    """Serve HTTP/1.1 on one `stream` of any kind, from its first byte on, and close it.

    Nothing that the peer does is raised. Cancellation: prompt, the stream is closed.
    """
    site.connection_began()
    await converse(StreamTransport(stream), site, peer_of(stream))


async def _serve_site(
    site: Site, listeners: Sequence[Listener], task_status: trio.TaskStatus[Server]
) -> None:
    accepting, connections = trio.CancelScope(), trio.CancelScope()
    server = Server(site, tuple(filter(None, map(_address, listeners))), accepting, connections)
    try:
        with connections:
            async with trio.open_nursery() as handlers:
                with accepting:
                    async with trio.open_nursery() as acceptors:
                        for listener in listeners:
                            if isinstance(listener, socket.socket):
                                acceptors.start_soon(accept_sockets, listener, site, handlers)
                            else:
                                acceptors.start_soon(accept_streams, listener, site, handlers)
                        task_status.started(server)
                await _close_all(listeners)
    finally:
        server.ended()


def _unwrapped(listener: Listener) -> Listener:
    """The socket of Trio's own listener, which is accepted from directly; any other listener as it is."""
    if not isinstance(listener, trio.SocketListener):
        return listener
    unwrapped = ListeningSocket(fileno=os.dup(listener.socket.fileno()))
    unwrapped.setblocking(False)
    return unwrapped


def _address(listener: Listener) -> tuple[object, ...]:
    if not isinstance(listener, socket.socket) or listener.family not in _INTERNET:
        return ()
    return tuple(listener.getsockname())


async def _close_all(listeners: Sequence[Listener]) -> None:
    """Close them, so that a client is refused at once instead of waiting in a queue that nobody empties.

    Cancellation: each is closed all the same.
    """
    with trio.CancelScope(shield=True):
        for listener in listeners:
            if isinstance(listener, socket.socket):
                listener.close()
            else:
                await trio.aclose_forcefully(listener)
