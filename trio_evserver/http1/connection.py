"""One connection's side of HTTP/1 that reads: octets in, requests out, without I/O (RFC 9112 §9).

The states, and the only ways from one to another:

    HEAD    a head is due           → HEAD    a request without a body, more may follow
                                    → BODY    a request with a body
                                    → ENDED   the same, the last one; or the peer's end of input
    BODY    a body is to be read    → HEAD    its end, more may follow
                                    → ENDED   its end, and it was the last request's
    ENDED   no request will follow
    FAILED  the peer broke the protocol, from HEAD or BODY; nothing more is parsed, ever

What has arrived after the last request or the offence is not looked at (RFC 9112 §9.6: a server that sends or
receives a "close" "MUST NOT process any further requests received on that connection").
"""

from enum import Enum, auto
from http import HTTPStatus
from typing import Final, assert_never

from trio_evserver.http1.body import ChunkedBody, LengthBody
from trio_evserver.http1.buffer import Buffer
from trio_evserver.http1.errors import LocalProtocolError, RemoteProtocolError
from trio_evserver.http1.framing import NO_BODY, Chunked, Framing, Length, NoBody
from trio_evserver.http1.head_reader import HeaderSection, HeadReader, list_members
from trio_evserver.http1.head_refusal import early_refusal
from trio_evserver.http1.limits import Limits
from trio_evserver.semantics.fields import RequestFields
from trio_evserver.semantics.message import Request

_CR: Final = 13


class Event(Enum):
    """What `next_request` has to say other than a request."""

    NEED_DATA = auto()
    CLOSED = auto()


class _State(Enum):
    HEAD = auto()
    BODY = auto()
    ENDED = auto()
    FAILED = auto()


