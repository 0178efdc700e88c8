"""h2load over HTTP/1.1: the second instrument at a fixed connection rate, past httperf's reach.

Its `-r` opens a period's connections all at once, so the period is made short (10 ms); `-m1` is one request
in flight and `-n` equal to `-c` is one request a connection, after which h2load closes it.
"""

import re

from benchmarks.instruments.httperf import TIMEOUT, Burst
from benchmarks.processes import run_bounded

PERIODS = 100  # rate periods a second: 10 ms each


def run(port: int, path: str, *, rate: int, connections: int, size: int) -> Burst:
    """Open `connections` connections at `rate` a second (a multiple of 100), one GET each."""
    command = [
        "h2load", "--h1", "-n", str(connections), "-c", str(connections), "-m1",
        "-r", str(max(1, rate // PERIODS)), "--rate-period", "10ms", "-T", str(TIMEOUT), "-N", str(TIMEOUT),
        f"http://127.0.0.1:{port}{path}",
    ]  # fmt: skip
    limit = connections / rate + 3 * TIMEOUT
    finished = run_bounded(command, limit)
    if finished.status is None:
        return Burst("h2load", rate, connections, failure=f"h2load was ended after {limit:.0f} s")
    return parse(finished.output, rate=rate, connections=connections, size=size)


def parse(report: str, *, rate: int, connections: int, size: int) -> Burst:
    """Read h2load's report. It tells only the whole time, so `achieved` is connections by that time."""
    whole = re.search(r"finished in ([\d.]+)(us|ms|s), ", report)
    requests = re.search(r"requests: .* (\d+) succeeded", report)
    statuses = re.search(r"status codes: (\d+) 2xx", report)
    data = re.search(r"headers \([^)]*\), \S+ \((\d+)\) data", report)
    if not (whole and requests and statuses and data):
        return Burst("h2load", rate, connections, failure="h2load gave no whole report")
    seconds = float(whole[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[whole[2]]
    answered = min(int(requests[1]), int(statuses[1]))  # a body cut short has a status too
    if answered == connections and int(data[1]) != answered * size:
        return Burst("h2load", rate, connections, failure=f"{data[1]} bytes of body, not {answered * size}")
    return Burst(
        "h2load",
        rate,
        connections,
        replies_ok=answered,
        errors=connections - answered,
        seconds=seconds,
        achieved=connections / seconds if seconds else 0.0,
    )
