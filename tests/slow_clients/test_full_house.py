"""What happens at --max-connections: idle connections make room at once; those that are busy keep theirs
until their own deadline, and who comes meanwhile waits in the kernel's queue.
"""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from tests.serving.answers import read_answer
from tests.serving.conversations import request
from tests.slow_clients.crowd import SMALL, Meanwhile, ask, make
from tests.soak.processes import server_process
from tests.soak.wire import Wire, wire

PLACES = 20
HEAD = 1.0  # seconds


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return make(tmp_path / "site")


async def fill(house: AsyncExitStack, address: tuple[str, int], more: bytes) -> list[Wire]:
    """As many connections as there may be, each of which had an answer, and has begun to say more."""
    guests = []
    for _ in range(PLACES):
        guest = await house.enter_async_context(wire(address))
        await guest.say(request("/small.bin") + more)
        assert (await guest.answer()).body == SMALL
        guests.append(guest)
    return guests


async def still_answered(guest: Wire) -> bool:
    """Whether the connection is open still; then its next request is answered."""
    try:
        answer = await guest.get("/small.bin")
    except EOFError:
        return False
    assert (answer.status, answer.body) == (200, SMALL)
    return True


async def test_idle_connections_make_room(site: Path) -> None:
    """With a minute of --idle-timeout left to all of them nothing is closed before somebody comes; then a few
    of them are, for the new client, who is answered at once, and the others go on.
    """
    async with (
        server_process(site, "--max-connections", str(PLACES)) as server,
        AsyncExitStack() as house,
    ):
        guests = await fill(house, server.address, b"")
        with trio.fail_after(20):
            assert [await still_answered(guest) for guest in guests] == [True] * PLACES
            await ask(server.address)
            stayed = [await still_answered(guest) for guest in guests]
        assert 0 < stayed.count(True) < PLACES
        assert await server.stop() == 0


async def test_busy_connections_keep_their_place(site: Path) -> None:
    """Clients in the middle of their heads are not idle: each is heard until its deadline. Who comes after
    them waits in the kernel's queue; he is answered then, or told that he has waited too long, and answered
    when he comes again. The server does not spin meanwhile.
    """
    async with (
        server_process(site, "--max-connections", str(PLACES), "--head-timeout", f"{HEAD}s") as server,
        AsyncExitStack() as house,
    ):
        guests = await fill(house, server.address, request("/small.bin")[:-2])
        before = server.processor_time()
        client = Meanwhile()
        with trio.fail_after(20):
            await client.ask(server.address)
        assert client.refused <= 1
        assert server.processor_time() - before < HEAD / 2
        for guest in guests:
            assert read_answer(await guest.rest()).status == 408
        assert await server.stop() == 0
