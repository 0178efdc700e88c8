"""What a closed-loop load measured: the record that wrk, ab and our own client share."""

from dataclasses import dataclass


class InstrumentError(Exception):
    """The load program did not finish or gave no report: no figure, and no verdict on the server."""


@dataclass(frozen=True)
class Load:
    """Requests answered, bytes received, in how many seconds; errors; the median latency in µs, if taken."""

    requests: int
    received: int
    seconds: float
    errors: int = 0
    p50_us: float | None = None
