"""What a connection has said before it is accepted is answered before anything is watched."""

import select
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.compiled import replaces_a_method
from tests.conftest import BIG, TEN
from tests.serving.answers import read_answer, read_answers
from tests.serving.conversations import NOW, hear_all, request
from trio_evserver.semantics.message import Request
from trio_evserver.serving import open_site as open_site_module
from trio_evserver.serving.answer import Answer, Looking
from trio_evserver.serving.hub import Hub
from trio_evserver.serving.listener import accept_sockets
from trio_evserver.serving.open_site import open_site
from trio_evserver.serving.readiness import TrioReadiness
from trio_evserver.serving.site import Site
from trio_evserver.serving.socket_transport import SocketTransport

ONCE = request("/ten.txt", "Connection: close")


class Scene:
    """A site, and a listening socket that nobody accepts from yet."""

    def __init__(self, site: Site, listener: socket.socket, nursery: trio.Nursery) -> None:
        self.site = site
        self._listener = listener
        self._nursery = nursery
        self.clients: list[trio.SocketStream] = []

    def say(self, *said: bytes) -> list[trio.SocketStream]:
        """A connection for each, on which it has been said before anybody else has a turn."""
        clients = []
        for octets in said:
            client = socket.create_connection(self._listener.getsockname())
            client.sendall(octets)
            client.setblocking(False)
            clients.append(trio.SocketStream(trio.socket.from_stdlib_socket(client)))
        self.clients += clients
        return clients

    def accept(self) -> None:
        self._nursery.start_soon(accept_sockets, self._listener, self.site, self._nursery)


@asynccontextmanager
async def scene(root: Path) -> AsyncIterator[Scene]:
    async with open_site(root, clock=lambda: NOW) as site, trio.open_nursery() as nursery:
        if site.hub is None:
            pytest.skip("without the hub nothing is received early")
        with socket.create_server(("127.0.0.1", 0), backlog=50) as listener, trio.fail_after(30):
            listener.setblocking(False)
            stage = Scene(site, listener, nursery)
            yield stage
            for client in stage.clients:
                await trio.aclose_forcefully(client)
            nursery.cancel_scope.cancel()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The descriptors that the hub has been told to watch."""
    told: list[int] = []
    if hasattr(select, "epoll"):
        noting: Any = Noting(told)
        monkeypatch.setattr(open_site_module, "open_hub", lambda: Hub(noting))
    return told


class Noting:
    """An epoll that notes which connections it is told to watch: those, unlike a listening socket, are
    edge-triggered.
    """

    def __init__(self, told: list[int]) -> None:
        self._told = told
        self._real = select.epoll()
        self.poll, self.fileno, self.close = self._real.poll, self._real.fileno, self._real.close
        self.unregister = self._real.unregister

    def register(self, descriptor: int, mask: int) -> None:
        if mask & select.EPOLLET:
            self._told.append(descriptor)
        self._real.register(descriptor, mask)


async def test_one_request_and_the_end(root: Path, watched: list[int]) -> None:
    """A connection that is over with its first request is never watched, in a nursery of its own as in one
    that was kept.
    """
    async with scene(root) as stage:
        stage.accept()
        for count in (1, 3, 3):
            for client in stage.say(*[ONCE] * count):
                assert read_answer(await hear_all(client)).body == TEN
            await wait_all_tasks_blocked()
        assert watched == []
        statistics = stage.site.statistics()
        assert (statistics.connections, statistics.accepted, statistics.responses) == (0, 7, {200: 7})


async def test_one_request_that_has_to_wait(root: Path, watched: list[int]) -> None:
    """For a worker, which is who opens the file where a single one is served: it is watched meanwhile."""
    async with scene(root / "ten.txt") as stage:
        stage.accept()
        (client,) = stage.say(ONCE)
        assert read_answer(await hear_all(client)).body == TEN
        await wait_all_tasks_blocked()
        assert len(watched) == 1


async def test_it_stays_open(root: Path, watched: list[int]) -> None:
    """After the first answer it is watched like any other: for the next request, and for the end."""
    async with scene(root) as stage:
        clients = stage.say(request(), request("/ten.txt"))
        stage.accept()
        for client in clients:
            await client.receive_some()
            await client.send_all(ONCE)
            assert read_answer(await hear_all(client)).body == TEN
    assert len(watched) == 2


async def test_half_a_request(root: Path) -> None:
    """The rest of it comes later."""
    async with scene(root) as stage:
        (client,) = stage.say(ONCE[:20])
        stage.accept()
        await wait_all_tasks_blocked()
        await client.send_all(ONCE[20:])
        assert read_answer(await hear_all(client)).body == TEN


async def test_many_requests(root: Path) -> None:
    """More than one receive brings: all of them are answered, in order."""
    said = request() * 300
    async with scene(root) as stage:
        (client,) = stage.say(said + ONCE)
        stage.accept()
        answers = read_answers(await hear_all(client))
        assert len(answers) == 301
        assert answers[-1].body == TEN


async def test_a_large_file(root: Path) -> None:
    """What has to wait does."""
    async with scene(root) as stage:
        clients = stage.say(*[request("/big.bin", "Connection: close")] * 3)
        stage.accept()
        for client in clients:
            assert read_answer(await hear_all(client)).body == BIG


def reset(client: trio.SocketStream) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.socket.close()


@pytest.mark.parametrize(
    "end",
    [lambda client: client.socket.shutdown(socket.SHUT_WR), reset],
    ids=["ended", "reset"],
)
async def test_nothing_but_the_end(root: Path, end: Callable[[trio.SocketStream], object]) -> None:
    """A peer that has said nothing, and is gone, costs a connection and no more."""
    async with scene(root) as stage:
        (client,) = stage.say(b"")
        end(client)
        stage.accept()
        while stage.site.statistics().accepted < 1 or stage.site.connections:
            await wait_all_tasks_blocked(0.01)
        assert stage.site.statistics().responses == {}


@replaces_a_method
async def test_one_moment_for_all(root: Path) -> None:
    """Those that were accepted together had all asked before the disk was."""
    moments: list[int] = []
    async with scene(root) as stage:
        answer = stage.site.exchange.answer_nowait

        def listen_in(request: Request, moment: int = 0) -> Answer | Looking:
            moments.append(moment)
            return answer(request, moment)

        stage.site.exchange.answer_nowait = listen_in  # type: ignore[method-assign]  # to listen in
        clients = stage.say(ONCE, ONCE, ONCE)
        await wait_all_tasks_blocked()
        stage.accept()
        for client in clients:
            await hear_all(client)
    assert len(moments) == 3
    assert len(set(moments)) == 1
    assert moments[0] > 0


def test_what_was_received_is_handed_over() -> None:
    """Once, and nothing of it stays behind: there may be ten thousand connections."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        transport = SocketTransport(ours, TrioReadiness(ours))
        assert not transport.receive_early()
        theirs.send(ONCE)
        assert transport.receive_early()
        assert transport.receive_nowait() == ONCE
        assert (transport.has_received, transport._early, transport.may_have_more) == (False, b"", False)
        assert transport.receive_nowait() is None
