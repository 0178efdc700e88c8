"""The lines of an access log between the event loop, which puts them in, and the thread that writes them.

One producer, one consumer: appending and popping at the two ends of a deque are atomic, so that neither side
ever takes a lock.
"""

from collections import deque
from typing import Final

from trio_evserver.observe.log_line import Entry, LineFormatter, size_of
from trio_evserver.semantics.message import Request

# Where more than so many lines wait, one with more than so many bytes from its peer is dropped: peers can
# then make the buffer hold 40 MiB of long lines and 64 MiB of others at most, and nothing has to be counted
# for it.
CROWDED_LINES: Final = 1024
CROWDED_BYTES: Final = 1024


class LineBuffer:
    """A bounded buffer; `entries` are for the consumer to pop from its left, `dropped` counts those for which
    there was no room.
    """

    __slots__ = ("_crowded", "_room", "_usual", "dropped", "entries")

    def __init__(self, capacity: int, *, combined: bool) -> None:
        self.entries: deque[bytes | Entry] = deque()
        self.dropped = 0
        self._usual = LineFormatter(combined=combined)
        self._room = capacity
        self._crowded = min(CROWDED_LINES, capacity)

    def put(self, peer: object, when: float, request: Request | None, status: int, sent: int) -> bool:
        """Put one line in, or drop it; whether the consumer has to be told that there is something again."""
        entries = self.entries
        entry = self._usual.line_or_entry(peer, when, request, status, sent)
        if len(entries) >= self._crowded and not self._admits(entry):
            self.dropped += 1
            return False
        entries.append(entry)
        # Append first, then look: an entry that the thread's last look missed is then always the first one
        # here.
        return len(entries) == 1

    def _admits(self, entry: bytes | Entry) -> bool:
        # A usual line is short.
        is_long = not isinstance(entry, bytes) and size_of(entry) > CROWDED_BYTES
        return len(self.entries) < self._room and not is_long

    def close(self) -> None:
        """Have no room for any more."""
        self._room = self._crowded = 0
