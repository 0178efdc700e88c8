"""multipart/byteranges, RFC 9110 §14.6 and RFC 2046 §5.1."""

import email.parser
import email.policy

from trio_evserver.semantics.byte_range import ByteRange
from trio_evserver.semantics.message import Parts, Region
from trio_evserver.semantics.multipart import byteranges, content_range, content_type

CONTENT = b"0123456789"


def written(parts: Parts) -> bytes:
    return b"".join(
        part if isinstance(part, bytes) else CONTENT[part.offset : part.offset + part.length]
        for part in parts.parts
    )


def test_the_framing_octet_by_octet() -> None:
    """Two parts look as in §14.6: CRLF throughout, each with its type and range, and a closing delimiter."""
    parts = byteranges((ByteRange(0, 1), ByteRange(7, 9)), 10, b"text/plain; charset=utf-8", b"SEP")
    assert written(parts) == (
        b"--SEP\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Range: bytes 0-1/10\r\n"
        b"\r\n"
        b"01\r\n"
        b"--SEP\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Range: bytes 7-9/10\r\n"
        b"\r\n"
        b"789\r\n"
        b"--SEP--\r\n"
    )


def test_the_length_is_exact() -> None:
    """What is announced is what will be produced, and the content is left to be read from the file."""
    parts = byteranges((ByteRange(0, 0), ByteRange(2, 9)), 10, b"image/png", b"x" * 70)
    assert parts.length == len(written(parts))
    assert [part for part in parts.parts if isinstance(part, Region)] == [Region(0, 1), Region(2, 8)]


def test_another_reader_gives_the_ranges_back() -> None:
    """The standard library's MIME parser, which knows nothing of ours, finds the same parts."""
    parts = byteranges((ByteRange(5, 6), ByteRange(0, 2)), 10, b"image/png", b"SEP")
    head = b"Content-Type: " + content_type(b"SEP") + b"\r\n\r\n"
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + written(parts))
    found = [(part["Content-Range"], part.get_payload(decode=True)) for part in message.iter_parts()]
    assert found == [("bytes 5-6/10", b"56"), ("bytes 0-2/10", b"012")]


def test_content_range() -> None:
    """Both positions are included, and the complete length follows (§14.4)."""
    assert content_range(ByteRange(42, 1233), 1234) == b"bytes 42-1233/1234"
