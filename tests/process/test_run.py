"""From the start to the signal that ends it, in this process."""

import os
import signal
import socket
import threading
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from trio_evserver.process.run import run
from trio_evserver.serving.binding import open_sockets
from trio_evserver.serving.options import Options
from trio_evserver.serving.server import Server

OPTIONS = Options(grace=3600.0)
# Beyond what the buffers of two sockets hold, so that an answer that nobody reads stays in flight.
LARGE = 64 * 1024 * 1024


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text("hello")
    with (tmp_path / "large.bin").open("wb") as file:
        file.truncate(LARGE)
    return tmp_path


class Running:
    """A run in a nursery: `announced` is set, with the server, when it listens."""

    def __init__(self, nursery: trio.Nursery, site: Path) -> None:
        self.sockets: list[socket.socket] = open_sockets(("127.0.0.1",), 0)
        self.port = self.sockets[0].getsockname()[1]
        self.ended = trio.Event()
        self.announced = trio.Event()
        self._token = trio.lowlevel.current_trio_token()
        self.thread = threading.current_thread()
        nursery.start_soon(self._run, site)

    async def _run(self, site: Path) -> None:
        await run(site, OPTIONS, listeners=self.sockets, announce=self._announce)
        self.ended.set()

    def _announce(self, server: Server) -> None:
        self.thread = threading.current_thread()
        trio.from_thread.run_sync(self.announced.set, trio_token=self._token)


async def request(port: int, target: bytes) -> tuple[trio.SocketStream, bytes]:
    """A connection on which an answer has begun, and its first bytes."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    await stream.send_all(b"GET " + target + b" HTTP/1.1\r\nHost: h\r\n\r\n")
    return stream, await stream.receive_some(100)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_an_idle_server(site: Path, number: signal.Signals) -> None:
    """An idle connection does not hold the server for its grace; the listener is closed."""
    async with trio.open_nursery() as nursery:
        running = Running(nursery, site)
        await running.announced.wait()
        assert running.thread is not threading.current_thread()
        stream, answer = await request(running.port, b"/")
        assert answer.startswith(b"HTTP/1.1 200 ")
        os.kill(os.getpid(), number)
        with trio.fail_after(10):
            await running.ended.wait()
        assert running.sockets[0].fileno() == -1
        await stream.aclose()


async def test_the_first_signal_lets_answers_finish(site: Path) -> None:
    """An answer in flight is sent whole, however long its client takes within the grace."""
    async with trio.open_nursery() as nursery:
        running = Running(nursery, site)
        await running.announced.wait()
        stream, answer = await request(running.port, b"/large.bin")
        os.kill(os.getpid(), signal.SIGTERM)
        length = len(answer)
        with trio.fail_after(60):
            while data := await stream.receive_some(1 << 20):
                length += len(data)
            await running.ended.wait()
        assert length > LARGE
        await stream.aclose()


async def test_the_second_signal_ends_at_once(site: Path) -> None:
    """An answer in flight that nobody reads does not hold the server any longer."""
    async with trio.open_nursery() as nursery:
        running = Running(nursery, site)
        await running.announced.wait()
        stream, _ = await request(running.port, b"/large.bin")
        os.kill(os.getpid(), signal.SIGINT)
        await trio.testing.wait_all_tasks_blocked()
        assert not running.ended.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        with trio.fail_after(10):
            await running.ended.wait()
        await stream.aclose()


async def test_an_announcement_that_blocks_holds_nobody(site: Path) -> None:
    """Nobody reads stderr: the server serves and stops all the same."""
    blocked = threading.Event()
    sockets = open_sockets(("127.0.0.1",), 0)

    def announce(server: Server) -> None:
        blocked.wait()

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(run, site, OPTIONS, listeners=sockets, announce=announce))
            stream, answer = await request(sockets[0].getsockname()[1], b"/")
            assert answer.startswith(b"HTTP/1.1 200 ")
            await stream.aclose()
            with trio.fail_after(10):
                os.kill(os.getpid(), signal.SIGTERM)
                await trio.testing.wait_all_tasks_blocked()
        assert sockets[0].fileno() == -1
    finally:
        blocked.set()
