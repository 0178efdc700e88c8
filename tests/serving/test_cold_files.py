"""Files that the page cache does not hold, or in part: whatever the way, what is sent is what they hold."""

import errno
import os
import random
import socket
import struct
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest
import trio
import trio.testing

from tests.serving.answers import Answer, read_answer, read_answers
from tests.serving.conversations import NOW, hear_all, open_descriptors, request
from trio_evserver.files import page_cache
from trio_evserver.files.disk import Disk
from trio_evserver.files.options import FileOptions
from trio_evserver.serving.listener import accept_sockets
from trio_evserver.serving.open_site import open_site
from trio_evserver.serving.options import Options
from trio_evserver.serving.site import Site

SIZES = (1, 4096, 16 * 1024 - 1, 16 * 1024, 100_000, 256 * 1024, 512 * 1024, 512 * 1024 + 1, 2_000_000)
FILES = FileOptions()
D = TypeVar("D", bound=Disk)
CONTENT = random.Random("cold").randbytes(max(SIZES))


def put(root: Path, *sizes: int) -> None:
    """Files of these sizes, named by them."""
    for size in sizes:
        with (root / f"{size}").open("wb") as file:
            file.write(CONTENT[:size])
            file.flush()
            os.fsync(file.fileno())  # a dirty page cannot be dropped from the page cache


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put(tmp_path, *SIZES)
    return tmp_path


def chill(root: Path, keep: int = 0) -> None:
    """Have the page cache forget the files, but for so many bytes at the beginning of each."""
    for path in root.iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, keep, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


class Cold(Disk):
    """A disk whose page cache never holds anything when it is asked, and that counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = self.waits = self.reads = 0

    def tells_residency(self, descriptor: int, device: int) -> bool:
        return True

    def begin(self, descriptor: int, device: int, length: int) -> None:
        pass

    def cached_length(self, descriptor: int, device: int, length: int, offset: int) -> int:
        self.asked += 1
        raise BlockingIOError(errno.EAGAIN, "cold")

    def read_cached(self, descriptor: int, device: int, buffer: memoryview, offset: int) -> int:
        self.asked += 1
        raise BlockingIOError(errno.EAGAIN, "cold")

    def has_come(self, descriptor: int, device: int, length: int, offset: int) -> bool:
        return False

    def make_resident(self, descriptor: int, length: int, offset: int) -> None:
        self.waits += 1
        super().make_resident(descriptor, length, offset)

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        self.reads += 1
        return super().read(descriptor, length, offset)


class Blocked(Cold):
    """The same, of which nothing comes until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.has_begun = False

    def make_resident(self, descriptor: int, length: int, offset: int) -> None:
        self.has_begun = True
        assert self.go.wait(10)
        super().make_resident(descriptor, length, offset)


def on_local(disk: D, place: Path) -> D:
    """The disk, where it is asked from the event loop at all."""
    if not disk.mounts.is_local(os.stat(place).st_dev):
        disk.shutdown()
        pytest.skip("the temporary folder is on no local file system")
    return disk


