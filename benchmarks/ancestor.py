"""`python -m benchmarks ancestor`: the test the ancestor was published with, on its successor and nginx.

10,000 connections are opened at a fixed rate, one request on each. Then the ancestor's own case, in which
every read goes through the workers and one reply is many reads: goodput must level off there instead of
stalling, and the reads in flight must stay within their limit.
"""

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from benchmarks import documents, gate, report
from benchmarks.ancestor_picture import Figure, draw_ancestor
from benchmarks.instruments import h2load, httperf, long_load, programs
from benchmarks.instruments.httperf import Burst
from benchmarks.machine import describe, pin_client, server_cpu
from benchmarks.peers.catalogue import ALL, PROJECT, Ready, make_ready, started
from benchmarks.peers.peer import Launch
from benchmarks.processes import StartError
from benchmarks.venvs import MissingError, cache_folder

DRIVER = Path(__file__).parent / "drivers" / "sampled_server.py"
PUBLISHED = PROJECT / "docs" / "pictures" / "ancestor.svg"
HTTPERF_REACH = 8000  # connections a second: above it httperf's select hangs itself, against any server
SMALL_RATES, MEDIUM_RATES = "1000,2000,4000,8000", "1000,2000"
WORKERS_RATES = "500,1000,2000,4000,8000"


class Instrument(Protocol):
    """Opens connections at a rate, one GET each, and tells what became of them."""

    def __call__(self, port: int, path: str, *, rate: int, connections: int, size: int) -> Burst: ...


@dataclass(frozen=True)
class Case:
    """One line of the table: contender, file and rate; its bursts, one a round, and what its server said."""

    contender: str
    document: documents.Document
    rate: int
    bursts: list[Burst] = field(default_factory=list)
    reads: list[dict[str, int]] = field(default_factory=list)

    def goodput(self) -> float | None:
        """The median of the rounds whose instrument finished, per second."""
        values = [burst.goodput for burst in self.bursts if not burst.failure]
        return statistics.median(values) if values else None

    def clean(self) -> bool:
        """Each connection answered in each round."""
        return bool(self.bursts) and all(burst.clean for burst in self.bursts)

    def peak(self) -> int | None:
        """The most file reads in flight at any moment of any round: sampled, and the server's own peak."""
        return max((max(said["peak"], said["in_flight"]) for said in self.reads), default=None)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this test."""
    parser.add_argument("--rates", default=SMALL_RATES, help=f"on 1 KiB, per second (default {SMALL_RATES})")
    parser.add_argument("--medium-rates", default=MEDIUM_RATES, help=f"on 100 KiB (default {MEDIUM_RATES})")
    parser.add_argument(
        "--workers-rates", default=WORKERS_RATES, help=f"of the ancestor's case (default {WORKERS_RATES})"
    )
    parser.add_argument("--connections", type=int, default=10_000, help="in each run (default 10000)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each case, interleaved (default 3)")
    parser.add_argument(
        "--chunk-size", type=int, default=512, help="bytes a read, ancestor's case (default 512)"
    )
    parser.add_argument("--file-threads", type=int, default=16, help="reads in flight at most (default 16)")
    parser.add_argument("--python", help="the interpreter under test; the project is installed for it")
    parser.add_argument("--publish", action="store_true", help="write the picture to docs/pictures/ too")


def main(options: argparse.Namespace) -> None:
    """Run every case, print the table, keep the figures, draw the picture."""
    ready, missing = _make_ready(options.python)
    machine = describe(options.python or sys.executable)
    report.print_machine({**machine, **{name: one.version for name, one in ready.items()}})
    for program in ("httperf", "h2load"):
        if lacking := programs.missing(program):
            missing[program] = lacking
    for name, why in missing.items():
        print(f"missing: {name}: {why}", flush=True)
    root = cache_folder() / "site"
    documents.make(root, (documents.SMALL, documents.MEDIUM))
    documents.warm(root, (documents.SMALL, documents.MEDIUM))
    pin_client()
    cases = [case for case in _cases(options) if _peer_of(case) in ready]
    for _ in range(options.rounds):
        for case in cases:
            _run(case, ready[_peer_of(case)], root, options)
    print(f"\n{_table(cases)}")
    record = {
        "machine": machine,
        "versions": {name: one.version for name, one in ready.items()},
        "missing": missing,
        "options": vars(options),
        "cases": [dataclasses.asdict(case) for case in cases],
    }
    print(f"\nfigures: {report.write('ancestor', record)}")
    _draw(cases, options, _small_print(machine, ready, cases))


def _make_ready(python: str | None) -> tuple[dict[str, Ready], dict[str, str]]:
    ready, missing = {}, {}
    for name in ("nginx", "ours"):
        try:
            ready[name] = make_ready(ALL[name], python)
        except MissingError as error:
            missing[name] = str(error)
    return ready, missing


def _cases(options: argparse.Namespace) -> list[Case]:
    """nginx and ours take turns at each rate; the ancestor's case follows."""
    pairs = [(documents.SMALL, rate) for rate in _numbers(options.rates)]
    pairs += [(documents.MEDIUM, rate) for rate in _numbers(options.medium_rates)]
    cases = [Case(name, document, rate) for document, rate in pairs for name in ("nginx", "ours")]
    return cases + [Case("workers", documents.SMALL, rate) for rate in _numbers(options.workers_rates)]


def _numbers(listed: str) -> list[int]:
    return [int(each) for each in listed.split(",") if each]


def _peer_of(case: Case) -> str:
    return "ours" if case.contender == "workers" else case.contender


