"""The collector is told to come by rarely (process/run.py), so nothing may wait for it."""

import gc
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from tests.serving.conversations import opened, request, talk
from trio_evserver.files.disk import Disk
from trio_evserver.serving.listener import accept_sockets
from trio_evserver.serving.open_site import open_site

RESET = struct.pack("ii", 1, 0)


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param((request(),), id="a small file"),
        pytest.param((request("/big.bin"),), id="a large one, streamed"),
        pytest.param((request("/absent"),), id="none"),
        pytest.param((b"nonsense\r\n\r\n",), id="a refused head"),
        pytest.param((request(), request(), request()), id="several requests"),
    ],
)
async def test_a_connection_leaves_no_cycles(root: Path, pieces: tuple[bytes, ...]) -> None:
    """Whatever a connection was made of is gone when it is, without a collection."""
    async with opened(root) as site:
        await talk(site, *pieces)
        await trio.testing.wait_all_tasks_blocked()
        with leftovers() as ours:
            for _ in range(5):
                await talk(site, *pieces)
            await trio.testing.wait_all_tasks_blocked()
    assert ours == set()


class Waiting(Disk):
    """A disk whose page cache never holds more than a worker has waited for."""

    waits = 0

    def cached_length(self, descriptor: int, device: int, length: int, offset: int) -> int:
        raise BlockingIOError

    def make_resident(self, descriptor: int, length: int, offset: int) -> None:
        self.waits += 1
        super().make_resident(descriptor, length, offset)


async def fetch(address: tuple[str, int]) -> None:
    async with await trio.open_tcp_stream(*address) as client:
        await client.send_all(request("/cold", "Connection: close"))
        assert sum([len(data) async for data in client]) > 100_000


async def reset(address: tuple[str, int]) -> None:
    async with await trio.open_tcp_stream(*address) as client:
        await client.send_all(request("/cold", method="HEAD"))
        assert await client.receive_some()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


@pytest.mark.parametrize("use_hub", [True, False], ids=["hub", "no hub"])
@pytest.mark.parametrize("use", [fetch, reset])
async def test_a_socket_leaves_no_cycles(
    tmp_path: Path, use: Callable[[tuple[str, int]], Awaitable[None]], use_hub: bool
) -> None:
    """Neither where a file had to be waited for, nor where the peer was lost."""
    (tmp_path / "cold").write_bytes(os.urandom(100_000))
    disk = Waiting()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        async with open_site(tmp_path, disk=disk, use_hub=use_hub) as site, trio.open_nursery() as nursery:
            nursery.start_soon(accept_sockets, listener, site, nursery)
            await use(listener.getsockname())
            with leftovers() as ours, trio.fail_after(60):
                for _ in range(5):
                    await use(listener.getsockname())
                while site.connections:
                    await site.wait_connection_ended()
                await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    disk.shutdown()
    assert ours == set()
    assert site.lost == (6 if use is reset else 0)
    assert use is reset or disk.waits or not disk.mounts.is_local(os.stat(tmp_path).st_dev)


@contextmanager
def leftovers() -> Iterator[set[str]]:
    """What of ours the collector finds when the block has ended: the names of the types."""
    ours: set[str] = set()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield ours
        gc.collect()
        ours |= {type(found).__qualname__ for found in gc.garbage if _is_ours(found)}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def _is_ours(found: object) -> bool:
    return type(found).__module__.startswith("trio_evserver.")
