"""The head of a response: status line and field lines to bytes (RFC 9112 §4, §5).

The one writer of heads: whatever comes from a file's name or a request's target passes here before it is
sent, and nothing that could end a line early gets through.
"""

from functools import lru_cache
from http import HTTPStatus
from typing import Final

from trio_evserver.http1.errors import LocalProtocolError
from trio_evserver.http1.grammar import FIELD_VALUE, TOKEN
from trio_evserver.semantics.fields import FieldLines

_STATUS_LINES: Final = {
    status: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode("ascii") for status in HTTPStatus
}

CONTINUE: Final = _STATUS_LINES[HTTPStatus.CONTINUE] + b"\r\n"
"""The whole interim response that asks for the body (RFC 9110 §15.2.1)."""


def status_line(status: HTTPStatus) -> bytes:
    """HTTP-version SP status-code SP reason-phrase CRLF; the version is always ours (RFC 9112 §2.3)."""
    return _STATUS_LINES[status]


def render_fields(fields: FieldLines) -> bytes:
    """Each field as "Name: value" CRLF, in order; the empty line that ends a head is not added.

    Raises LocalProtocolError for a name that is no token, or a value that is no field-value (RFC 9110 §5.5):
    CR, LF, NUL and other control characters, blanks at either end.
    """
    return b"".join([_field_line(name, value) for name, value in fields])


# Of one server's field lines few are new: names, types and policies repeat.
@lru_cache(maxsize=512)
def _field_line(name: bytes, value: bytes) -> bytes:
    if TOKEN.fullmatch(name) is None or FIELD_VALUE.fullmatch(value) is None:
        raise LocalProtocolError(f"no field line: {name!r}: {value!r}")
    return b"%b: %b\r\n" % (name, value)
