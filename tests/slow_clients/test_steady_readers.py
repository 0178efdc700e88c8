"""A client that takes all that is sent to it, for longer than any deadline: none of them is meant for it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.conftest import BIG
from tests.serving.answers import read_answer
from tests.serving.conversations import opened, request
from trio_evserver.files.options import FileOptions
from trio_evserver.serving.options import Options
from trio_evserver.serving.server import serve_connection
from trio_evserver.serving.site import Site

OPTIONS = Options(files=FileOptions(chunk_size=4096))
STEP = 1.0  # seconds for each send: about 100 in all, longer than any deadline
KNOWN = (request("/big.bin", method="HEAD"), request("/big.bin", "Connection: close"))
"""The file is open, and in the cache, once the first of them has been answered."""


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


class Steady(trio.abc.Stream):
    """A peer that asks for a file, and takes what is sent: it takes time, but is no stall."""

    def __init__(self, when_sent: Callable[[int], object]) -> None:
        self.heard = bytearray()
        self._to_say = list(KNOWN)
        self._when_sent = when_sent
        self._sends = 0

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        return self._to_say.pop(0) if self._to_say else b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.sleep(STEP)
        self.heard += data
        self._sends += 1
        self._when_sent(self._sends)

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


def nothing(site: Site) -> None:
    """Nobody interferes."""


def make_room(site: Site) -> None:
    """As for a new client at --max-connections."""
    site.deadlines.cancel_longest_idle(16)


WHAT = [
    (nothing, "its time to begin a request is over"),
    (Site.drain, "a drain"),
    (make_room, "a full house"),
]


@pytest.mark.parametrize(("happens", "why"), WHAT, ids=[row[1] for row in WHAT])
async def test_a_steady_reader_hears_all_of_it(
    root: Path, happens: Callable[[Site], None], why: str, autojump_clock: MockClock
) -> None:
    """Whatever happens meanwhile, a connection that is being answered is not idle."""
    async with opened(root, OPTIONS) as site:
        peer = Steady(lambda sends: happens(site) if sends == 5 else None)
        await serve_connection(peer, site)
    answers = bytes(peer.heard)
    first = answers.index(b"\r\n\r\n") + 4
    assert read_answer(answers[first:]).body == BIG, why
