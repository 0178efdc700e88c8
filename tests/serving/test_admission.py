"""How many are let in: less while the loop's turns are too long, more again when they are not."""

import socket
from pathlib import Path

import pytest
import trio

from tests.serving.answers import read_answer
from tests.serving.conversations import connect, opened, request
from trio_evserver.serving.admission import AcceptQueue, ConnectionLimit, has_waited_too_long


class Loop:
    """An event loop whose turns take as long as is said."""

    def __init__(self, most: int, connections: int) -> None:
        self.now = 0.0
        self.connections = connections
        self.limit = ConnectionLimit(most, lambda: self.connections, lambda: self.now)

    def turn(self, seconds: float, pause: float = 0.0) -> int:
        """One turn after a pause; the limit then."""
        self.now += pause
        self.limit.after_io_wait(0)
        self.now += seconds
        self.limit.before_io_wait(0)
        return self.limit.limit


def test_short_turns_change_nothing() -> None:
    """As long as everybody is served in time, everybody may come."""
    loop = Loop(1000, 1000)
    assert {loop.turn(0.05, pause=10) for _ in range(100)} == {1000}
    assert loop.limit.longest == pytest.approx(0.05)


def test_a_single_long_turn_is_forgiven() -> None:
    """It may be a pause of the machine; only two in a row are a sign."""
    loop = Loop(1000, 1000)
    assert [loop.turn(seconds) for seconds in (5.0, 0.01, 5.0, 0.01)] == [1000] * 4


def test_as_many_stay_as_fit() -> None:
    """Turns five times too long: a fifth of the connections stays, and of a few not fewer than a floor."""
    loop = Loop(10_000, 5000)
    loop.turn(0.3)
    assert loop.turn(0.3) == 1000
    loop = Loop(10_000, 100)
    loop.turn(60)
    assert loop.turn(60) == 64


def test_the_limit_never_exceeds_what_was_chosen() -> None:
    """Neither by the floor nor by growing."""
    loop = Loop(10, 10)
    assert [loop.turn(9) for _ in range(9)] == [10] * 9
    assert [loop.turn(0.01, pause=1) for _ in range(9)] == [10] * 9


def test_it_grows_again() -> None:
    """When turns are short again, step by step up to where it began, not all at once."""
    loop = Loop(1000, 1000)
    loop.turn(0.6)
    assert loop.turn(0.6) == 100
    limits = [loop.turn(0.01, pause=0.3) for _ in range(60)]
    assert limits == sorted(limits)
    assert limits[0] < 200
    assert limits[-1] == 1000


class Queue:
    """Notes how long an accept queue was made."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.now = 0.0

    def listen(self, length: int) -> None:
        self.lengths.append(length)


def test_a_queue_that_is_emptied_is_long() -> None:
    """Where nobody waits, as many as like to may come at once."""
    queue = Queue()
    accepting = AcceptQueue(queue, lambda: queue.now)  # type: ignore[arg-type]  # all that is used of a socket
    for _ in range(100):
        queue.now += 1
        accepting.accepted(16, emptied=True)
    assert queue.lengths == [1024]


def test_a_queue_that_stays_full_is_as_long_as_a_tenth_of_a_second() -> None:
    """1,600 are accepted in a second, so 160 may wait; and it is long again when it was empty for a while."""
    queue = Queue()
    accepting = AcceptQueue(queue, lambda: queue.now)  # type: ignore[arg-type]  # all that is used of a socket
    for _ in range(100):
        queue.now += 0.01
        accepting.accepted(16, emptied=False)
    assert queue.lengths[0] == 1024
    assert queue.lengths[-1] == pytest.approx(160, rel=0.25)
    for _ in range(5):
        queue.now += 0.5
        accepting.accepted(1, emptied=True)
    assert queue.lengths[-1] == 1024


def test_a_pause_is_no_overload() -> None:
    """Nobody is refused for a queue that filled while the machine stood still."""
    queue = Queue()
    accepting = AcceptQueue(queue, lambda: queue.now)  # type: ignore[arg-type]  # all that is used of a socket
    accepting.accepted(1, emptied=True)
    queue.now += 60  # the machine slept
    accepting.accepted(16, emptied=False)
    assert not accepting.is_persistent
    for _ in range(5):
        queue.now += 0.1
        accepting.accepted(16, emptied=False)
    assert accepting.is_persistent
    accepting.accepted(3, emptied=True)
    assert not accepting.is_persistent


def test_who_has_just_come_has_not_waited() -> None:
    """And of a socket that cannot tell how long, nothing is assumed."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        with listener.accept()[0] as connected:
            assert not has_waited_too_long(connected)
        assert not has_waited_too_long(connected)  # closed
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not has_waited_too_long(ours)


async def test_a_site_that_is_too_full(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A request on a connection that is one too many by now is answered 503, and that was its last."""
    async with opened(root) as site, trio.open_nursery() as nursery:
        peers = [connect(site, nursery) for _ in range(3)]
        for peer in peers:
            await peer.say(request())
            assert read_answer(await peer.hear()).status == 200
        site.admission.limit = 2
        await peers[0].say(request())
        answer = read_answer(await peers[0].hear())
        assert (answer.status, answer.fields["Connection"], answer.fields["Retry-After"]) == (
            503,
            "close",
            "1",
        )
        assert peers[0].closed
        await peers[1].say(request())
        assert read_answer(await peers[1].hear()).status == 200
        for peer in peers[1:]:
            await peer.end()
        assert site.statistics().refused_crowded == 1
    assert ["more connections than" in record.getMessage() for record in caplog.records] == [True]
