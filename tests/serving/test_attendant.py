"""A nursery per connection, kept for the next one; and a task that wakes only for what has to wait."""

import errno
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.compiled import replaces_a_method
from tests.conftest import BIG, TEN
from tests.serving.answers import read_answer
from tests.serving.conversations import NOW, connect_small, hear_all, request, small_listener
from trio_evserver.semantics.message import Request, Response
from trio_evserver.serving import attendant as attendant_module
from trio_evserver.serving import attendants as attendants_module
from trio_evserver.serving.answer import Answer, FileAnswer, Looking
from trio_evserver.serving.listener import accept_sockets
from trio_evserver.serving.open_site import open_site
from trio_evserver.serving.site import Site

ONCE = request("/ten.txt", "Connection: close")


class Steps(trio.abc.Instrument):
    """Counts the steps of the connections' tasks."""

    def __init__(self) -> None:
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += task.name == "connection"


@asynccontextmanager
async def serving(
    root: Path, listener: socket.socket | None = None
) -> AsyncIterator[tuple[Site, tuple[str, int], trio.Nursery]]:
    """A site, its address, and the nursery of its connections."""
    if listener is None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        listener.setblocking(False)
    async with open_site(root, clock=lambda: NOW) as site, trio.open_nursery() as nursery:
        if site.hub is None:
            pytest.skip("without the hub each connection waits by itself")
        with listener, trio.fail_after(60):
            async with trio.open_nursery() as handlers:
                nursery.start_soon(accept_sockets, listener, site, handlers)
                yield site, listener.getsockname(), handlers
                nursery.cancel_scope.cancel()


async def ask(address: tuple[str, int], said: bytes = ONCE) -> bytes:
    async with await trio.open_tcp_stream(*address) as client:
        await client.send_all(said)
        return await hear_all(client)


async def hear(client: trio.SocketStream, size: int) -> bytes:
    heard = b""
    while len(heard) < size:
        heard += await client.receive_some()
    return heard


async def test_one_after_the_other(root: Path) -> None:
    """Connections that follow each other are served in one nursery, by one task."""
    async with serving(root) as (site, address, handlers):
        for _ in range(5):
            assert read_answer(await ask(address)).body == TEN
            await wait_all_tasks_blocked()
            assert (len(handlers.child_tasks), site.connections) == (1, 0)


async def test_a_hot_file_wakes_no_task(root: Path) -> None:
    """A request that needs no waiting is answered where it arrives; one that needs it wakes the task."""
    async with serving(root) as (_, address, _), await trio.open_tcp_stream(*address) as client:
        await client.send_all(request())
        size = len(await client.receive_some())
        await wait_all_tasks_blocked()
        steps = Steps()
        trio.lowlevel.add_instrument(steps)
        for _ in range(3):
            await client.send_all(request())
            await hear(client, size)
        assert steps.count == 0
        await client.send_all(request("/ten.txt", "Connection: close", "Content-Length: 1"))
        await wait_all_tasks_blocked()
        await client.send_all(b"x")
        assert read_answer(await hear_all(client)).body == TEN
        assert steps.count > 0
        trio.lowlevel.remove_instrument(steps)


async def test_a_lost_peer_wakes_no_task(root: Path) -> None:
    """Between two requests a reset is counted and the nursery kept, as after any other end."""
    async with serving(root) as (site, address, handlers):
        for lost in range(1, 4):
            async with await trio.open_tcp_stream(*address) as client:
                await client.send_all(request())
                assert await client.receive_some()
                await wait_all_tasks_blocked()
                steps = Steps()
                trio.lowlevel.add_instrument(steps)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            while site.connections:
                await site.wait_connection_ended()
            await wait_all_tasks_blocked()
            trio.lowlevel.remove_instrument(steps)
            assert (steps.count, site.lost, len(handlers.child_tasks)) == (0, lost, 1)


