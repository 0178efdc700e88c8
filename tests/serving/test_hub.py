"""The hub wakes the tasks whose sockets have changed, and nobody else."""

import os
import select
import socket
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.conftest import BIG, TEN
from tests.serving.answers import read_answer, read_answers
from tests.serving.conversations import hear_all, open_descriptors, request
from trio_evserver.serving.hub import Hub, HubReadiness, open_hub
from trio_evserver.serving.listener import accept_sockets
from trio_evserver.serving.open_site import open_site
from trio_evserver.serving.readiness import ENDED, READABLE, WRITABLE
from trio_evserver.serving.socket_transport import SocketTransport


@pytest.fixture(autouse=True)
def prefetching(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where it is compiled, also where it is not."""
    monkeypatch.setattr("trio_evserver.serving.hub._PREFETCHES", True)


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


class Busy:
    """An epoll that something has happened to whenever it is asked; a look takes `length` seconds."""

    def __init__(self, length: float) -> None:
        self.looks = 0
        self._length = length
        self._real = select.epoll()
        self.always = os.eventfd(1)
        self.fileno = self._real.fileno
        self.register = self._real.register

    def poll(self, *arguments: object) -> list[tuple[int, int]]:
        self.looks += 1
        return [(self.always, READABLE)]

    def clock(self) -> float:
        return self.looks * self._length

    def close(self) -> None:
        os.close(self.always)
        self._real.close()


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="no epoll here")
@pytest.mark.parametrize(("length", "looks"), [(0.0015, 4), (0.003, 2), (1.0, 1)])
async def test_a_turn_ends(length: float, looks: int) -> None:
    """However much happens, the tasks of others have their turn after five milliseconds."""
    epoll = Busy(length)
    seen: list[int] = []

    class Turns(trio.abc.Instrument):
        def before_io_wait(self, timeout: float) -> None:
            seen.append(epoll.looks)

    turns = Turns()
    trio.lowlevel.add_instrument(turns)
    try:
        hub = Hub(cast("Any", epoll), epoll.clock)
        hub.watch_bell(epoll.always, lambda: None)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hub.run)
            while len(seen) < 20:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
    finally:
        trio.lowlevel.remove_instrument(turns)
        epoll.close()
    assert {later - earlier for earlier, later in pairwise(seen)} == {0, looks}


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


async def test_a_listening_socket(hub: Hub, listener: socket.socket) -> None:
    """Whoever accepts is called for as long as somebody waits, until it does not want to be."""
    script = ["look", "look", "stop", "look", "accept", "stop", "accept and stop"]

    def accept() -> bool:
        step = script.pop(0)
        if "accept" in step:
            listener.accept()[0].close()
        return "stop" not in step

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hub.run)
        with socket.create_connection(listener.getsockname()):
            await hub.attend(listener.fileno(), accept)
            await wait_all_tasks_blocked()
            assert len(script) == 4  # who has stopped is not called
            async with trio.open_nursery() as accepting:
                accepting.start_soon(hub.attend, listener.fileno(), accept)
                await wait_all_tasks_blocked()
                assert len(script) == 2  # nobody waits
                with socket.create_connection(listener.getsockname()):
                    await wait_all_tasks_blocked()
                    assert len(script) == 1
                    assert not accepting.child_tasks
            await hub.attend(listener.fileno(), accept)
            assert script == []
        nursery.cancel_scope.cancel()


async def test_what_goes_wrong_in_accepting(hub: Hub, listener: socket.socket) -> None:
    """It is raised to who accepts, and the hub watches on."""

    def accept() -> bool:
        raise ZeroDivisionError

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hub.run)
        with socket.create_connection(listener.getsockname()):
            with pytest.raises(ZeroDivisionError):
                await hub.attend(listener.fileno(), accept)
            await hub.attend(listener.fileno(), lambda: False)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("goes_on", [True, False])
async def test_accepting_cancels_itself(hub: Hub, listener: socket.socket, goes_on: bool) -> None:
    """What is called may end the server, an embedder's access log say."""
    calls = 0
    with trio.CancelScope() as scope:

        def accept() -> bool:
            nonlocal calls
            calls += 1
            scope.cancel()
            return goes_on

        async with trio.open_nursery() as nursery:
            nursery.start_soon(hub.run)
            with socket.create_connection(listener.getsockname()):
                await hub.attend(listener.fileno(), accept)
    assert scope.cancelled_caught
    assert calls == 1


async def test_accepting_is_cancelled(hub: Hub, listener: socket.socket) -> None:
    """Nobody is called any more, and another may accept; also where the socket was closed meanwhile."""
    calls = 0

    def accept() -> bool:
        nonlocal calls
        calls += 1
        return True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hub.run)
        for _ in range(2):
            async with trio.open_nursery() as accepting:
                accepting.start_soon(hub.attend, listener.fileno(), accept)
                await wait_all_tasks_blocked()
                accepting.cancel_scope.cancel()
        with socket.create_connection(listener.getsockname()):
            await wait_all_tasks_blocked()
        assert calls == 0
        listener.accept()[0].close()
        async with trio.open_nursery() as accepting:
            accepting.start_soon(hub.attend, listener.fileno(), accept)
            await wait_all_tasks_blocked()
            listener.close()
            accepting.cancel_scope.cancel()
        nursery.cancel_scope.cancel()


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


