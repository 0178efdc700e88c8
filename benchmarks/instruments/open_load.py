"""Our own load generator, for what the others cannot do: open loop with patience, by kind, with probes."""

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from benchmarks.drivers.load_plan import Plan
from benchmarks.instruments.load import InstrumentError

MARGIN = 20.0  # seconds beyond the plan until the generator is ended


@dataclass(frozen=True)
class Seen:
    """What a load saw: counts by kind (see `Tally`) and latencies in ms of what was answered right.

    `recovery` is in seconds after the load's end, None where no probe run was asked for or none succeeded.
    `busy` is the share of a processor that the generator took, `lag_p99` by how many ms it was late itself.
    """

    seconds: float
    counts: dict[str, int]
    p50: float | None
    p99: float | None
    max: float | None
    lag_p99: float | None
    recovery: float | None
    busy: float

    def rate(self, *kinds: str) -> float:
        """Of these kinds, a second."""
        return sum(self.counts.get(kind, 0) for kind in kinds) / self.seconds

    @classmethod
    def of(cls, said: dict[str, Any], seconds: float) -> "Seen":
        """From what the generator printed."""
        names = ("counts", "p50", "p99", "max", "lag_p99", "recovery", "busy")
        return cls(seconds, **{name: said[name] for name in names})


class Started:
    """A generator that runs; `seen` waits for its end."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.drivers.open_load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdin is not None, "it was asked for"
        self._process.stdin.write(plan.dump() + "\n")
        self._process.stdin.flush()

    def seen(self) -> Seen:
        """What it saw. Raises InstrumentError."""
        plan = self._plan
        limit = plan.warmup + plan.seconds + max(plan.probe, plan.patience) + MARGIN
        try:
            output, _ = self._process.communicate(timeout=limit)
            return Seen.of(json.loads(output.splitlines()[-1]), plan.seconds)
        except subprocess.TimeoutExpired:
            raise InstrumentError("the load generator did not end") from None
        except (ValueError, LookupError):
            raise InstrumentError(f"the load generator failed: {output.strip()[-300:]}") from None
        finally:
            self.end()

    def end(self) -> None:
        """End it, if it has not ended."""
        self._process.kill()
        self._process.communicate()


def run(plan: Plan) -> Seen:
    """The whole load. Raises InstrumentError."""
    return Started(plan).seen()
