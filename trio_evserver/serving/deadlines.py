"""Named timeouts, one deadline per connection.

A connection's deadline moves several times per request, so moving it must cost next to nothing: it is a
number in an attribute, and one task per site looks at all of them a few times a second and cancels what is
overdue. The times are coarse by that period, and never early.
"""

import heapq
import math
from collections.abc import Callable
from enum import Enum
from typing import Final

import trio

from trio_evserver.serving.options import Timeouts

# At the cap nobody has to go who has only just connected: the first byte may be on its way.
_FIRST_BYTE: Final = 1.0  # seconds


class Phase(Enum):
    """What a connection is waiting for."""

    FIRST = "first"
    """The first byte since it was accepted."""
    HEAD = "head"
    BODY = "body"
    IDLE = "idle"
    WRITE = "write"
    LINGER = "linger"
    ANSWER = "answer"


class Deadline:
    """The deadline of one connection: `scope` is cancelled once `phase` has lasted too long, and `expired`
    then says so; `cancelled` says so whatever the reason was.
    """

    __slots__ = ("_deadlines", "cancelled", "expired", "expires", "phase", "reprieve", "scope", "since")

    def __init__(self, deadlines: "Deadlines", scope: trio.CancelScope) -> None:
        self._deadlines = deadlines
        self.phase = Phase.ANSWER
        self.since = -math.inf
        self.expires = math.inf
        self.scope = scope
        self.expired = False
        self.cancelled = False
        self.reprieve: Callable[[], float] = no_reprieve
        """Asked once the time is up: how many more seconds there are, if it turns out that the peer is at
        it.
        """

    def __repr__(self) -> str:
        return f"<Deadline {self.phase.value} expired={self.expired}>"

    def start(self, phase: Phase, seconds: float) -> None:
        """The connection enters `phase`, which may last so many seconds."""
        self.phase = phase
        self.since = now = self._deadlines.now
        self.expires = now + seconds

    def cancel(self) -> None:
        """End the connection."""
        self.cancelled = True  # the scope itself takes its time to say so
        self.scope.cancel()

    def stop(self) -> None:
        """The connection waits for us, not for its peer."""
        self.phase = Phase.ANSWER
        self.expires = math.inf


class Deadlines:
    """All deadlines of a site, and the task that enforces them."""

    def __init__(self, timeouts: Timeouts) -> None:
        shortest = min(timeouts.head, timeouts.body, timeouts.idle, timeouts.write, timeouts.linger)
        self._period = min(max(shortest / 8, 0.01), 0.25)
        self._deadlines: set[Deadline] = set()
        self._some = trio.Event()
        self._asleep = True  # until there are some
        self.now = 0.0
        """The time that deadlines count from, at most a period old; rounded up, so that none is early."""

    def __repr__(self) -> str:
        return f"<Deadlines {len(self._deadlines)}>"

    def add(self, deadline: Deadline) -> None:
        """Enforce it from now on, until it is removed."""
        if self._asleep:
            self._asleep = False
            self._look_at_clock()
            self._some.set()
        self._deadlines.add(deadline)

    def remove(self, deadline: Deadline) -> None:
        """The connection has ended."""
        self._deadlines.remove(deadline)

    async def run(self) -> None:
        """Enforce them until cancelled. Without connections it does not even wake."""
        while True:
            await self._some.wait()
            while self._deadlines:
                await trio.sleep(self._period)
                self._look_at_clock()
                self._cancel_overdue(trio.current_time())
            self._some = trio.Event()
            self._asleep = True

    def cancel_idle(self) -> None:
        """End the connections on which no request has begun."""
        for deadline in self._deadlines:
            if deadline.phase is Phase.IDLE or deadline.phase is Phase.FIRST:
                deadline.cancel()

    def cancel_longest_idle(self, most: int) -> None:
        """End up to `most` of them: those that have been between two requests for longest, and only then
        those that have sent nothing for a while since they were accepted.
        """
        fresh = self.now - _FIRST_BYTE
        silent = (
            deadline
            for deadline in self._deadlines
            if deadline.phase is Phase.IDLE or (deadline.phase is Phase.FIRST and deadline.since <= fresh)
        )
        for deadline in heapq.nsmallest(most, silent, key=_turn_to_go):
            deadline.cancel()

    def _look_at_clock(self) -> None:
        self.now = trio.current_time() + self._period

    def _cancel_overdue(self, now: float) -> None:
        for deadline in self._deadlines:
            if deadline.expires <= now:
                deadline.expires = now + deadline.reprieve()
                if deadline.expires <= now:
                    deadline.expired = True
                    deadline.cancel()


def _turn_to_go(deadline: Deadline) -> tuple[bool, float]:
    return deadline.phase is Phase.FIRST, deadline.since


def no_reprieve() -> float:
    """Whoever is late has to go."""
    return 0.0