async def test_a_descriptor_given_again_in_the_same_look(
    hub: Hub, sockets: tuple[socket.socket, socket.socket]
) -> None:
    """What was told of the socket that had it before is not taken for the new one's; what is its own is."""
    ours, theirs = sockets
    number = ours.fileno()
    first = HubReadiness(hub, number)
    bell = os.eventfd(0)
    given: list[socket.socket] = []
    later: list[HubReadiness] = []

    def answer() -> None:
        os.eventfd_read(bell)
        first.forget()
        ours.close()
        given.extend(socket.socketpair())
        later.append(watched(hub, given[0]))

    hub.watch_bell(bell, answer)
    try:
        async with trio.open_nursery() as nursery:
            os.eventfd_write(bell, 1)  # is told of first
            first.watch()
            theirs.close()
            nursery.start_soon(hub.run)
            await wait_all_tasks_blocked()
            assert given[0].fileno() == number
            assert later[0].events == WRITABLE
            given[1].send(b"x")
            await wait_all_tasks_blocked()
            assert later[0].events == WRITABLE | READABLE
            nursery.cancel_scope.cancel()
    finally:
        os.close(bell)
        for each in given:
            each.close()


async def test_many_are_told_of_in_one_look(hub: Hub) -> None:
    """More than are told together: each is told once, but for those that one before has had forgotten."""
    told: list[int] = []
    bells = [os.eventfd(0) for _ in range(200)]

    def answer(number: int) -> None:
        os.eventfd_read(bells[number])
        told.append(number)
        if number == 10:
            hub.end(bells[11])
            hub.end(bells[199])

    try:
        for number, bell in enumerate(bells):
            hub.watch_bell(bell, partial(answer, number))
            os.eventfd_write(bell, 1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hub.run)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    finally:
        for bell in bells:
            os.close(bell)
    assert told == [number for number in range(200) if number not in (11, 199)]


async def test_after_a_look(hub: Hub) -> None:
    """Whoever asks in a look is called at its end, or at that of the next if it asks then, and told whether
    anything else was told of; also where nothing is for a while.
    """
    called: list[tuple[str, bool]] = []
    third = trio.Event()
    bell = os.eventfd(0)

    def answer() -> None:
        os.eventfd_read(bell)
        called.append(("told", hub.after_look(first)))

    def first(is_idle: bool) -> None:
        called.append(("first", is_idle))
        assert hub.after_look(second)

    def second(is_idle: bool) -> None:
        called.append(("second", is_idle))
        if called.count(("second", True)) < 3:
            assert hub.after_look(second)
        else:
            third.set()

    try:
        hub.watch_bell(bell, answer)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hub.run)
            await wait_all_tasks_blocked()
            assert not hub.after_look(first), "nobody looks for now"
            os.eventfd_write(bell, 1)
            await third.wait()
            nursery.cancel_scope.cancel()
    finally:
        os.close(bell)
    assert called == [("told", True), ("first", False), ("second", True), ("second", True), ("second", True)]


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
