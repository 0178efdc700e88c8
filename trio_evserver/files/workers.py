"""Blocking calls, handed to worker threads under one capacity limiter, which the gate guards.

The limiter is the server's own: it bounds the file I/O in flight, which is what keeps the server from
getting stuck in it, and it neither starves the host program's threads nor is starved by them.
"""

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import trio

from trio_evserver.files.gate import Gate, Ticket
from trio_evserver.files.statistics import WorkerStatistics

T = TypeVar("T")


class RunSync(Protocol):
    """The part of `trio.to_thread.run_sync` that is used here; a test hands in one that runs inline."""

    async def __call__(self, job: Callable[[], T], /, *, abandon_on_cancel: bool, limiter: Ticket) -> T: ...


class Workers:
    """Runs jobs in worker threads, as many at a time as the gate admits."""

    def __init__(self, gate: Gate, run_sync: RunSync | None = None) -> None:
        self._gate = gate
        self._run_sync: RunSync = trio.to_thread.run_sync if run_sync is None else run_sync  # type: ignore[assignment]  # its limiter may be "anything providing compatible acquire_on_behalf_of and release_on_behalf_of methods"
        self._total = 0

    def __repr__(self) -> str:
        return f"<Workers {self._gate!r}>"

    def statistics(self) -> WorkerStatistics:
        """Where the workers stand."""
        limiter, gate = self._gate.limiter, self._gate.statistics()
        return WorkerStatistics(
            in_flight=limiter.borrowed_tokens,
            peak=gate.peak,
            waiting=gate.waiting,
            total=self._total,
            hops=gate.hops,
            limit=int(limiter.total_tokens),
            refused_full=gate.refused_full,
            refused_late=gate.refused_late,
            waited=gate.waited,
            longest_wait=gate.longest_wait,
            busy=gate.busy,
        )

    async def run(
        self,
        job: Callable[[], T],
        *,
        mount: bytes,
        refusable: bool = False,
        never_ran: Callable[[], object] = lambda: None,
        unwanted: Callable[[T], object] = lambda result: None,
    ) -> T:
        """What `job()`, a call to the disk at `mount`, returns or raises.

        Raises DiskBusyError in its place if it is `refusable` and too many wait already.

        Cancellation: prompt. A job that has not begun never runs, and `never_ran()` is called in its place;
        one that has begun is left behind and keeps its token until it returns, its result going to
        `unwanted` in the worker thread. Either way exactly one of them or of the caller is handed what the
        job held.
        """
        ticket = self._gate.ticket(mount, refusable=refusable)
        handover = _Handover(job, unwanted)

        self._total += 1
        try:
            await self._run_sync(handover.run, abandon_on_cancel=True, limiter=ticket)
        except BaseException:
            # Without a token no thread was asked for. With one, a failure of the thread to start is the
            # only thing raised by run_sync itself, and then it gave the token back at once: a job that runs
            # keeps it.
            if not ticket.admitted or (ticket.returned and not handover.begun):
                never_ran()
            else:
                handover.leave()
            raise
        return handover.take()


class _Handover(Generic[T]):
    """The result of a job, which either its asker takes or, if that has left, its own thread disposes of."""

    def __init__(self, job: Callable[[], T], unwanted: Callable[[T], object]) -> None:
        self._job = job
        self._unwanted = unwanted
        self._lock = threading.Lock()
        self._left = False
        self._done = False
        self.begun = False

    def run(self) -> None:
        self.begun = True
        result = self._job()
        with self._lock:
            self._result = result
            self._done = True
            left = self._left
        if left:
            self._unwanted(result)

    def leave(self) -> None:
        with self._lock:
            self._left = True
            done = self._done
        if done:
            self._unwanted(self._result)

    def take(self) -> T:
        return self._result
