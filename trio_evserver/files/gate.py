"""Who gets a worker thread, and when: shares per disk, and a queue that is bounded in length and in time.

A capacity limiter bounds what is in flight, not what waits for it, and it serves first come, first served:
the readers of one slow disk would take every thread, and those of a fast one would queue behind them. So
before the limiter each disk has a share, smaller than the whole, and before a share stands a queue. A call
that may be refused is refused when its queue is full, or when it has waited too long, before anything was
asked of the disk; the reads of a reply that has begun are not, as there is no honest answer any more, and
they are few: a window each.

Disks are told apart by the mount point a path lies under, which is known before anything is opened.
"""

import errno
from collections import deque

import trio

from trio_evserver.files.statistics import GateStatistics


class DiskBusyError(OSError):
    """Too many calls wait for this disk already."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EAGAIN, f"the disk is busy: {reason}")


class Share:
    """What one disk has of the threads: so many calls more, and those that wait, first come, first served."""

    __slots__ = ("left", "waiting")

    def __init__(self, left: int) -> None:
        self.left = left
        self.waiting: deque[Ticket] = deque()

    def __repr__(self) -> str:
        return f"<Share {self.left} left, {len(self.waiting)} wait>"


class Gate:
    """Admits calls to `threads` threads. One per site.

    A queue holds `queue` calls at most, each for `patience` seconds at most.
    """

    def __init__(self, threads: int, *, queue: int, patience: float) -> None:
        self.limiter = trio.CapacityLimiter(threads)
        self.queue = queue
        self.patience = patience
        # A quarter is left for the other disks, where there is a quarter to leave.
        self._share = threads - threads // 4
        self._shares: dict[bytes, Share] = {}
        self.peak = self.hops = 0
        self.refused_full = self.refused_late = 0
        self.waited = self.longest_wait = self.busy = 0.0

    def __repr__(self) -> str:
        return f"<Gate {self.limiter.borrowed_tokens}/{self.limiter.total_tokens}>"

    def statistics(self) -> GateStatistics:
        """What the gate sees."""
        return GateStatistics(
            waiting=sum(len(share.waiting) for share in self._shares.values()),
            peak=self.peak,
            hops=self.hops,
            refused_full=self.refused_full,
            refused_late=self.refused_late,
            waited=self.waited,
            longest_wait=self.longest_wait,
            busy=self.busy,
        )

    def ticket(self, mount: bytes, *, refusable: bool) -> "Ticket":
        """A limiter for one call to the disk at `mount`."""
        share = self._shares.get(mount)
        if share is None:
            share = self._shares[mount] = Share(self._share)
        return Ticket(self, share, refusable=refusable)

    def admit_next(self) -> None:
        """A thread is free: it is for whoever has waited longest of those whose disk has some of its share
        left.
        """
        while self.limiter.available_tokens:
            first = [share.waiting[0] for share in self._shares.values() if share.left and share.waiting]
            if not first:
                return
            min(first, key=Ticket.waits_since).admit()


class Ticket:
    """What `trio.to_thread.run_sync` takes for a limiter, for one call; `admitted` once the call got past
    the gate, `returned` once its thread has given the token back.
    """

    __slots__ = (
        "_borrower", "_gate", "_refusable", "_share", "_since", "_task", "admitted", "returned",
    )  # fmt: skip

    def __init__(self, gate: Gate, share: Share, *, refusable: bool) -> None:
        self._gate = gate
        self._share = share
        self._refusable = refusable
        self._since = 0.0  # it waits, or is in a thread
        self._task: trio.lowlevel.Task | None = None
        self._borrower: object = None
        self.admitted = self.returned = False

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        """Take what is free, or wait for it. Raises DiskBusyError.

        Cancellation: prompt, nothing is held. Not a checkpoint where something is free: the call in the
        thread that it is for is one.
        """
        gate = self._gate
        self._since = trio.current_time()
        self._borrower = borrower
        if self._share.left and gate.limiter.available_tokens:
            self._take()
            return
        try:
            await self._wait()
        finally:
            wait = self._lap()
            gate.waited += wait
            gate.longest_wait = max(gate.longest_wait, wait)

    def _take(self) -> None:
        gate = self._gate
        self._share.left -= 1
        gate.limiter.acquire_on_behalf_of_nowait(self._borrower)
        self.admitted = True
        gate.hops += 1
        gate.peak = max(gate.peak, gate.limiter.borrowed_tokens)

    async def _wait(self) -> None:
        gate = self._gate
        if not self._refusable:
            await self._admitted()
            return
        if len(self._share.waiting) >= gate.queue:
            gate.refused_full += 1
            raise DiskBusyError("its queue is full")
        with trio.move_on_after(gate.patience):
            await self._admitted()
        if not self.admitted:
            gate.refused_late += 1
            raise DiskBusyError(f"waited {gate.patience:g} s")

    async def _admitted(self) -> None:
        self._task = trio.lowlevel.current_task()
        self._share.waiting.append(self)
        await trio.lowlevel.wait_task_rescheduled(self._abort)

    def _abort(self, raise_cancel: object) -> trio.lowlevel.Abort:
        self._share.waiting.remove(self)
        return trio.lowlevel.Abort.SUCCEEDED

    def waits_since(self) -> float:
        """In Trio's seconds."""
        return self._since

    def admit(self) -> None:
        """It is the first in its queue, and its turn."""
        self._share.waiting.popleft()
        self._take()
        assert self._task is not None
        trio.lowlevel.reschedule(self._task)

    def _lap(self) -> float:
        """The seconds since the last one."""
        before, self._since = self._since, trio.current_time()
        return self._since - before

    def release_on_behalf_of(self, borrower: object) -> None:
        """The thread has ended its call."""
        self.returned = True
        gate = self._gate
        gate.busy += self._lap()
        gate.limiter.release_on_behalf_of(borrower)
        self._share.left += 1
        gate.admit_next()
