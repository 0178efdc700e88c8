"""The two messages of HTTP (RFC 9110 §6), as values.

Every version of HTTP reads its bytes into a `Request` and writes its bytes from a `Response`; nothing
between the two knows which version it was.
"""

from http import HTTPStatus
from typing import TypeAlias

import msgspec

from trio_evserver.semantics.fields import FieldLines, RequestFields


class Request(msgspec.Struct, frozen=True, gc=False):
    """A request's head; its body, which no method served here has a meaning for, is read and thrown away.

    `target` is the request-target as it was sent; `path` and `query` are cut from it, still percent-encoded
    (`path` starts with "/", or is "*" for the asterisk-form, or empty for CONNECT's authority-form; `query`
    is without its "?", None if there was none). `host` is the valid authority (RFC 9110 §7.2) without user
    information, empty only where HTTP/1.0 sent none. `version` is "HTTP/1.1" or "HTTP/1.0".
    """

    method: bytes
    target: bytes
    path: bytes
    query: bytes | None
    host: bytes
    version: bytes
    fields: RequestFields


class Empty(msgspec.Struct, frozen=True):
    """No content."""


class Content(msgspec.Struct, frozen=True, gc=False):
    """Content that is held in memory."""

    data: bytes


class Region(msgspec.Struct, frozen=True, gc=False):
    """Bytes `offset` up to `offset + length` of the selected file; `length` is at least 1."""

    offset: int
    length: int


class Parts(msgspec.Struct, frozen=True):
    """Literal bytes and regions of the selected file, one after the other; `length` is their exact sum."""

    parts: tuple[bytes | Region, ...]
    length: int


Body: TypeAlias = Empty | Content | Parts

EMPTY = Empty()


class Response(msgspec.Struct, frozen=True, gc=False):
    """A final response.

    `fields` are complete but for those of the connection and the moment (Connection, Date, Server), which
    the responder adds. Content-Length is among them wherever the length of the body is promised, so that a
    HEAD request is answered with the fields of GET and no body. `head`, where it is not empty, is the same
    fields made ready for the wire beforehand, by the callable that was handed in for it.
    """

    status: HTTPStatus
    fields: FieldLines
    body: Body
    head: bytes = b""


class Refusal(msgspec.Struct, frozen=True):
    """An answer other than content: the status, and for our log alone a reason; `fields` go into the
    response.
    """

    status: HTTPStatus
    detail: str
    fields: FieldLines = ()
