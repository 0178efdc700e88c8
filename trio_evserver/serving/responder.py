"""Sends responses in HTTP/1.1: the only place where an exchange meets that version's bytes on the way out."""

import time
from collections.abc import Callable
from typing import Final

import trio

from trio_evserver.files.disk import Buffer
from trio_evserver.files.lease import Lease
from trio_evserver.files.read_ahead import ReadAhead, Reading
from trio_evserver.files.region_reader import FileChangedError
from trio_evserver.files.span import Span
from trio_evserver.files.warming import Warming
from trio_evserver.http1.response_head import render_fields, status_line
from trio_evserver.semantics.fields import FieldLines
from trio_evserver.semantics.http_date import format_http_date
from trio_evserver.semantics.message import Content, Parts, Region, Request, Response
from trio_evserver.serving.exchange import UNCOUNTED
from trio_evserver.serving.transport import Transport

KEEP_ALIVE: Final = b""
"""What HTTP/1.1 assumes is not said."""
KEEP_ALIVE_SAID: Final = b"Connection: keep-alive\r\n"
CLOSE: Final = b"Connection: close\r\n"

_SERVER: Final = b"trio_evserver"

_NOTHING: Final = (b"", b"", 0)
_CRLF: Final = b"\r\n"

# A reply whose reads and sends never wait, because its file is in memory and its client is fast, lets the
# others have a turn after so many bytes.
_BURST: Final = 1024 * 1024


class Heads:
    """The beginnings of response heads: the status line and what depends on the moment and the connection."""

    def __init__(self, *, server_header: bool, clock: Callable[[], float] = time.time) -> None:
        """`clock` tells seconds since the epoch."""
        self._clock = clock
        self._fields: FieldLines = ((b"Server", _SERVER),) if server_header else ()
        self._until = 0.0
        self._date = b""
        self._made: dict[bytes, list[bytes]] = {}  # by Connection field, then by status

    def __repr__(self) -> str:
        return f"<Heads of {self._date.decode()}>"

    def head(self, response: Response, connection: bytes) -> bytes:
        """The whole head of a response, ready-made fields as they are.

        Status line, Date, Server and the `connection` field are made once a second (RFC 9110 §6.6.1).
        """
        now = self._clock()
        if not self._until - 1 <= now < self._until:  # a clock may also be set back
            self._until = float(int(now) + 1)
            self._date = format_http_date(int(now))
            self._made = {said: [b""] * 600 for said in (KEEP_ALIVE, KEEP_ALIVE_SAID, CLOSE)}
        made, status = self._made[connection], response.status
        beginning = made[status]
        if not beginning:
            fields = render_fields(((b"Date", self._date), *self._fields))
            beginning = made[status] = status_line(status) + fields + connection
        return beginning + (response.head or render_fields(response.fields)) + _CRLF


class BodyCutError(Exception):
    """The rest of a body cannot be had, when a part of it is on its way: all that is left is to break the
    connection.
    """


