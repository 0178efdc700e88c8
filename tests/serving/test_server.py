"""A whole server: how it starts, what it listens on, how it drains and how it ends."""

import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.compiled import replaces_a_method
from tests.conftest import BIG, TEN
from tests.serving.answers import Answer, read_answer
from tests.serving.conversations import (
    Recorder,
    connect_small,
    hear_all,
    open_descriptors,
    request,
    small_listener,
)
from tests.serving.test_listener import MemoryListener
from trio_evserver.semantics.message import Request, Response
from trio_evserver.serving.answer import FileAnswer, Looking
from trio_evserver.serving.binding import BindError
from trio_evserver.serving.exchange import Exchange
from trio_evserver.serving.open_site import open_site
from trio_evserver.serving.options import Options
from trio_evserver.serving.server import Listener, Server, serve, serve_connection

LOOPBACK = Options(bind=("127.0.0.1",), port=0)
ONCE = request("/ten.txt", "Connection: close")


async def ask(server: Server, data: bytes = ONCE) -> Answer:
    """The answer to one request on a connection of its own."""
    async with await connect(server) as client:
        await client.send_all(data)
        return read_answer(await hear_all(client))


async def connect(server: Server) -> trio.SocketStream:
    host, port = server.addresses[0][:2]
    return await trio.open_tcp_stream(str(host), int(str(port)))


async def test_start(root: Path) -> None:
    """`nursery.start` returns a server that answers, at the addresses and URLs that it names."""
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve, root, LOOPBACK)
        ((host, port),) = server.addresses
        assert server.urls == (f"http://127.0.0.1:{port}/",)
        assert host == "127.0.0.1"
        assert f"http://127.0.0.1:{port}/" in repr(server)
        assert (await ask(server)).body == TEN
        statistics = server.statistics()
        assert (statistics.accepted, statistics.responses, statistics.sent) == (1, {200: 1}, len(TEN))
        nursery.cancel_scope.cancel()


async def test_a_path_as_text(root: Path) -> None:
    """The root may be a str, and a single file, which is served at "/" and under its name."""
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve, str(root / "ten.txt"), LOOPBACK)
        assert (await ask(server, request("/", "Connection: close"))).body == TEN
        assert (await ask(server)).body == TEN
        assert (await ask(server, request("/index.html", "Connection: close"))).status == 404
        nursery.cancel_scope.cancel()


STARTS = [
    ("nothing here", LOOPBACK, FileNotFoundError, "a root that is not there"),
    (".", Options(bind=("127.0.0.1:x",)), ValueError, "an address that is none"),
    (".", Options(bind=("192.0.2.1",)), BindError, "an address that cannot be listened on"),
]


@pytest.mark.parametrize(("name", "options", "error", "why"), STARTS)
async def test_failures_to_start(
    root: Path, name: str, options: Options, error: type[Exception], why: str
) -> None:
    """What keeps a server from starting is raised, bare, and leaves nothing open."""
    before = open_descriptors()
    with pytest.raises(error):
        await serve(root / name, options)
    assert open_descriptors() == before, why


async def start(nursery: trio.Nursery, root: Path, listeners: Sequence[Listener]) -> Server:
    server: Server = await nursery.start(partial(serve, root, listeners=listeners))
    return server


async def test_a_listening_socket(root: Path) -> None:
    """A plain socket that is handed in is listened on, and closed at the end."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    async with trio.open_nursery() as nursery:
        server = await start(nursery, root, [listener])
        assert server.addresses == (listener.getsockname(),)
        assert (await ask(server)).body == TEN
        nursery.cancel_scope.cancel()
    assert listener.fileno() == -1


async def test_trios_own_listeners(root: Path) -> None:
    """Those of `trio.open_tcp_listeners` are listened on, and closed at the end, each of them."""
    before = open_descriptors()
    listeners = [(await trio.open_tcp_listeners(0, host="127.0.0.1"))[0] for _ in range(3)]
    async with trio.open_nursery() as nursery:
        server = await start(nursery, root, listeners)
        assert server.addresses == tuple(listener.socket.getsockname() for listener in listeners)
        assert (await ask(server)).body == TEN
        nursery.cancel_scope.cancel()
    assert [listener.socket.fileno() for listener in listeners] == [-1] * 3
    assert open_descriptors() == before


async def test_a_memory_listener(root: Path) -> None:
    """Any other listener serves as well; it has no address, and is closed at the end."""
    listeners = [MemoryListener(), MemoryListener()]
    async with trio.open_nursery() as nursery:
        server = await start(nursery, root, listeners)
        assert server.addresses == ()
        assert server.urls == ()
        client = listeners[1].connect()
        await client.send_all(ONCE)
        assert read_answer(await hear_all(client)).body == TEN
        nursery.cancel_scope.cancel()
    assert all(listener.closed for listener in listeners)


async def test_a_unix_socket(root: Path, tmp_path: Path) -> None:
    """A socket of another family is listened on, too; it has no URL."""
    path = str(tmp_path / "socket")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    listener.setblocking(False)
    async with trio.open_nursery() as nursery:
        server = await start(nursery, root, [listener])
        assert server.urls == ()
        assert repr(server)
        async with await trio.open_unix_socket(path) as client:
            await client.send_all(ONCE)
            assert read_answer(await hear_all(client)).body == TEN
        nursery.cancel_scope.cancel()


async def test_a_server_of_one_connection(root: Path) -> None:
    """`serve_connection` returns when the conversation has ended, and has closed the stream."""
    ours, theirs = trio.testing.memory_stream_pair()
    await ours.send_all(ONCE)
    async with open_site(root) as site:
        await serve_connection(theirs, site)
    assert read_answer(await hear_all(ours)).body == TEN


async def drain_when_blocked(server: Server) -> None:
    await wait_all_tasks_blocked()
    await server.drain()


async def test_drain(root: Path) -> None:
    """Idle connections, those without a request so far among them, are closed at once; nobody is accepted any
    more; `serve` returns as if nothing had happened.
    """
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve, root, LOOPBACK)
        served, silent = await connect(server), await connect(server)
        await served.send_all(request())
        assert read_answer(bytes(await served.receive_some())).body == TEN
        while server.statistics().connections < 2:
            await wait_all_tasks_blocked()
        await server.drain()
        assert await served.receive_some() == b""
        assert await silent.receive_some() == b""
        with pytest.raises(OSError, match=r"."):
            await connect(server)
    await served.aclose()
    await silent.aclose()


async def test_drain_without_connections(root: Path) -> None:
    """There is nothing to wait for."""
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve, root, LOOPBACK)
        await server.drain()
        await server.drain()
        assert server.statistics().connections == 0
        with pytest.raises(OSError, match=r"."):
            await connect(server)


class Held:
    """Answers that wait until they are let go, as if the disk took its time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.let_go = trio.Event(), trio.Event()
        answer = Exchange.answer_nowait

        def held(exchange: Exchange, request: Request, moment: int = 0) -> Looking:
            async def wait() -> Response | FileAnswer:
                self.asked.set()
                await self.let_go.wait()
                found = answer(exchange, request)
                return found if isinstance(found, Response | FileAnswer) else await found()

            return wait

        monkeypatch.setattr(Exchange, "answer_nowait", held)


