"""Heads of responses; nothing that could end a line early gets through."""

from http import HTTPStatus

import pytest

from trio_evserver.http1.errors import LocalProtocolError
from trio_evserver.http1.response_head import CONTINUE, render_fields, status_line


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (HTTPStatus.OK, b"HTTP/1.1 200 OK\r\n"),
        (HTTPStatus.PARTIAL_CONTENT, b"HTTP/1.1 206 Partial Content\r\n"),
        (HTTPStatus.NOT_MODIFIED, b"HTTP/1.1 304 Not Modified\r\n"),
        (HTTPStatus.NOT_FOUND, b"HTTP/1.1 404 Not Found\r\n"),
    ],
)
def test_status_line(status: HTTPStatus, line: bytes) -> None:
    """Version, code and phrase, one blank between them (RFC 9112 §4)."""
    assert status_line(status) == line


def test_every_status_has_a_line() -> None:
    """No status that the standard library knows is without one."""
    for status in HTTPStatus:
        assert status_line(status).startswith(b"HTTP/1.1 %d " % status)


def test_continue() -> None:
    """The interim response is a status line and an empty line (RFC 9110 §15.2)."""
    assert CONTINUE == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_fields_in_order() -> None:
    """Fields keep their order, their case and their repetitions (RFC 9110 §5.3)."""
    fields = ((b"Vary", b"a"), (b"ETag", b'"x"'), (b"Vary", b"b"), (b"X", b""))
    assert render_fields(fields) == b'Vary: a\r\nETag: "x"\r\nVary: b\r\nX: \r\n'
    assert render_fields(()) == b""


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (b"Location", b"/a\r\nSet-Cookie: b", "response splitting"),
        (b"Location", b"/a\nb", "LF"),
        (b"Location", b"/a\rb", "CR"),
        (b"Location", b"/a\r\n", "CRLF at the end"),
        (b"Location", b"/\x00", "NUL"),
        (b"Location", b"/\x1b", "ESC"),
        (b"Location", b"/\x7f", "DEL"),
        (b"Location", b" /", "blank first"),
        (b"Location", b"/\t", "tab last"),
        (b"", b"a", "no name"),
        (b"X ", b"a", "blank before the colon"),
        (b"X:", b"a", "colon in the name"),
        (b"X\r\nY", b"a", "CRLF in the name"),
        (b"X\xe9", b"a", "obs-text in the name"),
    ],
)
def test_what_is_no_field_line(name: bytes, value: bytes, reason: str) -> None:
    """A bad name or value is our own mistake, and is never sent (RFC 9110 §5.1, §5.5)."""
    with pytest.raises(LocalProtocolError):
        render_fields(((b"A", b"b"), (name, value)))
