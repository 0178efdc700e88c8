"""Where nothing can be sent in place, all replies are read into one buffer, and each client gets its own
bytes all the same, however slowly.
"""

import errno
import os
import socket
from pathlib import Path

import pytest
import trio

from tests.conftest import LONG_AGO
from tests.serving.answers import read_answers
from tests.serving.conversations import hear_all, request
from trio_evserver.files.options import FileOptions
from trio_evserver.serving import socket_transport as transport_module
from trio_evserver.serving.attendants import converse
from trio_evserver.serving.open_site import open_site
from trio_evserver.serving.options import Options
from trio_evserver.serving.readiness import TrioReadiness
from trio_evserver.serving.socket_transport import SocketTransport
from trio_evserver.serving.stream_transport import StreamTransport

SIZE = 400_000
NAMES = [f"{number}.bin" for number in range(5)]
OPTIONS = Options(files=FileOptions(cache_size=1024, chunk_size=64 * 1024))
ONE_CHUNK = Options(files=FileOptions(cache_size=1024, chunk_size=512 * 1024))


@pytest.fixture(autouse=True)
def nothing_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that knows no sendfile."""

    def sendfile(out: int, descriptor: int, offset: int, count: int) -> int:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(transport_module, "sendfile", sendfile)


@pytest.fixture
def contents(tmp_path: Path) -> dict[str, bytes]:
    """Files too large to be kept in memory, which the page cache holds."""
    made = {}
    for name in NAMES:
        made[name] = os.urandom(SIZE)
        (tmp_path / name).write_bytes(made[name])
        os.utime(tmp_path / name, (LONG_AGO, LONG_AGO))
    return made


def stalling_pair() -> tuple[socket.socket, socket.socket]:
    """A server's and a client's end, with room for a few kilobytes between them."""
    theirs, ours = socket.socketpair()
    for end in (theirs, ours):
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return theirs, ours


@pytest.mark.parametrize("options", [OPTIONS, ONE_CHUNK], ids=["chunks", "a chunk each"])
@pytest.mark.parametrize("kind", ["socket", "stream"])
async def test_replies_that_stall_in_turn(
    tmp_path: Path, contents: dict[str, bytes], kind: str, options: Options
) -> None:
    """Each client takes a little, then another one has its turn, whose reply is read in between."""
    heard = dict.fromkeys(NAMES, b"")

    async with open_site(tmp_path, options) as site, trio.open_nursery() as nursery:

        async def take(name: str) -> None:
            theirs, ours = stalling_pair()
            transport: SocketTransport | StreamTransport
            if kind == "socket":
                transport = SocketTransport(theirs, TrioReadiness(theirs))
            else:
                transport = StreamTransport(trio.SocketStream(trio.socket.from_stdlib_socket(theirs)))
            site.connection_began()
            nursery.start_soon(converse, transport, site)
            async with trio.SocketStream(trio.socket.from_stdlib_socket(ours)) as client:
                await client.send_all(request(f"/{name}", "Connection: close"))
                while data := await client.receive_some(5000):
                    heard[name] += data
                    for _ in range(3):
                        await trio.lowlevel.checkpoint()

        with trio.fail_after(30):
            async with trio.open_nursery() as clients:
                for name in NAMES:
                    clients.start_soon(take, name)
        assert site.read_ahead.memory.held == 0
        assert 0 < site.read_ahead.memory.peak <= len(NAMES) * options.files.chunk_size
    for name in NAMES:
        (answer,) = read_answers(heard[name])
        assert answer.body == contents[name], name


async def test_what_is_taken_at_once_is_not_held(tmp_path: Path, contents: dict[str, bytes]) -> None:
    """Of a chunk that the socket takes whole nothing is copied, nor counted as held."""
    asked = request("/0.bin", "Range: bytes=100-9999", "Connection: close")
    async with open_site(tmp_path, OPTIONS) as site, trio.open_nursery() as nursery:

        async def ask() -> bytes:
            theirs, ours = socket.socketpair()
            for end in (theirs, ours):
                end.setblocking(False)
            site.connection_began()
            nursery.start_soon(converse, SocketTransport(theirs, TrioReadiness(theirs)), site)
            async with trio.SocketStream(trio.socket.from_stdlib_socket(ours)) as client:
                await client.send_all(asked)
                return await hear_all(client)

        with trio.fail_after(30):
            await ask()  # the beginning is read when the file is opened, by a worker, and is counted
            memory, hops = site.read_ahead.memory, site.statistics().reads.hops
            memory.peak = 0
            (answer,) = read_answers(await ask())
        assert answer.body == contents["0.bin"][100:10000]
        if site.statistics().reads.hops > hops:
            pytest.skip("this file system does not tell what is in memory")
        assert memory.peak == 0
