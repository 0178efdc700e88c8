"""A whole connection fed with arbitrary octets: answers that parse, then its end; nothing from outside."""

import atexit
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from fuzz.messages import streams
from fuzz.test_target import paths
from tests.http1.feeding import outcomes
from tests.property.test_conversation import requests
from tests.serving.answers import read_answers
from tests.serving.conversations import opened, talk
from trio_evserver.http1.limits import Limits
from trio_evserver.semantics.message import Request
from trio_evserver.serving.options import Options

LIMITS = Limits(line=400, head=2000, fields=20, body=1000)
OPTIONS = Options(limits=LIMITS)
STATUSES = {100, 200, 204, 206, 301, 304, 400, 404, 405, 408, 412, 413, 414, 416, 417, 431, 501, 505}
SECRET = b"a secret from outside of the root"


@cache
def root() -> Path:
    """A directory to serve, whose parent and whose hidden files hold what must never be served."""
    directory = TemporaryDirectory()
    atexit.register(directory.cleanup)
    site = Path(directory.name) / "site"
    (site / "dir").mkdir(parents=True)
    (site / "a").mkdir()
    for name in ("ten.txt", "index.html", "dir/index.html", "a/B"):
        (site / name).write_bytes(b"0123456789")
    (site / "large.bin").write_bytes(b"large" * 60_000)
    for name in ("../secret", ".a", "dir/.a", "../index.html"):
        (site / name).write_bytes(SECRET)
    os.symlink("../secret", site / "~")
    return site


@contextmanager
def silence() -> Iterator[None]:
    """Nothing is logged: what a peer sends is never our fault, and an unhandled exception would be told."""
    lines: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    listener = Listener(logging.WARNING)
    logging.getLogger("trio_evserver").addHandler(listener)
    try:
        yield
    finally:
        logging.getLogger("trio_evserver").removeHandler(listener)
    assert not lines, "\n".join(lines)


async def hear(pieces: list[bytes]) -> bytes:
    """What the server says; it has closed, or TooSlowError is raised."""
    async with opened(root(), OPTIONS) as site:
        heard = await talk(site, *pieces)
        statistics = site.statistics()
        assert (statistics.connections, statistics.held, statistics.lost) == (0, 0, 0)
    return heard


def check(data: bytes) -> None:
    """Fed at once and in three pieces: whole answers, in order, and the same."""
    third = len(data) // 3 + 1
    ways = [[data], [data[start : start + third] for start in range(0, len(data), third)]]
    methods = [one.method.decode() for one in outcomes([data], LIMITS) if isinstance(one, Request)]
    said = []
    with silence():
        for pieces in ways:
            heard = trio.run(hear, pieces, clock=MockClock(autojump_threshold=0))
            assert SECRET not in heard
            answers = read_answers(heard, *methods)
            assert {answer.status for answer in answers} <= STATUSES
            said.append([answer for answer in answers if answer.status >= 200])
            # Multipart boundaries are drawn by lot; the rest is the same.
    assert [(a.status, len(a.body)) for a in said[0]] == [(a.status, len(a.body)) for a in said[1]]


targeted = st.tuples(st.sampled_from([b"GET", b"HEAD", b"OPTIONS"]), paths).map(
    lambda drawn: b"%b %b HTTP/1.1\r\nHost: h\r\n\r\n" % drawn
)


@given(st.lists(targeted | requests() | streams, max_size=5).map(b"".join))
def test_nearly_valid(data: bytes) -> None:
    """Conversations in which a few things are wrong."""
    check(data)


@given(st.binary(max_size=300))
def test_anything(data: bytes) -> None:
    """Any octets at all."""
    check(data)
