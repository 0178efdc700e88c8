"""A client that leaves while its answer waits for a disk: its connection does not outlive it until then."""

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.conftest import BIG, TEN
from tests.files.making import SlowDisk
from tests.serving.answers import read_answer
from tests.serving.conversations import hear_all, request
from trio_evserver.files.options import FileOptions
from trio_evserver.serving.hub import open_hub
from trio_evserver.serving.listener import accept_sockets
from trio_evserver.serving.open_site import open_site
from trio_evserver.serving.options import Options
from trio_evserver.serving.site import Site

OPTIONS = Options(files=FileOptions(threads=1, patience=60, cached_reads=False))


@asynccontextmanager
async def held_up(root: Path) -> AsyncIterator[tuple[Site, SlowDisk, tuple[str, int]]]:
    """A site on a disk that does not answer until it is let go, and its address."""
    disk = SlowDisk()
    disk.hold()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    async with open_site(root, OPTIONS, disk=disk) as site, trio.open_nursery() as nursery:
        with listener, trio.fail_after(30):
            nursery.start_soon(accept_sockets, listener, site, nursery)
            try:
                yield site, disk, listener.getsockname()
            finally:
                disk.let_go()
                nursery.cancel_scope.cancel()
    disk.shutdown()


async def ask(site: Site, address: tuple[str, int], data: bytes) -> trio.SocketStream:
    """A client whose request waits for the disk, or behind one that does."""
    before = site.statistics().connections
    client = await trio.open_tcp_stream(*address)
    await client.send_all(data)
    while site.statistics().connections == before or not site.statistics().reads.in_flight:
        await wait_all_tasks_blocked()
    await wait_all_tasks_blocked()
    return client


async def reset(client: trio.SocketStream) -> None:
    """Leave as a process that is killed with something unread does."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await client.aclose()


@pytest.fixture(autouse=True)
def hub() -> None:
    hub = open_hub()
    if hub is None:
        pytest.skip("only the hub tells who does not wait")
    hub.close()


async def test_a_client_that_is_gone(root: Path) -> None:
    """Both the one whose file is being opened and the one that is behind it in the queue: their connections
    end while the disk still hangs, each counts as lost, and what they began is there for others later.
    """
    async with held_up(root) as (site, disk, address):
        clients = [await ask(site, address, request(target)) for target in ("/big.bin", "/ten.txt")]
        assert (site.statistics().connections, site.statistics().reads.waiting) == (2, 1)
        for left, client in zip((1, 0), clients, strict=True):
            await reset(client)
            while site.statistics().connections > left:
                await site.wait_connection_ended()
        assert (site.statistics().lost, site.statistics().responses) == (2, {})
        assert site.statistics().reads.in_flight == 1
        disk.let_go()
        async with await trio.open_tcp_stream(*address) as client:
            await client.send_all(request("/ten.txt", "Connection: close"))
            assert read_answer(await hear_all(client)).body == TEN


async def test_a_client_that_has_said_all(root: Path) -> None:
    """Who only ends his own side, as HTTP allows, waits for his answer, and has it."""
    async with held_up(root) as (site, disk, address):
        async with await ask(site, address, request("/big.bin")) as client:
            await client.send_eof()
            async with await ask(site, address, request("/ten.txt")) as other:
                await reset(other)  # by the time that this was noticed the other one was, too
                while site.statistics().connections > 1:
                    await site.wait_connection_ended()
            disk.let_go()
            assert read_answer(await hear_all(client)).body == BIG
        assert site.statistics().lost == 1
