"""Floods on one connection: 50,000 requests in one write."""

import gc
import socket
from contextlib import suppress
from functools import partial
from pathlib import Path

import trio
from trio.testing import wait_all_tasks_blocked

from tests.amplification.counting import SMALL, counted_site, make, memory_peak, talk
from tests.serving.answers import read_answer
from tests.serving.conversations import request, small_listener
from trio_evserver.serving.server import Server, serve

COUNT = 50_000
FLOOD = request("/small") * COUNT
KIB = 1024
_IN_BETWEEN = 100
"""Answers of the flood that go before another's: a burst is 16, and an exchange takes a few turns."""


async def test_memory(tmp_path: Path) -> None:
    """A client that asks for 50,000 answers and reads none is answered as far as the buffers of its socket
    reach, and costs some KiB.
    """
    listener: socket.socket = small_listener()
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(partial(serve, make(tmp_path / "site"), listeners=[listener]))
        with trio.fail_after(60), trio.socket.socket() as client:
            await client.connect(listener.getsockname())
            await ask_once(listener.getsockname())
            gc.collect()
            with memory_peak() as peak:
                nursery.start_soon(send_all, client, FLOOD)
                await wait_all_tasks_blocked(0.1)  # the server on its client, and perhaps the client on it
                answered = server.statistics().responses[200]
            assert 10 < answered < COUNT // 10
            assert peak.bytes <= 256 * KIB
        await server.drain()


async def ask_once(address: tuple[str, int]) -> None:
    """Another client, whose answer is right."""
    with trio.socket.socket() as client:
        await client.connect(address)
        await client.send(request("/small", "Connection: close"))
        heard = b""
        while data := await client.recv(65536):
            heard += data
    assert read_answer(heard).body == SMALL


async def send_all(client: trio.socket.SocketType, data: bytes) -> None:
    """As far as the client lives to send it."""
    view = memoryview(data)
    with suppress(trio.ClosedResourceError):
        while view:
            view = view[await client.send(view) :]


async def test_others_are_answered_in_between(tmp_path: Path) -> None:
    """While the flood is answered another client asks 20 times, and waits for a hundred of its answers at the
    most, each time; at the end all 50,000 are there, for a system call on the file each at the most.
    """
    async with counted_site(make(tmp_path / "site")) as (site, disk):
        await talk(site, request("/small"))
        disk.forget()
        heard: list[bytes] = []

        async def flood() -> None:
            heard.append(await talk(site, FLOOD))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood)
            while site.statistics().responses[200] < 10:
                await trio.lowlevel.checkpoint()
            for _ in range(20):
                before = site.statistics().responses[200]
                assert read_answer(await talk(site, request("/small"))).body == SMALL
                assert site.statistics().responses[200] - before <= _IN_BETWEEN
            assert not heard, "it was over before"
        assert (disk.opened, disk.bytes) == (0, 0)
        # A look at the file for each answer at the most: that it is still the same.
        assert disk.calls.total() <= COUNT + 20
    (all_of_it,) = heard
    first = all_of_it[: len(all_of_it) // COUNT]
    assert read_answer(first).body == SMALL
    assert all_of_it.count(SMALL) == COUNT
    assert len(all_of_it) == COUNT * len(first)
