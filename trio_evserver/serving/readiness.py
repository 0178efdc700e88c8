"""When a socket can be read or written again.

On Linux the hub tells (`serving/hub.py`), elsewhere each socket waits through Trio.
"""

import socket
from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from typing import Final

import trio

READABLE: Final = 1
WRITABLE: Final = 4
LOST: Final = 0x10 | 0x8
ENDED: Final = 0x2000 | LOST
"""The numbers of EPOLLIN, of EPOLLOUT, of EPOLLHUP and EPOLLERR, which mean that the peer does not listen any
more, either, and of these two and EPOLLRDHUP.
"""


# The base class ABC is not compiled: whatever derives from it has a dict and a list of weak references.
class Receiver(metaclass=ABCMeta):
    """Who is called when something may have arrived."""

    __slots__ = ()

    @abstractmethod
    def prefetch(self) -> bool:
        """Read something of each object that `receive` is going to use, so that the processor has them in its
        caches by then. What it returns means nothing, but is made of what was read.
        """

    @abstractmethod
    def receive(self) -> None:
        """Receive it, without waiting; raises nothing."""


class Readiness(metaclass=ABCMeta):
    """What is known of one socket: `events`, whose bits its user clears when the socket has no more."""

    __slots__ = ("events", "moment", "on_lost")

    events: int

    moment: int
    """What arrived by the last `wait` had begun to arrive before this moment; 0 where that is not known.

    Moments are numbered, one to a look of the hub: whatever is found out after a moment has come, the state
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
    def attend(self, receiver: Receiver | None) -> bool:
        """Have `receiver` called, by whatever task, each time that READABLE may be true again, until None
        takes its place, or the socket is waited for; False where nobody would call it.
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

    def attend(self, receiver: Receiver | None) -> bool:
        """Trio wakes tasks, and calls nobody."""
        return False

    def forget(self) -> None:
        """Trio forgets by itself."""
        self.on_lost = None