@asynccontextmanager
async def serving(
    root: Path, files: FileOptions = FILES, disk: Disk | None = None, *, use_hub: bool = True
) -> AsyncIterator[tuple[Site, socket.socket]]:
    """A site whose root has been looked at, and where it listens."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listener:
        listener.setblocking(False)
        options = Options(files=files)
        async with open_site(root, options, disk=disk, clock=lambda: NOW, use_hub=use_hub) as site:
            with trio.fail_after(60):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(accept_sockets, listener, site, nursery)
                    await ask(listener, "/1")
                    yield site, listener
                    nursery.cancel_scope.cancel()
    if disk is not None:
        disk.shutdown()


async def ask(listener: socket.socket, target: str, *fields: str) -> Answer:
    async with await trio.open_tcp_stream(*listener.getsockname()) as client:
        await client.send_all(request(target, "Connection: close", *fields))
        return read_answer(await hear_all(client))


@pytest.mark.parametrize("keep", [0, 4096, 64 * 1024])
async def test_each_size(root: Path, keep: int) -> None:
    """Whole, and in part, twice, by many at the same time."""
    async with serving(root) as (site, listener), trio.open_nursery() as nursery:

        async def compare(size: int) -> None:
            assert (await ask(listener, f"/{size}")).body == CONTENT[:size]
            part = await ask(listener, f"/{size}", f"Range: bytes={size // 3}-{size // 3 * 2}")
            assert part.body == CONTENT[size // 3 : size // 3 * 2 + 1][: size - size // 3]

        for _ in range(2):
            chill(root, keep)
            for size in SIZES * 3:
                nursery.start_soon(compare, size)
    assert site.statistics().held == 0


@pytest.mark.parametrize(
    ("size", "waits", "why"),
    [
        (16 * 1024, 0, "it is read, and kept"),
        (16 * 1024 + 1, 1, "a worker waits for it, and what has come is sent from there"),
        (512 * 1024, 1, "as long as a turn may be"),
        (512 * 1024 + 1, 0, "read chunk by chunk"),
    ],
)
async def test_what_a_worker_does(tmp_path: Path, size: int, waits: int, why: str) -> None:
    """What is short enough for one turn is waited for, and not read; the answer is the same."""
    put(tmp_path, 1, size)
    disk = on_local(Cold(), tmp_path)
    async with serving(tmp_path, disk=disk) as (site, listener):
        disk.reads = 0
        assert (await ask(listener, f"/{size}")).body == CONTENT[:size]
        assert disk.waits == waits, why
        assert (disk.reads == 0) is bool(waits), why
        assert site.statistics().held == 0


async def test_what_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where what has come is gone again before it is sent, it is read."""
    monkeypatch.setattr(page_cache, "_STAYS", 0.0)
    put(tmp_path, 1, 100_000)
    disk = on_local(Cold(), tmp_path)
    async with serving(tmp_path, disk=disk) as (_, listener):
        disk.reads = 0
        assert (await ask(listener, "/100000")).body == CONTENT[:100_000]
        assert disk.waits == 1
        assert disk.reads > 0


async def test_many_want_the_same(tmp_path: Path) -> None:
    """One worker waits for all of them; a HEAD waits for nothing."""
    put(tmp_path, 1, 100_000)
    disk = on_local(Blocked(), tmp_path)
    async with serving(tmp_path, disk=disk) as (_, listener), trio.open_nursery() as nursery:

        async def compare() -> None:
            assert (await ask(listener, "/100000")).body == CONTENT[:100_000]

        for _ in range(20):
            nursery.start_soon(compare)
        async with await trio.open_tcp_stream(*listener.getsockname()) as client:
            await client.send_all(request("/100000", "Connection: close", method="HEAD"))
            assert b"Content-Length: 100000" in await hear_all(client)
        disk.go.set()
    assert disk.waits == 1


