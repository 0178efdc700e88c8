"""Who gets a worker thread, and when: shares per disk, and a queue that is bounded in length and in time.

A capacity limiter bounds what is in flight, not what waits for it, and it serves first come, first served:
the readers of one slow disk would take every thread, and those of a fast one would queue behind them. So
each disk has a share, smaller than the whole, and before a share stands a queue. A call that may be refused
is refused when its queue is full, or when it has waited too long, before anything was asked of the disk; the
reads of a reply that has begun are not, as there is no honest answer any more, and they are few: a window
each.

Disks are told apart by the mount point a path lies under, which is known before anything is opened.
"""

import math
from collections import deque
from contextlib import suppress
from typing import Any, Final

import trio

from trio_evserver.files.call import Call
from trio_evserver.files.failures import DiskBusyError
from trio_evserver.files.statistics import GateStatistics

_MISSES_STAY: Final = 1.0  # seconds


class Share:
    """What one disk has of the threads: so many more, and the calls that wait, first come, first served.

    `misses` are questions to the page cache that made the kernel read, less the calls that have ended since:
    each is followed by one. `missed` is when the last of them was asked.
    """

    __slots__ = ("left", "missed", "misses", "waiting")

    def __init__(self, left: int) -> None:
        self.left = left
        self.waiting: deque[Call[Any]] = deque()
        self.misses = 0
        self.missed = 0.0

    def __repr__(self) -> str:
        return f"<Share {self.left} left, {len(self.waiting)} wait>"

    def waits_since(self) -> float:
        """When the first in the queue asked; threads may empty it at any time."""
        try:
            return self.waiting[0].asked
        except IndexError:
            return math.inf


class Gate:
    """Says which call comes next to `threads` threads. One per site; made and used in a Trio run.

    A queue holds `queue` calls at most, each for `patience` seconds at most.
    """

    def __init__(self, threads: int, *, queue: int, patience: float) -> None:
        self.limiter = trio.CapacityLimiter(threads)
        self.queue = queue
        self.patience = patience
        self.clock = trio.lowlevel.current_clock().current_time  # threads ask it, too
        # A quarter is left for the other disks, where there is a quarter to leave.
        self._share = threads - threads // 4
        self._shares: dict[bytes, Share] = {}
        self._all: tuple[Share, ...] = ()  # the same, for threads, which must not see a dict change
        self._free = threads
        self.peak = self.hops = 0
        self.refused_full = self.refused_late = 0
        self.waited = self.longest_wait = self.busy = 0.0

    def __repr__(self) -> str:
        return f"<Gate {self.limiter.borrowed_tokens}/{self.limiter.total_tokens}>"

    def statistics(self) -> GateStatistics:
        """What the gate sees."""
        return GateStatistics(
            waiting=sum(len(share.waiting) for share in self._all),
            peak=self.peak,
            hops=self.hops,
            refused_full=self.refused_full,
            refused_late=self.refused_late,
            waited=self.waited,
            longest_wait=self.longest_wait,
            busy=self.busy,
        )

    def share_of(self, mount: bytes) -> Share:
        """The share of the disk at `mount`."""
        share = self._shares.get(mount)
        if share is None:
            share = self._shares[mount] = Share(self._share)
            self._all = tuple(self._shares.values())
        return share

    def enter(self, call: Call[Any], share: Share) -> bool:
        """Take a call in; whether a thread is free for it, or it is in the queue. Raises DiskBusyError."""
        call.asked = self.clock()
        if share.left and self._free:
            return True
        if call.refusable and len(share.waiting) >= self.queue:
            self.refused_full += 1
            raise DiskBusyError("its queue is full")
        call.queue = share.waiting
        share.waiting.append(call)
        return False

    def take_thread(self, share: Share) -> None:
        """One thread less, for anybody and for this disk."""
        share.left -= 1
        self._free -= 1

    def give_thread_back(self, share: Share) -> None:
        """One thread more."""
        share.left += 1
        self._free += 1

    def first(self) -> tuple[Share, Call[Any]] | None:
        """Who comes next, now that a thread is free: whoever has waited longest of those whose disk has some
        of its share left; out of its queue.
        """
        while self._free:
            share = min((share for share in self._all if share.left), key=Share.waits_since, default=None)
            if share is None or not share.waiting:
                break
            with suppress(IndexError):  # a thread has begun it meanwhile
                return share, share.waiting.popleft()
        return None

    def next_of(self, share: Share) -> Call[Any] | None:
        """What a thread that has ended a call of this disk does next, out of its queue; None: it goes back,
        as nothing waits, or something of another disk has waited for longer. For threads.
        """
        if len(self._all) > 1:
            since = share.waits_since()
            if any(other.left and other.waits_since() < since for other in self._all if other is not share):
                return None
        try:
            return share.waiting.popleft()
        except IndexError:
            return None

    def count(self, call: Call[Any], share: Share) -> None:
        """A thread has ended a call."""
        self.hops += 1
        self.busy += call.ended - call.began
        self._count_wait(call.began - call.asked)
        self.arrived(share)

    def left(self, call: Call[Any]) -> None:
        """A call left its queue without having begun."""
        self._count_wait(self.clock() - call.asked)

    def _count_wait(self, wait: float) -> None:
        self.waited += wait
        self.longest_wait = max(self.longest_wait, wait)

    # Questions to the page cache

    def may_ask(self, share: Share, most: int) -> bool:
        """Whether the event loop may ask about what may not be there, so that the kernel begins to read it:
        not while it is at `most` or more of what was asked. With what the threads are at that is to fit into
        the queue of the device.
        """
        if share.misses >= most:
            # Some are followed by no call, as their peers have left: they are over when no other is.
            if share.left < self._share or self.clock() - share.missed < _MISSES_STAY:
                return False
            share.misses = 0
        return True

    def missed(self, share: Share) -> None:
        """A question made the kernel read."""
        share.misses += 1
        share.missed = self.clock()

    def arrived(self, share: Share) -> None:
        """What one of them made it read has come, most likely."""
        if share.misses:
            share.misses -= 1

    # Patience

    def due(self) -> float:
        """When the next call will have waited too long."""
        return min((call.asked + self.patience for call in self._refusable()), default=math.inf)

    def refuse_late(self) -> None:
        """Refuse the calls that have waited too long."""
        now = self.clock()
        for call in self._refusable():
            if call.asked + self.patience <= now:
                with suppress(ValueError):  # a thread has begun it meanwhile
                    call.queue.remove(call)
                    self.refused_late += 1
                    call.fail(DiskBusyError(f"waited {self.patience:g} s"))

    def _refusable(self) -> list[Call[Any]]:
        return [call for share in self._all for call in tuple(share.waiting) if call.refusable]
