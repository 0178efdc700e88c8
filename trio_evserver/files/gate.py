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

import trio

from trio_evserver.files.statistics import GateStatistics


class DiskBusyError(OSError):
    """Too many calls wait for this disk already."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EAGAIN, f"the disk is busy: {reason}")


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
        self._shares: dict[bytes, trio.Semaphore] = {}
        self.peak = self.hops = 0
        self.refused_full = self.refused_late = 0
        self.waited = self.longest_wait = self.busy = 0.0

    def __repr__(self) -> str:
        return f"<Gate {self.limiter.borrowed_tokens}/{self.limiter.total_tokens}>"

    def statistics(self) -> GateStatistics:
        """What the gate sees."""
        waiting = sum(share.statistics().tasks_waiting for share in self._shares.values())
        return GateStatistics(
            waiting=waiting + self.limiter.statistics().tasks_waiting,
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
            share = self._shares[mount] = trio.Semaphore(self._share)
        return Ticket(self, share, refusable=refusable)


class Ticket:
    """What `trio.to_thread.run_sync` takes for a limiter, for one call; `admitted` once the call got past
    the gate, `returned` once its thread has given the token back.
    """

    def __init__(self, gate: Gate, share: trio.Semaphore, *, refusable: bool) -> None:
        self._gate = gate
        self._share = share
        self._refusable = refusable
        self._since = 0.0  # it waits, or is in a thread
        self.admitted = self.returned = False

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        """Take what is free, or wait for the share, then for the limiter. Raises DiskBusyError.

        Cancellation: prompt, nothing is held.
        """
        gate = self._gate
        self._since = trio.current_time()
        if not self._acquire_nowait(borrower):
            try:
                await self._acquire(borrower)
            finally:
                wait = self._lap()
                gate.waited += wait
                gate.longest_wait = max(gate.longest_wait, wait)
        self.admitted = True
        gate.hops += 1
        gate.peak = max(gate.peak, gate.limiter.borrowed_tokens)

    def _acquire_nowait(self, borrower: object) -> bool:
        # Not a checkpoint: the call in the thread that it is for is one.
        try:
            self._share.acquire_nowait()
        except trio.WouldBlock:
            return False
        try:
            self._gate.limiter.acquire_on_behalf_of_nowait(borrower)
        except trio.WouldBlock:
            self._share.release()
            return False
        return True

    async def _acquire(self, borrower: object) -> None:
        gate = self._gate
        if not self._refusable:
            await self._wait(borrower)
            return
        if self._share.statistics().tasks_waiting >= gate.queue:
            gate.refused_full += 1
            raise DiskBusyError("its queue is full")
        with trio.move_on_after(gate.patience) as patience:
            await self._wait(borrower)
        if patience.cancelled_caught:
            gate.refused_late += 1
            raise DiskBusyError(f"waited {gate.patience:g} s")

    async def _wait(self, borrower: object) -> None:
        await self._share.acquire()
        try:
            await self._gate.limiter.acquire_on_behalf_of(borrower)
        except BaseException:
            self._share.release()
            raise

    def _lap(self) -> float:
        """The seconds since the last one."""
        before, self._since = self._since, trio.current_time()
        return self._since - before

    def release_on_behalf_of(self, borrower: object) -> None:
        """The thread has ended its call."""
        self.returned = True
        self._gate.busy += self._lap()
        self._gate.limiter.release_on_behalf_of(borrower)
        self._share.release()
