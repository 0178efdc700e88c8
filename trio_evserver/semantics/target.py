"""The request-target's path, made into the name of a resource below the root (RFC 9110 §7.1, RFC 3986 §3.3).

Servers that checked a path and then decoded it, decoded it twice, or repaired it, have served files from
outside their root. So here it is decoded once, and what is not canonical is refused instead of repaired: no
segment of a `ResourcePath` is empty, ".", "..", or holds "/", "\\", NUL or a control character, and all are
valid UTF-8. The kernel contains the root a second time when the file is opened; neither defence leans on the
other.

Two kinds of refusal. What no URI may look like is a bad request, 400. What is well-formed and names nothing
that could be served is 404, exactly as for a file that is not there, so that nobody learns what was refused
and why.
"""

import re
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote_to_bytes

from trio_evserver.semantics.message import Refusal
from trio_evserver.semantics.resource_path import ResourcePath

# The common case, decided in one pass: no escape, and no segment that starts with a dot. Possessive
# quantifiers, because a segment cannot end in two places.
_SIMPLE: Final = re.compile(rb"/(?:[A-Za-z0-9_~!$&'()*+,;=:@-][A-Za-z0-9._~!$&'()*+,;=:@-]*+(?:/|\Z))*+")

# Raw octets that no path has: outside visible ASCII (the reader of messages refuses those too), and "?" and
# "#", which end a path (RFC 3986 §3.3). Characters such as "|" and "[" are no pchar either, but browsers
# send them bare.
_NO_PATH: Final = re.compile(rb"[^!-~]|[?#]")
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ESCAPED_SLASH: Final = re.compile(rb"%2[Ff]")

# C0, DEL, and C1 as UTF-8 has it. A file may bear such a name, but its only known use is to forge log lines
# and to steer terminals (%1b, %c2%9b), so it counts as not there.
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]|\xc2[\x80-\x9f]")


# What paths meant, for the next request of the same. Only what resolved to something is kept, so that
# scanners cannot fill it with refusals, and only paths up to 128 bytes, which bounds it: 4,096 of them hold
# 2 MB as sites go and 11 MB in the worst case (a segment every three bytes). It is emptied when full:
# simpler than an order of use, and a miss costs a microsecond.
_MEMO_LENGTH: Final = 128
_MEMO_COUNT: Final = 4096
_memo: dict[bytes, ResourcePath] = {}


def resolve(path: bytes) -> ResourcePath | Refusal:
    """The resource that a `Request.path` names; 400 for what is malformed, 404 for what can name nothing.

    Work is linear in the length of the path. The answer depends on nothing but the path.
    """
    known = _memo.get(path)
    if known is not None:
        return known
    resolved = _simple(path) if _SIMPLE.fullmatch(path) else _careful(path)
    if isinstance(resolved, ResourcePath) and len(path) <= _MEMO_LENGTH:
        if len(_memo) >= _MEMO_COUNT:
            _memo.clear()
        _memo[path] = resolved
    return resolved


def _simple(path: bytes) -> ResourcePath:
    """The resource of a path that is canonical as it stands."""
    directory = path.endswith(b"/")
    relative = path.strip(b"/")
    return ResourcePath(tuple(relative.split(b"/")) if relative else (), directory, relative)


def _careful(path: bytes) -> ResourcePath | Refusal:
    if not path.startswith(b"/") or _NO_PATH.search(path):
        return _malformed("the target is not an absolute path")
    if _BAD_ESCAPE.search(path):
        return _malformed("a percent sign without two hexadecimal digits")
    decoded = unquote_to_bytes(path)
    if b"\0" in decoded:
        return _malformed("NUL in the path")
    if _ESCAPED_SLASH.search(path):
        return _nothing("an encoded slash")
    return _named(decoded)


def _named(decoded: bytes) -> ResourcePath | Refusal:
    """The resource of a path that has been decoded; here "/" separates segments and does nothing else."""
    if b"\\" in decoded or _CONTROL.search(decoded):
        return _nothing("a backslash or a control character")
    try:
        decoded.decode("utf-8")
    except UnicodeDecodeError:
        return _nothing("not valid UTF-8")
    directory = decoded.endswith(b"/")
    relative = decoded[1:-1] if directory else decoded[1:]
    segments = tuple(relative.split(b"/")) if decoded != b"/" else ()
    if any(segment in (b"", b".", b"..") for segment in segments):
        return _nothing("an empty segment or a dot segment")
    return ResourcePath(segments, directory, relative)


def _malformed(detail: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, detail)


def _nothing(detail: str) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, detail)
