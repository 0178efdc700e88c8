"""Many slow clients at once, and an honest one who is served all the while."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import trio

from tests.conftest import LONG_AGO
from tests.soak.processes import ServerProcess
from tests.soak.wire import RefusedError, wire

SMALL, LARGE = b"small" * 200, bytes(range(256)) * 8192
HUGE = 32 * 2**20
Client: TypeAlias = Callable[[tuple[str, int]], Awaitable[None]]


def make(site: Path) -> Path:
    """A small file, one of 2 MiB, and one that no socket's buffer holds, so that it is never all sent to a
    client who does not read.
    """
    site.mkdir()
    for name, content in (("small.bin", SMALL), ("large.bin", LARGE)):
        (site / name).write_bytes(content)
        os.utime(site / name, (LONG_AGO, LONG_AGO))
    (site / "huge.bin").touch()
    os.truncate(site / "huge.bin", HUGE)
    return site


async def ask(address: tuple[str, int]) -> None:
    """Both files, each on a new connection, and right."""
    for target, content in (("/small.bin", SMALL), ("/large.bin", LARGE)):
        async with wire(address) as client:
            answer = await client.get(target, "Connection: close")
            assert (answer.status, answer.body) == (200, content)


class Meanwhile:
    """How an honest client fared: right answers, and refusals with Retry-After, when it came again."""

    def __init__(self) -> None:
        self.answered = self.refused = 0

    async def ask(self, address: tuple[str, int]) -> None:
        """Until it is answered."""
        while True:
            try:
                await ask(address)
            except RefusedError:
                self.refused += 1
            else:
                self.answered += 1
                return


@asynccontextmanager
async def served_meanwhile(server: ServerProcess, least: int) -> AsyncIterator[None]:
    """While the block runs an honest client asks again and again, and at least so many times. Each answer is
    right. Some may be refusals to begin with: 200 connections that come at the same moment, each with much to
    send at once, are an overload for that moment, and said to be one. They stay few.
    """
    client = Meanwhile()

    async def keep_asking() -> None:
        while True:
            await client.ask(server.address)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_asking)
        yield
        while client.answered < least:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    print(f"{client.answered} answered, {client.refused} refused")
    assert client.refused <= client.answered


async def all_at_once(client: Client, count: int, address: tuple[str, int]) -> None:
    """So many of these clients, until each of them has done."""
    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(client, address)


def unexpected(log: list[str]) -> list[str]:
    """The lines that neither the end of the server nor a moment of overload explains."""
    expected = (
        "INFO stopping",
        "503 Service Unavailable: the connection had waited",
        "503 Service Unavailable: more",
    )
    return [line for line in log if not any(part in line for part in expected)]
