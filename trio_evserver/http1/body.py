"""Bodies of requests, read in order to be thrown away (RFC 9112 §6, §7).

Each class finds the end of one body. Nothing is kept, but every octet is checked: whoever loses its place in
a body would take the rest of it for the next request.
"""

from enum import Enum, auto
from http import HTTPStatus

from trio_evserver.http1.buffer import Buffer
from trio_evserver.http1.errors import RemoteProtocolError
from trio_evserver.http1.grammar import CHUNK_LINE, FIELD_LINE, LINE_END
from trio_evserver.http1.limits import Limits

# RFC 9110 §6.5.1: a trailer field cannot frame, route or end what has begun already, and no sender may put
# these there. Parsers differ in whether they act on them (h11 and llhttp do, on some), so they are refused,
# not ignored.
_NO_TRAILERS = frozenset({b"connection", b"content-length", b"host", b"transfer-encoding"})


class LengthBody:
    """A body of exactly `n` octets."""

    __slots__ = ("_left", "_n")

    def __init__(self, n: int) -> None:
        self._n = self._left = n

    def __repr__(self) -> str:
        return f"<LengthBody {self._left} of {self._n} left>"

    @property
    def untouched(self) -> bool:
        """Has nothing of it been read?"""
        return self._left == self._n

    def discard(self, buffer: Buffer) -> bool:
        """Drop what is there of the body; True once it has ended."""
        n = min(self._left, len(buffer))
        buffer.skip(buffer.start + n)
        self._left -= n
        return self._left == 0


class _Part(Enum):
    """What comes next in a chunked body."""

    SIZE = auto()  # chunk-size [ chunk-ext ] CRLF
    DATA = auto()  # chunk-data
    DATA_END = auto()  # CRLF
    TRAILER = auto()  # field-line CRLF, or the last CRLF
    END = auto()


class ChunkedBody:
    """A body in chunks (RFC 9112 §7.1). `limits.body` bounds all its octets, chunk extensions included."""

    __slots__ = ("_chunk", "_left", "_limits", "_part", "_trailers")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left = limits.body  # octets that may yet follow
        self._part = _Part.SIZE
        self._chunk = 0  # octets of this chunk's data that are yet to come
        self._trailers = 0

    def __repr__(self) -> str:
        return f"<ChunkedBody in {self._part.name}>"

    @property
    def untouched(self) -> bool:
        """Has nothing of it been read?"""
        return self._left == self._limits.body

    def discard(self, buffer: Buffer) -> bool:
        """Drop what is there of the body; True once it has ended.

        Raises RemoteProtocolError: 400 for what is malformed, 413 beyond a limit, 431 for too many trailer
        fields.
        """
        while self._part is not _Part.END:
            if not self._advance(buffer):
                return False
        return True

    def _advance(self, buffer: Buffer) -> bool:
        """Read the next part; False if more octets are needed for that."""
        match self._part:
            case _Part.SIZE:
                return self._size(buffer)
            case _Part.DATA:
                return self._data(buffer)
            case _Part.DATA_END:
                return self._data_end(buffer)
            case _:
                return self._trailer(buffer)

    def _size(self, buffer: Buffer) -> bool:
        line = self._line(buffer)
        if line is None:
            return False
        match = CHUNK_LINE.fullmatch(line)
        if match is None:
            raise RemoteProtocolError(HTTPStatus.BAD_REQUEST, "malformed chunk size or extension")
        self._chunk = int(match[1], 16)
        if self._chunk + 2 > self._left:
            raise RemoteProtocolError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "a chunk goes beyond the body limit"
            )
        self._part = _Part.DATA if self._chunk else _Part.TRAILER
        return True

    def _data(self, buffer: Buffer) -> bool:
        n = min(self._chunk, len(buffer))
        buffer.skip(buffer.start + n)
        self._left -= n
        self._chunk -= n
        if self._chunk:
            return False
        self._part = _Part.DATA_END
        return True

    def _data_end(self, buffer: Buffer) -> bool:
        # Compared, not skipped: h11 once skipped two octets here, whatever they were (CVE-2025-43859).
        end = buffer.data[buffer.start : buffer.start + 2]
        if not b"\r\n".startswith(end):
            raise RemoteProtocolError(HTTPStatus.BAD_REQUEST, "chunk data is longer than its chunk size")
        if len(end) < 2:
            return False
        buffer.skip(buffer.start + 2)
        self._left -= 2
        self._part = _Part.SIZE
        return True

    def _trailer(self, buffer: Buffer) -> bool:
        # RFC 9110 §6.5.1: trailer fields may be discarded, and are not to be merged into the head's.
        line = self._line(buffer)
        if line is None:
            return False
        if not line:
            self._part = _Part.END
            return True
        if FIELD_LINE.fullmatch(line) is None:
            raise RemoteProtocolError(HTTPStatus.BAD_REQUEST, "malformed trailer field")
        if line.partition(b":")[0].lower() in _NO_TRAILERS:
            raise RemoteProtocolError(HTTPStatus.BAD_REQUEST, "a trailer field that belongs into the head")
        self._trailers += 1
        if self._trailers > self._limits.fields:
            raise RemoteProtocolError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too many trailer fields")
        return True

    def _line(self, buffer: Buffer) -> bytes | None:
        """The next line without its CRLF, or None while it is incomplete.

        The line and its CRLF have to lie within a window that both limits allow. Its end, or a bare CR or LF,
        is looked for there and nowhere else, so that the pieces in which the line arrives change nothing.
        """
        data, start = buffer.data, buffer.start
        window = min(self._limits.line + 2, self._left)
        match = LINE_END.search(data, buffer.scanned, start + window)
        if match is None:
            if len(buffer) >= window:
                raise RemoteProtocolError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "chunk framing beyond a limit")
            buffer.scanned = max(start, len(data) - 1)
            return None
        if match[0] != b"\r\n":
            raise RemoteProtocolError(HTTPStatus.BAD_REQUEST, "bare CR or LF in the chunk framing")
        self._left -= match.end() - start
        return buffer.take(match.end())[:-2]
