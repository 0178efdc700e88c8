"""httperf: connections opened at a fixed rate whatever the server does (open loop), as for the ancestor.

It is built on select, so it holds at most 1,024 descriptors: past that it counts `fd-unavail`, its own
failure and never the server's, or hangs itself. Each run therefore has a time limit, and a run that met it is
the instrument's failure.
"""

import re
from dataclasses import dataclass

from benchmarks.processes import run_bounded

TIMEOUT = 5  # seconds a connection waits for progress, as in the ancestor's test


@dataclass(frozen=True)
class Burst:
    """What became of connections that were opened at a rate: all counts are connections.

    `achieved` is the rate at which they were really opened, per second; `seconds` runs from the first to the
    last event. `instrument_errors` never reached the server (httperf's fd-unavail, addrunavail, ftab-full).
    `failure` names an instrument that did not finish; then nothing else counts. `note` tells of a first
    instrument that failed before.
    """

    instrument: str
    offered: int
    connections: int
    replies_ok: int = 0
    errors: int = 0
    instrument_errors: int = 0
    seconds: float = 0.0
    achieved: float = 0.0
    failure: str = ""
    note: str = ""

    @property
    def goodput(self) -> float:
        """Right answers a second."""
        return self.replies_ok / self.seconds if self.seconds else 0.0

    @property
    def clean(self) -> bool:
        """Every connection was answered right."""
        return not self.failure and self.replies_ok == self.connections and self.errors == 0


def run(port: int, path: str, *, rate: int, connections: int, size: int) -> Burst:
    """Open `connections` connections at `rate` a second, one GET each of a file of `size` bytes."""
    command = [
        "httperf", "--server", "127.0.0.1", "--port", str(port), "--uri", path,
        "--num-conns", str(connections), "--num-calls", "1", "--rate", str(rate), "--timeout", str(TIMEOUT),
    ]  # fmt: skip
    limit = connections / rate + 3 * TIMEOUT
    finished = run_bounded(command, limit)
    if finished.status is None:
        return Burst("httperf", rate, connections, failure=f"httperf hung itself, ended after {limit:.0f} s")
    return parse(finished.output, rate=rate, connections=connections, size=size)


def parse(report: str, *, rate: int, connections: int, size: int) -> Burst:
    """Read httperf's report; one that is not whole, or whose bodies had another length, is a failure."""
    totals = re.search(r"Total: connections \d+ requests \d+ replies (\d+) test-duration ([\d.]+) s", report)
    opened = re.search(r"Connection rate: ([\d.]+) conn/s", report)
    statuses = re.search(r"Reply status: 1xx=\d+ 2xx=(\d+)", report)
    content = re.search(r"Reply size \[B\]: header [\d.]+ content ([\d.]+)", report)
    errors = re.search(r"Errors: total (\d+)", report)
    unavailable = re.search(r"Errors: fd-unavail (\d+) addrunavail (\d+) ftab-full (\d+)", report)
    if not (totals and opened and statuses and content and errors and unavailable):
        return Burst("httperf", rate, connections, failure="httperf gave no whole report")
    answered = int(statuses[1])
    # the report has only the mean length, so it can be compared where no answer had another status
    if answered and answered == int(totals[1]) and float(content[1]) != size:
        return Burst("httperf", rate, connections, failure=f"bodies of {content[1]} bytes, not {size}")
    its_own = sum(map(int, unavailable.groups()))
    return Burst(
        "httperf",
        rate,
        connections,
        replies_ok=answered,
        errors=int(errors[1]) - its_own + (int(totals[1]) - answered),
        instrument_errors=its_own,
        seconds=float(totals[2]),
        achieved=float(opened[1]),
    )
