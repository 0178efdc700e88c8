"""Everything at once, for a while: honest clients hear nothing but the truth, and the server is afterwards
what it was before.

SOAK_TIME says for how long ("5m", "2h"; 3 s by default), SOAK_SEED repeats what another run has drawn; each
client draws from a seed of its own, so that what it does does not depend on the others.
"""

import os
import random
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import trio

from tests.soak import honest, hostile
from tests.soak.honest import Guest, Visit
from tests.soak.processes import Figures, ServerProcess, server_process, until
from tests.soak.tree import HUGE, MOVING, STILL, Editor, make
from tests.soak.wire import RefusedError, wire
from trio_evserver.files.options import FileOptions
from trio_evserver.http1.limits import Limits
from trio_evserver.quantities import parse_duration
from trio_evserver.serving.options import Options, Timeouts
from trio_evserver.serving.server import Server, serve
from trio_evserver.serving.statistics import Statistics

SEED = os.environ.get("SOAK_SEED") or str(random.SystemRandom().randrange(10**9))
SECONDS = parse_duration(os.environ.get("SOAK_TIME", "3s")) or 3.0

HONEST, HOSTILE = 6, 12
FILE_THREADS = 4
CACHE = READ_AHEAD = 8 * 2**20
CHUNK = 64 * 2**10
# What the two may fill, and for what is in flight; afterwards for what an allocator does not give back.
MEMORY_UNDER_LOAD = CACHE + READ_AHEAD + 32 * 2**20
COST_OF_NOTHING = 4096  # bytes that an entry counts for beside its content
MEMORY_AFTERWARDS = CACHE + 16 * 2**20
_PATIENCE = 60.0  # seconds for a visit: far more than it takes, so that what hangs fails
_MOST_REFUSED = 0.05  # of the honest visits, at the door of a machine that stood still

# Lines that a soak's own doings cause: files edited in place, and a machine that stood still for a moment.
_MESSAGE = (
    "(stopping when .*|a reply was broken off: .*|500 Internal Server Error: the file changed: .*"
    "|503 Service Unavailable: (the connection had waited|more connections than) .*)"
)
EXPECTED_MESSAGE = re.compile(_MESSAGE)
EXPECTED = re.compile("[0-9-]+ [0-9:,]+ (INFO|WARNING|ERROR) " + _MESSAGE)


class Tally(NamedTuple):
    """How often each visit was made; `refused` at the door, and made once more."""

    made: Counter[str]
    refused: Counter[str]


class Soak:
    """Clients who visit until the time is over and each kind of visit has been made."""

    def __init__(self, address: tuple[str, int], site: Path) -> None:
        self.tally = Tally(Counter(), Counter())
        self._address = address
        self._editor = Editor(site, self._chance("editor"))
        self._kinds = {visit.__name__ for visit in honest.VISITS + hostile.VISITS}

    def _chance(self, who: object) -> random.Random:
        return random.Random(f"{SEED} {who}")

    async def once(self) -> None:
        """Each kind of visit, all at the same time."""
        async with self._edits(), trio.open_nursery() as clients:
            for visit in honest.VISITS + hostile.VISITS:
                clients.start_soon(self._one, visit, self._guest(visit.__name__))

    async def run(self, seconds: float) -> None:
        """For so long, and until each kind of visit has been made; then the honest end theirs, and the others
        just leave.
        """
        self._until = trio.current_time() + seconds
        async with self._edits(), trio.open_nursery() as others:
            for number in range(HOSTILE):
                others.start_soon(self._visit, hostile.VISITS, self._guest(f"hostile {number}"))
            async with trio.open_nursery() as clients:
                for number in range(HONEST):
                    clients.start_soon(self._visit, honest.VISITS, self._guest(f"honest {number}"))
            others.cancel_scope.cancel()

    def _over(self) -> bool:
        return trio.current_time() > self._until and self._kinds <= set(self.tally.made)

    def _guest(self, who: str) -> Guest:
        return Guest(self._address, self._chance(who), self._editor)

    async def _visit(self, visits: tuple[Visit, ...], guest: Guest) -> None:
        while True:
            for visit in guest.chance.sample(visits, len(visits)):
                if self._over():
                    return
                await self._one(visit, guest)

    async def _one(self, visit: Visit, guest: Guest) -> None:
        name = visit.__name__
        with trio.fail_after(_PATIENCE):
            try:
                await visit(guest)
            except RefusedError:
                self.tally.refused[name] += 1
            except Exception as error:
                error.add_note(f"in the visit {name!r} of a soak with SOAK_SEED={SEED}")
                raise
        self.tally.made[name] += 1

    @asynccontextmanager
    async def _edits(self) -> AsyncIterator[None]:
        """Files change for as long as the block runs; afterwards each is there, and whole."""

        async def edit() -> None:
            while True:
                self._editor.edit()
                await trio.sleep(0.005)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(edit)
            yield
            nursery.cancel_scope.cancel()
        self._editor.restore()

    def check_refusals(self) -> None:
        """Honest clients were served: hardly one of them was asked to come again."""
        refused, made = (
            sum(counter[visit.__name__] for visit in honest.VISITS)
            for counter in (self.tally.refused, self.tally.made)
        )
        assert refused <= made * _MOST_REFUSED, self.tally