async def test_a_disk_that_is_too_busy(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Before anything was sent, whoever cannot be served in time is told so; the others wait."""
    put(tmp_path, 1, 100_000, 100_001, 100_002)
    disk = on_local(Blocked(), tmp_path)
    files = FileOptions(threads=1, queue=1, patience=1000)
    async with serving(tmp_path, files, disk) as (site, listener), trio.open_nursery() as nursery:

        async def compare(size: int) -> None:
            assert (await ask(listener, f"/{size}")).body == CONTENT[:size]

        nursery.start_soon(compare, 100_000)
        while not disk.has_begun:
            await trio.lowlevel.checkpoint()
        nursery.start_soon(compare, 100_001)
        while not site.statistics().reads.waiting:
            await trio.lowlevel.checkpoint()
        refused = await ask(listener, "/100002")
        assert (refused.status, refused.fields["Retry-After"]) == (503, "1")
        assert "its queue is full" in caplog.text
        disk.go.set()


async def test_a_client_that_leaves(tmp_path: Path) -> None:
    """What a worker waits for on its behalf is given back."""
    put(tmp_path, 1, 100_000)
    disk = on_local(Blocked(), tmp_path)
    before = open_descriptors()
    async with serving(tmp_path, FileOptions(cache_size=0), disk) as (site, listener):
        async with await trio.open_tcp_stream(*listener.getsockname()) as client:
            await client.send_all(request("/100000"))
            while not disk.has_begun:
                await trio.lowlevel.checkpoint()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        while site.connections:
            await site.wait_connection_ended()
        disk.go.set()
        while site.statistics().reads.in_flight:
            await trio.lowlevel.checkpoint()
    assert open_descriptors() < before


@pytest.mark.parametrize("use_hub", [True, False])
@pytest.mark.parametrize("at_once", [True, False])
async def test_requests_behind_it(tmp_path: Path, at_once: bool, use_hub: bool) -> None:
    """Whether they came with it or while it was waited for, they are answered after it, in their order."""
    put(tmp_path, 1, 100_000, 100_001)
    disk = on_local(Blocked(), tmp_path)
    sizes = (100_000, 1, 100_001, 1)
    requests = [request(f"/{size}") for size in sizes]
    requests[-1] = request("/1", "Connection: close")
    async with (
        serving(tmp_path, disk=disk, use_hub=use_hub) as (_, listener),
        await trio.open_tcp_stream(*listener.getsockname()) as client,
    ):
        await client.send_all(b"".join(requests) if at_once else requests[0])
        while not disk.has_begun:
            await trio.lowlevel.checkpoint()
        if not at_once:
            await client.send_all(b"".join(requests[1:]))
            await trio.testing.wait_all_tasks_blocked(0.01)
        disk.go.set()
        answers = read_answers(await hear_all(client))
    assert [answer.body for answer in answers] == [CONTENT[:size] for size in sizes]
    assert disk.waits == 2


async def test_a_disk_that_stays_busy(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever has waited too long for its turn is told so, and the connection goes on."""
    put(tmp_path, 1, 100_000, 100_001)
    disk = on_local(Blocked(), tmp_path)
    files = FileOptions(threads=1, patience=0.01)
    async with serving(tmp_path, files, disk) as (_, listener), trio.open_nursery() as nursery:

        async def compare() -> None:
            assert (await ask(listener, "/100000")).body == CONTENT[:100_000]

        nursery.start_soon(compare)
        while not disk.has_begun:
            await trio.lowlevel.checkpoint()
        async with await trio.open_tcp_stream(*listener.getsockname()) as client:
            await client.send_all(request("/100001") + request("/1", "Connection: close"))
            refused, other = read_answers(await hear_all(client))
        assert (refused.status, refused.fields["Retry-After"]) == (503, "1")
        assert (other.status, other.body) == (200, CONTENT[:1])
        assert "waited 0.01 s" in caplog.text
        disk.go.set()


async def test_a_site_that_drains(tmp_path: Path) -> None:
    """What was asked for before is answered, and is the last on its connection."""
    put(tmp_path, 1, 100_000)
    disk = on_local(Blocked(), tmp_path)
    async with (
        serving(tmp_path, disk=disk) as (site, listener),
        await trio.open_tcp_stream(*listener.getsockname()) as client,
    ):
        await client.send_all(request("/100000"))
        while not disk.has_begun:
            await trio.lowlevel.checkpoint()
        site.drain()
        disk.go.set()
        answer = read_answer(await hear_all(client))
    assert answer.body == CONTENT[:100_000]
    assert answer.fields["Connection"] == "close"


async def test_the_end_of_a_site(tmp_path: Path) -> None:
    """Cancels whoever waits, and leaves nothing open but for the thread that is at it."""
    put(tmp_path, 1, 100_000)
    disk = on_local(Blocked(), tmp_path)
    before = open_descriptors()
    async with serving(tmp_path, disk=disk) as (site, listener):
        client = await trio.open_tcp_stream(*listener.getsockname())
        await client.send_all(request("/100000"))
        while not disk.has_begun:
            await trio.lowlevel.checkpoint()
        left = site
    assert await hear_all(client) == b""
    disk.go.set()
    while left.statistics().reads.in_flight:
        await trio.lowlevel.checkpoint()
    await client.aclose()
    assert open_descriptors() < before
