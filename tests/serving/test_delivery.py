"""Who takes the end of a reply slowly has time; who does not take it at all, has not."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from tests.conftest import BIG
from tests.serving.conversations import opened, request
from trio_evserver.serving.attendants import converse
from trio_evserver.serving.options import Options, Timeouts
from trio_evserver.serving.stream_transport import StreamTransport

OPTIONS = Options(timeouts=Timeouts(head=10, idle=60, write=30, write_rate=250))


class Buffered(StreamTransport):
    """A transport that takes everything at once, and whose peer then has `rate` bytes of it a second."""

    def __init__(self, stream: trio.abc.Stream, rate: float) -> None:
        super().__init__(stream)
        self.aborted = False
        self._rate = rate
        self._start = trio.current_time()

    def undelivered(self) -> int:
        return max(0, self.taken - int(self._rate * (trio.current_time() - self._start)))

    def abort(self) -> None:
        self.aborted = True


RATES = [
    (1_000_000, False, 60, 61, "all of it has arrived: the connection is idle, and closed as such"),
    (1000, False, 400, 440, "slow, but at it: it is closed once all has arrived"),
    (251, False, 1594, 1650, "as slow as may be"),
    (200, True, 90, 91, "too slow, which shows at the second look: the first is about the whole time"),
    (0, True, 60, 61, "nothing is taken: what the kernel holds is thrown away with the connection"),
]


@pytest.mark.parametrize(("rate", "aborted", "after", "before", "why"), RATES)
async def test_the_end_of_a_reply(
    root: Path,
    rate: float,
    aborted: bool,
    after: float,
    before: float,
    why: str,
    autojump_clock: MockClock,
) -> None:
    """When the last byte has been handed over the connection is idle; the write rate holds all the same, from
    the end of the idle time on.
    """
    async with opened(root, OPTIONS) as site:
        ours, theirs = memory_stream_pair()
        await ours.send_all(request("/big.bin"))
        transport = Buffered(theirs, rate)
        site.connection_began()
        start = trio.current_time()
        await converse(transport, site)
        assert transport.taken > len(BIG), why
        assert transport.aborted is aborted, why
        assert after <= trio.current_time() - start <= before, why
