"""Content of the type multipart/byteranges (RFC 9110 §14.6, RFC 2046 §5.1)."""

from collections.abc import Sequence

from trio_evserver.semantics.byte_range import ByteRange
from trio_evserver.semantics.message import Parts, Region


def content_type(boundary: bytes) -> bytes:
    """The Content-Type of the whole; `boundary` is 1 to 70 letters and digits, so that it needs no quotes."""
    return b"multipart/byteranges; boundary=" + boundary


def content_range(found: ByteRange, size: int) -> bytes:
    """The Content-Range of one range of a representation of `size` bytes (§14.4)."""
    return b"bytes %d-%d/%d" % (found.first, found.last, size)


def byteranges(ranges: Sequence[ByteRange], size: int, media_type: bytes, boundary: bytes) -> Parts:
    """The ranges of a representation of `size` bytes, each under its own head, and the exact length.

    `boundary` must not occur in the content; the caller draws it at random, long enough.
    """
    parts: list[bytes | Region] = []
    delimiter = b"--" + boundary
    for found in ranges:
        head = (
            b"%b\r\nContent-Type: %b\r\nContent-Range: %b\r\n\r\n"
            % (delimiter, media_type, content_range(found, size))
        )  # fmt: skip
        parts += (head, Region(found.first, found.length))
        delimiter = b"\r\n--" + boundary
    parts.append(delimiter + b"--\r\n")
    return Parts(tuple(parts), sum(len(part) if isinstance(part, bytes) else part.length for part in parts))