async def test_no_more_are_kept_than_may_be(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that become free at once some are kept; at the end of accepting all of them go."""
    monkeypatch.setattr(attendants_module, "_KEPT", 3)
    async with serving(root) as (site, address, handlers):
        clients = [await trio.open_tcp_stream(*address) for _ in range(8)]
        while site.connections < len(clients):
            await wait_all_tasks_blocked()
        assert len(handlers.child_tasks) == len(clients)
        for client in clients:
            await client.aclose()
        while site.connections:
            await site.wait_connection_ended()
        await wait_all_tasks_blocked()
        assert len(handlers.child_tasks) == 3
    assert not handlers.child_tasks


async def test_nothing_of_a_connection_reaches_the_next(root: Path) -> None:
    """What one has sent, half a request, is not part of another's; nor is its time."""
    async with serving(root) as (site, address, handlers):
        assert read_answer(await ask(address)).body == TEN
        async with await trio.open_tcp_stream(*address) as client:
            await client.send_all(b"GET /a HTTP/1.1\r\nX-Left: ")
            await wait_all_tasks_blocked(0.01)
        while site.connections:
            await site.wait_connection_ended()
        await wait_all_tasks_blocked()
        assert read_answer(await ask(address)).body == TEN
        assert len(handlers.child_tasks) == 1


@replaces_a_method
async def test_work_that_is_due_is_not_idle(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drain ends idle connections, but none whose reply its peer has taken in part, though its task has not
    woken yet.
    """
    wake = attendant_module.Attendant._wake

    def drain_and_wake(self: attendant_module.Attendant) -> None:
        site.drain()
        wake(self)

    listener = small_listener()
    async with serving(root, listener) as (site, _, _), await connect_small(listener) as client:
        await client.send_all(request())
        await client.receive_some()
        await client.send_all(request("/big.bin"))
        await hear(client, len(BIG) + 1)
        await wait_all_tasks_blocked()
        monkeypatch.setattr(attendant_module.Attendant, "_wake", drain_and_wake)
        await client.send_all(request("/big.bin"))
        assert read_answer(await hear_all(client)).body == BIG


@replaces_a_method
async def test_a_cancellation_that_comes_too_late(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline, or a loss, that is told of a connection whose work then ends without a checkpoint, does not
    end the next one.
    """
    async with serving(root) as (site, address, handlers):
        answer = site.exchange.answer_nowait

        def cancelled(request: Request, moment: int = 0) -> Looking:
            async def cancel() -> Answer:
                found = answer(request)
                if not isinstance(found, Response | FileAnswer):
                    found = await found()
                for deadline in site.deadlines._deadlines:
                    deadline.cancel()
                return found

            return cancel

        monkeypatch.setattr(site.exchange, "answer_nowait", cancelled)
        assert read_answer(await ask(address)).body == TEN
        monkeypatch.undo()
        await wait_all_tasks_blocked()
        assert not handlers.child_tasks
        for _ in range(2):
            assert read_answer(await ask(address)).body == TEN


async def test_whoever_has_ended_is_given_nothing(root: Path) -> None:
    """An attendant that is cancelled while it is free is not waited on by the next connection."""
    async with serving(root) as (_, address, handlers):
        assert read_answer(await ask(address)).body == TEN
        await wait_all_tasks_blocked()
        (task,) = handlers.child_tasks
        (inner,) = task.child_nurseries
        inner.cancel_scope.cancel()
        await wait_all_tasks_blocked()
        assert not handlers.child_tasks
        assert read_answer(await ask(address)).body == TEN


@replaces_a_method
async def test_a_bug_ends_its_connection_alone(
    root: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody had thought of is logged; neither the hub nor anybody else notices."""
    async with serving(root) as (site, address, _), await trio.open_tcp_stream(*address) as other:
        await other.send_all(request())
        size = len(await other.receive_some())
        answer = site.exchange.answer_nowait

        def stumble(request: Request, moment: int = 0) -> Answer | Looking:
            if request.path == b"/bug":
                raise RuntimeError("a bug")
            return answer(request, moment)

        monkeypatch.setattr(site.exchange, "answer_nowait", stumble)
        for _ in range(2):
            assert await ask(address, request("/bug")) == b""
        await other.send_all(request())
        assert len(await hear(other, size)) == size
        assert site.connections == 1
    assert [record.getMessage() for record in caplog.records] == ["a connection failed"] * 2


async def test_a_socket_that_does_not_close(
    root: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever close(2) says, the connection has ended, and the next one is served."""
    close = socket.socket.close

    def fail(self: socket.socket) -> None:
        close(self)
        if self.family == socket.AF_INET and not monkeypatched:
            monkeypatched.append(self)
            raise OSError(errno.EIO, "as told")

    monkeypatched: list[socket.socket] = []
    async with serving(root) as (site, address, _):
        assert read_answer(await ask(address)).body == TEN
        await wait_all_tasks_blocked()
        client = trio.socket.socket()
        await client.connect(address)
        monkeypatch.setattr(socket.socket, "close", fail)
        await client.send(ONCE)
        while site.connections or not monkeypatched:
            await wait_all_tasks_blocked(0.001)
        monkeypatch.undo()
        client.close()
        assert read_answer(await ask(address)).body == TEN
    assert [record.getMessage() for record in caplog.records] == ["a connection could not be closed"]
