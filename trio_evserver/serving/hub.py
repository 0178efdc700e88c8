"""The hub: whoever waits for a socket of the site is told by it.

Waiting through Trio costs a system call and several objects a time. A connection waits at least once per
request, so on Linux all connections of a site are registered once, edge-triggered, with an epoll of their
own; Trio watches that one descriptor, and the hub calls who attends, or wakes the very tasks whose sockets
have changed.

Edge-triggered means that a change is told once (epoll(7)): who has been told keeps trying until the socket
has no more, which a short read or write shows, and only then waits for the next change. Once the peer has
ended its side there will be no further change, so a socket that was told of it stays readable.
"""

import logging
import select
from collections.abc import Callable
from contextlib import nullcontext, suppress
from time import perf_counter
from typing import Final

import trio

from trio_evserver.serving.readiness import ENDED, LOST, READABLE, WRITABLE, Readiness, Receiver

logger = logging.getLogger("trio_evserver")

_CHANGES: Final = READABLE | WRITABLE | ENDED | 0x80000000  # EPOLLET: each is told once
_ALWAYS_READABLE: Final = READABLE | ENDED
_EVENTS: Final = 512  # told of in one look
# What so many need is read into the processor's caches before the first of them is called. The processor
# waits for the memory of several at a time if there are few instructions between one read and the next, as
# in what is compiled; an interpreter has too many.
_TOGETHER: Final = 64
_PREFETCHES: Final = not __file__.endswith(".py")
# A turn has another look for so many seconds; then Trio's other tasks have theirs.
_TURN: Final = 0.005
_AGAIN: Final = 0.001  # seconds until there is another look, if one was asked for
_PAUSE = 0.1  # seconds


