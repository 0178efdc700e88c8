"""How bytes reach the peer: two transports behind one small interface.

`SocketTransport` works on the socket itself, for speed. `StreamTransport` works on any `trio.abc.Stream`,
memory streams and TLS included. Neither offers readability: TLS buffers, so a readable socket means nothing
there.
"""

import socket
import struct
from collections.abc import Callable
from typing import Protocol

import trio

from trio_evserver.files.disk import Buffer

_RECEIVE = 64 * 1024
# Joining small pieces costs less than a gathered write of them, up to about this many bytes.
_JOIN = 16 * 1024
# A deadline for progress means something only if progress is reported in small steps.
_STEP = 64 * 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class ConnectionLost(Exception):  # noqa: N818 - an event, as the RFC's own words have it, not an error of ours
    """The peer is gone, or the network between."""


class Transport(Protocol):
    """A byte stream to a peer."""

    on_progress: Callable[[], None]
    """Called whenever some, but not all, of what is being sent has left."""

    async def receive(self) -> bytes:
        """The next bytes, b"" once the peer has ended its side. Raises ConnectionLost. Cancellation:
        prompt, nothing is lost.
        """

    async def send(self, *buffers: Buffer) -> None:
        """Send all of them, in order. Raises ConnectionLost. Cancellation: prompt; how much was sent is
        then unknown.
        """

    def send_nowait(self, data: bytes) -> None:
        """Send what fits at once; a farewell, whose loss harms nobody."""

    async def wait_writable(self) -> None:
        """Until the peer takes some bytes."""

    async def end(self) -> None:
        """Send the end of our side."""

    async def close(self) -> None:
        """Close both sides. Cancellation: closes all the same, forcefully."""

    def abort(self) -> None:
        """Let the coming `close` tell the peer that what it has is not whole, where the protocol below can
        say so.
        """


class SocketTransport:
    """A connected, non-blocking stream socket; takes it over."""

    __slots__ = ("_probably_readable", "_socket", "on_progress")

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self.on_progress: Callable[[], None] = _ignore
        # A peer that has just connected has often sent its request, too.
        self._probably_readable = True

    def __repr__(self) -> str:
        return f"<SocketTransport {self._socket.fileno()}>"

    async def receive(self) -> bytes:
        while True:
            if not self._probably_readable:
                await trio.lowlevel.wait_readable(self._socket)
            try:
                data = self._socket.recv(_RECEIVE)
            except BlockingIOError:
                self._probably_readable = False
                continue
            except OSError as error:
                raise ConnectionLost from error
            # Fewer bytes than asked for: there are no more now, and asking would only say so.
            self._probably_readable = len(data) == _RECEIVE
            return data

    async def send(self, *buffers: Buffer) -> None:
        total = sum(map(len, buffers))
        try:
            if total <= _JOIN or len(buffers) == 1:
                data: Buffer = buffers[0] if len(buffers) == 1 else b"".join(buffers)
                sent = self._socket.send(data)
                if sent == total:
                    return
                buffers = (data,)
            else:
                sent = self._socket.sendmsg(buffers)
                if sent == total:
                    return
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise ConnectionLost from error
        await self._send_rest(buffers, sent)

    async def _send_rest(self, buffers: tuple[Buffer, ...], sent: int) -> None:
        for buffer in buffers:
            view = memoryview(buffer)[sent:]
            sent = max(0, sent - len(buffer))
            while view:
                self.on_progress()
                await trio.lowlevel.wait_writable(self._socket)
                try:
                    view = view[self._socket.send(view) :]
                except BlockingIOError:
                    continue
                except OSError as error:
                    raise ConnectionLost from error

    def send_nowait(self, data: bytes) -> None:
        try:
            self._socket.send(data)
        except OSError:
            return

    async def wait_writable(self) -> None:
        await trio.lowlevel.wait_writable(self._socket)

    async def end(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise ConnectionLost from error

    async def close(self) -> None:
        self._socket.close()

    def abort(self) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        except OSError:  # already gone, which is what was wanted
            return


class StreamTransport:
    """Any stream; takes it over."""

    __slots__ = ("_aborted", "_stream", "on_progress")

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.on_progress: Callable[[], None] = _ignore
        self._aborted = False

    def __repr__(self) -> str:
        return f"<StreamTransport {self._stream!r}>"

    async def receive(self) -> bytes:
        try:
            return bytes(await self._stream.receive_some(_RECEIVE))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionLost from error

    async def send(self, *buffers: Buffer) -> None:
        data = memoryview(b"".join(buffers))
        try:
            for offset in range(0, len(data), _STEP):
                self.on_progress()
                await self._stream.send_all(data[offset : offset + _STEP])
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionLost from error

    def send_nowait(self, data: bytes) -> None:
        """A stream cannot send without waiting; the farewell is lost."""

    async def wait_writable(self) -> None:
        try:
            await self._stream.wait_send_all_might_not_block()
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
        else:
            await self._stream.aclose()

    def abort(self) -> None:
        """A stream that is closed forcefully sends no farewell (close_notify, in TLS): the peer sees a
        truncation.
        """
        self._aborted = True


def _ignore() -> None:
    """No one is interested."""
