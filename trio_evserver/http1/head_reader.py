"""The heads of a site's connections, each taken apart but for what it shares with one before.

The requests of a connection differ in their request lines and hardly in anything else: a browser sends the
same field lines with every picture of a page, and on each of the six connections that it opens for them; a
program sends the same with every request. HPACK (RFC 7541 §2.3) is built on that; here it saves reading them
again, and holding them once for each connection. What is compared is every octet after the request line, so
that what was valid is valid again and means the same.
"""

from typing import Final, final

from trio_evserver.http1.framing import NO_BODY, Framing
from trio_evserver.http1.grammar import COMMON_LINE
from trio_evserver.http1.limits import Limits
from trio_evserver.http1.request_head import parse_head
from trio_evserver.semantics.fields import RequestFields
from trio_evserver.semantics.message import Request

# Longer ones are not remembered, as there may be many connections: octets.
_LONGEST: Final = 2048
# Of so many sections all connections may take what they share.
_MOST_KNOWN: Final = 64
# Nobody else sends these, and they are nothing to keep for longer than their connection.
_PRIVATE: Final = (b"cookie", b"authorization", b"proxy-authorization")


@final
class HeaderSection:
    """The field lines of a valid head without a body, whose target was in origin-form (RFC 9112 §5), and what
    they say: the host, and whether another request may follow.
    """

    __slots__ = ("fields", "host", "lines", "minor", "persists", "version")

    def __init__(self, lines: bytes, minor: bytes, request: Request, persists: bool) -> None:
        """`lines` with the empty one that ends them; they follow a request line of this `minor` version."""
        self.lines: Final = lines
        self.minor: Final = minor
        self.fields: Final[RequestFields] = request.fields
        self.host: Final = request.host
        self.version: Final = request.version
        self.persists: Final = persists

    def __repr__(self) -> str:
        return f"<HeaderSection of {len(self.lines)} octets>"


class HeadReader:
    """Reads the heads of one site's connections."""

    __slots__ = ("_known", "_limits")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._known: dict[bytes, HeaderSection] = {}  # by their lines

    def __repr__(self) -> str:
        return f"<HeadReader of {len(self._known)} header sections>"

    def read(
        self, head: bytes, before: HeaderSection | None
    ) -> tuple[Request, Framing, bool, HeaderSection | None]:
        """The request, the framing of its body, whether another may follow it (RFC 9112 §9.3), and the
        section that the next head of its connection is to be compared with, as this one with that `before`.

        Takes and raises what `parse_head` does.
        """
        end = head.find(b"\r\n") + 2
        lines = head[end:]
        section = before
        if section is None or lines != section.lines:
            section = self._known.get(lines) if len(lines) <= _LONGEST else None
        if section is not None and end <= self._limits.line + 2 and len(head) <= self._limits.head:
            line = COMMON_LINE.match(head)
            if line is not None:
                method, target, path, query, minor = line.groups()
                if minor == section.minor:
                    request = Request(
                        method, target, path, query, section.host, section.version, section.fields
                    )
                    return request, NO_BODY, section.persists, section
        return self._read_anew(head, end)

    def _read_anew(self, head: bytes, end: int) -> tuple[Request, Framing, bool, HeaderSection | None]:
        request, framing = parse_head(head, self._limits)
        connection = request.fields.get(b"connection")
        # The common case of `_persists`, spelled out: no Connection field.
        if connection is None:
            persists = request.version == b"HTTP/1.1"
        else:
            persists = _persists(request.version, connection)
        section = None
        # In another form the host is the target's.
        if framing is NO_BODY and request.target.startswith(b"/") and len(head) - end <= _LONGEST:
            section = HeaderSection(head[end:], head[end - 3 : end - 2], request, persists)
            self._remember(section)
        return request, framing, persists, section

    def _remember(self, section: HeaderSection) -> None:
        known, fields = self._known, section.fields
        for name in _PRIVATE:
            if name in fields:
                return
        if len(known) >= _MOST_KNOWN:
            del known[next(iter(known))]  # that which was met first is forgotten first
        known[section.lines] = section


def _persists(version: bytes, connection: bytes) -> bool:
    """RFC 9112 §9.3, in its order: "close" ends it; HTTP/1.1 goes on; HTTP/1.0 only with "keep-alive"."""
    options = list_members(connection)
    if b"close" in options:
        return False
    return version == b"HTTP/1.1" or b"keep-alive" in options


def list_members(value: bytes) -> list[bytes]:
    """The members of a comma-separated list in lower case; empty ones do not count (RFC 9110 §5.6.1.2)."""
    return [member for part in value.lower().split(b",") if (member := part.strip(b" \t"))]
