"""A socket as a transport: system calls as soon as they may succeed, and waiting only when they do not."""

import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from fcntl import ioctl
from os import sendfile
from select import POLLOUT, poll
from termios import TIOCOUTQ
from typing import Final

import trio

from trio_evserver.files.disk import Buffer
from trio_evserver.files.span import Span
from trio_evserver.serving.readiness import ENDED, READABLE, WRITABLE, Readiness, Receiver
from trio_evserver.serving.transport import RECEIVE, ConnectionLost, Transport, nobody

# A peer that sends faster than it is read never makes a receive wait; after so many the others have a turn.
_BURST: Final = 4
# Joining small pieces costs less than a gathered write of them, up to about this many bytes.
_JOIN: Final = 16 * 1024
# Of a file to a peer on this machine, bytes that wait to be sent: of many more, few are in the processor's
# cache when the peer copies them.
_UNSENT_HERE: Final = 128 * 1024
_NOTSENT_LOWAT: Final[int] = getattr(socket, "TCP_NOTSENT_LOWAT", 0)  # as tcp_notsent_lowat, ip-sysctl.rst
# What comes next is to travel in the same packet, if it comes right away: send(2), tcp(7).
MORE: Final[int] = getattr(socket, "MSG_MORE", 0)
_COUNT: Final = struct.Struct("i")
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class SocketTransport(Transport):
    """A connected, non-blocking stream socket and what is known of its readiness; takes both over."""

    __slots__ = ("_burst", "_early", "_held", "_here", "_on_stall", "_readiness", "_socket")

    def __init__(self, connected: socket.socket, readiness: Readiness, *, here: bool = False) -> None:
        """The peer is `here`, on this machine, by TCP."""
        self._readiness = readiness
        self._socket = connected
        self._held = False  # by the kernel, the last of all, for the end to travel with it
        self._burst = 0
        self._early = b""
        self._here = here
        self._on_stall: Callable[[bool], None] = nobody
        self.has_received = False
        self.may_have_more = True
        self.moment = 0
        self.taken = 0

    def __repr__(self) -> str:
        return f"<SocketTransport {self._socket.fileno()}>"

    async def receive(self) -> bytes:
        readiness = self._readiness
        moment = 0
        while True:
            if not readiness.events & READABLE:
                self._burst = 0
                await readiness.wait(READABLE)
                moment = readiness.moment
            elif self._burst >= _BURST:
                self._burst = 0
                await trio.lowlevel.checkpoint()
            self._burst += 1
            data = self.receive_nowait()
            if data is not None:
                self.moment = moment
                return data

    def receive_early(self) -> bool:
        """Receive what has arrived before anything is watched; whether that is something."""
        try:
            self._early = self._socket.recv(RECEIVE)
        except OSError:  # what it is comes again, or there is nothing yet
            return False
        self.has_received = True
        return True

    def arrived_before(self, moment: int) -> None:
        """What was received early had."""
        self._readiness.moment = moment

    def watch(self) -> None:
        self._readiness.watch()

    def receive_nowait(self) -> bytes | None:
        readiness = self._readiness
        self.moment = readiness.moment
        if self.has_received:
            self.has_received = False
            early, self._early = self._early, b""  # or it would stay for as long as the connection does
            self.may_have_more = len(early) == RECEIVE
            return early
        try:
            data = self._socket.recv(RECEIVE)
        except BlockingIOError:
            data = None
        except OSError as error:
            raise ConnectionLost from error
        # Fewer bytes than asked for: there are no more now, and asking would only say so.
        if data is None or (len(data) < RECEIVE and not readiness.events & ENDED):
            readiness.events &= ~READABLE
            self.may_have_more = False
        else:
            self.may_have_more = True
        return data

    def prefetch(self) -> bool:
        connected = self._socket  # a reference is counted, in the socket
        return self.has_received and connected is not None

    def attend(self, receiver: Receiver) -> bool:
        # What is there already is received by who can let others have a turn.
        return not self._readiness.events & READABLE and self._readiness.attend(receiver)

    def attend_no_more(self) -> None:
        self._readiness.attend(None)

    async def send(self, head: Buffer, body: Buffer = b"") -> None:
        sent = self.send_nowait(head, body)
        if sent < len(head) + len(body):
            await self.send_rest(head, body, sent)

    def send_nowait(self, head: Buffer, body: Buffer = b"", *, last: bool = False) -> int:
        flags = 0
        if last:
            flags = MORE
            self._held = True
        try:
            if not body:
                sent = self._socket.send(head, flags)
            elif len(body) <= _JOIN:
                sent = self._socket.send(b"".join((head, body)), flags)
            else:
                sent = self._socket.sendmsg((head, body))
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise ConnectionLost from error
        if sent < len(head) + len(body):
            self._readiness.events &= ~WRITABLE
        self.taken += sent
        return sent

    def send_span_nowait(self, head: bytes, span: Span) -> int:
        sent = self._send_ahead_nowait(head)
        if sent == len(head):
            try:
                count = sendfile(self._socket.fileno(), span.descriptor, span.offset, span.length)
            except BlockingIOError:
                count = 0
            except ConnectionError as error:
                raise ConnectionLost from error
            except OSError:  # of the file, or of the socket: reading and sending will tell
                count = 0
            if count < span.length:
                self._readiness.events &= ~WRITABLE
            sent += count
            self.taken += count
        return sent

    async def send_rest(self, head: Buffer, body: Buffer, sent: int) -> None:
        await self._wait_room()
        for buffer in (head, body):
            view = memoryview(buffer)[sent:]
            sent = max(0, sent - len(buffer))
            while view:
                try:
                    count = self._socket.send(view)
                except BlockingIOError:
                    count = 0
                except OSError as error:
                    raise ConnectionLost from error
                self.taken += count
                view = view[count:]
                # Only of a socket that took less than it was offered is it told that there is room again.
                if view:
                    self._readiness.events &= ~WRITABLE
                    await self._wait_room()
        self._on_stall(False)

    async def send_from(self, head: bytes, span: Span, left_of: Callable[[Span, int], int]) -> int:
        if self._here:
            self._here = False  # it is told once
            self._keep_few_unsent()
        if head:
            ahead = self._send_ahead_nowait(head)
            if ahead < len(head):
                await self.send_rest(head, b"", ahead)
        sent, room = 0, span.length
        while room:
            try:
                count = sendfile(self._socket.fileno(), span.descriptor, span.offset + sent, room)
            except BlockingIOError:
                self._readiness.events &= ~WRITABLE
                await self._wait_room()
            except ConnectionError as error:
                raise ConnectionLost from error
            except OSError:  # of the file, or of the socket: reading and sending will tell
                if sent:
                    break
                self._on_stall(False)
                raise
            else:
                sent += count
                self.taken += count
                if not count or sent == span.length:
                    break
                if not self._is_writable():  # or else it is the file that ended
                    await self._wait_room()
            room = left_of(span, sent)
        self._on_stall(False)
        return sent

    def _send_ahead_nowait(self, head: bytes) -> int:
        """Send what fits at once of the head, so that what follows travels in the same packet."""
        try:
            sent = self._socket.send(head, MORE)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise ConnectionLost from error
        self.taken += sent
        if sent < len(head):
            self._readiness.events &= ~WRITABLE
        return sent

    async def wait_writable(self) -> None:
        # That the last write was taken whole does not mean that there is room for another: the kernel knows.
        if not self._is_writable():
            await self._wait_room()
            self._on_stall(False)

    def _is_writable(self) -> bool:
        self._readiness.events &= ~WRITABLE
        writable = poll()
        writable.register(self._socket, POLLOUT)
        return bool(writable.poll(0))

    def _keep_few_unsent(self) -> None:
        if _NOTSENT_LOWAT:
            with suppress(OSError):  # then it is only slower
                self._socket.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, _UNSENT_HERE)

    @property
    def sends_in_place(self) -> bool:
        return True

    def notice_stall(self, stalled: Callable[[bool], None]) -> None:
        self._on_stall = stalled

    def notice_loss(self, lost: Callable[[], None]) -> None:
        self._readiness.on_lost = lost

    def undelivered(self) -> int:
        try:
            (count,) = _COUNT.unpack(ioctl(self._socket, TIOCOUTQ, bytes(_COUNT.size)))
        except OSError:  # not a kind of socket that tells
            return 0
        return int(count)

    async def _wait_room(self) -> None:
        """Until there is room again, where there was none; it may have been told since."""
        if not self._readiness.events & WRITABLE:
            self._on_stall(True)
            await self._readiness.wait(WRITABLE)

    async def end(self) -> None:
        self._readiness.on_lost = None  # from now on, that the peer ends its side as well is no loss
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise ConnectionLost from error

    async def close(self) -> None:
        self.close_nowait()

    def close_nowait(self) -> bool:
        self._readiness.forget()
        if self._held:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)  # a close drops it where the peer has said more
        self._socket.close()
        return True

    def abort(self) -> None:
        self._held = False
        with suppress(OSError):  # already gone, which is what was wanted
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
