"""Content that was read, and is asked for again, is sent from a file in memory: the same bytes, and nothing
left behind.
"""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.serving.answers import read_answer
from tests.serving.conversations import (
    NOW,
    connect_small,
    hear_all,
    open_descriptors,
    request,
    small_listener,
)
from trio_evserver.files.capabilities import Capabilities
from trio_evserver.files.disk import Disk
from trio_evserver.files.memory_file import open_memory_file
from trio_evserver.files.options import FileOptions
from trio_evserver.semantics.resource_path import ResourcePath
from trio_evserver.semantics.target import resolve
from trio_evserver.serving.listener import accept_sockets
from trio_evserver.serving.open_site import open_site
from trio_evserver.serving.options import Options
from trio_evserver.serving.site import Site

PAGE, OTHER = os.urandom(100_000), os.urandom(90_000)
LONG_AGO = (1_000_000_000, 1_000_000_000)
FILES = FileOptions()
READS = Capabilities(nowait=False)

pytestmark = pytest.mark.skipif(open_memory_file(b"") is None, reason="no files in memory here")


def put(root: Path, content: bytes, name: str = "page", when: tuple[int, int] = LONG_AGO) -> None:
    (root / "new").write_bytes(content)
    os.utime(root / "new", when)
    (root / "new").rename(root / name)


def copy_of(site: Site, target: bytes = b"/page") -> int | None:
    """The descriptor of the copy, if there is one."""
    path = resolve(target)
    assert isinstance(path, ResourcePath)
    entry = site.exchange._cache.find_nowait(path)
    return None if entry is None or entry.file is None else entry.file.copy


@asynccontextmanager
async def serving(
    root: Path, files: FileOptions = FILES, capabilities: Capabilities = READS
) -> AsyncIterator[tuple[Site, socket.socket]]:
    """A site, and where it listens, with small buffers."""
    put(root, PAGE)
    listener = small_listener()
    disk = Disk(capabilities)
    async with (
        open_site(root, Options(files=files), disk=disk, clock=lambda: NOW) as site,
        trio.open_nursery() as nursery,
    ):
        with listener, trio.fail_after(60):
            nursery.start_soon(accept_sockets, listener, site, nursery)
            yield site, listener
        nursery.cancel_scope.cancel()
    disk.shutdown()


async def ask(listener: socket.socket, *fields: str, target: str = "/page") -> bytes:
    async with await trio.open_tcp_stream(*listener.getsockname()) as client:
        await client.send_all(request(target, "Connection: close", *fields))
        return read_answer(await hear_all(client)).body


async def test_who_is_asked_for_again_gets_one(tmp_path: Path) -> None:
    """The first answer comes from what was read, later ones from the copy, whole or in part."""
    before = open_descriptors()
    async with serving(tmp_path) as (site, listener):
        assert await ask(listener) == PAGE
        assert copy_of(site) is None
        for _ in range(3):
            assert await ask(listener) == PAGE
        assert copy_of(site) is not None
        assert await ask(listener, "Range: bytes=10-") == PAGE[10:]
        assert await ask(listener, "Range: bytes=99990-") == PAGE[99990:]
        both = await ask(listener, "Range: bytes=0-9,50000-90000")
        assert PAGE[:10] in both
        assert PAGE[50000:90001] in both
    await wait_all_tasks_blocked()
    assert open_descriptors() == before


async def test_what_is_sent_in_place_gets_none(tmp_path: Path) -> None:
    """Where the page cache can be asked, it lies in memory already."""
    with (tmp_path / "file").open("wb+") as file:
        file.write(b"x")
        file.flush()
        disk = Disk()
        tells = disk.tells_residency(file.fileno(), os.stat(file.fileno()).st_dev)
        disk.shutdown()
    async with serving(tmp_path, capabilities=Capabilities()) as (site, listener):
        for _ in range(4):
            assert await ask(listener) == PAGE
        assert (copy_of(site) is None) is tells


async def test_a_small_file_gets_none(tmp_path: Path) -> None:
    """What is sent together with its head in one call stays where it is."""
    async with serving(tmp_path) as (site, listener):
        put(tmp_path, PAGE[:16384], "small")
        for _ in range(3):
            assert await ask(listener, target="/small") == PAGE[:16384]
        assert copy_of(site, b"/small") is None


async def test_an_edit_shows(tmp_path: Path) -> None:
    """The copy is as good as the file it was made of, and no longer."""
    async with serving(tmp_path) as (site, listener):
        for _ in range(3):
            assert await ask(listener) == PAGE
        old = copy_of(site)
        put(tmp_path, OTHER, when=(1_000_000_001, 1_000_000_001))
        assert await ask(listener) == OTHER
        assert old is not None
        for _ in range(2):
            assert await ask(listener) == OTHER


@pytest.mark.parametrize("memory", [64 * 1024 * 1024, 1], ids=["room", "no room"])
async def test_a_slow_reader_hears_all_of_it(tmp_path: Path, memory: int) -> None:
    """Also where the cache lets go of the copy meanwhile; and afterwards nothing is held."""
    async with serving(tmp_path, FileOptions(read_ahead_memory=memory)) as (site, listener):
        for _ in range(2):
            assert await ask(listener) == PAGE
        async with await connect_small(listener) as client:
            await client.send_all(request("/page", "Connection: close"))
            heard = bytes(await client.receive_some(1000))
            await wait_all_tasks_blocked(0.01)
            site.close()
            async for data in client:
                heard += data
        assert read_answer(heard).body == PAGE
        while site.connections:
            await site.wait_connection_ended()
        assert site.statistics().held == 0


async def test_descriptors_are_bounded(tmp_path: Path) -> None:
    """A copy takes a descriptor, of which the cache has as many as it may keep files open."""
    async with serving(tmp_path, FileOptions(cache_files=3)) as (site, listener):
        before = len(open_descriptors())
        for number in range(3):
            put(tmp_path, PAGE, f"page{number}")
        for _ in range(3):
            for number in range(3):
                assert await ask(listener, target=f"/page{number}") == PAGE
        while site.connections:
            await site.wait_connection_ended()
        assert len(open_descriptors()) - before <= 3 + 1  # the last client's end may still be there
