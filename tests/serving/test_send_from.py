"""Sending from an open file: the same bytes as from memory, and never past what may still be sent."""

import errno
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.conftest import BIG
from tests.serving.conversations import hear_all
from tests.serving.test_transport import KINDS, pair
from trio_evserver.files.span import Span
from trio_evserver.serving import socket_transport as transport_module
from trio_evserver.serving.listener import admit, is_here
from trio_evserver.serving.open_site import open_site
from trio_evserver.serving.readiness import TrioReadiness
from trio_evserver.serving.socket_transport import SocketTransport
from trio_evserver.serving.transport import ConnectionLost, Transport

SOCKETS = KINDS[:2]
HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[Span]:
    """A file of ten times `BIG`: more than a socket's buffers hold."""
    (tmp_path / "file").write_bytes(BIG * 10)
    descriptor = os.open(tmp_path / "file", os.O_RDWR)
    yield Span(descriptor, 0, len(BIG) * 10)
    os.close(descriptor)


def all_of_it(span: Span, sent: int) -> int:
    return span.length - sent


@pytest.mark.parametrize("kind", KINDS)
async def test_who_can(kind: str) -> None:
    """A socket; a stream cannot, and says so."""
    async with pair(kind) as (transport, _):
        assert transport.sends_in_place is (kind in SOCKETS)
        if not transport.sends_in_place:
            with pytest.raises(NotImplementedError):
                await transport.send_from(b"", Span(0, 0, 1), all_of_it)
        await transport.close()


@pytest.mark.parametrize("kind", SOCKETS)
async def test_a_region_behind_its_head(kind: str, whole: Span) -> None:
    """Exactly these bytes, from this offset, after the head; all of them count as taken."""
    async with pair(kind) as (transport, client):
        assert await transport.send_from(HEAD, Span(whole.descriptor, 12, 1000), all_of_it) == 1000
        assert await transport.send_from(b"", Span(whole.descriptor, 5, 7), all_of_it) == 7
        assert transport.taken == len(HEAD) + 1007
        await transport.close()
        assert await hear_all(client) == HEAD + BIG[12:1012] + BIG[5:12]


@pytest.mark.parametrize("kind", SOCKETS)
async def test_a_slow_reader_of_a_file(kind: str, whole: Span) -> None:
    """All arrives; each wait is reported, and after each it is asked again what may be sent; the end of the
    waiting is reported once, when all has been sent.
    """
    stalls: list[bool] = []
    asked: list[int] = []

    def half_of_it(span: Span, sent: int) -> int:
        asked.append(sent)
        return (span.length - sent + 1) // 2

    async with pair(kind) as (transport, client), trio.open_nursery() as nursery:
        transport.notice_stall(stalls.append)

        async def send() -> None:
            assert await transport.send_from(HEAD, whole, half_of_it) == whole.length
            assert transport.taken == len(HEAD) + whole.length
            await transport.close()

        nursery.start_soon(send)
        assert await hear_all(client) == HEAD + BIG * 10
    assert len(asked) > 1
    assert asked == sorted(asked)
    assert stalls[-1] is False
    assert set(stalls[:-1]) == {True}


@pytest.mark.parametrize("kind", SOCKETS)
async def test_a_head_that_waits(kind: str, whole: Span) -> None:
    """A socket that is full takes the head later, and then the file."""
    async with pair(kind) as (transport, client), trio.open_nursery() as nursery:
        filled = transport.send_nowait(BIG * 20)

        async def send() -> None:
            assert await transport.send_from(HEAD, Span(whole.descriptor, 0, 1000), all_of_it) == 1000
            await transport.close()

        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        assert nursery.child_tasks
        assert await hear_all(client) == (BIG * 20)[:filled] + HEAD + BIG[:1000]


@pytest.mark.parametrize("kind", SOCKETS)
async def test_nothing_is_left_after_a_wait(kind: str, whole: Span) -> None:
    """Pages that are gone from memory when the peer takes bytes again are not sent."""
    async with pair(kind) as (transport, client), trio.open_nursery() as nursery:
        sent = 0

        async def send() -> None:
            nonlocal sent
            sent = await transport.send_from(b"", whole, lambda span, sent: 0)
            await transport.close()

        nursery.start_soon(send)
        heard = await hear_all(client)
        assert 0 < sent < whole.length
        assert heard == (BIG * 10)[:sent]


@pytest.mark.parametrize("kind", SOCKETS)
async def test_a_file_that_ends(kind: str, whole: Span) -> None:
    """Before the span does: what there is, without waiting for what will never come."""
    os.truncate(whole.descriptor, 1000)
    async with pair(kind) as (transport, client):
        with trio.fail_after(10):
            assert await transport.send_from(b"", Span(whole.descriptor, 900, 500), all_of_it) == 100
            assert await transport.send_from(b"", Span(whole.descriptor, 1000, 400), all_of_it) == 0
        await transport.close()
        assert await hear_all(client) == BIG[900:1000]


@pytest.mark.parametrize("kind", SOCKETS)
async def test_a_peer_that_is_gone(kind: str, whole: Span) -> None:
    """It is ConnectionLost, with a head and without."""
    for head in (b"", HEAD):
        async with pair(kind) as (transport, client):
            await client.aclose()
            with pytest.raises(ConnectionLost):
                await send_for_ever(transport, head, whole)
            await transport.close()


