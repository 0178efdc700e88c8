"""Blocking calls, handed to worker threads under one capacity limiter, as the gate says.

The limiter is the server's own: it bounds the file I/O in flight, which is what keeps the server from
getting stuck in it, and it neither starves the host program's threads nor is starved by them.

A thread that has ended a call does the next one that waits for the same disk, without going back through
Trio: under load a cold file then costs the way to a thread and back once for many, not each. What it has
done it puts into `_ended`, and asks the event loop to look there, unless it was asked already.
"""

import errno
import math
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol, TypeVar

import trio

from trio_evserver.files.call import Call
from trio_evserver.files.gate import Gate, Share
from trio_evserver.files.statistics import WorkerStatistics

T = TypeVar("T")

# So many calls that have ended may each have a reply sent, before others on the event loop have theirs.
_ENDED_A_TURN: Final = 64


class RunSync(Protocol):
    """The part of `trio.to_thread.run_sync` that is used here; a test hands in one that runs inline."""

    def __call__(
        self, job: Callable[[], None], /, *, abandon_on_cancel: bool, limiter: "Hand"
    ) -> Awaitable[None]: ...


class Hand:
    """One thread at work for one disk: what `trio.to_thread.run_sync` takes for a limiter.

    It holds a token of the limiter for as long as its thread is at work, whether or not anybody waits for
    it any more.
    """

    __slots__ = ("_first", "_freed", "_gate", "_has_token", "share")

    def __init__(self, gate: Gate, share: Share, first: Call[Any], freed: Callable[[], object]) -> None:
        """Begins with the call `first`; `freed` is called when its thread is free again."""
        gate.take_thread(share)
        self._gate = gate
        self._freed = freed
        self._first = first.queue = deque((first,))
        self._has_token: bool | None = None
        self.share = share

    def __repr__(self) -> str:
        return f"<Hand of {self.share!r}>"

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        """Take the token that is kept for it. Not a checkpoint: the call in the thread is one."""
        limiter = self._gate.limiter
        limiter.acquire_on_behalf_of_nowait(borrower)
        self._has_token = True
        self._gate.peak = max(self._gate.peak, limiter.borrowed_tokens)

    def release_on_behalf_of(self, borrower: object) -> None:
        """The thread has ended."""
        self._gate.limiter.release_on_behalf_of(borrower)
        self._has_token = False
        self._free()

    def take_first(self) -> Call[Any] | None:
        """The call it begins with, if that has not been taken yet. For threads, too."""
        try:
            return self._first.popleft()
        except IndexError:
            return None

    def give_up(self, error: Exception) -> None:
        """Nobody waits for the thread any more; if there never was one, its call fails like this."""
        if self._has_token is None:
            self._free()
        if not self._has_token and (call := self.take_first()) is not None:
            call.fail(error)

    def _free(self) -> None:
        self._gate.give_thread_back(self.share)
        self._freed()


class Workers:
    """Runs jobs in worker threads, as many at a time as the gate admits."""

    def __init__(
        self,
        gate: Gate,
        nursery: trio.Nursery,
        run_sync: RunSync | None = None,
        call_soon: Callable[[Callable[[], object]], object] | None = None,
    ) -> None:
        """The threads' tasks are `nursery`'s: where that is cancelled, threads at work are left behind.

        `call_soon` is how a thread has something called on the event loop: Trio's, unless there is a quicker
        one.
        """
        self._gate = gate
        self._nursery = nursery
        self._run_sync: RunSync = trio.to_thread.run_sync if run_sync is None else run_sync  # type: ignore[assignment]  # its limiter may be "anything providing compatible acquire_on_behalf_of and release_on_behalf_of methods"
        self._call_soon = call_soon or trio.lowlevel.current_trio_token().run_sync_soon
        self._ended: deque[tuple[Call[Any], Share]] = deque()
        self._is_told = False
        self._is_watched = False  # whether a task looks for calls that have waited too long
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
        call = Call(job, refusable=refusable, unwanted=unwanted)
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            self.begin(call, mount)
            return await call.wait()
        except BaseException:
            if call.never_ran:
                self._gate.left(call)
                never_ran()
            raise

    def begin(self, call: Call[Any], mount: bytes) -> None:
        """Set a thread to work on a call to the disk at `mount`, now or when it is its turn.

        Raises DiskBusyError.
        """
        self._total += 1
        share = self._gate.share_of(mount)
        if self._gate.enter(call, share):
            self._set_to_work(share, call)
        elif call.refusable and not self._is_watched and self._gate.patience < math.inf:
            self._is_watched = True
            self._nursery.start_soon(self._refuse_late, name="patience")

    async def _refuse_late(self) -> None:
        while (due := self._gate.due()) < math.inf:
            await trio.sleep_until(due)
            self._gate.refuse_late()
        self._is_watched = False

    # Questions

    def may_ask(self, mount: bytes, most: int) -> bool:
        """Whether the event loop may ask the page cache of the disk at `mount` what may not be there, where
        the kernel is to be at `most` such questions at a time.
        """
        return self._gate.may_ask(self._gate.share_of(mount), most)

    def missed(self, mount: bytes) -> None:
        """It has asked, and the kernel begins to read."""
        self._gate.missed(self._gate.share_of(mount))

    def arrived(self, mount: bytes) -> None:
        """What it has begun to read has come, without a call."""
        self._gate.arrived(self._gate.share_of(mount))

    # Hands

    def _set_to_work(self, share: Share, first: Call[Any]) -> None:
        hand = Hand(self._gate, share, first, self._go_on)
        try:
            self._nursery.start_soon(self._work, hand, name="worker")
        except RuntimeError as error:  # the nursery is closed
            hand.give_up(error)

    def _go_on(self) -> None:
        """A thread is free."""
        while (found := self._gate.first()) is not None:
            self._set_to_work(*found)

    async def _work(self, hand: Hand) -> None:
        error: Exception = OSError(errno.ECANCELED, "the workers were cancelled")
        try:
            await self._run_sync(partial(self._run_calls, hand), abandon_on_cancel=True, limiter=hand)
        except Exception as no_thread:
            error = no_thread
        finally:
            hand.give_up(error)

    def _run_calls(self, hand: Hand) -> None:
        """In a thread: the hand's first call, if that still waits, and those that wait behind it."""
        gate, share, ended = self._gate, hand.share, self._ended
        clock = gate.clock
        call = hand.take_first() or gate.next_of(share)
        while call is not None:
            call.began = clock()
            call.run()
            call.ended = clock()
            ended.append((call, share))
            # Append first, then look: what the event loop's last look missed is told anew.
            if not self._is_told:
                self._is_told = True
                with suppress(trio.RunFinishedError):
                    self._call_soon(self._tell)
            call = gate.next_of(share)

    def _tell(self) -> None:
        """On the event loop: threads have ended calls."""
        self._is_told = False
        ended = self._ended
        for _ in range(min(len(ended), _ENDED_A_TURN)):
            call, share = ended.popleft()
            self._gate.count(call, share)
            call.tell()
        if ended and not self._is_told:
            self._is_told = True
            self._call_soon(self._tell)
