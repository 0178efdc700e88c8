"""Cancelled at its first step, at its second, and so on until nothing is left to cancel, a conversation never
leaves anything behind: no descriptor, no lease, no token of the limiter, no byte of the read-ahead's memory.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from tests.conftest import BIG, TEN
from tests.serving.answers import read_answers
from tests.serving.conversations import NOW, open_descriptors, request, run_inline
from trio_evserver.files.disk import Capabilities, Disk
from trio_evserver.files.options import FileOptions
from trio_evserver.files.workers import RunSync
from trio_evserver.serving.options import Options
from trio_evserver.serving.server import serve_connection
from trio_evserver.serving.site import Site, open_site

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
    disk.mounts.close()


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
