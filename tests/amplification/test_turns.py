"""The work of one turn of the event loop: however fast a client sends, the others have their turns."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.amplification.counting import counted_site, make
from tests.serving.conversations import request
from trio_evserver.serving import socket_transport as transport_module
from trio_evserver.serving.attendants import converse
from trio_evserver.serving.readiness import TrioReadiness
from trio_evserver.serving.site import Site
from trio_evserver.serving.socket_transport import SocketTransport
from trio_evserver.serving.transport import RECEIVE

BUFFER = 256 * 1024
_MOST = 8  # receives of 16 KiB: two bursts of four can meet, as Trio shuffles who runs first in a turn

CHUNKS = request("/small", "Transfer-Encoding: chunked", body=b"1\r\nx\r\n" * 30_000 + b"0\r\n\r\n")
LENGTH = request("/small", "Content-Length: 180000", body=b"x" * 180_000)
HEADS = request("/small", *(f"X-{n}: {'a' * 4000}" for n in range(4))) * 11


class Counting(socket.socket):
    """A socket that counts something: in this `turn`, at `most` in one, and in `all`."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__(fileno=connected.detach())
        self.turn = self.most = self.all = 0

    def count(self, number: int) -> int:
        self.turn += number
        self.most = max(self.most, self.turn)
        self.all += number
        return number


class Watched(Counting):
    """Counts how often something was received."""

    def recv(self, *arguments: Any) -> bytes:
        data = super().recv(*arguments)
        self.count(bool(data))
        return data


async def turns(connected: Counting) -> None:
    """Each of them begins a new count."""
    while True:
        connected.turn = 0
        await trio.lowlevel.checkpoint()


async def serve(connected: Counting, site: Site) -> None:
    """The site on this connection, until it ends."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(turns, connected)
        site.connection_began()
        await converse(SocketTransport(connected, TrioReadiness(connected)), site)
        nursery.cancel_scope.cancel()


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
    async with counted_site(make(tmp_path / "site")) as (site, _):
        connected = Watched(theirs)
        await serve(connected, site)
        assert site.statistics().responses == {200: said.count(b"GET ")}
    ours.close()
    assert connected.all >= len(said) / RECEIVE
    assert connected.most <= _MOST


SIZE = 200 * 1024


class Swift(Counting):
    """Takes whatever it is sent at once, and counts its bytes."""

    def send(self, data: Any, *flags: Any) -> int:
        return self.count(len(data))

    def sendmsg(self, buffers: Any, *rest: Any) -> int:
        return self.count(sum(map(len, buffers)))

    def send_file(self, out: int, source: int, offset: int, count: int) -> int:
        """As `os.sendfile`."""
        assert out == self.fileno()
        return self.count(count)


async def test_bytes_sent_in_a_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    async with counted_site(tmp_path / "site") as (site, _):
        connected = Swift(theirs)
        monkeypatch.setattr(transport_module, "sendfile", connected.send_file)
        await serve(connected, site)
        assert site.statistics().responses == {200: 20}
    ours.close()
    assert connected.all >= 20 * SIZE
    assert connected.most <= 2 * (1024 * 1024 + SIZE)  # two bursts can meet, as above