class Responder:
    """Sends the responses of one connection. `sent` counts the bytes of body of the last one."""

    __slots__ = ("_heads", "_nursery", "_pending", "_read_ahead", "_transport", "sent")

    def __init__(
        self, transport: Transport, heads: Heads, read_ahead: ReadAhead, nursery: trio.Nursery
    ) -> None:
        """`nursery` is the connection's: reads ahead are its tasks."""
        self.sent = 0
        self._heads = heads
        self._transport = transport
        self._pending = _NOTHING  # head, content, how much of them was sent
        self._read_ahead = read_ahead
        self._nursery = nursery

    def __repr__(self) -> str:
        return f"<Responder {self._transport!r}>"

    def send_nowait(self, response: Response, connection: bytes, *, with_body: bool = True) -> bool:
        """Send a response that is held in memory; False if `send_rest` is to send what the peer did not take
        at once. Raises ConnectionLost.
        """
        body = response.body
        content = body.data if with_body and isinstance(body, Content) else b""
        self.sent = 0
        head = self._heads.head(response, connection)
        size = len(content)
        sent = self._transport.send_nowait(head, content, last=connection is CLOSE)
        if sent < len(head) + size:
            self._pending = (head, content, sent)
            return False
        self.sent = size
        return True

    def send_file_nowait(
        self, response: Response, body: Parts, lease: Lease, connection: bytes
    ) -> bool | None:
        """Send a response whose body is a part of the file of `lease`, and short, and in memory; as
        `send_nowait`. None: what the peer did not take, or all of it, `send_file` is to send.
        """
        self.sent = 0
        reader = self._read_ahead.reader
        current, lease.current = lease.current, False  # if this has to wait, it is not any more
        short = None if lease.first else reader.short(lease.file, body)
        if short is None:
            return self._send_read_nowait(response, body, lease, connection)
        span = reader.find_whole(lease.file, short, current=current)
        if span is None:
            return None
        head = self._heads.head(response, connection)
        sent = self._transport.send_span_nowait(head, span)
        self.sent = max(0, sent - len(head))
        if self.sent == span.length:
            return True
        self._pending = (head, b"", sent)
        return None

    def _send_read_nowait(
        self, response: Response, body: Parts, lease: Lease, connection: bytes
    ) -> bool | None:
        data = self._read_ahead.read_nowait(lease, body, in_place=self._transport.sends_in_place)
        if data is None:
            return None
        head = self._heads.head(response, connection)
        sent = self._transport.send_nowait(head, data, last=connection is CLOSE)
        if sent < len(head) + len(data):
            self._pending = (head, bytes(data), sent)  # what was lent is lent for now only
            return False
        self.sent = len(data)
        return True

    def warm(self, body: Parts, lease: Lease) -> Warming | None:
        """What brings all of a body that `send_file_nowait` did not begin to send into the page cache, where
        it is short.
        """
        if self._pending[0] or lease.first or lease.file.copy is not None:
            return None
        return self._read_ahead.reader.warm(lease.file, body)

    async def send_rest(self) -> None:
        """Send what is left of the last response. Raises ConnectionLost."""
        head, content, sent = self._pending
        self._pending = _NOTHING
        memory, size = self._read_ahead.memory, len(content)
        held = size if size > UNCOUNTED else 0
        memory.hold(held)
        try:
            await self._transport.send_rest(head, content, sent)
        finally:
            memory.give_back(held)
        self.sent += size

    async def send_file(self, response: Response, body: Parts, lease: Lease, connection: bytes) -> None:
        """Send a response whose body is read from the file of `lease`, or what `send_file_nowait` left of it.

        Raises OSError or FileChangedError while nothing has been sent, so that another answer can be given,
        and `BodyCutError` afterwards; ConnectionLost.
        """
        (head, _, ahead), self._pending = self._pending, _NOTHING
        if not head:
            head = self._heads.head(response, connection)
        self.sent = max(0, ahead - len(head))
        transport = self._transport
        reading = self._read_ahead.open(
            lease,
            _behind(body, self.sent),
            self._nursery,
            transport.wait_writable,
            in_place=transport.sends_in_place,
        )
        try:
            try:
                part = await reading.next()
            except (OSError, FileChangedError) as error:
                if ahead:
                    raise BodyCutError(f"after {self.sent} bytes: {error}") from error
                raise
            await self._send_parts(reading, part, head[ahead:])
        finally:
            reading.close()

    async def _send_parts(self, reading: Reading, part: Buffer | Span | None, head: bytes) -> None:
        yielded = 0
        try:
            while part is not None:
                self.sent += await self._send_part(reading, part, head)
                head = b""
                if self.sent - yielded >= _BURST:
                    yielded = self.sent
                    await trio.lowlevel.checkpoint()
                part = await reading.next()
        except (OSError, FileChangedError) as error:
            raise BodyCutError(f"after {self.sent} bytes: {error}") from error

    async def _send_part(self, reading: Reading, part: Buffer | Span, head: bytes) -> int:
        """Send the head and the part; how many bytes of that, the rest of it will come again."""
        if not isinstance(part, Span):
            sent = self._transport.send_nowait(head, part)
            if sent < len(head) + len(part):
                rest = reading.keep(part, max(0, sent - len(head)))
                await self._transport.send_rest(head, rest, min(sent, len(head)))
            return len(part)
        try:
            sent = await self._transport.send_from(head, part, reading.left_of)
        except OSError as error:
            reading.cannot_send(error)
            sent = 0
        if sent < part.length:
            reading.put_back(part, sent)
        return sent


def connection_field(request: Request, persists: bool) -> bytes:
    """What an answer says of its connection, which `persists` or does not (RFC 9112 §9.3)."""
    if not persists:
        return CLOSE
    return KEEP_ALIVE if request.version == b"HTTP/1.1" else KEEP_ALIVE_SAID


def _behind(body: Parts, sent: int) -> Parts:
    """What is left of a body of one part, or of any of which nothing has been sent."""
    part = body.parts[0]
    if not sent or isinstance(part, bytes):
        return body
    length = part.length - sent
    return Parts((Region(part.offset + sent, length),), length)


def render_response(response: Response, heads: Heads, connection: bytes) -> tuple[bytes, bytes]:
    """The head and the content of a response that is held in memory."""
    head = heads.head(response, connection)
    return head, response.body.data if isinstance(response.body, Content) else b""
