"""The work of one turn of the event loop: however fast a client sends, the others have their turns."""

import os
import socket
from pathlib import Path
from typing import Any, cast

import pytest
import trio

from tests.amplification.counting import counted_site, make
from tests.serving.conversations import request
from trio_evserver.files.disk import Buffer
from trio_evserver.files.span import Span
from trio_evserver.serving.attendants import converse
from trio_evserver.serving.readiness import TrioReadiness
from trio_evserver.serving.socket_transport import SocketTransport
from trio_evserver.serving.transport import Transport

BUFFER = 256 * 1024
_MOST = 8  # receives of 16 KiB: two bursts of four can meet, as Trio shuffles who runs first in a turn

CHUNKS = request("/small", "Transfer-Encoding: chunked", body=b"1\r\nx\r\n" * 30_000 + b"0\r\n\r\n")
LENGTH = request("/small", "Content-Length: 180000", body=b"x" * 180_000)
HEADS = request("/small", *(f"X-{n}: {'a' * 4000}" for n in range(4))) * 11


class Around:
    """A transport around that of a socket, which does whatever is not said here. `turn` counts in a turn."""

    turn: int
    most: int
    all: int

    def __init__(self, connected: socket.socket) -> None:
        vars(self).update(turn=0, most=0, all=0, real=SocketTransport(connected, TrioReadiness(connected)))

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["real"], name)

    def __setattr__(self, name: str, value: object) -> None:
        if name in vars(self):
            vars(self)[name] = value
        else:
            setattr(self.real, name, value)


class Watched(Around):
    """Remembers how often it received in the same turn at most."""

    async def receive(self) -> bytes:
        data: bytes = await self.real.receive()
        self.turn += bool(data)
        self.most = max(self.most, self.turn)
        return data


async def turns(transport: Around) -> None:
    """Each of them begins a new count."""
    while True:
        transport.turn = 0
        await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("said", [CHUNKS, LENGTH, HEADS], ids=["chunks of one octet", "a body", "long heads"])
async def test_receives_in_a_turn(tmp_path: Path, said: bytes) -> None:
    """180 KiB that are there at once are not read in one turn: chunks of one octet would take 30 ms of it,
    and a client that keeps sending could have all turns.
    """
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        end.setblocking(False)
    assert ours.send(said) == len(said)
    ours.shutdown(socket.SHUT_WR)
    async with counted_site(make(tmp_path / "site")) as (site, _), trio.open_nursery() as nursery:
        transport = Watched(theirs)
        nursery.start_soon(turns, transport)
        site.connection_began()
        await converse(cast("Transport", transport), site)
        nursery.cancel_scope.cancel()
        assert site.statistics().responses == {200: said.count(b"GET ")}
    ours.close()
    assert transport.most <= _MOST


SIZE = 200 * 1024


class Swift(Around):
    """Takes whatever it is sent at once; remembers how many bytes that were in the same turn at most."""

    def send_nowait(self, head: Buffer, body: Buffer = b"") -> int:
        return self._take(len(head) + len(body))

    def send_span_nowait(self, head: bytes, span: Span) -> int:
        return self._take(len(head) + span.length)

    def _take(self, size: int) -> int:
        self.all += size
        self.turn += size
        self.most = max(self.most, self.turn)
        return size


async def test_bytes_sent_in_a_turn(tmp_path: Path) -> None:
    """Nor are 20 replies of 200 KiB sent in one, however fast: about a MiB, and then others have theirs."""
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    make(tmp_path / "site")
    (tmp_path / "site" / "swift").write_bytes(bytes(SIZE))
    os.utime(tmp_path / "site" / "swift", (1_000_000_000, 1_000_000_000))
    said = request("/swift") * 20
    assert ours.send(said) == len(said)
    ours.shutdown(socket.SHUT_WR)
    async with counted_site(tmp_path / "site") as (site, _), trio.open_nursery() as nursery:
        transport = Swift(theirs)
        nursery.start_soon(turns, transport)
        site.connection_began()
        await converse(cast("Transport", transport), site)
        nursery.cancel_scope.cancel()
        assert site.statistics().responses == {200: 20}
    ours.close()
    assert transport.all >= 19 * SIZE  # but for the first, which may come from the disk
    assert transport.most <= 2 * (1024 * 1024 + SIZE)  # two bursts can meet, as above
