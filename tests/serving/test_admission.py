"""How many are let in: less while the loop's turns are too long, more again when they are not."""

import errno
import os
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


def test_long_turns_are_counted() -> None:
    """Each by every length that it exceeds, however many connections there are."""
    loop = Loop(1000, 10)
    for seconds in (0.005, 0.009, 0.02, 0.05, 0.2, 0.2, 2.0):
        loop.turn(seconds, pause=10)
    assert loop.limit.long_turns == {0.01: 5, 0.03: 4, 0.08: 3, 0.3: 1, 1.0: 1}


def test_a_single_long_turn_is_forgiven() -> None:
    """It may be a pause of the machine; only two in a row are a sign."""
    loop = Loop(1000, 1000)
    assert [loop.turn(seconds) for seconds in (5.0, 0.01, 5.0, 0.01)] == [1000] * 4


def test_as_many_stay_as_fit() -> None:
    """Turns of 0.2 s: a fifth of the connections stays, so that a turn takes 0.04 s; and of a few not fewer
    than a floor.
    """
    loop = Loop(10_000, 5000)
    loop.turn(0.2)
    assert loop.turn(0.2) == 1000
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
    loop.turn(0.4)
    assert loop.turn(0.4) == 100
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


def test_who_is_turned_away_makes_a_queue_no_longer() -> None:
    """Of 1,600 that are accepted in a second 1,200 come too late: 40 may wait, a tenth of the others, or as
    many would come too late again.
    """
    queue = Queue()
    accepting = AcceptQueue(queue, lambda: queue.now)  # type: ignore[arg-type]  # all that is used of a socket
    for _ in range(100):
        queue.now += 0.01
        accepting.accepted(16, late=12, emptied=False)
    assert queue.lengths[-1] == pytest.approx(40, rel=0.25)


def test_a_pause_is_no_overload() -> None:
    """Nobody is refused for a queue that filled while the machine stood still."""
    queue = Queue()
    accepting = AcceptQueue(queue, lambda: queue.now)  # type: ignore[arg-type]  # all that is used of a socket
    accepting.accepted(1, emptied=True)
    queue.now += 60  # the machine slept
    accepting.accepted(16, emptied=False)
    persistent = [accepting.is_persistent]
    for _ in range(5):
        queue.now += 0.1
        accepting.accepted(16, emptied=False)
    persistent.append(accepting.is_persistent)
    accepting.accepted(3, emptied=True)
    queue.now += 1
    accepting.accepted(3, emptied=True)  # it was not full for a second
    persistent.append(accepting.is_persistent)
    assert persistent == [False, True, False]


def test_a_short_queue_that_is_emptied_is_overloaded_all_the_same() -> None:
    """Held to a quota of the processor, a server empties its queue each time it may run; what came
    meanwhile and did not fit was dropped. The queue grows while it can be emptied, and is long again when
    it was not full for a second.
    """
    queue = Queue()
    accepting = AcceptQueue(queue, lambda: queue.now)  # type: ignore[arg-type]  # all that is used of a socket
    for _ in range(50):
        queue.now += 0.01
        accepting.accepted(3, emptied=False)
    shortest = queue.lengths[-1]
    assert shortest < 50
    for _ in range(30):
        queue.now += 0.08
        for _ in range(queue.lengths[-1] // 16):
            accepting.accepted(16, emptied=False)
        accepting.accepted(16, emptied=True)
        assert queue.lengths[-1] < 1024
        assert accepting.is_persistent
    assert queue.lengths[-1] > shortest * 2
    for _ in range(30):
        queue.now += 0.08
        accepting.accepted(1, emptied=True)
    assert queue.lengths[-1] == 1024
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


class Fickle:
    """A listening socket whose length cannot be changed: from the first time on, or later."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)

    def listen(self, length: int) -> None:
        if self.codes and (code := self.codes.pop(0)):
            raise OSError(code, os.strerror(code))


def test_a_queue_whose_length_stays() -> None:
    """What is no listening socket says so at once; one that is stays as long as it was."""
    with pytest.raises(OSError, match="Invalid argument"):
        AcceptQueue(Fickle(errno.EINVAL))  # type: ignore[arg-type]  # all that is used of a socket
    now, fickle = [0.0], Fickle(0, errno.EPERM)
    accepting = AcceptQueue(fickle, lambda: now[0])  # type: ignore[arg-type]  # as above
    for _ in range(100):
        now[0] += 0.01
        accepting.accepted(16, emptied=False)
    assert not fickle.codes
    assert accepting.is_persistent


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