async def ask_for_each(address: tuple[str, int]) -> None:
    """One request for each file there is, so that the cache holds what is there, and nothing else."""
    async with wire(address) as client:
        for target in (*STILL, *MOVING, "/still/", HUGE):
            # Weak as long as the file may still be changing: it is not kept either.
            while (answer := await client.get(target)).fields["ETag"].startswith("W/"):
                continue
            assert target not in STILL or answer.body == STILL[target]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    print(f"SOAK_SEED={SEED} SOAK_TIME={SECONDS:g}s")
    make(tmp_path / "site")
    return tmp_path / "site"


OPTIONS = (
    *hostile.TIMES, *hostile.LIMITS, "--file-threads", str(FILE_THREADS), "--cache-size", str(CACHE),
    "--read-ahead-memory", str(READ_AHEAD), "--chunk-size", str(CHUNK), "--revalidate", "0", "--grace", "3s",
)  # fmt: skip


async def test_a_process(site: Path) -> None:
    """Sockets, files, threads and memory return to where they began, the log has no line that nobody
    expects, and SIGTERM ends it, whatever is still going on.
    """
    async with server_process(site, *OPTIONS) as process:
        sockets = process.figures().sockets
        soak = Soak(process.address, site)
        await soak.once()  # to be warm
        before = await at_rest(process, sockets)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch, process, before)
            await soak.run(SECONDS)
            nursery.cancel_scope.cancel()
        after = await at_rest(process, sockets)
        print(before, after, *soak.tally, sep="\n")
        soak.check_refusals()
        assert after.files == before.files
        assert after.copies <= after.files  # which of them have one depends on who was asked for twice
        assert after.memory <= before.memory + MEMORY_AFTERWARDS
        async with wire(process.address, buffer=4096) as stalled, wire(process.address):
            await stalled.say(b"GET /still/huge.bin HTTP/1.1\r\nHost: h\r\n\r\n")
            with trio.fail_after(_PATIENCE):
                assert await process.stop() == 0
        assert [line for line in process.log() if not EXPECTED.fullmatch(line)] == []


async def at_rest(process: ServerProcess, sockets: int) -> Figures:
    """What it holds once everybody has left and each file has been asked for."""

    def alone() -> bool:
        return process.figures().sockets == sockets

    await until(alone, hostile.PATIENCE, "there are still connections")
    await ask_for_each(process.address)
    await until(alone, hostile.PATIENCE, "there is still a connection")
    return process.figures()


async def watch(process: ServerProcess, before: Figures) -> None:
    """While it runs: no more threads than it may have, nor memory."""
    while True:
        now = process.figures()
        assert now.threads <= before.threads + FILE_THREADS
        assert now.memory <= before.memory + MEMORY_UNDER_LOAD
        await trio.sleep(0.1)


@asynccontextmanager
async def embedded(site: Path) -> AsyncIterator[Server]:
    """A server in this very process, so that it can be asked where it stands; all its reads are made by
    workers.
    """
    options = Options(
        bind=("127.0.0.1",),
        port=0,
        grace=3.0,
        files=FileOptions(
            threads=FILE_THREADS,
            cache_size=CACHE,
            read_ahead_memory=READ_AHEAD,
            chunk_size=CHUNK,
            revalidate=0.0,
            cached_reads=False,
        ),
        limits=Limits(line=2**10, head=2**12, fields=20, body=2**18),
        timeouts=Timeouts(head=2.0, body=2.0, idle=2.0, write=1.0),
    )
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve, site, options)
        yield server
        await server.drain()


async def watch_statistics(server: Server) -> None:
    """While it runs: each bound holds."""
    while True:
        now = server.statistics()
        assert now.reads.in_flight <= now.reads.peak <= FILE_THREADS
        assert now.cache.size <= CACHE
        # Beyond the bound a reply may hold one short chunk, once its client takes some of it.
        assert now.held <= READ_AHEAD + now.connections * CHUNK
        await trio.sleep(0.05)


async def test_an_embedded_server(site: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The bounds that `statistics()` shows hold all the time, and what is held returns to nothing; the cache
    holds afterwards what it held before.
    """
    async with embedded(site) as server:
        address = str(server.addresses[0][0]), int(str(server.addresses[0][1]))
        soak = Soak(address, site)
        await soak.once()
        before = await statistics_at_rest(server, address)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch_statistics, server)
            await soak.run(SECONDS)
            nursery.cancel_scope.cancel()
        after = await statistics_at_rest(server, address)
        print(before, after, *soak.tally, sep="\n")
        soak.check_refusals()
    assert after.held == after.reads.in_flight == after.reads.waiting == 0
    kept_since = after.cache.entries - before.cache.entries  # names that lead to nothing, all of them
    assert after.cache.size - before.cache.size == kept_since * COST_OF_NOTHING
    assert [record for record in caplog.records if record.exc_info] == []
    assert [line for line in caplog.messages if not EXPECTED_MESSAGE.fullmatch(line)] == []


async def statistics_at_rest(server: Server, address: tuple[str, int]) -> Statistics:
    """Where it stands once everybody has left and each file has been asked for."""

    def alone() -> bool:
        now = server.statistics()
        return now.connections == now.reads.in_flight == 0

    await until(alone, hostile.PATIENCE, "there are still connections")
    await ask_for_each(address)
    await until(alone, hostile.PATIENCE, "there is still a connection")
    return server.statistics()
