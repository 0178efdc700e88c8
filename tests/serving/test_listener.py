"""Accepting: as many as there is room for, whatever `accept` says."""

import errno
import logging
import os
import socket
from collections import Counter
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, open_stream_to_socket_listener, wait_all_tasks_blocked

from tests.conftest import TEN
from tests.serving.answers import read_answer
from tests.serving.conversations import Recorder, hear_all, opened, request
from trio_evserver.serving import admission as admission_module
from trio_evserver.serving import listener as listener_module
from trio_evserver.serving.admission import AcceptQueue
from trio_evserver.serving.listener import accept_sockets, accept_streams, batch, peer_of
from trio_evserver.serving.options import Options

ONCE = request("/ten.txt", "Connection: close")


class Stumbling(socket.socket):
    """A listening socket whose `accept` raises these errors first."""

    errors: list[int]

    def accept(self) -> tuple[socket.socket, object]:
        if self.errors:
            code = self.errors.pop(0)
            raise OSError(code, os.strerror(code))
        return super().accept()


def listening(*errors: int) -> Stumbling:
    """One on a free port."""
    listener = Stumbling()
    listener.errors = list(errors)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.setblocking(False)
    return listener


async def ask(listener: socket.socket) -> bytes:
    """The body of the answer to a request on a connection of its own."""
    async with await trio.open_tcp_stream(*listener.getsockname()) as client:
        await client.send_all(ONCE)
        return read_answer(await hear_all(client)).body


EPISODE = ["cannot accept connections for now", "accepting again"]
STUMBLES = [
    ([errno.EMFILE], EPISODE, "the process has no descriptor left"),
    ([errno.ENFILE] * 5, EPISODE, "nor has the machine, for half a second: one line all the same"),
    ([errno.ENOBUFS, errno.ENOMEM, errno.EMFILE], EPISODE, "reasons that follow each other are one episode"),
    ([errno.ECONNABORTED], [], "a connection that was gone before it was accepted is nobody's fault"),
    ([errno.EPROTO, errno.ECONNABORTED, errno.EPERM], [], "nor are several"),
    ([errno.EPERM] * 40, [], "nor is any number of them"),
    ([errno.EIO], EPISODE, "what no manual page knows may last: it is waited for, too"),
    ([errno.EMFILE, errno.ECONNABORTED, errno.EMFILE], EPISODE, "the episode ends when one was accepted"),
]


