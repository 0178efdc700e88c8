"""Where the rooms of this floor stand."""

import msgspec


class GateStatistics(msgspec.Struct, frozen=True):
    """Calls that wait; the most threads that were at work at a time so far; calls that they have ended in all
    (hops); those refused because their queue was full, or because they had waited too long. Seconds that
    calls have waited, begun or not, all together and at most; and that threads were at them.
    """

    waiting: int
    peak: int
    hops: int
    refused_full: int
    refused_late: int
    waited: float
    longest_wait: float
    busy: float


class WorkerStatistics(msgspec.Struct, frozen=True):
    """Threads at work now and at most so far, each at one call at a time; calls that wait for one, were asked
    for in all, and were ended by threads (hops); the bound; and calls refused because too many waited, or
    because they had waited too long. Seconds that calls have `waited` for a thread, all together and at most,
    and that threads were `busy` with them.
    """

    in_flight: int
    peak: int
    waiting: int
    total: int
    hops: int
    limit: int
    refused_full: int
    refused_late: int
    waited: float
    longest_wait: float
    busy: float


class CacheStatistics(msgspec.Struct, frozen=True):
    """Entries and their bytes; look-ups that an entry answered; of the others, the misses, fills made on the
    event loop and by workers, and those who joined a fill that was under way; entries let go for others, or
    for their descriptors.
    """

    entries: int
    size: int
    hits: int
    inline_fills: int
    worker_fills: int
    joined: int
    evicted: int