class Connection:
    """The requests that one peer sends, one after the other.

    Feed it with `receive_data`, take a request with `next_request`, get its body out of the way with
    `discard_body`.
    """

    __slots__ = (
        "_body",
        "_buffer",
        "_empty_line",
        "_fields",
        "_heads",
        "_limits",
        "_open",
        "_section",
        "_state",
        "_version",
        "has_body",
        "keep_alive",
    )

    def __init__(self, limits: Limits, heads: HeadReader | None = None) -> None:
        """`heads`, made for the same limits, is shared with other connections."""
        self._state = _State.HEAD
        self._open = True  # the peer may send more, and we read it
        self._empty_line = False  # one has been skipped before the request line that is due
        self.has_body = False
        """Has the current request a body that is not yet discarded?"""
        self.keep_alive = True
        """May another request follow the current one (RFC 9112 §9.3)? Never after a protocol error."""
        self._buffer: Buffer | None = None  # while octets are unread
        self._heads = heads or HeadReader(limits)
        self._section: HeaderSection | None = None  # of the head before
        # What the last request says, where its section does not.
        self._fields: RequestFields = {}
        self._version = b""
        self._body: LengthBody | ChunkedBody | None = None
        self._limits = limits

    def __repr__(self) -> str:
        unread = 0 if self._buffer is None else len(self._buffer)
        return f"<http1.Connection {self._state.name}, {unread} octets unread>"

    def receive_data(self, data: bytes) -> None:
        """Hand in what the peer has sent, in order; b"" is the end of its input.

        After a failure or the last request it is dropped. Raises LocalProtocolError for data after the end of
        input.
        """
        if data and self._open:
            if self._buffer is None:
                self._buffer = Buffer(data)
            else:
                self._buffer.append(data)
        else:
            self._receive_late(data)

    def _receive_late(self, data: bytes) -> None:
        if self._state is _State.FAILED or self._state is _State.ENDED:
            return
        if data:
            raise LocalProtocolError("data after the end of input")
        self._open = False

    def next_request(self) -> Request | Event:
        """The next request; NEED_DATA if its head is incomplete; CLOSED if there will be none.

        CLOSED means that the peer ended its input between requests, or that the last request was the last one
        (`keep_alive` was False). Raises RemoteProtocolError for a head that is refused, and 400 for the end
        of input within a head; LocalProtocolError before the body of the last request has been discarded, or
        after a failure.
        """
        if self._state is not _State.HEAD:
            return self._no_request()
        buffer = self._buffer
        if buffer is None:
            return self._no_head()
        end = buffer.data.find(b"\r\n\r\n", buffer.scanned)
        if end < 0:
            return self._incomplete_head(buffer)
        head = buffer.take(end + 4)
        self._let_go(buffer)
        return self._take(head)

    def receive(self, data: bytes) -> Request | Event:
        """`receive_data`, and then `next_request`."""
        # Nearly always it is one whole head, which the buffer has no need to see.
        if (
            data.endswith(b"\r\n\r\n")
            and data.find(b"\r\n\r\n") == len(data) - 4
            and self._state is _State.HEAD
            and self._open
            and self._buffer is None
        ):
            return self._take(data)
        self.receive_data(data)
        return self.next_request()

    def _take(self, head: bytes) -> Request:
        """The request that has this head."""
        try:
            # RFC 9112 §2.2: "a server that is expecting to receive and parse a request-line SHOULD ignore at
            # least one empty line (CRLF) received prior to the request-line." At most one is.
            if head[0] == _CR and head.startswith(b"\r\n") and not self._empty_line:
                head = head[2:]
            request, framing, self.keep_alive, self._section = self._heads.read(head, self._section)
        except RemoteProtocolError:
            self._fail()
            raise
        self._empty_line = False
        if self._section is None:
            self._fields, self._version = request.fields, request.version
        if framing is NO_BODY:
            if not self.keep_alive:
                self._end()
        else:
            self._body = _body(framing, self._limits)
            self.has_body = True
            self._state = _State.BODY
        return request

    def _no_request(self) -> Event:
        if self._state is _State.ENDED:
            return Event.CLOSED
        if self._state is _State.BODY:
            raise LocalProtocolError("the body of the last request has not been discarded")
        raise LocalProtocolError("nothing is parsed after a protocol error")

    def _no_head(self) -> Event:
        """Nothing is there of the head that is due."""
        if self._open:
            return Event.NEED_DATA
        self._end()
        return Event.CLOSED

    def _incomplete_head(self, buffer: Buffer) -> Event:
        if not self._empty_line and buffer.data.startswith(b"\r\n", buffer.start):
            self._empty_line = True
            buffer.skip(buffer.start + 2)
        if not buffer:
            self._buffer = None
            return self._no_head()
        error = early_refusal(buffer.data, buffer.start, buffer.scanned, self._limits)
        if error is None and not self._open:
            error = RemoteProtocolError(HTTPStatus.BAD_REQUEST, "end of input within a head")
        if error is not None:
            self._fail()
            raise error
        buffer.scanned = max(buffer.start, len(buffer.data) - 3)
        return Event.NEED_DATA

    def discard_body(self) -> bool:
        """Throw away what has arrived of the body; True once it has ended, at once if there is none.

        Raises RemoteProtocolError: 400 for malformed chunks or the end of input within the body, 413 and 431
        beyond a limit; LocalProtocolError after a failure.
        """
        if self._state is _State.FAILED:
            raise LocalProtocolError("nothing is parsed after a protocol error")
        if self._body is None:
            return True
        try:
            buffer = Buffer() if self._buffer is None else self._buffer
            ended = self._body.discard(buffer)
            self._let_go(buffer)
            if not ended and not self._open:
                raise RemoteProtocolError(HTTPStatus.BAD_REQUEST, "end of input within a body")
        except RemoteProtocolError:
            self._fail()
            raise
        if ended:
            self._body = None
            self.has_body = False
            self._state = _State.HEAD
            if not self.keep_alive:
                self._end()
        return ended

    def _end(self) -> None:
        self._state = _State.ENDED
        self._stop_reading()

    def _fail(self) -> None:
        self._state = _State.FAILED
        self.keep_alive = False
        self._stop_reading()

    def _stop_reading(self) -> None:
        self._open = False
        self._buffer = None

    def _let_go(self, buffer: Buffer) -> None:
        """Something of it was read: perhaps all."""
        if not buffer:
            self._buffer = None

    @property
    def expects_continue(self) -> bool:
        """Does the peer wait for 100 (Continue) before it sends the body (RFC 9110 §10.1.1)?

        False as soon as an octet of the body is there: "A server MAY omit sending a 100 (Continue) response
        if it has already received some or all of the content".
        """
        if self._body is None or not self._body.untouched or self.buffered:
            return False
        return b"100-continue" in self._expectations()

    @property
    def expectation_failed(self) -> bool:
        """Does the current request expect what we do not know, so that it deserves 417 (RFC 9110 §10.1.1)?"""
        return any(expectation != b"100-continue" for expectation in self._expectations())

    def _expectations(self) -> list[bytes]:
        # RFC 9110 §10.1.1: "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST
        # ignore that expectation."
        section = self._section
        version = self._version if section is None else section.version
        if version == b"HTTP/1.0":
            return []
        fields = self._fields if section is None else section.fields
        return list_members(fields.get(b"expect", b""))

    @property
    def reading_head(self) -> bool:
        """Have octets of the next head arrived, but not its end?"""
        buffer = self._buffer
        return (
            self._state is _State.HEAD
            and buffer is not None
            and buffer.data.find(b"\r\n\r\n", buffer.scanned) < 0
        )

    @property
    def buffered(self) -> bool:
        """Are there unread octets, so that `next_request` or `discard_body` may get on without receiving?"""
        return self._buffer is not None


def _body(framing: Framing, limits: Limits) -> LengthBody | ChunkedBody | None:
    match framing:
        case NoBody():
            return None
        case Length(n=n):
            return LengthBody(n)
        case Chunked():
            return ChunkedBody(limits)
        case _:
            assert_never(framing)
