"""How bytes reach the peer: two transports behind one small interface.

`SocketTransport` works on the socket itself, for speed. `StreamTransport` works on any `trio.abc.Stream`,
memory streams and TLS included. Neither offers readability: TLS buffers, so a readable socket means nothing
there.
"""

import fcntl
import select
import socket
import struct
import termios
from collections.abc import Callable
from typing import Protocol

import trio

from trio_evserver.files.disk import Buffer
from trio_evserver.serving.readiness import ENDED, READABLE, WRITABLE, Readiness

_RECEIVE = 16 * 1024
# A peer that sends faster than it is read never makes a receive wait; after so many the others have a turn.
_BURST = 4
# Joining small pieces costs less than a gathered write of them, up to about this many bytes.
_JOIN = 16 * 1024
# A deadline for progress means something only if progress is reported in small steps.
_STEP = 16 * 1024
_FAREWELL = 2.0  # seconds
_COUNT = struct.Struct("i")
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class ConnectionLost(Exception):  # noqa: N818 - an event, as the RFC's own words have it, not an error of ours
    """The peer is gone, or the network between."""


class Transport(Protocol):
    """A byte stream to a peer."""

    on_stall: Callable[[bool], None]
    """Called with True before each wait for the peer to take more of what is being sent, with False when it
    has.
    """

    taken: int
    """Bytes that were handed to the operating system, or to the stream, so far."""

    def undelivered(self) -> int:
        """Those of them that have not reached the peer, as far as can be told."""

    async def receive(self) -> bytes:
        """The next bytes, b"" once the peer has ended its side. Raises ConnectionLost. Cancellation:
        prompt, nothing is lost.
        """

    async def send(self, head: Buffer, body: Buffer = b"") -> None:
        """Send both, in order. Raises ConnectionLost. Cancellation: prompt; how much was sent is
        then unknown.
        """

    def send_nowait(self, data: bytes) -> None:
        """Send what fits at once; a farewell, whose loss harms nobody."""

    async def wait_writable(self) -> None:
        """Until the peer takes some bytes."""

    async def end(self) -> None:
        """Send the end of our side."""

    async def close(self) -> None:
        """Close both sides, soon. Cancellation: is not noticed; the wait for a farewell has a deadline of
        its own.
        """

    def abort(self) -> None:
        """Let the coming `close` tell the peer that what it has is not whole, where the protocol below can
        say so.
        """


class SocketTransport:
    """A connected, non-blocking stream socket and what is known of its readiness; takes both over."""

    __slots__ = ("_burst", "_readiness", "_socket", "on_stall", "taken")

    def __init__(self, connected: socket.socket, readiness: Readiness) -> None:
        self._socket = connected
        self._readiness = readiness
        self._burst = 0
        self.on_stall: Callable[[bool], None] = _ignore
        self.taken = 0

    def __repr__(self) -> str:
        return f"<SocketTransport {self._socket.fileno()}>"

    async def receive(self) -> bytes:
        readiness = self._readiness
        while True:
            if not readiness.events & READABLE:
                self._burst = 0
                await readiness.wait(READABLE)
            elif self._burst >= _BURST:
                self._burst = 0
                await trio.lowlevel.checkpoint()
            self._burst += 1
            try:
                data = self._socket.recv(_RECEIVE)
            except BlockingIOError:
                readiness.events &= ~READABLE
                continue
            except OSError as error:
                raise ConnectionLost from error
            # Fewer bytes than asked for: there are no more now, and asking would only say so.
            if len(data) < _RECEIVE and not readiness.events & ENDED:
                readiness.events &= ~READABLE
            return data

    async def send(self, head: Buffer, body: Buffer = b"") -> None:
        size = len(head) + len(body)
        try:
            if not body or size <= _JOIN:
                if body:
                    head, body = b"".join((head, body)), b""
                sent = self._socket.send(head)
            else:
                sent = self._socket.sendmsg((head, body))
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise ConnectionLost from error
        self.taken += sent
        if sent < size:
            await self._send_rest((head, body), sent)

    async def _send_rest(self, buffers: tuple[Buffer, ...], sent: int) -> None:
        for buffer in buffers:
            view = memoryview(buffer)[sent:]
            sent = max(0, sent - len(buffer))
            while view:
                await self._wait_room()
                try:
                    count = self._socket.send(view)
                except BlockingIOError:
                    continue
                except OSError as error:
                    raise ConnectionLost from error
                self.taken += count
                view = view[count:]
        self.on_stall(False)

    def send_nowait(self, data: bytes) -> None:
        try:
            self._socket.send(data)
        except OSError:
            return

    async def wait_writable(self) -> None:
        # That the last write was taken whole does not mean that there is room for another: the kernel knows.
        writable = select.poll()
        writable.register(self._socket, select.POLLOUT)
        if not writable.poll(0):
            await self._wait_room()
            self.on_stall(False)

    def undelivered(self) -> int:
        try:
            (count,) = _COUNT.unpack(fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(_COUNT.size)))
        except OSError:  # not a kind of socket that tells
            return 0
        return int(count)

    async def _wait_room(self) -> None:
        self.on_stall(True)
        self._readiness.events &= ~WRITABLE
        await self._readiness.wait(WRITABLE)

    async def end(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise ConnectionLost from error

    async def close(self) -> None:
        self._readiness.forget()
        self._socket.close()

    def abort(self) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        except OSError:  # already gone, which is what was wanted
            return


class StreamTransport:
    """Any stream; takes it over."""

    __slots__ = ("_aborted", "_stream", "on_stall", "taken")

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.on_stall: Callable[[bool], None] = _ignore
        self.taken = 0
        self._aborted = False

    def __repr__(self) -> str:
        return f"<StreamTransport {self._stream!r}>"

    async def receive(self) -> bytes:
        try:
            return bytes(await self._stream.receive_some(_RECEIVE))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionLost from error

    async def send(self, head: Buffer, body: Buffer = b"") -> None:
        data = memoryview(b"".join((head, body)))
        try:
            for offset in range(0, len(data), _STEP):
                self.on_stall(True)
                await self._stream.send_all(data[offset : offset + _STEP])
                self.taken += min(_STEP, len(data) - offset)
                self.on_stall(False)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionLost from error

    def send_nowait(self, data: bytes) -> None:
        """A stream cannot send without waiting; the farewell is lost."""

    def undelivered(self) -> int:
        """A stream does not tell."""
        return 0

    async def wait_writable(self) -> None:
        self.on_stall(True)
        try:
            await self._stream.wait_send_all_might_not_block()
            self.on_stall(False)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionLost from error

    async def end(self) -> None:
        if isinstance(self._stream, trio.abc.HalfCloseableStream):
            try:
                await self._stream.send_eof()
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise ConnectionLost from error

    async def close(self) -> None:
        if self._aborted:
            await trio.aclose_forcefully(self._stream)
            return
        # A farewell (close_notify, in TLS) may have to wait for the peer.
        with trio.move_on_after(_FAREWELL, shield=True):
            await self._stream.aclose()

    def abort(self) -> None:
        """A stream that is closed forcefully sends no farewell (close_notify, in TLS): the peer sees a
        truncation.
        """
        self._aborted = True


def _ignore(stalled: bool) -> None:
    """No one is interested."""
