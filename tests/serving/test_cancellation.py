"""Cancelled at its first step, at its second, and so on until nothing is left to cancel, a conversation never
leaves anything behind: no descriptor, no lease, no token of the limiter, no byte of the read-ahead's memory.
"""

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import cycle
from pathlib import Path

import pytest
import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from tests.conftest import BIG, TEN
from tests.serving.answers import read_answers
from tests.serving.conversations import NOW, open_descriptors, request, run_inline
from trio_evserver.files.capabilities import Capabilities
from trio_evserver.files.disk import Disk
from trio_evserver.files.options import FileOptions
from trio_evserver.files.workers import RunSync
from trio_evserver.serving import listener as listener_module
from trio_evserver.serving.admission import AcceptQueue
from trio_evserver.serving.open_site import open_site
from trio_evserver.serving.options import Options
from trio_evserver.serving.server import Server, serve, serve_connection
from trio_evserver.serving.site import Site

# Everything on the way of a request at least once: a hot file and a cold one, several reads at a time, a
# range, a refusal, a body, an interim answer.
CONVERSATION = (
    request("/big.bin")
    + request("/ten.txt")
    + request("/big.bin", "Range: bytes=5-7,100000-")
    + request("/nothing")
    + request("/", "Content-Length: 2", body=b"ab")
    + request("/", "Content-Length: 2", "Expect: 100-continue", "Connection: close")
)
STATUSES = [200, 200, 206, 404, 200, 100, 200]
# The ends that linger over what the peer is still sending: a body that nobody wants, and what is no HTTP.
REFUSED = [request("/", "Content-Length: 2", method="POST", body=b"ab"), b"GET\r\n\r\n"]


class CancelAt(trio.abc.Instrument):
    """Cancels a scope when so many steps of tasks have been taken."""

    def __init__(self, scope: trio.CancelScope, steps: int) -> None:
        self._scope = scope
        self.left = steps

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.left -= 1
        if self.left == 0:
            self._scope.cancel()


async def converse_until(site: Site, steps: int) -> bytes | None:
    """The conversation, cancelled after so many steps; what was heard, None where it was cancelled."""
    ours, theirs = memory_stream_pair()
    heard = bytearray()

    async def client() -> None:
        await ours.send_all(CONVERSATION)
        async for data in ours:
            if data.endswith(b"100 Continue\r\n\r\n"):
                with suppress(trio.BrokenResourceError):  # cancelled in the meantime
                    await ours.send_all(b"ab")
            heard.extend(data)

    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            instrument = CancelAt(scope, steps)
            nursery.start_soon(client)
            trio.lowlevel.add_instrument(instrument)
            try:
                await serve_connection(theirs, site)
            finally:
                trio.lowlevel.remove_instrument(instrument)
    return None if scope.cancelled_caught else bytes(heard)