@replaces_a_method
async def test_drain_with_an_answer_in_flight(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is finished, says that it is the last one, and only then has the server ended; whoever drains
    meanwhile waits for the same end.
    """
    held = Held(monkeypatch)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve, root, LOOPBACK)
        client = await connect(server)
        await client.send_all(request("/big.bin"))
        await held.asked.wait()
        async with trio.open_nursery() as drains:
            drains.start_soon(drain_when_blocked, server)
            drains.start_soon(server.drain)
            await wait_all_tasks_blocked()
            assert server.statistics().connections == 1
            held.let_go.set()
            answer = read_answer(await hear_all(client))
            assert answer.body == BIG
            assert answer.fields["Connection"] == "close"
            await client.aclose()


async def test_drain_with_a_reply_under_way(root: Path) -> None:
    """A reply that has begun without the word is finished all the same, and the connection then closed."""
    (root / "large.bin").write_bytes(BIG * 20)
    listener = small_listener()
    async with trio.open_nursery() as nursery:
        server = await start(nursery, root, [listener])
        async with await connect_small(listener) as client:
            await client.send_all(request("/large.bin"))
            heard = bytes(await client.receive_some(1))
            nursery.start_soon(server.drain)
            await wait_all_tasks_blocked()
            heard += await hear_all(client)
    answer = read_answer(heard)
    assert answer.body == BIG * 20
    assert "Connection" not in answer.fields


@replaces_a_method
async def test_grace(root: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock) -> None:
    """What takes longer than the grace is cut off, and `serve` returns all the same."""
    held = Held(monkeypatch)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve, root, LOOPBACK)
        async with await connect(server) as client:
            await client.send_all(request("/big.bin"))
            await held.asked.wait()
            start = trio.current_time()
            await server.drain()
            assert trio.current_time() - start == pytest.approx(LOOPBACK.grace)
            await server.drain()
            assert await closed(client)


async def closed(client: trio.SocketStream) -> bool:
    """Whether the server has closed; with a reset, perhaps."""
    try:
        while await client.receive_some():
            continue
    except trio.BrokenResourceError:
        return True
    return True


STATES = (
    b"",
    b"GET / HT",
    request(),
    request("/", "Content-Length: 9"),
    request("/", "Content-Length: 9", method="POST"),
    request("/large.bin"),
    request("/large.bin") * 9,
    b"nonsense\r\n\r\n",
)


@replaces_a_method
async def test_cancelling(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelling `serve` closes every socket, whatever its connection is at, and leaves nothing open."""
    (root / "large.bin").write_bytes(BIG * 20)
    before = open_descriptors()
    listener = small_listener()
    async with trio.open_nursery() as clients:
        async with trio.open_nursery() as nursery:
            await start(nursery, root, [listener])
            for data in STATES:
                client = await connect_small(listener)
                await client.send_all(data)
                await wait_all_tasks_blocked()
                clients.start_soon(see_the_end, client)
            held = Held(monkeypatch)
            client = await connect_small(listener)
            await client.send_all(request("/big.bin"))
            await held.asked.wait()
            nursery.cancel_scope.cancel()
        assert await closed(client)
        await client.aclose()
    assert open_descriptors() == before


async def see_the_end(client: trio.SocketStream) -> None:
    async with client:
        assert await closed(client)


async def test_a_broken_site_ends_the_server(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception in the block around the server closes its sockets on the way out, too."""
    before = open_descriptors()
    with pytest.RaisesGroup(ZeroDivisionError):
        async with trio.open_nursery() as nursery:
            await nursery.start(serve, root, LOOPBACK)
            raise ZeroDivisionError
    assert open_descriptors() == before


async def test_the_access_log(root: Path) -> None:
    """Every answer of a server is recorded, with the address of the peer."""
    log = Recorder()
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve, root, LOOPBACK, access_log=log))
        async with await connect(server) as client:
            peer = client.socket.getsockname()
            await client.send_all(ONCE)
            await hear_all(client)
        await server.drain()
    assert log.records == [(peer, "GET", 200, len(TEN))]
