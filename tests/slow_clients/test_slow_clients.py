"""Clients that take their time, over real sockets, 200 at a time: each is got rid of by its own deadline, and
all the while an honest client is answered at once.

That the deadlines are right to the moment is tested on the virtual clock, in tests/serving/test_deadlines.py.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from tests.serving.answers import read_answer
from tests.serving.conversations import request
from tests.slow_clients.crowd import HUGE, LARGE, all_at_once, ask, make, served_meanwhile, unexpected
from tests.soak.processes import Figures, ServerProcess, server_process, until
from tests.soak.wire import wire

COUNT = 200
PATIENCE = 30.0  # seconds, for what takes two: a machine may be busy
LEAST = 5  # honest visits while the slow ones are there
HEAD, BODY, WRITE = (f"--{phase}-timeout=1s" for phase in ("head", "body", "write"))
MEMORY = 8 * 2**20


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return make(tmp_path / "site")


async def slow_head(address: tuple[str, int]) -> None:
    """A field line more now and then, and never the last one: 408."""
    async with wire(address) as client, trio.open_nursery() as nursery:
        await client.say(request("/small.bin")[:-2])

        async def drip() -> None:
            while True:
                await client.say(b"X-A: b\r\n")
                await trio.sleep(0.2)

        nursery.start_soon(drip)
        answer = read_answer(await client.rest())
        nursery.cancel_scope.cancel()
    assert answer.status == 408


async def slow_body(address: tuple[str, int]) -> None:
    """A body of which an octet comes now and then: 408."""
    async with wire(address) as client, trio.open_nursery() as nursery:
        await client.say(request("/small.bin", "Content-Length: 4096"))

        async def drip() -> None:
            while True:
                await client.say(b"x")
                await trio.sleep(0.2)

        nursery.start_soon(drip)
        answer = read_answer(await client.rest())
        nursery.cancel_scope.cancel()
    assert answer.status == 408


async def slow_start(address: tuple[str, int]) -> None:
    """Not an octet is said: the connection is closed without a word, as nobody has asked for one."""
    async with wire(address) as client:
        assert await client.rest() == b""


async def slow_reader(address: tuple[str, int]) -> None:
    """Nothing of the answer is read: the connection ends, and the client knows that not all of it came."""
    async with wire(address, buffer=4096) as client:
        await client.say(request("/huge.bin"))
        await until(client.is_over, PATIENCE, "it is still there")
        assert len(await client.rest()) < HUGE


async def trickling_reader(address: tuple[str, int]) -> None:
    """It reads, but less than the least rate: nobody is kept for hours that way."""
    async with wire(address, buffer=4096) as client:
        await client.say(request("/huge.bin"))
        with trio.fail_after(PATIENCE):
            while not client.is_over():
                await client.rest(1)
                await trio.sleep(0.2)


async def at_rest(server: ServerProcess, sockets: int) -> Figures:
    """What it holds when it has served each file, and nobody is connected."""
    await ask(server.address)
    async with wire(server.address) as client:
        assert (await client.get("/huge.bin", method="HEAD")).status == 200
    await until(lambda: server.figures().sockets == sockets, PATIENCE, "there are still connections")
    return server.figures()


@pytest.mark.parametrize(
    ("client", "options"),
    [
        (slow_head, (HEAD,)),
        (slow_body, (BODY,)),
        (slow_start, (HEAD,)),
        (slow_reader, (WRITE,)),
        (trickling_reader, (WRITE, "--write-rate=64k")),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_slow_clients(
    site: Path, client: Callable[[tuple[str, int]], Awaitable[None]], options: tuple[str, ...]
) -> None:
    """200 of them hold nothing up, do not make the server grow, and are gone once their time is over."""
    async with server_process(site, "--read-ahead-memory", str(MEMORY), *options) as server:
        before = await at_rest(server, server.figures().sockets)
        with trio.fail_after(2 * PATIENCE):
            async with served_meanwhile(server, LEAST):
                await all_at_once(client, COUNT, server.address)
        after = await at_rest(server, before.sockets)
        assert after.files == before.files
        assert after.memory - before.memory < 2 * MEMORY + COUNT * 128 * 1024
        assert await server.stop() == 0
        assert unexpected(server.log()) == []


async def test_an_honest_slow_download(site: Path) -> None:
    """It takes several times the deadline of a stalled reply, and every octet arrives: what is asked for is
    progress.
    """
    async with server_process(site, WRITE, "--write-rate=16k") as server:
        async with wire(server.address, buffer=32 * 1024) as client:
            await client.say(request("/large.bin"))
            answer = await client.answer(step=40_000, pause=0.05)
        assert (answer.status, answer.body) == (200, LARGE)
        assert await server.stop() == 0