@pytest.fixture(autouse=True)
def swift_turns() -> Iterator[None]:
    """Waiting for a thread without sleeping takes the interpreter from it: it is to have it back soon."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.00001)
    yield
    sys.setswitchinterval(before)


async def settled(site: Site) -> None:
    """Until the reads that were left behind have returned."""
    while site.statistics().reads.in_flight:
        await trio.lowlevel.checkpoint()
    await wait_all_tasks_blocked()


def inline() -> RunSync:
    return run_inline


def in_threads() -> RunSync:
    return trio.to_thread.run_sync  # type: ignore[return-value]  # as in Workers


# Nothing is kept, so that a descriptor that is open is one that leaked; reads go to the workers, small ones.
UNCACHED = Options(files=FileOptions(cache_size=0, cached_reads=False, chunk_size=64 * 1024))
CACHED = Options(files=FileOptions(chunk_size=64 * 1024))


@pytest.mark.parametrize("run_sync", [inline, in_threads])
@pytest.mark.parametrize("openat2", [True, False])
async def test_every_checkpoint(root: Path, run_sync: Callable[[], RunSync], openat2: bool) -> None:
    """After each of the cancelled ones all is given back, and the next conversation works."""
    disk = Disk(Capabilities(openat2=openat2))
    async with open_site(root, UNCACHED, disk=disk, run_sync=run_sync(), clock=lambda: NOW) as site:
        before = open_descriptors()
        steps, heard = 0, None
        while heard is None:
            steps += 1
            heard = await converse_until(site, steps)
            await settled(site)
            assert open_descriptors() == before, f"cancelled after {steps} steps"
            statistics = site.statistics()
            assert (statistics.connections, statistics.held, statistics.reads.waiting) == (0, 0, 0)
        answers = read_answers(heard)
        assert [answer.status for answer in answers] == STATUSES
        assert (answers[0].body, answers[1].body) == (BIG, TEN)
        assert steps > 20
    disk.shutdown()


async def test_every_checkpoint_with_the_cache(root: Path) -> None:
    """With the cache, too, nothing but its own entries is open afterwards, and with the site those go."""
    before = open_descriptors()
    async with open_site(root, CACHED, run_sync=run_inline, clock=lambda: NOW) as site:
        steps, heard = 0, None
        while heard is None:
            steps += 1
            heard = await converse_until(site, steps)
            await settled(site)
            assert site.statistics().connections == site.statistics().held == 0
    assert open_descriptors() == before


async def test_the_site_is_cancelled(root: Path) -> None:
    """The same where it is the site itself that is cancelled, with the fills of its cache."""
    before = open_descriptors()
    for steps in range(1, 60):
        with trio.CancelScope() as scope:
            async with open_site(root, UNCACHED, run_sync=run_inline, clock=lambda: NOW) as site:
                ours, theirs = memory_stream_pair()
                await ours.send_all(CONVERSATION)
                instrument = CancelAt(scope, steps)
                trio.lowlevel.add_instrument(instrument)
                try:
                    await serve_connection(theirs, site)
                finally:
                    trio.lowlevel.remove_instrument(instrument)
        await wait_all_tasks_blocked()
        assert open_descriptors() == before, f"cancelled after {steps} steps"


async def visit(address: tuple[str, int], said: bytes) -> bytes:
    """What a client hears on a connection of its own until it ends, however that is."""
    heard = bytearray()
    async with await trio.open_tcp_stream(*address) as client:
        with suppress(trio.BrokenResourceError):
            await client.send_all(said)
            async for data in client:
                heard += data
    return bytes(heard)


async def live_until(root: Path, steps: int, heard: list[bytes]) -> bool:
    """The life of a server: it accepts, serves, refuses and turns away, and drains amid an answer; cancelled
    after so many steps. Whether it was.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    address = listener.getsockname()
    with trio.CancelScope() as scope:
        instrument = CancelAt(scope, steps)
        trio.lowlevel.add_instrument(instrument)
        try:
            async with trio.open_nursery() as nursery:
                start = partial(serve, root, UNCACHED, listeners=[listener])
                server: Server = await nursery.start(start)
                for said in (request("/big.bin", "Connection: close"), *REFUSED, request()):
                    heard.append(await visit(address, request() + said))
                nursery.start_soon(visit, address, request("/big.bin"))
                while server.statistics().accepted < 5:
                    await trio.lowlevel.checkpoint()
                await server.drain()
        finally:
            trio.lowlevel.remove_instrument(instrument)
    return scope.cancelled_caught


async def test_every_checkpoint_of_a_server(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing of a server is open when it has ended, whenever it was cancelled: neither what it listens on,
    nor what it had accepted, nor what it read from.
    """
    monkeypatch.setattr(AcceptQueue, "is_persistent", property(lambda queue: True))
    before = open_descriptors()
    steps, cancelled = 0, True
    while cancelled:
        steps += 1
        turns = cycle((False, False, False, True))  # the fourth of them is turned away at the door
        monkeypatch.setattr(
            listener_module, "has_waited_too_long", lambda connected, turns=turns: next(turns)
        )
        heard: list[bytes] = []
        cancelled = await live_until(root, steps, heard)
        with trio.fail_after(10):  # for reads that were left behind
            while open_descriptors() != before:
                await trio.lowlevel.checkpoint()
    assert steps > 40
    statuses = [[answer.status for answer in read_answers(one)] for one in heard]
    assert statuses == [[200, 200], [200, 405], [200, 400], [503]]
    assert {"waited too long" in record.getMessage() for record in caplog.records} == {True}


async def test_a_drain_that_is_cancelled(root: Path) -> None:
    """Who asked for it does not wait for it any more; the server goes on draining, and whoever asks again
    sees it end.
    """
    before = open_descriptors()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(partial(serve, root, UNCACHED, listeners=[listener]))
        async with await trio.open_tcp_stream(*listener.getsockname()) as client:
            await client.send_all(request("/ten.txt")[:-2])
            await wait_all_tasks_blocked()
            with trio.CancelScope() as scope:
                scope.cancel()
                await server.drain()
            assert scope.cancelled_caught
            await client.send_all(b"\r\n")
            heard = b"".join([bytes(data) async for data in client])
        assert [answer.body for answer in read_answers(heard)] == [TEN]
        await server.drain()
        assert server.statistics().connections == 0
    assert open_descriptors() == before
