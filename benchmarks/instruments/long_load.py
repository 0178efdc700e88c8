"""New connections at a rate that a server cannot follow, for so long that it is the rate that is measured."""

import hashlib
import urllib.request

from benchmarks.drivers.load_plan import Plan, Target
from benchmarks.instruments import open_load
from benchmarks.instruments.httperf import Burst
from benchmarks.instruments.load import InstrumentError

LONG, PATIENCE = 8.0, 2.0  # seconds


def run(port: int, path: str, *, rate: int, connections: int, size: int) -> Burst:
    """The same open loop for LONG seconds at least, by a generator whose clients leave after PATIENCE."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
        digest = hashlib.sha256(answer.read()).hexdigest()
    seconds = max(LONG, connections / rate)
    plan = Plan(port, (Target(path, size, digest),), rate, seconds=seconds, patience=PATIENCE)
    try:
        seen = open_load.run(plan)
    except InstrumentError as error:
        return Burst("open_load", rate, connections, failure=str(error))
    opened, right = seen.counts.get("offered", 0), seen.counts.get("right", 0)
    return Burst(
        "open_load",
        rate,
        opened,
        replies_ok=right,
        errors=opened - right,
        seconds=seconds,
        achieved=opened / seconds,
    )
