"""wrk: keep-alive requests, each connection sending its next when it has its answer (closed loop).

Saturation is what it measures; its latencies leave out the requests that a stall kept from being sent, so
only the row with one connection reads them.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from benchmarks.instruments.load import InstrumentError, Load
from benchmarks.processes import run_bounded

SCRIPT = Path(__file__).with_name("paths.lua")


def run(
    port: int,
    path: str,
    *,
    connections: int,
    seconds: float,
    listed: Path | None = None,
    fields: Mapping[str, str] | None = None,
) -> Load:
    """GET one path, or in turn those that the file `listed` holds, one a line. Raises InstrumentError."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
    for name, value in (fields or {}).items():
        command += ["-H", f"{name}: {value}"]
    command += ["-s", str(SCRIPT), f"http://127.0.0.1:{port}{path}"]
    if listed is not None:
        command += ["--", str(listed)]
    finished = run_bounded(command, seconds + 30)
    if finished.status != 0:
        raise InstrumentError(f"wrk: {finished.tail()}")
    return parse(finished.output)


def parse(report: str) -> Load:
    """Read the line of JSON that our script prints at the end. Raises InstrumentError if there is none."""
    for line in report.splitlines():
        if line.startswith('{"requests"'):
            said = json.loads(line)
            return Load(said["requests"], said["bytes"], said["us"] / 1e6, said["errors"], said["p50_us"])
    raise InstrumentError("wrk gave no report")
