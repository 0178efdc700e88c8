"""Where a site stands."""

import msgspec

from trio_evserver.files.statistics import CacheStatistics, WorkerStatistics


class Statistics(msgspec.Struct, frozen=True):
    """Where a site stands.

    `connections` are open now; of those `accepted` so far `lost` ended because the peer was gone. Accepting
    has had to wait for room so often (`full`), and failed so often by the name of the error. Turns of the
    event loop are in seconds: the longest so far, and how many were longer than each of a few lengths.
    `responses` counts by status; `sent` is in bytes of body. `reads` are the file calls in worker threads;
    `held` the bytes read and not yet sent, `held_peak` the most of them and `held_limit` their bound.
    """

    connections: int
    accepted: int
    lost: int
    limit: int
    full: int
    accept_errors: dict[str, int]
    longest_turn: float
    long_turns: dict[float, int]
    refused_stale: int
    refused_crowded: int
    responses: dict[int, int]
    sent: int
    reads: WorkerStatistics
    held: int
    held_peak: int
    held_limit: int
    cache: CacheStatistics
