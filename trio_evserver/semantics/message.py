"""The two messages of HTTP (RFC 9110 §6), as values.

Every version of HTTP reads its bytes into a `Request` and writes its bytes from a `Response`; nothing
between the two knows which version it was.
"""

from http import HTTPStatus
from typing import Final, TypeAlias, final

from trio_evserver.semantics.fields import FieldLines, RequestFields
from trio_evserver.semantics.value import Value


@final
class Request(Value):
    """A request's head; its body, which no method served here has a meaning for, is read and thrown away.

    `target` is the request-target as it was sent; `path` and `query` are cut from it, still percent-encoded
    (`path` starts with "/", or is "*" for the asterisk-form, or empty for CONNECT's authority-form; `query`
    is without its "?", None if there was none). `host` is the valid authority (RFC 9110 §7.2) without user
    information, empty only where HTTP/1.0 sent none. `version` is "HTTP/1.1" or "HTTP/1.0".
    """

    __slots__ = ("fields", "host", "method", "path", "query", "target", "version")

    def __init__(
        self,
        method: bytes,
        target: bytes,
        path: bytes,
        query: bytes | None,
        host: bytes,
        version: bytes,
        fields: RequestFields,
    ) -> None:
        self.method: Final = method
        self.target: Final = target
        self.path: Final = path
        self.query: Final = query
        self.host: Final = host
        self.version: Final = version
        self.fields: Final = fields

    def _key(self) -> tuple[object, ...]:
        return self.method, self.target, self.path, self.query, self.host, self.version, self.fields


@final
class Empty(Value):
    """No content."""

    __slots__ = ()

    def _key(self) -> tuple[object, ...]:
        return ()


@final
class Content(Value):
    """Content that is held in memory."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data: Final = data

    def _key(self) -> tuple[object, ...]:
        return (self.data,)


@final
class Region(Value):
    """Bytes `offset` up to `offset + length` of the selected file; `length` is at least 1."""

    __slots__ = ("length", "offset")

    def __init__(self, offset: int, length: int) -> None:
        self.offset: Final = offset
        self.length: Final = length

    def _key(self) -> tuple[object, ...]:
        return self.offset, self.length


@final
class Parts(Value):
    """Literal bytes and regions of the selected file, one after the other; `length` is their exact sum."""

    __slots__ = ("length", "parts")

    def __init__(self, parts: tuple[bytes | Region, ...], length: int) -> None:
        self.parts: Final = parts
        self.length: Final = length

    def _key(self) -> tuple[object, ...]:
        return self.parts, self.length


Body: TypeAlias = Empty | Content | Parts

EMPTY: Final = Empty()


@final
class Response(Value):
    """A final response.

    `fields` are complete but for those of the connection and the moment (Connection, Date, Server), which
    the responder adds. Content-Length is among them wherever the length of the body is promised, so that a
    HEAD request is answered with the fields of GET and no body. `head`, where it is not empty, is the same
    fields made ready for the wire beforehand, by the callable that was handed in for it.
    """

    __slots__ = ("body", "fields", "head", "status")

    def __init__(self, status: HTTPStatus, fields: FieldLines, body: Body, head: bytes = b"") -> None:
        self.status: Final = status
        self.fields: Final = fields
        self.body: Final = body
        self.head: Final = head

    def _key(self) -> tuple[object, ...]:
        return self.status, self.fields, self.body, self.head


@final
class Refusal(Value):
    """An answer other than content: the status, and for our log alone a reason; `fields` go into the
    response.
    """

    __slots__ = ("detail", "fields", "status")

    def __init__(self, status: HTTPStatus, detail: str, fields: FieldLines = ()) -> None:
        self.status: Final = status
        self.detail: Final = detail
        self.fields: Final = fields

    def _key(self) -> tuple[object, ...]:
        return self.status, self.detail, self.fields
