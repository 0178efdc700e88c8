"""The heads of one connection, each taken apart but for what it shares with the one before.

The requests of a connection differ in their request lines and hardly in anything else: a browser sends the
same field lines with every picture of a page, a program with every request. HPACK (RFC 7541 §2.3) is built on
that; here it saves reading them again. What is compared is every octet after the request line, so that what
was valid is valid again and means the same.
"""

from typing import Final

from trio_evserver.http1.framing import NO_BODY, Framing
from trio_evserver.http1.grammar import COMMON_LINE
from trio_evserver.http1.limits import Limits
from trio_evserver.http1.request_head import parse_head
from trio_evserver.semantics.message import Request

# Longer ones are not remembered, as there may be many connections: octets.
_LONGEST: Final = 2048


class HeadReader:
    """Reads the heads of one connection."""

    __slots__ = ("_before", "_field_lines", "_limits", "_longest", "_minor")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._before: Request | None = None  # whose field lines are remembered: valid, persistent, no body
        self._field_lines = b""
        self._longest = 0  # request line, in octets with its CRLF, that is within the limits before them
        self._minor = b""

    def __repr__(self) -> str:
        return f"<HeadReader after {len(self._field_lines)} octets of field lines>"

    def read(self, head: bytes) -> tuple[Request, Framing, bool]:
        """The request, the framing of its body, and whether another may follow it (RFC 9112 §9.3).

        Takes and raises what `parse_head` does.
        """
        before = self._before
        if before is not None:
            line = COMMON_LINE.match(head)
            if line is not None:
                end = line.end()
                if head[end:] == self._field_lines and end <= self._longest:
                    method, target, path, query, minor = line.groups()
                    if minor == self._minor:
                        request = Request(
                            method, target, path, query, before.host, before.version, before.fields
                        )
                        return request, NO_BODY, True
        return self._read_anew(head)

    def _read_anew(self, head: bytes) -> tuple[Request, Framing, bool]:
        request, framing = parse_head(head, self._limits)
        connection = request.fields.get(b"connection")
        # The common case of `_persists`, spelled out: no Connection field.
        if connection is None:
            persists = request.version == b"HTTP/1.1"
        else:
            persists = _persists(request.version, connection)
        self._before = None
        if persists and framing is NO_BODY:
            self._remember(head, request)
        return request, framing, persists

    def _remember(self, head: bytes, request: Request) -> None:
        """What the next request may share."""
        line = COMMON_LINE.match(head)
        if line is None:  # in another form the host is the target's
            return
        field_lines = head[line.end() :]
        if len(field_lines) <= _LONGEST:
            self._before = request
            self._field_lines = field_lines
            self._longest = min(self._limits.line + 2, self._limits.head - len(field_lines))
            self._minor = line[5]


def _persists(version: bytes, connection: bytes) -> bool:
    """RFC 9112 §9.3, in its order: "close" ends it; HTTP/1.1 goes on; HTTP/1.0 only with "keep-alive"."""
    options = list_members(connection)
    if b"close" in options:
        return False
    return version == b"HTTP/1.1" or b"keep-alive" in options


def list_members(value: bytes) -> list[bytes]:
    """The members of a comma-separated list in lower case; empty ones do not count (RFC 9110 §5.6.1.2)."""
    return [member for part in value.lower().split(b",") if (member := part.strip(b" \t"))]
