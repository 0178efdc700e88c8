"""The two transports: the same bytes, the same ends, whatever carries them."""

import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import pairwise

import pytest
import trio
from trio.testing import lockstep_stream_pair, memory_stream_pair, wait_all_tasks_blocked

from tests.conftest import BIG
from tests.serving.conversations import hear_all
from trio_evserver.serving.hub import Hub, HubReadiness, open_hub
from trio_evserver.serving.readiness import TrioReadiness
from trio_evserver.serving.socket_transport import SocketTransport
from trio_evserver.serving.stream_transport import StreamTransport
from trio_evserver.serving.transport import ConnectionLost, Transport

KINDS = ["socket", "socket, watched by the hub", "memory stream", "socket stream"]


@asynccontextmanager
async def pair(kind: str) -> AsyncIterator[tuple[Transport, trio.abc.HalfCloseableStream]]:
    """A transport, and the stream at its other end."""
    if kind == "memory stream":
        ours, theirs = memory_stream_pair()
        yield StreamTransport(theirs), ours
        return
    server, client = socket.socketpair()
    client.setblocking(False)
    server.setblocking(False)
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(client))
    async with trio.open_nursery() as nursery, stream:
        if kind == "socket stream":
            yield StreamTransport(trio.SocketStream(trio.socket.from_stdlib_socket(server))), stream
        elif kind == "socket":
            yield SocketTransport(server, TrioReadiness(server)), stream
        else:
            hub = hub_or_skip()
            nursery.start_soon(hub.run)
            transport = SocketTransport(server, HubReadiness(hub, server.fileno()))
            transport.watch()
            yield transport, stream
            nursery.cancel_scope.cancel()
            await wait_all_tasks_blocked()
            hub.close()


def hub_or_skip() -> Hub:
    hub = open_hub()
    if hub is None:
        pytest.skip("no epoll here")
    return hub


@pytest.mark.parametrize("kind", KINDS)
async def test_there_and_back(kind: str) -> None:
    """What is sent is received, in order, both ways, until either side ends."""
    async with pair(kind) as (transport, client):
        for message in (b"one", b"two", b"x" * 100_000):
            await client.send_all(message)
            received = b""
            while len(received) < len(message):
                received += await transport.receive()
            assert received == message
            await transport.send(b"head ", b"body")
            assert bytes(await client.receive_some()) == b"head body"
        await client.send_eof()
        assert await transport.receive() == b""
        assert await transport.receive() == b""
        await transport.send(b"still")
        await transport.end()
        assert await hear_all(client) == b"still"
        await transport.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_reader_that_is_slow(kind: str) -> None:
    """Much more than any buffer holds arrives whole, and in pieces each of which is reported."""
    progress = 0

    def count(stalled: bool) -> None:
        nonlocal progress
        progress += stalled

    async with pair(kind) as (transport, client), trio.open_nursery() as nursery:
        transport.notice_stall(count)

        async def send() -> None:
            await transport.send(BIG[:1000], BIG[1000:])
            await transport.send(b"", b"")
            await transport.send(BIG)
            await transport.close()

        nursery.start_soon(send)
        assert await hear_all(client) == BIG * 2
    assert progress > 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_peer_that_is_gone(kind: str) -> None:
    """Whatever the system calls it, it is ConnectionLost, and it can still be closed."""
    async with pair(kind) as (transport, client):
        await client.aclose()
        with pytest.raises(ConnectionLost):
            await send_for_ever(transport)  # what the system still takes into its buffers goes unnoticed
        transport.abort()
        await transport.close()


async def send_for_ever(transport: Transport) -> None:
    while True:
        await transport.send(BIG)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_receive_that_is_cancelled(kind: str) -> None:
    """Cancelling is prompt, and what arrives afterwards is there for the next."""
    async with pair(kind) as (transport, client):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(transport.receive)
                await wait_all_tasks_blocked()
                scope.cancel()
        await client.send_all(b"later")
        assert await transport.receive() == b"later"
        await transport.close()


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind != "memory stream"]
)  # which takes everything
async def test_a_send_that_is_cancelled(kind: str) -> None:
    """A send that waits for a peer is cancelled promptly; `wait_writable` as well."""
    async with pair(kind) as (transport, client):
        for wait in (lambda: transport.send(BIG * 20), transport.wait_writable):
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(wait)
                    await wait_all_tasks_blocked()
                    scope.cancel()
            assert scope.cancelled_caught
        await transport.close()
        await client.aclose()


@pytest.mark.parametrize("kind", KINDS)
async def test_writable(kind: str) -> None:
    """Where the peer takes bytes, `wait_writable` says so at once: it does not wait for the other end."""
    async with pair(kind) as (transport, client):
        with trio.move_on_after(60) as patience:
            await transport.wait_writable()
            await transport.send(b"x")
            await transport.wait_writable()
        assert not patience.cancelled_caught
        assert bytes(await client.receive_some()) == b"x"
        await transport.close()


