"""How many connections are let in, so that those who are in are answered in time.

Two queues form in front of a server that is asked for more than it can do, and neither is bounded by a
number that could be chosen beforehand, because what matters is how long one waits in it:

- connections wait in the kernel's accept queue. It is bounded by time: its length is set to what is
  accepted in a tenth of a second, and a connection that has waited too long all the same (its peer will
  soon give up, or has) is refused. What does not fit any more is dropped by the kernel, at no cost to us;
- requests of open connections wait for the event loop. How long shows in the length of its turns: in one
  turn every connection that is ready is served, again only while that is short. When turns stay too long,
  there are too many connections: as many as fit into a turn of the right length stay, the others are
  refused at their next request.

The delay of the queue is the signal, not the time of a response, which a slow disk or a slow client may
stretch without any overload (DAGOR, SoCC 2018, §4.2; CoDel, RFC 8289). A refusal is 503 with Retry-After
and the end of the connection.
"""

import socket
import struct
from collections.abc import Callable
from time import perf_counter

import trio

# A queue of this many seconds is right: far below anyone's patience, and long enough for a process that is
# held to a CPU quota, which stands still for most of each period.
_TARGET = 0.1
# A turn that is longer is too long; then as many connections stay as fit into one of half the length, since a
# request may have to wait for two of them, and for the standstill between.
_TURN = 0.08
_FITTING = 0.04
# A connection that has waited so long in the accept queue is refused.
_STALE = 0.15
# No overload, however bad, goes below this: few connections cannot be what makes a turn long.
_FEWEST = 64
_LONG_TURNS = 2  # in a row: one alone may be a pause of the machine
_GROWTH_EVERY = 0.25
# Turns longer than so many seconds are counted: the first hardly delay anyone, the last are standstills.
_LENGTHS = (0.01, 0.03, _TURN, 0.3, 1.0)

_LONGEST_QUEUE = 1024
_SHORTEST_QUEUE = 16
_MEASURED = 0.2  # seconds of accepting, before their rate says something
_PERSISTENT = 0.4  # seconds of more than could be taken, before anyone is refused
_CALM = 1.0  # seconds since the accept queue was full, before it may be long again

# struct tcp_info of linux/tcp.h: tcpi_last_data_recv, in milliseconds, is the twelfth number after 8 octets.
_LAST_DATA_RECEIVED = struct.Struct("=52xI")


class ConnectionLimit(trio.abc.Instrument):
    """How many connections may be open now: `most`, or fewer while the turns of the event loop are too long.

    An instrument of Trio, whose run phase, from one wait for I/O to the next, is a turn.
    """

    def __init__(
        self, most: int, connections: Callable[[], int], clock: Callable[[], float] = perf_counter
    ) -> None:
        """`connections` tells how many are open, `clock` a time in seconds."""
        self.most = most
        self.limit = most
        self.longest = 0.0
        """The longest turn so far, in seconds."""
        self.long_turns = dict.fromkeys(_LENGTHS, 0)
        """How many turns so far were longer than so many seconds."""
        self._connections = connections
        self._clock = clock
        self._began = clock()
        self._long = 0
        self._grown = self._began

    def __repr__(self) -> str:
        return f"<ConnectionLimit {self.limit}/{self.most}>"

    def after_io_wait(self, timeout: float) -> None:
        """A turn begins."""
        self._began = self._clock()

    def before_io_wait(self, timeout: float) -> None:
        """It ends."""
        now = self._clock()
        turn = now - self._began
        if turn > _TURN:
            self._too_long(turn)
        elif self._long or self.limit < self.most:
            self._long = 0
            self._grow(now)
        if turn > self.longest:
            self.longest = turn
        if turn > _LENGTHS[0]:
            self._count(turn)

    def _count(self, turn: float) -> None:
        for length in _LENGTHS:
            self.long_turns[length] += turn > length

    def _too_long(self, turn: float) -> None:
        self._long += 1
        if self._long >= _LONG_TURNS:
            self._long = 0
            fitting = int(min(self._connections(), self.limit) * _FITTING / turn)
            self.limit = min(self.most, max(_FEWEST, fitting))

    def _grow(self, now: float) -> None:
        if now - self._grown >= _GROWTH_EVERY:
            self._grown = now
            self.limit = min(self.most, self.limit + max(8, self.limit // 10))


class AcceptQueue:
    """The accept queue of one listening socket, kept as long as what is accepted in time in a tenth
    of a second.
    """

    def __init__(self, listener: socket.socket, clock: Callable[[], float] = perf_counter) -> None:
        self._listener = listener
        self._clock = clock
        self._length = 0
        self._in_a_row = 0  # accepted since it was last empty; as many as it holds: it was full, or nearly
        self._full = clock()
        self._waiting_since: float | None = None  # more have come than could be taken
        self._measure(self._full)
        self._set(_LONGEST_QUEUE)

    def __repr__(self) -> str:
        return f"<AcceptQueue {self._length}>"

    def accepted(self, count: int, *, late: int = 0, emptied: bool) -> None:
        """So many were just accepted from it, of whom so many were `late`, and it is empty now, or not.

        What can be taken in time is less than what was taken: turning somebody away costs little.
        That a short queue is empty for a moment says nothing of those whom the system turned away while it
        was full: what counts is that it has not been full for a while.
        """
        now = self._clock()
        self._accepted += count - late
        self._in_a_row += count
        if self._in_a_row >= self._length:
            self._full = now
        if emptied:
            self._in_a_row, self._was_empty = 0, True
            if self._length == _LONGEST_QUEUE or now - self._full >= _CALM:
                self._waiting_since = None
                self._set(_LONGEST_QUEUE)  # nobody waits: as many as come at once may
                return
        elif self._waiting_since is None:
            self._waiting_since = now
            self._measure(now)
        if now - self._since >= _MEASURED:
            fitting = int(self._accepted / (now - self._since) * _TARGET)
            # If it was full, and then empty, it holds less than could be taken.
            self._set(max(fitting, self._length * 5 // 4) if self._was_empty else fitting)
            self._measure(now)

    def _measure(self, now: float) -> None:
        self._since, self._accepted, self._was_empty = now, 0, False

    @property
    def is_persistent(self) -> bool:
        """Whether more have come than could be taken for a while. A pause of the machine fills a queue, too,
        and is no reason to refuse anyone.
        """
        return self._waiting_since is not None and self._clock() - self._waiting_since >= _PERSISTENT

    def _set(self, length: int) -> None:
        """listen(2) once more: it takes effect for those who come, those who wait stay."""
        length = min(max(length, _SHORTEST_QUEUE), _LONGEST_QUEUE)
        if (
            not self._length * 3 // 4 <= length <= self._length * 5 // 4
            or length == _LONGEST_QUEUE != self._length
        ):
            first, self._length = not self._length, length
            try:
                self._listener.listen(length)
            except OSError:
                if first:  # it is no listening socket
                    raise


def has_waited_too_long(connected: socket.socket) -> bool:
    """Whether a connection that was just accepted has waited so long that answering it would come too late.

    What is asked is how long ago its peer last sent something, at the latest when it connected (TCP_INFO,
    tcp(7)); False where the system does not tell.
    """
    if not hasattr(socket, "TCP_INFO"):
        return False
    try:
        info = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_RECEIVED.size)
        (milliseconds,) = _LAST_DATA_RECEIVED.unpack(info)
    except (OSError, struct.error):  # a Unix socket, or a kernel that tells less
        return False
    return bool(milliseconds > _STALE * 1000)
