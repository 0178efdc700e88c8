"""What a load is to do, and what it saw: the two records between the harness and its load generator."""

import json
from array import array
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

PROBE_EVERY, PROBE_RIGHT, PROBES_RIGHT = 0.05, 0.1, 10  # seconds, seconds, in a row


@dataclass(frozen=True)
class Target:
    """What is asked for, and the answer that is right: its size in bytes and the SHA-256 of its body."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Plan:
    """A load. `rate` is requests a second, at times that are fixed beforehand; 0 asks as fast as it is
    answered, on `connections` at a time.

    `keep` sends on `connections` kept ones, at most one request outstanding on each; without it each request
    has a new connection. `warmup` and `seconds` follow one another; only the second counts. `patience` ends
    a connect, and an answer from the moment its latency counts from: from the schedule, or (`from_connect`)
    from the completed connect. `probe` is how long, after the end, light probes may go on. `pause` is how
    long a closed loop rests after a request that was not answered right.
    """

    port: int
    targets: tuple[Target, ...]
    rate: float
    connections: int = 0
    keep: bool = False
    warmup: float = 0.0
    seconds: float = 10.0
    patience: float = 1.0
    from_connect: bool = False
    probe: float = 0.0
    pause: float = 0.0

    def dump(self) -> str:
        """As one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, line: str) -> "Plan":
        """From that line."""
        record: dict[str, Any] = json.loads(line)
        return cls(**{**record, "targets": tuple(Target(**target) for target in record["targets"])})


@dataclass
class Tally:
    """Counts by kind, of requests that were due in the time that counts; latencies in seconds.

    Kinds: `offered` (put on a connection, or a connection begun), `unoffered` (due while none was free),
    `right`, `refused` (503), `wrong` (another status, length or body), `reset` (cut before the whole answer),
    `timeout`, `connect-timeout`, `connect-refused`, `unopened` (the instrument's own failure).
    """

    counts: Counter[str] = field(default_factory=Counter)
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    lags: "array[float]" = field(default_factory=lambda: array("d"))

    def summary(self) -> dict[str, Any]:
        """What is told of it: milliseconds for people."""
        ordered, lags = sorted(self.latencies), sorted(self.lags)
        return {
            "counts": dict(self.counts),
            "p50": percentile(ordered, 0.50),
            "p99": percentile(ordered, 0.99),
            "max": ordered[-1] * 1e3 if ordered else None,
            "lag_p99": percentile(lags, 0.99),
        }


def percentile(ordered: "list[float]", part: float) -> float | None:
    """The value that `part` of the sorted seconds do not exceed, in milliseconds; None of nothing."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] * 1e3 if ordered else None


def recovered(probes: "list[tuple[float, float | None]]", end: float) -> float | None:
    """Seconds from the load's end to the first of the last ten probes, if all of them were answered soon."""
    last = sorted(probes)[-PROBES_RIGHT:]
    if len(last) < PROBES_RIGHT or any(took is None or took > PROBE_RIGHT for _, took in last):
        return None
    return last[0][0] - end
