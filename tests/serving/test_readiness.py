"""The hub wakes the tasks whose sockets have changed, and nobody else."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.conftest import BIG, TEN
from tests.serving.answers import read_answer, read_answers
from tests.serving.conversations import hear_all, open_descriptors, request
from trio_evserver.serving.listener import accept_sockets
from trio_evserver.serving.open_site import open_site
from trio_evserver.serving.readiness import ENDED, READABLE, WRITABLE, Hub, HubReadiness, open_hub
from trio_evserver.serving.socket_transport import SocketTransport


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = open_hub()
    if hub is None:
        pytest.skip("no epoll here")
    yield hub
    hub.close()


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        yield ours, theirs


def watched(hub: Hub, ours: socket.socket) -> HubReadiness:
    readiness = HubReadiness(hub, ours.fileno())
    readiness.watch()
    return readiness


async def test_only_what_is_waited_for_wakes(hub: Hub, sockets: tuple[socket.socket, socket.socket]) -> None:
    """Who waits to read sleeps on while only writing becomes possible, and wakes for the first octet."""
    ours, theirs = sockets
    readiness = watched(hub, ours)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hub.run)
        await wait_all_tasks_blocked()
        readiness.events = 0
        async with trio.open_nursery() as waiting:
            waiting.start_soon(readiness.wait, READABLE)
            await wait_all_tasks_blocked()
            assert waiting.child_tasks
            theirs.send(b"x")
        assert readiness.events & READABLE
        nursery.cancel_scope.cancel()
    readiness.forget()


async def test_the_end_wakes_everybody(hub: Hub, sockets: tuple[socket.socket, socket.socket]) -> None:
    """A peer that is gone wakes who waits to write, too: the next write will say so."""
    ours, theirs = sockets
    readiness = watched(hub, ours)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hub.run)
        await readiness.wait(WRITABLE)  # it is, to begin with, and that is told once
        readiness.events = 0
        async with trio.open_nursery() as waiting:
            waiting.start_soon(readiness.wait, WRITABLE)
            await wait_all_tasks_blocked()
            theirs.close()
        assert readiness.events & ENDED
        nursery.cancel_scope.cancel()
    readiness.forget()


@pytest.mark.parametrize(("ended", "lost"), [(False, 1), (True, 0)], ids=["open", "ended by us"])
async def test_a_loss_is_told_once_nobody_waits(
    hub: Hub, sockets: tuple[socket.socket, socket.socket], ended: bool, lost: int
) -> None:
    """A peer that ends its side may still want its answer; one that is gone does not. Once we have ended ours
    it is no loss.
    """
    ours, theirs = sockets
    told: list[int] = []
    transport = SocketTransport(ours, watched(hub, ours))
    transport.notice_loss(lambda: told.append(1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hub.run)
        await wait_all_tasks_blocked()
        theirs.shutdown(socket.SHUT_WR)
        await wait_all_tasks_blocked()
        assert not told
        if ended:
            await transport.end()
        theirs.close()
        await wait_all_tasks_blocked()
        assert len(told) == lost
        nursery.cancel_scope.cancel()
    await transport.close()


async def test_room_that_is_told_of_before_anyone_waits(
    hub: Hub, sockets: tuple[socket.socket, socket.socket]
) -> None:
    """What was sent short may find room before its task has woken to wait for it: that is told once, and must
    not be missed.
    """
    ours, theirs = sockets
    transport = SocketTransport(ours, watched(hub, ours))
    body = bytes(4 * 1024 * 1024)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hub.run)
        sent = transport.send_nowait(b"", body)
        assert 0 < sent < len(body)
        heard = len(theirs.recv(len(body)))
        await wait_all_tasks_blocked()  # in which the hub learns of it

        async def hear() -> None:
            nonlocal heard
            while heard < len(body):
                await trio.lowlevel.wait_readable(theirs)
                heard += len(theirs.recv(len(body)))

        with trio.fail_after(10):
            async with trio.open_nursery() as both:
                both.start_soon(hear)
                await transport.send_rest(b"", body, sent)
        nursery.cancel_scope.cancel()
    await transport.close()


async def test_what_was_forgotten_wakes_nobody(
    hub: Hub, sockets: tuple[socket.socket, socket.socket]
) -> None:
    """A descriptor that is given to another socket is that one's, whatever was told of the one before."""
    ours, theirs = sockets
    forgotten = watched(hub, ours)
    forgotten.events = 0
    forgotten.forget()
    theirs.send(b"x")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hub.run)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert forgotten.events == 0


@pytest.mark.parametrize("use_hub", [True, False])
async def test_a_site_with_and_without(root: Path, use_hub: bool) -> None:
    """A site is the same with the hub and without: many connections at once, slow and half-closed ones."""
    before = open_descriptors()
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    listener.setblocking(False)
    async with open_site(root, use_hub=use_hub) as site, trio.open_nursery() as nursery:
        with listener:
            nursery.start_soon(accept_sockets, listener, site, nursery)
            async with trio.open_nursery() as clients:
                for number in range(40):
                    clients.start_soon(visit, listener.getsockname(), number)
            nursery.cancel_scope.cancel()
    assert open_descriptors() == before


async def visit(address: tuple[str, int], number: int) -> None:
    async with await trio.open_tcp_stream(*address) as client:
        if number % 2:
            await client.send_all(request("/big.bin") * 3)
            await client.send_eof()
            answers = read_answers(await hear_all(client))
            assert [answer.body for answer in answers] == [BIG] * 3
        else:
            data = request("/ten.txt", "Connection: close")
            for i in range(len(data)):
                await client.send_all(data[i : i + 1])
                await trio.lowlevel.checkpoint()
            assert read_answer(await hear_all(client)).body == TEN
