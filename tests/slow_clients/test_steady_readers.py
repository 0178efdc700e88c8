"""A client that takes all that is sent to it, for longer than any deadline: none of them is meant for it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.conftest import BIG
from tests.serving.answers import read_answer
from tests.serving.conversations import opened, request
from trio_evserver.files.disk import Buffer
from trio_evserver.files.options import FileOptions
from trio_evserver.files.span import Span
from trio_evserver.serving.attendants import converse
from trio_evserver.serving.options import Options
from trio_evserver.serving.site import Site

OPTIONS = Options(files=FileOptions(chunk_size=4096))
STEP = 1.0  # seconds for each send: about 100 in all, longer than any deadline
KNOWN = (request("/big.bin", method="HEAD"), request("/big.bin", "Connection: close"))
"""The file is open, and in the cache, once the first of them has been answered."""


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


class Steady:
    """A transport whose peer asks for a file, and takes what is sent: it takes time, but is no stall."""

    taken = moment = 0
    longest_in_place = 0
    may_have_more = True
    has_received = False
    on_stall: Callable[[bool], None]

    def __init__(self, when_sent: Callable[[int], object]) -> None:
        self.heard = bytearray()
        self.aborted = False
        self._to_say = list(KNOWN)
        self._when_sent = when_sent
        self._sends = 0

    def notice_loss(self, lost: Callable[[], None]) -> None:
        """It is always there."""

    def undelivered(self) -> int:
        return 0

    async def receive(self) -> bytes:
        return self._to_say.pop(0) if self._to_say else b""

    def receive_nowait(self) -> bytes | None:
        return None

    def watch(self) -> None:
        """There is nothing to be told."""

    def attend(self, ready: Callable[[], None]) -> bool:
        return False

    def attend_no_more(self) -> None:
        """Nobody is called."""

    async def send(self, head: Buffer, body: Buffer = b"") -> None:
        await trio.sleep(STEP)
        self.heard += bytes(head) + bytes(body)
        self._sends += 1
        self._when_sent(self._sends)

    def send_nowait(self, head: Buffer, body: Buffer = b"") -> int:
        return 0

    def send_span_nowait(self, head: bytes, span: Span) -> int:
        return 0

    async def send_rest(self, head: Buffer, body: Buffer, sent: int) -> None:
        await self.send(head, body)

    async def send_from(self, head: bytes, span: Span, left_of: Callable[[Span, int], int]) -> int:
        raise NotImplementedError

    async def wait_writable(self) -> None:
        await trio.lowlevel.checkpoint()

    async def end(self) -> None:
        await trio.lowlevel.checkpoint()

    def close_nowait(self) -> bool:
        return False

    async def close(self) -> None:
        return

    def abort(self) -> None:
        self.aborted = True


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
        site.connection_began()
        await converse(peer, site)
    answers = bytes(peer.heard)
    first = answers.index(b"\r\n\r\n") + 4
    assert read_answer(answers[first:]).body == BIG, why
