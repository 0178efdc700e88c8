"""What `slow-disk` measured, and what it is held to. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.instruments.open_load import Seen
from benchmarks.overload_figures import Criterion

PATIENCE = 5.0  # seconds: an answer of the fast disk that takes longer is none
WITHIN = 2.0  # times the p99 with the disk idle
GRACE = 8.0  # seconds, the option's default; a second more for the process to end
SOON = 1000.0  # ms
_LOST = ("timeout", "reset", "refused", "wrong", "connect-timeout", "connect-refused")


@dataclass(frozen=True)
class Phase:
    """What the clients of the fast disk saw: the hot file, and the files that are not cached."""

    hot: Seen
    cold: Seen


@dataclass(frozen=True)
class Outcome:
    """One peer: with the slow disk idle, read by many, and silent; what its readers got; and its end."""

    peer: str
    idle: Phase
    busy: Phase
    hung: Phase
    slow: Seen
    ended: float | None

    @property
    def ratio(self) -> float | None:
        """The hot file's p99 with the slow disk read, by that with it idle."""
        return times(self.busy.hot, self.idle.hot)


def p99(seen: Seen) -> float | None:
    """In ms; None where more than one of a hundred was not answered right at all."""
    lost = sum(seen.counts.get(kind, 0) for kind in _LOST)
    return None if lost * 100 > seen.counts.get("offered", 0) else seen.p99


def times(now: Seen, before: Seen) -> float | None:
    """How much longer the slowest hundredth takes; None where there is no figure."""
    late, soon = p99(now), p99(before)
    return late / soon if late is not None and soon else None


def said(seen: Seen, name: str) -> str:
    """A latency in ms; "lost" where too many were not answered for it to mean anything."""
    value = p99(seen) if name == "p99" else seen.p50
    return "lost" if value is None else f"{value:,.1f}"


def criteria(outcomes: Sequence[Outcome]) -> list[Criterion]:
    """Those of ours."""
    judged = []
    for one in [outcome for outcome in outcomes if outcome.peer == "ours"]:
        for words, phase in (("200 clients read from it", one.busy), ("it never answers", one.hung)):
            ratio, cold = times(phase.hot, one.idle.hot), p99(phase.cold)
            found = "lost" if ratio is None else f"{ratio:.2f}"
            claim = f"hot p99 while {words} is within {WITHIN:g} x of the p99 with the slow disk idle"
            judged.append(Criterion("", claim, found, ratio is not None and ratio <= WITHIN))
            claim = f"files of the fast disk that are not cached are served while {words}"
            found = "lost" if cold is None else f"p99 {cold:.1f} ms"
            judged.append(Criterion("", claim, found, cold is not None and cold < SOON))
        found = "never" if one.ended is None else f"{one.ended:.1f} s"
        ends = one.ended is not None and one.ended < GRACE + 1
        judged.append(Criterion("", f"SIGTERM ends it within its grace of {GRACE:g} s", found, ends))
    return judged
