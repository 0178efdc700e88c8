"""`python -m benchmarks overload`: ten times more than a server can do, and what becomes of it.

Each server is held to a small part of a processor by a CPU quota, so that one client can offer ten times its
capacity. The capacity is measured first (closed loop, under the same quota); then requests are put on it at
times that are fixed beforehand, from half of that to ten times, on a server started for each point.
"""

import argparse
import dataclasses
import hashlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import documents, gate, report
from benchmarks.drivers.load_plan import Plan, Target
from benchmarks.instruments import open_load
from benchmarks.instruments.load import InstrumentError
from benchmarks.instruments.open_load import Seen
from benchmarks.machine import describe, pin_client, server_cpu
from benchmarks.overload_figures import Criterion, Point, criteria
from benchmarks.overload_picture import draw_overload
from benchmarks.peers.catalogue import PROJECT, Ready, make_ready, started
from benchmarks.peers.overloaded import PEERS
from benchmarks.processes import Running, StartError
from benchmarks.quota import Quota, find_quota
from benchmarks.venvs import MissingError, cache_folder

PUBLISHED = PROJECT / "docs" / "pictures" / "overload.svg"
KINDS = {
    "new": "a new connection for each request",
    "keep": "1,000 connections, one request at a time on each",
}
PATIENCE = 1.0  # seconds: a right answer that comes later is none
KEPT = 1000  # connections of the kind `keep`
CLOSED = {"new": 100, "keep": 64}  # connections in the closed loop that measures the capacity
PROBING = 10.0  # seconds after the load in which light probes look for the server's recovery
CAPACITY_SECONDS = 4.0
LATE, TRIES = 50.0, 3  # ms by which a generator may be late itself; a run that it spoilt so is made again


