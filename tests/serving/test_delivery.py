"""Who takes the end of a reply slowly has time; who does not take it at all, has not."""

import socket
import struct
from pathlib import Path
from termios import TIOCOUTQ
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.conftest import BIG
from tests.serving.conversations import hear_all, opened, request
from trio_evserver.serving import socket_transport as transport_module
from trio_evserver.serving.attendants import converse
from trio_evserver.serving.options import Options, Timeouts
from trio_evserver.serving.readiness import TrioReadiness
from trio_evserver.serving.socket_transport import SocketTransport

OPTIONS = Options(timeouts=Timeouts(head=10, idle=60, write=30, write_rate=250))


class Buffered(socket.socket):
    """A socket that takes everything at once, and whose peer then has `rate` bytes of it a second."""

    def __init__(self, connected: socket.socket, rate: float) -> None:
        super().__init__(fileno=connected.detach())
        self.setblocking(False)
        self.aborted = False
        self.transport = SocketTransport(self, TrioReadiness(self))
        self._rate = rate
        self._start = trio.current_time()

    def ioctl(self, asked: object, request: int, count: bytes) -> bytes:
        """As that of `fcntl`: TIOCOUTQ, how much the peer does not have yet."""
        assert (asked, request) == (self, TIOCOUTQ)
        had = int(self._rate * (trio.current_time() - self._start))
        return struct.pack("i", max(0, self.transport.taken - had))

    def setsockopt(self, *arguments: Any) -> None:
        assert arguments[1] == socket.SO_LINGER
        self.aborted = True


RATES = [
    (1_000_000, False, 60, 61, "all of it has arrived: the connection is idle, and closed as such"),
    (1000, False, 400, 440, "slow, but at it: it is closed once all has arrived"),
    (251, False, 1594, 1650, "as slow as may be"),
    (200, True, 90, 91, "too slow, which shows at the second look: the first is about the whole time"),
    (0, True, 60, 61, "nothing is taken: what the kernel holds is thrown away with the connection"),
]


@pytest.mark.parametrize(("rate", "aborted", "after", "before", "why"), RATES)
async def test_the_end_of_a_reply(
    root: Path,
    rate: float,
    aborted: bool,
    after: float,
    before: float,
    why: str,
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When the last byte has been handed over the connection is idle; the write rate holds all the same, from
    the end of the idle time on.
    """
    async with opened(root, OPTIONS) as site, trio.open_nursery() as nursery:
        ours, theirs = socket.socketpair()
        client = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        await client.send_all(request("/big.bin"))
        connected = Buffered(theirs, rate)
        monkeypatch.setattr(transport_module, "ioctl", connected.ioctl)
        nursery.start_soon(hear_all, client)
        site.connection_began()
        start = trio.current_time()
        await converse(connected.transport, site)
        assert connected.transport.taken > len(BIG), why
        assert connected.aborted is aborted, why
        assert after <= trio.current_time() - start <= before, why
    await client.aclose()