async def test_writable_again() -> None:
    """A peer that begins to read wakes who waits for that, and then takes more."""
    for kind in KINDS[:2]:
        async with pair(kind) as (transport, client), trio.open_nursery() as nursery:
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as filling:
                    filling.start_soon(transport.send, BIG * 20)
                    await wait_all_tasks_blocked()
                    scope.cancel()
            nursery.start_soon(transport.wait_writable)
            await wait_all_tasks_blocked()
            assert nursery.child_tasks
            while nursery.child_tasks:
                await client.receive_some()
                await wait_all_tasks_blocked()
            await transport.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_sent_at_once(kind: str) -> None:
    """A transport says how much it took without waiting, and can be asked for the rest of it."""
    head, body = b"head" * 10, bytes(range(256)) * 80
    async with pair(kind) as (transport, client):
        sent = transport.send_nowait(head, body)
        assert sent == transport.taken == (len(head) + len(body) if "stream" not in kind else 0)
        await transport.send_rest(head, body, sent)
        await transport.close()
        assert await hear_all(client) == head + body


@contextmanager
def over_tcp() -> Iterator[tuple[SocketTransport, socket.socket]]:
    """A transport, and the client's socket, which waits for ten seconds at most. Whoever asks closes the
    transport.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        connected, _ = listener.accept()
    with client:
        client.settimeout(10)
        connected.setblocking(False)
        yield SocketTransport(connected, TrioReadiness(connected)), client


def hear_to_the_end(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(1024), b""))


# struct tcp_info of linux/tcp.h: tcpi_segs_in comes after 140 octets.
SEGMENTS_RECEIVED = struct.Struct("=140xI")


@pytest.mark.skipif(not hasattr(socket, "MSG_MORE"), reason="only Linux can wait for the end")
@pytest.mark.parametrize("size", [0, 1024, 16 * 1024])
async def test_the_end_travels_with_the_last(size: int) -> None:
    """The end of our side costs no packet of its own; nothing is held back where it does not follow."""

    def send(last: bool) -> tuple[int, bytes]:
        """How many packets the peer had of it, and what it was told."""
        with over_tcp() as (transport, client):
            before = received(client)
            assert transport.send_nowait(b"head", bytes(size), last=last) == 4 + size
            if not last:
                assert client.recv(4, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"head"
            transport.close_nowait()
            heard = hear_to_the_end(client)
            return received(client) - before, heard

    def received(client: socket.socket) -> int:
        info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, SEGMENTS_RECEIVED.size)
        (count,) = SEGMENTS_RECEIVED.unpack(info)
        return int(count)

    packets, heard = send(last=False)
    assert send(last=True) == (packets - 1, heard)
    assert heard == b"head" + bytes(size)


@pytest.mark.parametrize("close", ["close_nowait", "close"])
async def test_the_last_arrives_though_the_peer_says_more(close: str) -> None:
    """What the peer has said, and nobody will read, makes the close a reset; the answer is there before."""
    with over_tcp() as (transport, client):
        client.sendall(b"\r\n")
        transport.send_nowait(b"head", b"body", last=True)
        if close == "close":
            await transport.close()
        else:
            transport.close_nowait()
        assert client.recv(1024) == b"headbody"


async def test_the_last_is_given_up() -> None:
    """What is not whole is no answer: the peer is told by a reset, and hears no end."""
    with over_tcp() as (transport, client):
        transport.send_nowait(b"head", b"body", last=True)
        transport.abort()
        transport.close_nowait()
        with pytest.raises(ConnectionResetError):
            hear_to_the_end(client)


@pytest.mark.parametrize("sent", [0, 1, 39, 40, 41, 50])
async def test_the_rest_of_two(sent: int) -> None:
    """Whatever part of head and body has been taken, the rest follows, in order."""
    head, body = b"head" * 10, b"0123456789"
    for kind in KINDS:
        async with pair(kind) as (transport, client):
            await transport.send_rest(head, body, sent)
            await transport.close()
            assert await hear_all(client) == (head + body)[sent:]


async def test_close_is_noticed_under_cancellation() -> None:
    """`close` closes also for a task that is cancelled already."""
    for kind in KINDS:
        async with pair(kind) as (transport, client):
            with trio.CancelScope() as scope:
                scope.cancel()
                await transport.close()
            assert await client.receive_some() == b""


class Deliberate(trio.abc.Stream):
    """A stream that says how it was closed."""

    def __init__(self) -> None:
        self.said_farewell: bool | None = None

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None: ...

    async def wait_send_all_might_not_block(self) -> None: ...

    async def aclose(self) -> None:
        self.said_farewell = False
        await trio.lowlevel.checkpoint()
        self.said_farewell = True


@pytest.mark.parametrize("aborted", [True, False])
async def test_abort(aborted: bool) -> None:
    """An aborted stream is closed by force, any other with what its protocol says at the end."""
    stream = Deliberate()
    transport = StreamTransport(stream)
    if aborted:
        transport.abort()
    await transport.close()
    assert stream.said_farewell is not aborted


async def test_a_large_piece_is_progress_by_parts() -> None:
    """A stream is handed steps of at most 64 KiB, so that a deadline for progress means something."""
    ours, theirs = lockstep_stream_pair()
    transport = StreamTransport(theirs)
    reported: list[int] = []
    heard = bytearray()
    transport.notice_stall(lambda stalled: reported.append(len(heard)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transport.send, BIG)
        while len(heard) < len(BIG):
            heard += await ours.receive_some()
    assert max(b - a for a, b in pairwise(reported)) <= 64 * 1024
