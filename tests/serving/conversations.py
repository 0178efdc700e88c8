"""Conversations with a site over memory streams: what a peer says, and what it hears.

No thread runs in them, because a virtual clock jumps while one does: file calls run inline.
"""

import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from trio_evserver.files.workers import Hand
from trio_evserver.observe.access_log import AccessLog
from trio_evserver.semantics.message import Request
from trio_evserver.serving.open_site import open_site
from trio_evserver.serving.options import Options
from trio_evserver.serving.server import serve_connection
from trio_evserver.serving.site import Site

NOW = 2_000_000_000.5
"""What the site's clock says: 18 May 2033, when every file made by a test is settled."""
DATE = "Wed, 18 May 2033 03:33:20 GMT"


async def run_inline(job: Callable[[], None], /, *, abandon_on_cancel: bool, limiter: Hand) -> None:
    """In place of `trio.to_thread.run_sync`: the same, without a thread."""
    borrower = object()
    await limiter.acquire_on_behalf_of(borrower)
    try:
        job()
    finally:
        limiter.release_on_behalf_of(borrower)


class Recorder(AccessLog):
    """An access log that only remembers: peer, method, status, bytes of body."""

    def __init__(self) -> None:
        self.records: list[tuple[object, str | None, int, int]] = []

    def record(self, peer: object, when: float, request: Request | None, status: int, sent: int) -> None:
        method = None if request is None else request.method.decode()
        self.records.append((peer, method, int(status), sent))


@asynccontextmanager
async def opened(
    root: Path, options: Options = Options(), *, access_log: AccessLog | None = None
) -> AsyncIterator[Site]:
    """A site whose clock stands still and that starts no threads. What hangs in the block fails."""
    virtual = isinstance(trio.lowlevel.current_clock(), MockClock)
    async with open_site(
        root, options, access_log=access_log, run_sync=run_inline, clock=lambda: NOW
    ) as site:
        # Only now: the root was opened in a thread, during which a virtual clock would jump to this deadline.
        with trio.fail_after(3600 if virtual else 60):
            yield site


def request(
    target: str = "/ten.txt", *fields: str, method: str = "GET", version: str = "1.1", body: bytes = b""
) -> bytes:
    """A request; the Host field that HTTP/1.1 wants is added."""
    lines = [f"{method} {target} HTTP/{version}", *(["Host: h"] if version == "1.1" else []), *fields, "", ""]
    return "\r\n".join(lines).encode() + body


class Peer:
    """The client's end of a connection over memory streams; all that is said to it is heard at once."""

    def __init__(self, stream: trio.abc.HalfCloseableStream, nursery: trio.Nursery) -> None:
        self._stream = stream
        self._heard = bytearray()
        self.closed = False
        """Whether the server has ended its side."""
        nursery.start_soon(self._listen)

    async def _listen(self) -> None:
        async for data in self._stream:
            self._heard += data
        self.closed = True

    async def say(self, *pieces: bytes) -> None:
        """Send the pieces, each once the server has done with the one before. What comes after the server
        has closed is lost, as it would be on a network.
        """
        for piece in pieces:
            try:
                await self._stream.send_all(piece)
            except trio.BrokenResourceError:
                return
            await wait_all_tasks_blocked()

    async def end(self) -> None:
        """End our side."""
        await self._stream.send_eof()
        await wait_all_tasks_blocked()

    async def hear(self) -> bytes:
        """What the server has said since the last time."""
        await wait_all_tasks_blocked()
        heard = bytes(self._heard)
        self._heard.clear()
        return heard


def connect(site: Site, nursery: trio.Nursery) -> Peer:
    """A connection to the site, served in the nursery."""
    ours, theirs = memory_stream_pair()
    nursery.start_soon(serve_connection, theirs, site)
    return Peer(ours, nursery)


async def hear_all(peer: trio.abc.ReceiveStream) -> bytes:
    """What the server says until it closes."""
    return b"".join([bytes(data) async for data in peer])


async def talk(site: Site, *pieces: bytes) -> bytes:
    """What the server says to a peer that sends the pieces one by one and then ends its side."""
    async with trio.open_nursery() as nursery:
        peer = connect(site, nursery)
        await peer.say(*pieces)
        await peer.end()
    assert peer.closed
    return await peer.hear()


BUFFER = 32 * 1024


def small_listener() -> socket.socket:
    """A listening socket whose connections have small buffers, so that a reader that stalls soon shows."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    listener.setblocking(False)
    return listener


async def connect_small(listener: socket.socket) -> trio.SocketStream:
    """A client's connection to it, with small buffers too."""
    client = trio.socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    await client.connect(listener.getsockname())
    return trio.SocketStream(client)


def open_descriptors() -> set[tuple[int, int, int]]:
    """The process's descriptors, each with the device and inode of what it is open on."""
    found = set()
    for name in os.listdir("/dev/fd"):
        with suppress(OSError):  # the one that the directory was read with
            status = os.fstat(int(name))
            found.add((int(name), status.st_dev, status.st_ino))
    return found
