"""Sends responses in HTTP/1.1: the only place where an exchange meets that version's bytes on the way out."""

import time
from collections.abc import Callable
from http import HTTPStatus

import trio

from trio_evserver.files.lease import Lease
from trio_evserver.files.read_ahead import FileChangedError, ReadAhead, Reading
from trio_evserver.http1.response_head import render_fields, status_line
from trio_evserver.semantics.fields import FieldLines
from trio_evserver.semantics.http_date import format_http_date
from trio_evserver.semantics.message import Content, Parts, Response
from trio_evserver.serving.exchange import UNCOUNTED
from trio_evserver.serving.transport import Transport

KEEP_ALIVE = b""
"""What HTTP/1.1 assumes is not said."""
KEEP_ALIVE_SAID = b"Connection: keep-alive\r\n"
CLOSE = b"Connection: close\r\n"

_SERVER = b"trio_evserver"

# A reply whose reads and sends never wait, because its file is in memory and its client is fast, lets the
# others have a turn after so many bytes.
_BURST = 1024 * 1024


class Heads:
    """The beginnings of response heads: the status line and what depends on the moment and the connection."""

    def __init__(self, *, server_header: bool, clock: Callable[[], float] = time.time) -> None:
        """`clock` tells seconds since the epoch."""
        self._clock = clock
        self._fields: FieldLines = ((b"Server", _SERVER),) if server_header else ()
        self._until = 0.0
        self._date = b""
        self._made: dict[bytes, dict[HTTPStatus, bytes]] = {}

    def __repr__(self) -> str:
        return f"<Heads of {self._date.decode()}>"

    def begin(self, status: HTTPStatus, connection: bytes) -> bytes:
        """Status line, Date, Server and the `connection` field, made once a second (RFC 9110 §6.6.1)."""
        now = self._clock()
        if not self._until - 1 <= now < self._until:  # a clock may also be set back
            self._until = int(now) + 1
            self._date = format_http_date(int(now))
            self._made = {KEEP_ALIVE: {}, KEEP_ALIVE_SAID: {}, CLOSE: {}}
        made = self._made[connection]
        head = made.get(status)
        if head is None:
            fields = render_fields(((b"Date", self._date), *self._fields))
            head = made[status] = status_line(status) + fields + connection
        return head

    def head(self, response: Response, connection: bytes) -> bytes:
        """The whole head of a response, ready-made fields as they are."""
        return self.begin(response.status, connection) + (response.head or render_head(response.fields))


class BodyCutError(Exception):
    """The rest of a body cannot be had, when a part of it is on its way: all that is left is to break the
    connection.
    """


class Responder:
    """Sends the responses of one connection. `sent` counts the bytes of body of the last one."""

    __slots__ = ("_heads", "_nursery", "_read_ahead", "_transport", "sent")

    def __init__(
        self, transport: Transport, heads: Heads, read_ahead: ReadAhead, nursery: trio.Nursery
    ) -> None:
        """`nursery` is the connection's: reads ahead are its tasks."""
        self._transport = transport
        self._heads = heads
        self._read_ahead = read_ahead
        self._nursery = nursery
        self.sent = 0

    def __repr__(self) -> str:
        return f"<Responder {self._transport!r}>"

    async def send(self, response: Response, connection: bytes, *, with_body: bool = True) -> None:
        """Send a response that is held in memory. Raises ConnectionLost."""
        self.sent = 0
        body = response.body
        if not with_body or not isinstance(body, Content):
            await self._transport.send(self._head(response, connection))
            return
        size = len(body.data)
        if size > UNCOUNTED:
            memory = self._read_ahead.memory
            memory.hold(size)
            try:
                await self._transport.send(self._head(response, connection), body.data)
            finally:
                memory.give_back(size)
        else:
            await self._transport.send(self._head(response, connection), body.data)
        self.sent = size

    def send_nowait(self, response: Response) -> None:
        """Send as much of a last response as the transport takes at once; it may be lost."""
        head, content = render_response(response, self._heads, CLOSE)
        self.sent = len(content)
        self._transport.send_nowait(head + content)

    async def send_file(self, response: Response, body: Parts, lease: Lease, connection: bytes) -> None:
        """Send a response whose body is read from the file of `lease`.

        Raises OSError or FileChangedError while nothing has been sent, so that another answer can be given,
        and `BodyCutError` afterwards; ConnectionLost.
        """
        self.sent = 0
        reading = self._read_ahead.open(lease, body, self._nursery, self._transport.wait_writable)
        try:
            data = await reading.next()
            assert data is not None
            await self._transport.send(self._head(response, connection), data)
            await self._send_rest(reading, len(data))
        finally:
            reading.close()

    async def _send_rest(self, reading: Reading, sent: int) -> None:
        self.sent = sent
        yielded = sent
        try:
            while (data := await reading.next()) is not None:
                await self._transport.send(data)
                self.sent += len(data)
                if self.sent - yielded >= _BURST:
                    yielded = self.sent
                    await trio.lowlevel.checkpoint()
        except (OSError, FileChangedError) as error:
            raise BodyCutError(f"after {self.sent} bytes: {error}") from error

    def _head(self, response: Response, connection: bytes) -> bytes:
        return self._heads.head(response, connection)


def render_head(fields: FieldLines) -> bytes:
    """What makes a response's head ready: its fields, and the empty line that ends them."""
    return render_fields(fields) + b"\r\n"


def render_response(response: Response, heads: Heads, connection: bytes) -> tuple[bytes, bytes]:
    """The head and the content of a response that is held in memory."""
    head = heads.head(response, connection)
    return head, response.body.data if isinstance(response.body, Content) else b""
