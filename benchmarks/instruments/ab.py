"""ab: a new connection per request, a fixed number of them open at a time (closed loop, HTTP/1.0)."""

import re

from benchmarks.instruments.load import InstrumentError, Load
from benchmarks.processes import run_bounded

MOST = 10_000_000  # requests: the time ends a run, never this number


def run(port: int, path: str, *, connections: int, seconds: float) -> Load:
    """GET one path for some seconds. Raises InstrumentError."""
    command = [
        "ab", "-q", "-r", "-s", "10", "-c", str(connections), "-t", str(max(1, round(seconds))),
        "-n", str(MOST), f"http://127.0.0.1:{port}{path}",
    ]  # fmt: skip
    finished = run_bounded(command, seconds + 30)
    if finished.status != 0:
        raise InstrumentError(f"ab: {finished.tail()}")
    return parse(finished.output)


def parse(report: str) -> Load:
    """Read ab's report; failed requests and statuses other than 2xx are errors. Raises InstrumentError."""
    complete = re.search(r"Complete requests:\s+(\d+)", report)
    taken = re.search(r"Time taken for tests:\s+([\d.]+) seconds", report)
    received = re.search(r"Total transferred:\s+(\d+) bytes", report)
    if not (complete and taken and received):
        raise InstrumentError("ab gave no report")
    failed = re.search(r"Failed requests:\s+(\d+)", report)
    refused = re.search(r"Non-2xx responses:\s+(\d+)", report)
    errors = sum(int(found[1]) for found in (failed, refused) if found)
    return Load(int(complete[1]) - errors, int(received[1]), float(taken[1]), errors)
