"""The request-target's path: accepted is what a slow reading of the rules accepts, and it stays inside."""

import posixpath
import re

from hypothesis import given
from hypothesis import strategies as st

from trio_evserver.semantics.message import Refusal
from trio_evserver.semantics.resource_path import ResourcePath
from trio_evserver.semantics.target import resolve

_PIECES = b"/ / / . .. %2e %2E %2f %2F %5c \\ %00 % %2 %zz %25 %252e %c0%ae %e0%80%af %c3%a9 %ff".split()
_PIECES += b"%ed%a0%80 a B ~ .a %20 %0d%0a %7f %1b %c2%9b %c2%a0 .well-known : ; @ | [".split()
_PIECES += b"evil.example %F0%9F%98%80 %41".split()
_PIECES += [b" ", b"?", b"#", b"\xff", b"\x00", b"\r\n"]
paths = st.lists(st.sampled_from(_PIECES), max_size=12).map(lambda pieces: b"/" + b"".join(pieces))


def decoded(path: bytes) -> bytes | None:
    """The path with its escapes undone once, from left to right; None if one is malformed."""
    out, position = bytearray(), 0
    while position < len(path):
        if path[position] == ord("%"):
            digits = path[position + 1 : position + 3]
            if not re.fullmatch(rb"[0-9A-Fa-f]{2}", digits):
                return None
            out.append(int(digits, 16))
            position += 3
        else:
            out.append(path[position])
            position += 1
    return bytes(out)


def model(path: bytes) -> list[bytes] | int:
    """The segments, the last one empty for a directory; or the status of the refusal."""
    name = decoded(path)
    if not path.startswith(b"/") or any(not 0x21 <= octet <= 0x7E or octet in b"?#" for octet in path):
        return 400
    if name is None or 0 in name:
        return 400
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        return 404
    if b"%2f" in path.lower() or any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or c == "\\" for c in text):
        return 404
    segments = name[1:].split(b"/")
    return 404 if any(s in (b".", b"..") for s in segments) or b"" in segments[:-1] else segments


def check(path: bytes) -> None:
    """The model's answer; and a name that the file system resolves to one below the root."""
    found, expected = resolve(path), model(path)
    if isinstance(found, Refusal):
        assert expected == int(found.status)
        return
    assert isinstance(found, ResourcePath)
    assert expected == [*found.segments, *([b""] if found.directory else [])]
    assert found.hidden == any(
        segment.startswith(b".") and (place or segment != b".well-known")
        for place, segment in enumerate(found.segments)
    )
    walked = posixpath.normpath(b"/root/" + found.relative)
    assert walked == b"/root/" + found.relative if found.relative else walked == b"/root"
    assert resolve(found.url()) == found
    assert re.fullmatch(rb"/(?!/)[!-~]*", found.url())


@given(paths)
def test_nearly_valid(path: bytes) -> None:
    """Paths made of what has led out of roots before."""
    check(path)


@given(st.binary(max_size=100) | st.binary(max_size=100).map(lambda rest: b"/" + rest))
def test_anything(path: bytes) -> None:
    """Any octets at all."""
    check(path)
