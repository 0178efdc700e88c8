"""One line of an access log, byte for byte as Apache's "common" and "combined" formats have it.

common: `host - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 2326`; combined adds `"referer" "user
agent"`. What a peer sent is escaped as nginx does it: a line is always one line, of printable ASCII, and a
quoted value cannot end early.
"""

import re
import time
from functools import lru_cache
from typing import Final, TypeAlias

from trio_evserver.semantics.message import Request

Entry: TypeAlias = tuple[object, float, bytes | None, bytes, bytes, bytes, bytes, int, int]
"""Peer, seconds since the epoch, method (None: no request), target, version, referer, user agent, status,
size."""

NO_REQUEST: Final = (None, b"", b"", b"-", b"-")
"""Method to user agent of an entry for a connection that no request could be read from."""

# Not from the locale: logs are read by programs.
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_SAFE: Final = bytes(byte for byte in range(0x20, 0x7F) if byte not in b'"\\')
_UNSAFE: Final = re.compile(rb'[^\x20-\x7e]|["\\]')


def _escape_byte(match: re.Match[bytes]) -> bytes:
    return b"\\x%02X" % match[0][0]


def escape(value: bytes) -> bytes:
    r"""`value` with `\xHH` for every byte outside 0x20-0x7E, for `"` and for `\`."""
    # Deleting what is safe tells three times as fast as the search does whether anything is left to escape.
    return _UNSAFE.sub(_escape_byte, value) if value.translate(None, _SAFE) else value


def host(peer: object) -> bytes:
    """The first column: the host of a socket address, a name, or "-"; never with a blank in it."""
    name = peer[0] if isinstance(peer, tuple) and peer else peer
    if not isinstance(name, str) or not name:
        return b"-"
    return _column(name)


@lru_cache(1024)
def _column(name: str) -> bytes:
    return escape(name.encode("utf-8", "backslashreplace")).replace(b" ", b"\\x20")


def timestamp(second: int) -> bytes:
    """Local time with its offset from UTC, in brackets: a log is read beside the clock on the wall."""
    at = time.localtime(second)
    minutes = at.tm_gmtoff // 60
    sign = "-" if minutes < 0 else "+"
    offset = f"{sign}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
    day = f"{at.tm_mday:02}/{MONTHS[at.tm_mon - 1]}/{at.tm_year:04}"
    return f"[{day}:{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} {offset}]".encode()


# Beyond so many bytes, and where something is to be escaped, a line is not the usual one.
_USUAL: Final = 512


@lru_cache(1024)
def _usual_end(referer: bytes, agent: bytes) -> bytes | None:
    """The end of a combined line, where nothing of it is to be escaped: for one client always the same."""
    if referer.translate(None, _SAFE) or agent.translate(None, _SAFE):
        return None
    return b' "%b" "%b"\n' % (referer, agent)


def size_of(entry: Entry) -> int:
    """The bytes of it that come from the peer."""
    _, _, _, target, _, referer, agent, _, _ = entry
    return len(target) + len(referer) + len(agent)


class LineFormatter:
    """Lines of one format; the time is rendered once per second."""

    def __init__(self, *, combined: bool) -> None:
        self._combined = combined
        self._second = -1
        self._timestamp = b""

    def line_or_entry(
        self, peer: object, when: float, request: Request | None, status: int, sent: int
    ) -> bytes | Entry:
        """The line, in a microsecond, where it is short and has nothing to escape; elsewhere what `line`
        makes it from.
        """
        if request is None:
            return (peer, when, *NO_REQUEST, status, sent)
        get = request.fields.get
        method, target, version = request.method, request.target, request.version
        referer, agent = get(b"referer", b"-"), get(b"user-agent", b"-")
        end = None
        if len(target) + len(referer) + len(agent) <= _USUAL:
            end = _usual_end(referer, agent) if self._combined else b"\n"
        # A method is a token, and a version one of two (RFC 9112 §3.1, §2.3): nothing of them is escaped.
        if end is None or target.translate(None, _SAFE):
            return (peer, when, method, target, version, referer, agent, status, sent)
        size = b"%d" % sent if sent else b"-"
        return b'%b - - %b "%b %b %b" %d %b%b' % (
            host(peer), self._time(when), method, target, version, status, size, end,
        )  # fmt: skip

    def _time(self, when: float) -> bytes:
        second = int(when)
        if second != self._second:
            self._second, self._timestamp = second, timestamp(second)
        return self._timestamp

    def line(self, entry: Entry) -> bytes:
        """The line, with its line feed."""
        peer, when, method, target, version, referer, agent, status, sent = entry
        request = b"-" if method is None else escape(b"%b %b %b" % (method, target, version))
        size = b"%d" % sent if sent else b"-"
        common = b'%b - - %b "%b" %d %b' % (host(peer), self._time(when), request, status, size)
        if not self._combined:
            return common + b"\n"
        return b'%b "%b" "%b"\n' % (common, escape(referer), escape(agent))