async def send_for_ever(transport: Transport, head: bytes, span: Span) -> None:
    while True:
        await transport.send_from(head, span, all_of_it)


@pytest.mark.parametrize("kind", SOCKETS)
async def test_it_is_cancelled(kind: str, whole: Span) -> None:
    """Promptly, while it waits for the peer."""
    async with pair(kind) as (transport, _):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(transport.send_from, HEAD, whole, all_of_it)
                await wait_all_tasks_blocked()
                scope.cancel()
        assert scope.cancelled_caught
        await transport.close()


def failing(results: list[int | OSError]) -> Callable[..., int]:
    """A sendfile of these results, one after the other, and then the real one; a number is the most it
    sends.
    """

    def sendfile(out: int, descriptor: int, offset: int, count: int) -> int:
        result = results.pop(0) if results else count
        if isinstance(result, OSError):
            raise result
        return os.sendfile(out, descriptor, offset, min(count, result)) if result else 0

    return sendfile


@pytest.mark.parametrize("kind", SOCKETS)
@pytest.mark.parametrize(
    ("results", "expected", "why"),
    [
        ([OSError(errno.EINVAL, "no")], OSError, "never works here"),
        ([OSError(errno.EIO, "broken")], OSError, "the disk"),
        ([10, OSError(errno.EIO, "broken")], 10, "what was sent is said; the next attempt says the rest"),
        ([0], 0, "the file has been cut"),
        ([10, 0], 10, "while it was sent"),
        ([10, 20, 30], 1000, "short writes, to a peer that takes more"),
        ([BrokenPipeError(errno.EPIPE, "gone")], ConnectionLost, "the peer"),
        ([10, ConnectionResetError(errno.ECONNRESET, "gone")], ConnectionLost, "the peer, later"),
    ],
)
async def test_what_sendfile_says(
    whole: Span,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    results: list[int | OSError],
    expected: int | type[Exception],
    why: str,
) -> None:
    """What was sent counts; what cannot be is an OSError only where nothing was."""
    monkeypatch.setattr(transport_module, "sendfile", failing(list(results)))
    span = Span(whole.descriptor, 0, 1000)
    async with pair(kind) as (transport, client):
        if isinstance(expected, int):
            assert await transport.send_from(HEAD, span, all_of_it) == expected, why
            assert transport.taken == len(HEAD) + expected
        else:
            with pytest.raises(expected):
                await transport.send_from(HEAD, span, all_of_it)
        await transport.close()
        count = expected if isinstance(expected, int) else transport.taken - len(HEAD)
        assert await hear_all(client) == HEAD + BIG[:count]


# A peer on this machine


def unsent(connected: socket.socket) -> int:
    """How many bytes may wait to be sent before a socket is no longer writable."""
    return connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)


async def test_a_peer_here_has_little_unsent(tmp_path: Path, whole: Span) -> None:
    """From the first part of a file that may have to wait for it; all of it arrives."""
    async with open_site(tmp_path) as site:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = socket.create_connection(listener.getsockname())
            theirs, peer = listener.accept()
        ours.setblocking(False)
        transport = admit(theirs, site, peer)
        before = unsent(theirs)
        async with trio.SocketStream(trio.socket.from_stdlib_socket(ours)) as client:
            await transport.send(HEAD)
            assert unsent(theirs) == before
            async with trio.open_nursery() as nursery:

                async def send() -> None:
                    sent = 0
                    while sent < whole.length:
                        rest = Span(whole.descriptor, sent, whole.length - sent)
                        sent += await transport.send_from(b"", rest, all_of_it)
                    assert unsent(theirs) == 128 * 1024 != before
                    await transport.close()

                nursery.start_soon(send)
                assert await hear_all(client) == HEAD + BIG * 10


async def test_a_peer_elsewhere_has_what_the_system_deems_right(whole: Span) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    theirs.setblocking(False)
    before = unsent(theirs)
    transport = SocketTransport(theirs, TrioReadiness(theirs))
    with ours:
        assert await transport.send_from(HEAD, Span(whole.descriptor, 0, 10), all_of_it) == 10
        assert unsent(theirs) == before
        await transport.close()


async def test_a_socket_that_knows_no_such_bound(whole: Span) -> None:
    """It is sent the same."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    transport = SocketTransport(theirs, TrioReadiness(theirs), here=True)
    with ours:
        assert await transport.send_from(HEAD, Span(whole.descriptor, 0, 10), all_of_it) == 10
        assert ours.recv(100) == HEAD + BIG[:10]
        await transport.close()


@pytest.mark.parametrize(
    ("peer", "here"),
    [
        (("127.0.0.1", 1), True),
        (("127.200.0.9", 1), True),
        (("::1", 1, 0, 0), True),
        (("::ffff:127.0.0.1", 1, 0, 0), True),
        ("", False),
        (b"\0abstract", False),
        (("192.0.2.127", 1), False),
        (("128.127.0.1", 1), False),
        (("::ffff:192.0.2.1", 1, 0, 0), False),
        (("2001:db8::127:1", 1, 0, 0), False),
    ],
)
async def test_who_is_here(peer: object, here: bool) -> None:
    """By TCP: a Unix-domain socket holds little."""
    assert is_here(peer) is here