def _run(case: Case, ready: Ready, root: Path, options: argparse.Namespace) -> None:
    """One burst: by the first instrument that could put it on the server as asked."""
    notes: list[str] = []
    burst = Burst("none", case.rate, options.connections, failure="no instrument for this rate")
    for instrument in _instruments(case):
        burst = _burst(case, instrument, ready, root, options)
        if not burst.failure and not burst.instrument_errors:
            break
        notes.append(burst.failure or _not_opened(burst))
    case.bursts.append(dataclasses.replace(burst, note="; ".join(notes)))
    said = burst.failure or f"{burst.replies_ok:,} answered, {burst.errors:,} errors, {burst.goodput:,.0f}/s"
    print(
        f"{case.contender:8} {case.document.path:9} {case.rate:>6}/s  {burst.instrument}: {said}", flush=True
    )


def _instruments(case: Case) -> list[Instrument]:
    """In the order in which they are tried.

    Beyond what a server can do 10,000 connections are a second of load, and then seconds of waiting for the
    kernel's repeated SYNs: the ancestor's case is asked there by our own generator, for longer.
    """
    second: tuple[str, Instrument] = ("h2load", h2load.run)
    if case.contender == "workers":
        second = ("python3", long_load.run)
    reach: list[tuple[str, Instrument]] = [second]
    if case.rate <= HTTPERF_REACH:
        reach.insert(0, ("httperf", httperf.run))
    return [instrument for name, instrument in reach if not programs.missing(name)]


def _not_opened(burst: Burst) -> str:
    return (
        f"{burst.instrument} could not open {burst.instrument_errors:,} of its connections; "
        f"of the others {burst.replies_ok:,} were answered, {burst.errors:,} were not"
    )


def _burst(
    case: Case, instrument: Instrument, ready: Ready, root: Path, options: argparse.Namespace
) -> Burst:
    """On a server of its own, so that none inherits what another left in its queues."""
    path, size, rate, connections = case.document.path, case.document.size, case.rate, options.connections
    with tempfile.TemporaryDirectory(prefix="trio-evserver-bench-") as scratch:
        printed = Path(scratch) / "reads.json"
        if case.contender == "workers":
            ready = _driven(ready, options, printed)
        try:
            with started(ready, root, cpu=server_cpu()) as running:
                refused = gate.check_body(ready.peer, running.port, case.document)
                if refused:
                    return Burst("gate", rate, connections, failure=refused)
                burst = instrument(running.port, path, rate=rate, connections=connections, size=size)
        except StartError as error:
            return Burst("start", rate, connections, failure=f"the server did not start: {error}")
        if printed.exists():
            case.reads.append(json.loads(printed.read_text().splitlines()[-1]))
        return burst


def _driven(ready: Ready, options: argparse.Namespace, printed: Path) -> Ready:
    """Our server, embedded in the driver that samples its statistics."""

    def command(launch: Launch) -> list[str]:
        numbers = [str(number) for number in (launch.port, options.chunk_size, options.file_threads)]
        return [str(launch.program), str(DRIVER), str(launch.root), *numbers, str(printed)]

    return dataclasses.replace(ready, peer=dataclasses.replace(ready.peer, command=command))


def _table(cases: Sequence[Case]) -> str:
    head = [
        "",
        "file",
        "asked/s",
        "opened/s",
        "answered",
        "errors",
        "goodput/s",
        "min",
        "max",
        "reads",
        "by",
    ]
    lines = [report.table(head, [_line(case) for case in cases])]
    for case in cases:
        said = {burst.note for burst in case.bursts if burst.note}
        lines += [
            f"{case.contender}, {case.document.path}, {case.rate:,}/s: {words}" for words in sorted(said)
        ]
    return "\n".join(lines)


def _line(case: Case) -> list[str]:
    whole = [burst for burst in case.bursts if not burst.failure]
    size = f"{case.document.size // 1024} KiB"
    if not whole:
        return [case.contender, size, f"{case.rate:,}", *["-"] * 8]
    goodputs = [burst.goodput for burst in whole]
    limit = case.reads[0]["limit"] if case.reads else 0
    return [
        case.contender,
        size,
        f"{case.rate:,}",
        f"{statistics.median(burst.achieved for burst in whole):,.0f}",
        f"{min(burst.replies_ok for burst in whole):,} of {whole[0].connections:,}",
        str(sum(burst.errors for burst in whole)),
        f"{statistics.median(goodputs):,.0f}",
        f"{min(goodputs):,.0f}",
        f"{max(goodputs):,.0f}",
        f"{case.peak()} of {limit}" if limit else "",
        ", ".join(sorted({burst.instrument for burst in whole})),
    ]


def _small_print(machine: dict[str, str], ready: dict[str, Ready], cases: Sequence[Case]) -> str:
    instruments = sorted({burst.instrument for case in cases for burst in case.bursts})
    nginx = [f"nginx {ready['nginx'].version}"] if "nginx" in ready else []
    used = "by " + ", ".join(name.replace("open_load", "our own generator") for name in instruments)
    return f"{machine['cpu'].partition(',')[0]}, Linux {machine['kernel'].partition('-')[0]}, " + ", ".join(
        ["server and client on a core each", machine["python"].replace(", PGO", " (PGO)"), *nginx, used]
    )


def _draw(cases: Sequence[Case], options: argparse.Namespace, machine: str) -> None:
    figures = [
        Figure(case.contender, case.document.size, case.rate, case.goodput(), case.clean(), case.peak())
        for case in cases
    ]
    picture = draw_ancestor(
        figures,
        threads=options.file_threads,
        chunk_size=options.chunk_size,
        connections=options.connections,
        machine=machine,
    )
    places = [report.OUT / "ancestor.svg", *([PUBLISHED] if options.publish else [])]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(picture)
        print(f"picture: {place}")