@pytest.mark.parametrize(("errors", "logged", "why"), STUMBLES)
async def test_errors_of_accept(
    root: Path,
    errors: list[int],
    logged: list[str],
    why: str,
    autojump_clock: MockClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Accepting goes on after every error, waiting where the machine is out of something, and the log has a
    line at the begin and one at the end of such a time, however long it is.
    """
    async with opened(root) as site, trio.open_nursery() as nursery:
        with listening(*errors) as listener:
            nursery.start_soon(accept_sockets, listener, site, nursery)
            assert await ask(listener) == TEN, why
            nursery.cancel_scope.cancel()
        assert site.statistics().accept_errors == Counter(errno.errorcode[code] for code in errors), why
        exhausted = sum(code not in (errno.ECONNABORTED, errno.EPROTO, errno.EPERM) for code in errors)
        assert trio.current_time() >= 0.1 * exhausted
    messages = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [message[: len(start)] for message, start in zip(messages, logged, strict=True)] == logged, why


async def test_each_episode_is_told(
    root: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A second shortage, after connections were accepted again, is another episode."""
    async with opened(root) as site, trio.open_nursery() as nursery:
        with listening(errno.EMFILE) as listener:
            nursery.start_soon(accept_sockets, listener, site, nursery)
            await ask(listener)
            listener.errors.append(errno.EMFILE)
            await ask(listener)
            nursery.cancel_scope.cancel()
    assert [record.getMessage().partition(",")[0].partition(":")[0] for record in caplog.records] == [
        "cannot accept connections for now",
        "accepting again",
    ] * 2


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection counts as stale, however slow the machine that runs the test is."""
    monkeypatch.setattr(listener_module, "has_waited_too_long", lambda connected: False)


@pytest.mark.usefixtures("patience")
async def test_no_more_connections_than_allowed(root: Path, autojump_clock: MockClock) -> None:
    """The one too many waits in the kernel's queue, and is served when another has ended."""
    async with opened(root, Options(max_connections=2)) as site, trio.open_nursery() as nursery:
        with listening() as listener:
            nursery.start_soon(accept_sockets, listener, site, nursery)
            clients = []
            for _ in range(4):
                clients.append(await trio.open_tcp_stream(*listener.getsockname()))
                await clients[-1].send_all(ONCE[:10])
                await wait_all_tasks_blocked()
            assert site.statistics().connections == site.statistics().accepted == 2
            for number, client in enumerate(clients):
                await client.send_all(ONCE[10:])
                assert read_answer(await hear_all(client)).body == TEN
                await client.aclose()
                await wait_all_tasks_blocked()
                assert site.statistics().accepted == min(number + 3, 4)
            assert site.statistics().connections == 0
            assert site.statistics().full == 2
            nursery.cancel_scope.cancel()


@pytest.mark.usefixtures("patience")
async def test_the_idle_make_room(root: Path, autojump_clock: MockClock) -> None:
    """A connection that is between two requests is ended for one that waits to be let in; one that is amid a
    request is not.
    """
    async with opened(root, Options(max_connections=2)) as site, trio.open_nursery() as nursery:
        with listening() as listener:
            nursery.start_soon(accept_sockets, listener, site, nursery)
            busy = await trio.open_tcp_stream(*listener.getsockname())
            await busy.send_all(ONCE[:10])
            await wait_all_tasks_blocked()
            idle = await trio.open_tcp_stream(*listener.getsockname())
            await idle.send_all(request())
            assert read_answer(bytes(await idle.receive_some())).body == TEN
            assert await ask(listener) == TEN
            assert await idle.receive_some() == b""
            await busy.send_all(ONCE[10:])
            assert read_answer(await hear_all(busy)).body == TEN
            await busy.aclose()
            await idle.aclose()
            nursery.cancel_scope.cancel()


async def test_a_queue_that_is_emptied_by_the_last_there_was_room_for(
    root: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """It is as empty as any other, whatever one finds who comes later, and alone."""
    monkeypatch.setattr(listener_module, "has_waited_too_long", lambda connected: True)
    monkeypatch.setattr(admission_module, "_PERSISTENT", 0.0)
    async with opened(root, Options(max_connections=1)) as site, trio.open_nursery() as nursery:
        with listening() as listener:
            nursery.start_soon(accept_sockets, listener, site, nursery)
            for _ in range(3):
                assert await ask(listener) == TEN
            nursery.cancel_scope.cancel()
        assert site.statistics().refused_stale == 0


async def test_who_has_waited_too_long(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that comes too late out of the kernel's queue is told so, whole, closed and recorded."""
    monkeypatch.setattr(listener_module, "has_waited_too_long", lambda connected: True)
    monkeypatch.setattr(AcceptQueue, "is_persistent", property(lambda queue: True))
    log = Recorder()
    async with opened(root, access_log=log) as site, trio.open_nursery() as nursery:
        with listening() as listener:
            nursery.start_soon(accept_sockets, listener, site, nursery)
            async with await trio.open_tcp_stream(*listener.getsockname()) as client:
                peer = client.socket.getsockname()
                answer = read_answer(await hear_all(client))
            nursery.cancel_scope.cancel()
        assert (answer.status, answer.fields["Retry-After"], answer.fields["Connection"]) == (
            503,
            "1",
            "close",
        )
        assert (site.statistics().refused_stale, site.statistics().connections) == (1, 0)
    assert [record[:3] for record in log.records] == [(peer, None, 503)]
    assert ["waited too long" in record.getMessage() for record in caplog.records] == [True]


class MemoryListener(trio.abc.Listener[trio.abc.Stream]):
    """Accepts the streams it is handed, after these errors."""

    def __init__(self, *errors: int) -> None:
        self.errors = list(errors)
        self._send, self._receive = trio.open_memory_channel[trio.abc.Stream](10)
        self.closed = False

    def connect(self) -> trio.abc.Stream:
        ours, theirs = memory_stream_pair()
        self._send.send_nowait(theirs)
        return ours

    async def accept(self) -> trio.abc.Stream:
        if self.errors:
            code = self.errors.pop(0)
            raise OSError(code, os.strerror(code))
        return await self._receive.receive()

    async def aclose(self) -> None:
        self.closed = True
        await trio.lowlevel.checkpoint()


async def test_any_listener(root: Path) -> None:
    """Streams of whatever kind are accepted and served, several at a time."""
    listener = MemoryListener()
    async with opened(root) as site, trio.open_nursery() as nursery:
        nursery.start_soon(accept_streams, listener, site, nursery)
        clients = [listener.connect() for _ in range(3)]
        for client in clients:
            await client.send_all(ONCE)
        for client in clients:
            assert read_answer(await hear_all(client)).body == TEN
        nursery.cancel_scope.cancel()


async def test_any_listener_in_a_shortage(
    root: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Its shortages are waited for and told as those of a socket."""
    listener = MemoryListener(errno.EMFILE, errno.EMFILE)
    async with opened(root) as site, trio.open_nursery() as nursery:
        nursery.start_soon(accept_streams, listener, site, nursery)
        client = listener.connect()
        await client.send_all(ONCE)
        assert read_answer(await hear_all(client)).body == TEN
        nursery.cancel_scope.cancel()
    assert [record.getMessage().partition(",")[0].partition(":")[0] for record in caplog.records] == [
        "cannot accept connections for now",
        "accepting again",
    ]


async def test_any_listener_keeps_to_the_limit(root: Path) -> None:
    """The limit of connections is the site's, not the listener's."""
    listener = MemoryListener()
    async with opened(root, Options(max_connections=1)) as site, trio.open_nursery() as nursery:
        nursery.start_soon(accept_streams, listener, site, nursery)
        clients = [listener.connect() for _ in range(3)]
        for client in clients:
            await client.send_all(ONCE[:10])
        await wait_all_tasks_blocked()
        assert site.statistics().accepted == 1
        for client in clients:
            await client.send_all(ONCE[10:])
            assert read_answer(await hear_all(client)).body == TEN
        nursery.cancel_scope.cancel()


async def test_the_peer() -> None:
    """The peer's address, for the log, where the stream has one."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with (
        listener,
        await open_stream_to_socket_listener(listener) as client,
        await listener.accept() as server,
    ):
        assert peer_of(server) == client.socket.getsockname()
    assert peer_of(memory_stream_pair()[0]) is None
    assert peer_of(server) is None  # it is closed


@pytest.mark.parametrize(
    ("connections", "accepted"),
    [(0, 16), (100, 16), (1_000, 125), (10_000, 256)],
    ids=["none are in", "few", "an eighth of those who are in", "never more"],
)
def test_who_comes_has_a_share(connections: int, accepted: int) -> None:
    """The more are in, the more are accepted between two of their turns, or 1,000 who come to a server that
    has time for them all would wait for seconds.
    """
    assert batch(connections) == accepted
