"""When a socket can be read or written again.

Waiting through Trio costs a system call and several objects a time. A connection waits at least once per
request, so on Linux all connections of a site are registered once, edge-triggered, with an epoll of their
own (the hub); Trio watches that one descriptor, and the hub wakes the very tasks whose sockets have
changed. Elsewhere each socket waits through Trio.

Edge-triggered means that a change is told once (epoll(7)): who has been told keeps trying until the socket
has no more, which a short read or write shows, and only then waits for the next change. Once the peer has
ended its side there will be no further change, so a socket that was told of it stays readable.
"""

import logging
import select
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter
from typing import Final

import trio

logger = logging.getLogger("trio_evserver")

READABLE: Final = 1
WRITABLE: Final = 4
_LOST: Final = 0x10 | 0x8
ENDED: Final = 0x2000 | _LOST
"""The numbers of EPOLLIN, EPOLLOUT, and of EPOLLRDHUP, EPOLLHUP and EPOLLERR together. The last two mean that
the peer does not listen any more, either.
"""

_CHANGES: Final = READABLE | WRITABLE | ENDED | 0x80000000  # EPOLLET: each is told once
_ALWAYS_READABLE: Final = READABLE | ENDED
_EVENTS: Final = 512  # told of in one look
# A turn has another look for so many seconds; then Trio's other tasks have theirs.
_TURN: Final = 0.005
_PAUSE = 0.1  # seconds


class Readiness(ABC):
    """What is known of one socket: `events`, whose bits its user clears when the socket has no more."""

    __slots__ = ("events", "moment", "on_lost")

    events: int

    moment: int
    """What arrived by the last `wait` had begun to arrive before this moment; 0 where that is not known.

    Moments are numbered, one to a turn of the hub: whatever is found out after a moment has come, the state
    of a file say, is found out in time for all requests of it.
    """

    on_lost: Callable[[], None] | None
    """Called when it turns out that the peer is gone, both ways, and no task waits to be told; where that can
    be known.
    """

    @abstractmethod
    def watch(self) -> None:
        """Learn from now on of what changes, and of what has; before it is waited for. Raises OSError."""

    @abstractmethod
    async def wait(self, event: int) -> None:
        """Until READABLE, or WRITABLE, may be true again. One task at a time. Cancellation: prompt."""

    @abstractmethod
    def attend(self, ready: Callable[[], None] | None) -> bool:
        """Have `ready` called, by whatever task, each time that READABLE may be true again, until None takes
        its place, or the socket is waited for; False where nobody would call it.
        """

    @abstractmethod
    def forget(self) -> None:
        """The socket is about to be closed; nobody waits for it."""


class TrioReadiness(Readiness):
    """A socket watched by Trio itself."""

    __slots__ = ("_socket",)

    def __init__(self, watched: socket.socket) -> None:
        self._socket = watched
        self.events = READABLE | WRITABLE
        self.moment = 0
        self.on_lost = None  # Trio tells only who waits

    def __repr__(self) -> str:
        return f"<TrioReadiness {self._socket.fileno()}>"

    def watch(self) -> None:
        """Trio looks when it is asked."""

    async def wait(self, event: int) -> None:
        if event == READABLE:
            await trio.lowlevel.wait_readable(self._socket)
        else:
            await trio.lowlevel.wait_writable(self._socket)
        self.events |= event

    def attend(self, ready: Callable[[], None] | None) -> bool:
        """Trio wakes tasks, and calls nobody."""
        return False

    def forget(self) -> None:
        """Trio forgets by itself."""
        self.on_lost = None


class HubReadiness(Readiness):
    """A connected socket watched by the hub."""

    __slots__ = ("_descriptor", "_hub", "_ready", "_task", "_wanted")

    def __init__(self, hub: "Hub", descriptor: int) -> None:
        self._hub = hub
        self._descriptor = descriptor
        self._task: trio.lowlevel.Task | None = None
        self._ready: Callable[[], None] | None = None
        self._wanted = 0
        self.on_lost = None
        self.events = WRITABLE  # whether anything has arrived yet the hub tells in its next turn
        self.moment = 0

    def __repr__(self) -> str:
        return f"<HubReadiness {self._descriptor} {self.events:#x}>"

    def watch(self) -> None:
        self._hub.watch(self._descriptor, self)

    async def wait(self, event: int) -> None:
        self._task = trio.lowlevel.current_task()
        self._ready = None
        self._wanted = event | ENDED
        await trio.lowlevel.wait_task_rescheduled(self._abort)

    def attend(self, ready: Callable[[], None] | None) -> bool:
        self._ready = ready
        return True

    def tell(self, events: int) -> None:
        """The hub has learned of `events`."""
        self.events |= events
        self.moment = self._hub.moment
        task = self._task
        if task is not None:
            if events & self._wanted:
                self._task = None
                trio.lowlevel.reschedule(task)
        elif self._ready is not None:
            if events & _ALWAYS_READABLE:
                self._ready()
        elif events & _LOST and self.on_lost is not None:
            self.on_lost()

    def forget(self) -> None:
        self._hub.remove(self._descriptor)
        # They are parts of cycles, and the collector hardly ever comes by.
        self.on_lost = self._ready = None

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

    def tell(self, events: int) -> None:
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


class Hub:
    """What watches the sockets of a site, with `epoll`, which it takes over; `clock` tells a time in
    seconds.
    """

    def __init__(self, epoll: "select.epoll", clock: Callable[[], float] = perf_counter) -> None:
        self._epoll = epoll
        self._clock = clock
        self._watched: dict[int, HubReadiness | _Listening] = {}
        self.moment = 0

    def __repr__(self) -> str:
        return f"<Hub {len(self._watched)} sockets>"

    def watch(self, descriptor: int, readiness: HubReadiness) -> None:
        """Tell `readiness` what changes of a socket, until it is told to `forget` it. Raises OSError."""
        self.begin(descriptor, readiness, _CHANGES)

    async def attend(self, descriptor: int, accept: Callable[[], bool]) -> None:
        """Call `accept` in every look in which somebody waits in the queue of a listening socket, until it
        returns False. Raises OSError, and what `accept` raises. Cancellation: prompt.
        """
        await _Listening(self, descriptor, accept).wait()

    def begin(self, descriptor: int, watched: HubReadiness | _Listening, events: int) -> None:
        """Tell `watched` of `events`, with epoll_ctl(2)'s flags. Raises OSError."""
        self._epoll.register(descriptor, events)
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
        self._watched.pop(descriptor, None)

    async def run(self) -> None:
        """Call who attends and wake who waits, until cancelled."""
        watched = self._watched
        while True:
            await trio.lowlevel.wait_readable(self._epoll.fileno())
            until = self._clock() + _TURN
            # While some were answered others have asked: to look once more costs less than another turn.
            while True:
                try:
                    told = self._epoll.poll(0, _EVENTS)
                except OSError as error:  # no manual page knows why; what has changed is told the next time
                    logger.error("cannot ask which sockets have changed: %s", error)
                    await trio.sleep(_PAUSE)
                    break
                if not told:
                    break
                self.moment += 1
                for descriptor, events in told:
                    readiness = watched.get(descriptor)
                    if readiness is not None:
                        readiness.tell(events)
                if self._clock() >= until:
                    break

    def close(self) -> None:
        """Close the epoll, when all its sockets are."""
        self._epoll.close()


def open_hub() -> Hub | None:
    """A hub, where the operating system has one."""
    return Hub(select.epoll()) if hasattr(select, "epoll") else None