class HubReadiness(Readiness):
    """A connected socket watched by the hub."""

    __slots__ = ("_descriptor", "_hub", "_receiver", "_task", "_wanted")

    def __init__(self, hub: "Hub", descriptor: int) -> None:
        self._task: trio.lowlevel.Task | None = None
        self._receiver: Receiver | None = None
        self._hub = hub
        self._wanted = 0
        self._descriptor = descriptor
        self.on_lost = None
        self.events = WRITABLE  # whether anything has arrived yet the hub tells in its next turn
        self.moment = 0

    def __repr__(self) -> str:
        return f"<HubReadiness {self._descriptor} {self.events:#x}>"

    def watch(self) -> None:
        self._hub.watch(self._descriptor, self)

    async def wait(self, event: int) -> None:
        self._task = trio.lowlevel.current_task()
        self._receiver = None
        self._wanted = event | ENDED
        await trio.lowlevel.wait_task_rescheduled(self._abort)

    def attend(self, receiver: Receiver | None) -> bool:
        self._receiver = receiver
        return True

    def prefetch(self) -> bool:
        """See `Receiver.prefetch`."""
        receiver = self._receiver
        return receiver is not None and receiver.prefetch()

    def tell(self, events: int, moment: int) -> None:
        """The hub has learned of `events` in the look of this `moment`."""
        self.events |= events
        self.moment = moment
        task, receiver = self._task, self._receiver
        if task is not None:
            if events & self._wanted:
                self._task = None
                trio.lowlevel.reschedule(task)
        elif receiver is not None:
            if events & _ALWAYS_READABLE:
                receiver.receive()
        elif events & LOST and self.on_lost is not None:
            self.on_lost()

    def forget(self) -> None:
        self._hub.remove(self._descriptor)
        # They are parts of cycles, and the collector hardly ever comes by.
        self.on_lost = self._receiver = None

    def _abort(self, raise_cancel: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED


class _Listening:
    """A listening socket. It is level-triggered: told of in each look for as long as somebody waits in its
    accept queue.
    """

    __slots__ = ("_accept", "_descriptor", "_error", "_hub", "_task")

    def __init__(self, hub: "Hub", descriptor: int, accept: Callable[[], bool]) -> None:
        self._hub = hub
        self._descriptor = descriptor
        self._accept = accept
        self._error: Exception | None = None
        self._task: trio.lowlevel.Task | None = None

    def __repr__(self) -> str:
        return f"<_Listening {self._descriptor}>"

    def tell(self, events: int, moment: int) -> None:
        """The hub has learned that somebody waits."""
        try:
            if self._accept():
                return
        except Exception as error:  # is the listener's affair, not the hub's
            self._error = error
        task = self._task
        if task is not None:  # or it was cancelled by what it has called
            self._stop()
            trio.lowlevel.reschedule(task)

    async def wait(self) -> None:
        self._task = trio.lowlevel.current_task()
        self._hub.begin(self._descriptor, self, READABLE)
        await trio.lowlevel.wait_task_rescheduled(self._abort)
        if self._error is not None:
            raise self._error

    def _abort(self, raise_cancel: object) -> trio.lowlevel.Abort:
        self._stop()
        return trio.lowlevel.Abort.SUCCEEDED

    def _stop(self) -> None:
        self._task = None
        self._hub.end(self._descriptor)


class _Bell:
    """What threads ring (`serving/bell.py`), level-triggered."""

    __slots__ = ("_answer",)

    def __init__(self, answer: Callable[[], None]) -> None:
        self._answer = answer

    def tell(self, events: int, moment: int) -> None:
        """The hub has learned that it was rung."""
        self._answer()


class Hub:
    """What watches the sockets of a site, with `epoll`, which it takes over; `clock` tells a time in
    seconds.
    """

    def __init__(self, epoll: "select.epoll", clock: Callable[[], float] = perf_counter) -> None:
        self._epoll = epoll
        self._clock = clock
        # By descriptor: the kernel gives out the lowest that is free.
        self._watched: list[HubReadiness | _Listening | _Bell | None] = []
        # The descriptors of those that were since the last look; each may be another socket's by now.
        self._forgotten: set[int] = set()
        self._is_looking = False
        self._after_look: list[Callable[[bool], None]] = []
        self.moment = 0

    def __repr__(self) -> str:
        return f"<Hub {sum(watched is not None for watched in self._watched)} sockets>"

    def watch(self, descriptor: int, readiness: HubReadiness) -> None:
        """Tell `readiness` what changes of a socket, until it is told to `forget` it. Raises OSError."""
        self.begin(descriptor, readiness, _CHANGES)

    async def attend(self, descriptor: int, accept: Callable[[], bool]) -> None:
        """Call `accept` in every look in which somebody waits in the queue of a listening socket, until it
        returns False. Raises OSError, and what `accept` raises. Cancellation: prompt.
        """
        await _Listening(self, descriptor, accept).wait()

    def watch_bell(self, descriptor: int, answer: Callable[[], None]) -> None:
        """Call `answer`, which raises nothing, each time that a bell was rung, until that is closed. Raises
        OSError.
        """
        self.begin(descriptor, _Bell(answer), READABLE)

    def begin(self, descriptor: int, watched: HubReadiness | _Listening | _Bell, events: int) -> None:
        """Tell `watched` of `events`, with epoll_ctl(2)'s flags. Raises OSError."""
        self._epoll.register(descriptor, events)
        missing = descriptor + 1 - len(self._watched)
        if missing > 0:
            self._watched.extend([None] * missing)
        self._watched[descriptor] = watched

    def end(self, descriptor: int) -> None:
        """Watch a socket no more, though it stays open."""
        self.remove(descriptor)
        with suppress(OSError):  # it has been closed after all
            self._epoll.unregister(descriptor)

    def begin_moment(self) -> int:
        """A moment that comes now."""
        self.moment += 1
        return self.moment

    def remove(self, descriptor: int) -> None:
        """Forget a socket, which leaves the epoll when it is closed. What was told of it until then reaches
        nobody.
        """
        if 0 <= descriptor < len(self._watched):
            self._watched[descriptor] = None
            self._forgotten.add(descriptor)

    def after_look(self, call: Callable[[bool], None]) -> bool:
        """Have `call` called, which raises nothing, at the end of this look or of the next, and told whether
        nothing else has happened in it; False between two turns, when nobody may look for long.
        """
        if self._is_looking:
            self._after_look.append(call)
        return self._is_looking

    async def run(self) -> None:
        """Call who attends and wake who waits, until cancelled."""
        while True:
            with trio.move_on_after(_AGAIN) if self._after_look else nullcontext():
                await trio.lowlevel.wait_readable(self._epoll.fileno())
            self._is_looking = True
            trouble = self._take_turn()
            self._is_looking = False
            if trouble is not None:  # no manual page knows why; what has changed is told the next time
                logger.error("cannot ask which sockets have changed: %s", trouble)
                await trio.sleep(_PAUSE)

    def _take_turn(self) -> OSError | None:
        """Look for as long as something happens, but not for too long; what keeps it from that."""
        until = self._clock() + _TURN
        # While some were answered others have asked: to look once more costs less than another turn.
        while True:
            try:
                told = self._epoll.poll(0, _EVENTS)
            except OSError as error:
                return error
            self._forgotten.clear()  # what is told from now on is of who is watched now
            if told:
                moment = self.begin_moment()
                for start in range(0, len(told), _TOGETHER):
                    self._tell(told[start : start + _TOGETHER], moment)
            if self._after_look:
                self._end_look(is_idle=not told)
            if not told or self._clock() >= until:
                return None

    def _end_look(self, *, is_idle: bool) -> None:
        calls, self._after_look = self._after_look, []
        for call in calls:
            call(is_idle)

    def _tell(self, told: list[tuple[int, int]], moment: int) -> None:
        """Tell those that were told of in one look, or some of them."""
        watched, forgotten = self._watched, self._forgotten
        if _PREFETCHES:
            for descriptor, _ in told:
                readiness = watched[descriptor]
                if isinstance(readiness, HubReadiness):
                    readiness.prefetch()
        for descriptor, events in told:
            readiness = watched[descriptor]
            if readiness is not None and not (forgotten and descriptor in forgotten):
                readiness.tell(events, moment)

    def close(self) -> None:
        """Close the epoll, when all its sockets are."""
        self._epoll.close()


def open_hub() -> Hub | None:
    """A hub, where the operating system has one."""
    return Hub(select.epoll()) if hasattr(select, "epoll") else None
