"""What `overload` measured, and what it is held to. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.instruments.open_load import Seen

KEEPS, P99, RECOVERY = 0.9, 250.0, 2.0  # of the peak; ms; seconds


@dataclass(frozen=True)
class Point:
    """One peer under one load: `factor` times its capacity, `asked` requests a second."""

    kind: str
    peer: str
    factor: float
    capacity: float
    asked: float
    seen: Seen
    alive: bool

    @property
    def goodput(self) -> float:
        """Right answers in time, a second."""
        return self.seen.rate("right")


@dataclass(frozen=True)
class Criterion:
    """A claim about ours under one kind of load, what was found, and whether that is enough."""

    kind: str
    claim: str
    found: str
    passed: bool


def criteria(points: Sequence[Point]) -> list[Criterion]:
    """Those of ours, kind by kind, at the highest factor that was run."""
    ours = [point for point in points if point.peer == "ours"]
    judged = []
    for kind in dict.fromkeys(point.kind for point in ours):
        judged += _of_kind(kind, [point for point in ours if point.kind == kind])
    return judged


def _of_kind(kind: str, points: Sequence[Point]) -> list[Criterion]:
    worst = max(points, key=lambda point: point.factor)
    peak = max(point.goodput for point in points)
    kept = worst.goodput / peak if peak else 0.0
    p99s = {point.factor: point.seen.p99 for point in points}
    swift = all(p99 is not None and p99 < P99 for p99 in p99s.values())
    recoveries = [point.seen.recovery for point in points]
    latest = max((each for each in recoveries if each is not None), default=None)
    back = None not in recoveries and latest is not None
    hung = [f"{point.factor:g} x" for point in points if not point.alive or point.seen.recovery is None]
    return [
        Criterion(
            kind, f"goodput at {worst.factor:g} x is {KEEPS} of its peak", f"{kept:.2f}", kept >= KEEPS
        ),
        Criterion(
            kind,
            f"p99 of what is admitted is below {P99:g} ms at every rate",
            ", ".join(f"{factor:g} x {'-' if p99 is None else f'{p99:.0f}'}" for factor, p99 in p99s.items()),
            swift,
        ),
        Criterion(
            kind,
            f"back to normal within {RECOVERY:g} s of the load's end",
            f"{latest:.2f} s at the latest" if back else "not always",
            back and latest is not None and latest < RECOVERY,
        ),
        Criterion(kind, "nothing hangs", ", ".join(hung) or "nothing did", not hung),
    ]
