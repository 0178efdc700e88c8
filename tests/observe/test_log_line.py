"""Lines of the access log, byte for byte."""

import re
import time
from collections.abc import Iterator

import pytest

from trio_evserver.observe.log_line import NO_REQUEST, Entry, LineFormatter, escape, host, timestamp

# 10 Oct 2000 20:55:36 UTC, the time in Apache's own example.
APACHE_EXAMPLE = 971211336


@pytest.fixture(autouse=True)
def _zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "PST8PDT,M4.1.0,M10.5.0")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def entry(**changed: object) -> Entry:
    values: dict[str, object] = {
        "peer": ("127.0.0.1", 4711),
        "when": float(APACHE_EXAMPLE),
        "method": b"GET",
        "target": b"/apache_pb.gif",
        "version": b"HTTP/1.0",
        "referer": b"http://www.example.com/start.html",
        "agent": b"Mozilla/4.08 [en] (Win98; I ;Nav)",
        "status": 200,
        "sent": 2326,
    }
    return tuple((values | changed).values())  # type: ignore[return-value] # the order above is the entry's


COMMON = b'127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326'


def test_common() -> None:
    """The line of Apache's documentation, without the user name that we do not have."""
    assert LineFormatter(combined=False).line(entry()) == COMMON + b"\n"


def test_combined() -> None:
    """The combined format adds referer and user agent, quoted."""
    line = LineFormatter(combined=True).line(entry())
    assert line == COMMON + b' "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)"\n'


def test_nothing_sent_is_a_dash() -> None:
    """Apache's %b is "-" where no content was sent."""
    assert LineFormatter(combined=False).line(entry(status=304, sent=0)).endswith(b'" 304 -\n')


def test_no_request() -> None:
    """A connection that no request could be read from has "-" for it."""
    nothing: Entry = (None, APACHE_EXAMPLE, *NO_REQUEST, 408, 0)
    line = LineFormatter(combined=True).line(nothing)
    assert line == b'- - - [10/Oct/2000:13:55:36 -0700] "-" 408 - "-" "-"\n'


def test_time_changes_with_the_second() -> None:
    """The rendered time is kept for its second, and for that one alone."""
    formatter = LineFormatter(combined=False)
    seconds = [
        formatter.line(entry(when=APACHE_EXAMPLE + offset))[33:35] for offset in (0, 0.9, 1.0, 2.5, 1.5)
    ]
    assert seconds == [b"36", b"36", b"37", b"38", b"37"]


@pytest.mark.parametrize(
    ("zone", "offset"),
    [
        ("UTC", b"+0000"),
        ("IST-5:30", b"+0530"),  # half an hour, east
        ("NST3:30", b"-0330"),  # half an hour, west: the minutes are not -30
    ],
)
def test_offset(monkeypatch: pytest.MonkeyPatch, zone: str, offset: bytes) -> None:
    """The offset is hours and minutes, signed once."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    assert timestamp(APACHE_EXAMPLE).endswith(b" " + offset + b"]")


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        (("192.0.2.1", 80), b"192.0.2.1"),
        (("fe80::1%eth0", 80, 0, 2), b"fe80::1%eth0"),
        ("client", b"client"),
        ("", b"-"),  # the peer of a Unix socket
        (None, b"-"),
        ((), b"-"),
        ("a b\n", b"a\\x20b\\x0A"),  # a blank would begin the next column
    ],
)
def test_host(peer: object, expected: bytes) -> None:
    """The host, in one column whatever it is."""
    assert host(peer) == expected


def test_escape_leaves_printable_ascii_but_quote_and_backslash() -> None:
    """Each byte is itself or its escape, so that a reader can undo it and a terminal sees nothing else."""
    for byte in range(256):
        plain = 0x20 <= byte <= 0x7E and byte not in b'"\\'
        assert escape(bytes([byte])) == (bytes([byte]) if plain else b"\\x%02X" % byte)


def test_a_peer_cannot_forge_a_line() -> None:
    """Whatever the peer sends, there is one line with the quotes of the format alone."""
    evil = b'x" 200 1\r\n127.0.0.1 - - "\x1b[31m\xff\\'
    line = LineFormatter(combined=True).line(entry(target=evil, referer=evil, agent=evil))
    assert re.fullmatch(rb"[\x20-\x7e]+\n", line)
    assert line.count(b'"') == 6
