"""One stat(2) serves all requests that had begun to arrive before it, and no other."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.compiled import replaces_a_method
from tests.files.making import document_root, file_cache, lease_on, path_of, wait_tick
from trio_evserver.files.disk import Disk
from trio_evserver.files.options import FileOptions
from trio_evserver.semantics.message import Request
from trio_evserver.serving.answer import Answer, Looking
from trio_evserver.serving.attendants import converse
from trio_evserver.serving.open_site import open_site
from trio_evserver.serving.socket_transport import SocketTransport


class Counting(Disk):
    """Counts how often stat(2) of a path is asked."""

    asked = 0

    def status_of(self, path: bytes):  # type: ignore[no-untyped-def,override]  # as os.stat, which it stands for
        self.asked += 1
        return Disk.status_of(path)


async def test_one_look_for_all_of_a_moment(tmp_path: Path) -> None:
    """With the same moment the disk is asked once; with another, or without one, again."""
    (tmp_path / "a").write_text("a")
    wait_tick(tmp_path / "a")
    disk = Counting()
    async with file_cache(document_root(tmp_path, disk), disk, FileOptions(threads=2)) as cache:
        await lease_on(cache, "/a")
        if cache.find_nowait(path_of("/a")) is None:
            pytest.skip("this file system is not asked on the event loop")
        looks = []
        for moment in (7, 7, 7, 8, 8, 7, 0, 0, 7):
            before = disk.asked
            assert cache.find_nowait(path_of("/a"), moment) is not None
            looks.append(disk.asked - before)
        assert looks == [1, 0, 0, 1, 0, 1, 1, 1, 1]


async def test_an_edit_after_the_look(tmp_path: Path) -> None:
    """Whoever begins to ask after an edit has another moment, and sees it."""
    (tmp_path / "a").write_text("old")
    wait_tick(tmp_path / "a")
    disk = Counting()
    async with file_cache(document_root(tmp_path, disk), disk, FileOptions(threads=2)) as cache:
        await lease_on(cache, "/a")
        cache.find_nowait(path_of("/a"), 1)
        (tmp_path / "a").write_text("newer")
        assert cache.find_nowait(path_of("/a"), 2) is None


GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"


@asynccontextmanager
async def connection(root: Path, said: bytes = b"") -> AsyncIterator[tuple[socket.socket, list[int]]]:
    """The client's end of a connection that the hub watches, on which something was said before anybody
    listened; and the moments that the site's exchange is told of.
    """
    (root / "a").write_text("a")
    moments: list[int] = []
    async with open_site(root) as site, trio.open_nursery() as nursery:
        if site.hub is None:
            pytest.skip("no epoll here")
        answer = site.exchange.answer_nowait

        def listen_in(request: Request, moment: int = 0) -> Answer | Looking:
            moments.append(moment)
            return answer(request, moment)

        site.exchange.answer_nowait = listen_in  # type: ignore[method-assign]  # to listen in
        server, client = socket.socketpair()
        server.setblocking(False)
        with client:
            client.send(said)
            site.connection_began()
            transport = SocketTransport(server, site.readiness(server))
            transport.watch()
            nursery.start_soon(converse, transport, site)
            yield client, moments


async def until(moments: list[int], count: int) -> None:
    while len(moments) < count:
        await wait_all_tasks_blocked(0.001)


@replaces_a_method
async def test_which_requests_have_a_moment(tmp_path: Path) -> None:
    """Only the first of those that a wait ended with: what is read without a wait may have come later than
    the look at the disk.
    """
    async with connection(tmp_path) as (client, moments):
        await wait_all_tasks_blocked()
        client.send(GET + GET)
        await until(moments, 2)
        client.send(GET)
        await until(moments, 3)
    first, pipelined, third = moments
    assert first > 0
    assert pipelined == 0
    assert third > first


@replaces_a_method
async def test_the_first_request_of_a_connection_has_one(tmp_path: Path) -> None:
    """The hub tells of it, though it was there before anybody listened."""
    async with connection(tmp_path, GET) as (_, moments):
        await until(moments, 1)
    assert moments[0] > 0