@dataclass(frozen=True)
class Stand:
    """What every run of this table shares."""

    root: Path
    quota: Quota
    used: float
    period: float
    seconds: float
    warmup: float


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this table."""
    parser.add_argument("--peers", default=",".join(PEERS), help=f"of: {', '.join(PEERS)}")
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"of: {', '.join(KINDS)}")
    parser.add_argument("--factors", default="0.5,1,2,5,10", help="times the capacity (default 0.5,1,2,5,10)")
    parser.add_argument("--seconds", type=float, default=10, help="of each point that count (default 10)")
    parser.add_argument("--warmup", type=float, default=3, help="seconds of load before those (default 3)")
    parser.add_argument("--quota", default="4/80", help="ms of CPU in every so many ms (default 4/80)")
    parser.add_argument("--python", help="the interpreter under test; the project is installed for it")
    parser.add_argument("--publish", action="store_true", help="write the picture to docs/pictures/ too")


def main(options: argparse.Namespace) -> None:
    """Measure each kind of load on each peer, print the tables and the verdict, draw the picture."""
    try:
        quota = find_quota()
    except MissingError as error:
        sys.exit(f"missing: {error}")
    root = cache_folder() / "site"
    documents.make(root, (documents.SMALL,))
    documents.warm(root, (documents.SMALL,))
    ready, missing = _make_ready(options.peers.split(","), options.python)
    machine = describe(options.python or sys.executable)
    versions = {name: one.version for name, one in ready.items()}
    report.print_machine({**machine, "quota": f"{options.quota} ms", **versions})
    for name, why in missing.items():
        print(f"missing: {name}: {why}", flush=True)
    pin_client()
    used, _, period = options.quota.partition("/")
    stand = Stand(root, quota, float(used), float(period), options.seconds, options.warmup)
    factors = [float(factor) for factor in options.factors.split(",")]
    points: list[Point] = []
    for kind in options.kinds.split(","):
        print(f"\n{KINDS[kind]}; {_terms(stand)}", flush=True)
        for name, one in ready.items():
            points += _curve(kind, name, one, stand, factors)
        print(f"\n{_table([point for point in points if point.kind == kind])}", flush=True)
        kept = [dataclasses.asdict(point) for point in points]
        record = {"machine": machine, "versions": versions, "missing": missing, "options": vars(options)}
        path = report.write("overload", {**record, "points": kept})
    _judge(criteria(points))
    print(f"\nfigures: {path}")
    _draw(points, stand, machine, options)


def _make_ready(names: Sequence[str], python: str | None) -> tuple[dict[str, Ready], dict[str, str]]:
    ready, missing = {}, {}
    for name in names:
        try:
            ready[name] = make_ready(PEERS[name], python)
        except MissingError as error:
            missing[name] = str(error)
    return ready, missing


def _terms(stand: Stand) -> str:
    return (
        f"{stand.used:g} ms of CPU in every {stand.period:g} ms; {stand.seconds:g} s counted after "
        f"{stand.warmup:g} s of the same load; patience {PATIENCE:g} s, for the connect too"
    )


def _curve(kind: str, name: str, ready: Ready, stand: Stand, factors: Sequence[float]) -> Iterator[Point]:
    """The capacity, then each point."""
    plan = Plan(
        0, (), 0.0, CLOSED[kind], keep=kind == "keep", seconds=CAPACITY_SECONDS, warmup=1.0, patience=10.0
    )
    measured = _run(ready, stand, plan)
    if isinstance(measured, str):
        print(f"{name}: {measured}", flush=True)
        return
    capacity = measured[0].rate("right")
    if not capacity:
        print(f"{name}: no right answer under the quota: {measured[0].counts}", flush=True)
        return
    print(f"{name}: capacity {capacity:,.0f}/s", flush=True)
    for factor in factors:
        load = Plan(
            0, (), max(1.0, capacity * factor), KEPT if kind == "keep" else 0, keep=kind == "keep",
            warmup=stand.warmup, seconds=stand.seconds, patience=PATIENCE, from_connect=kind == "new",
            probe=PROBING,
        )  # fmt: skip
        said = _run(ready, stand, load)
        if isinstance(said, str):
            print(f"{name}, {factor:g} x: {said}", flush=True)
            continue
        point = Point(kind, name, factor, capacity, load.rate, said[0], alive=said[1])
        print(f"{name}, {factor:g} x: {point.goodput:,.0f}/s of {load.rate:,.0f}/s asked", flush=True)
        yield point


def _run(ready: Ready, stand: Stand, plan: Plan, tries: int = TRIES) -> tuple[Seen, bool] | str:
    """One load on a server of its own; what was seen, and whether the server lives; or why there is none."""
    try:
        with _held(ready, stand) as running:
            asked = dataclasses.replace(plan, port=running.port, targets=(_target(ready),))
            seen = open_load.run(asked)
            if seen.lag_p99 is not None and seen.lag_p99 > LATE and tries > 1:
                print(
                    f"{ready.peer.name}: made again, the generator was {seen.lag_p99:,.0f} ms late",
                    flush=True,
                )
            else:
                return seen, running.alive()
    except (StartError, InstrumentError) as error:
        return str(error)
    return _run(ready, stand, plan, tries - 1)


@contextmanager
def _held(ready: Ready, stand: Stand) -> Iterator[Running]:
    """A server that was found to answer right, under the quota."""
    with started(ready, stand.root, cpu=server_cpu()) as running:
        if refused := gate.check_body(ready.peer, running.port, documents.SMALL):
            raise StartError(refused)
        with stand.quota.hold(running, stand.used, stand.period):
            yield running


def _target(ready: Ready) -> Target:
    body = b"".join(documents.SMALL.pieces())
    return Target(ready.peer.prefix + documents.SMALL.path, len(body), hashlib.sha256(body).hexdigest())


def _table(points: Sequence[Point]) -> str:
    head = [
        "", "x", "asked/s", "offered/s", "not offered", "goodput/s", "of peak", "503", "reset", "timeout",
        "connect t/o", "other", "p50 ms", "p99 ms", "max ms", "recovery s", "lag ms",
    ]  # fmt: skip
    return report.table(head, [_line(point, points) for point in points])


def _line(point: Point, points: Sequence[Point]) -> list[str]:
    seen = point.seen
    peak = max(one.goodput for one in points if one.peer == point.peer)
    counted = [
        seen.rate("refused"), seen.rate("reset"), seen.rate("timeout"), seen.rate("connect-timeout"),
        seen.rate("wrong", "connect-refused", "unopened"),
    ]  # fmt: skip
    times = [seen.p50, seen.p99, seen.max]
    return [
        point.peer,
        f"{point.factor:g}",
        f"{point.asked:,.0f}",
        f"{seen.rate('offered'):,.0f}",
        f"{seen.rate('unoffered'):,.0f}" if seen.counts.get("unoffered") else "",
        f"{point.goodput:,.0f}",
        f"{point.goodput / peak:.2f}" if peak else "",
        *[f"{value:,.0f}" if value >= 0.5 else "" if not value else "<1" for value in counted],
        *["-" if value is None else f"{value:,.0f}" for value in times],
        "never" if seen.recovery is None else f"{seen.recovery:.2f}",
        "" if seen.lag_p99 is None else f"{seen.lag_p99:,.0f}",
    ]


def _judge(judged: Sequence[Criterion]) -> None:
    """What the project set out to reach, and whether this run did."""
    if judged:
        print()
    for one in judged:
        print(f"{'pass' if one.passed else 'FAIL'}: {one.kind}: {one.claim}: {one.found}")


def _draw(
    points: Sequence[Point], stand: Stand, machine: dict[str, str], options: argparse.Namespace
) -> None:
    cpu, kernel = machine["cpu"].partition(",")[0], machine["kernel"].partition("-")[0]
    small = f"{cpu}, Linux {kernel}, {machine['python']}"
    picture = draw_overload(points, terms=_terms(stand), machine=small)
    for place in [report.OUT / "overload.svg", *([PUBLISHED] if options.publish else [])]:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(picture)
        print(f"picture: {place}")
