"""`python -m benchmarks slow-disk`: what waits when one disk is slow, and when it never answers.

A file system whose every read takes 300 ms lies below the folder that is served. A hot file, and files of the
fast disk that are not cached, are asked for with the slow disk idle, while 200 clients read from it, and once
it answers nothing any more; then the server is told to end.
"""

import argparse
import contextlib
import dataclasses
import hashlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import documents, gate, report
from benchmarks.documents import COLD, SMALL, Document
from benchmarks.drivers.load_plan import Plan, Target
from benchmarks.drivers.slow_fuse import content
from benchmarks.instruments.load import InstrumentError
from benchmarks.instruments.open_load import Started
from benchmarks.machine import describe, pin_client, server_cpu
from benchmarks.overload_figures import Criterion
from benchmarks.peers.catalogue import ALL, PROJECT, Ready, make_ready, started
from benchmarks.processes import Running, StartError
from benchmarks.slow_disk_figures import PATIENCE, Outcome, Phase, criteria, said
from benchmarks.slow_disk_picture import draw_slow_disk
from benchmarks.slow_mount import SlowMount, slow_mount
from benchmarks.venvs import MissingError, cache_folder

PUBLISHED = PROJECT / "docs" / "pictures" / "slow-disk.svg"
PEERS = "ours,nginx,nginx-threads,aiohttp,uvicorn"
DELAY, SIZE = 0.3, 64 * 1024  # seconds that each read takes; bytes of each slow file
HOT_RATE, COLD_RATE = 200.0, 10.0
READERS, SLOW_FILES = 200, 5000
PAUSE = 1.0  # seconds: what a refused reader is told to wait
SETTLE = 2.0  # seconds for the readers to have taken what they can
END_LIMIT = 20.0


@dataclass
class Stand:
    """What every run of this table shares; `taken` of the fast disk's files have been asked for already."""

    root: Path
    seconds: float
    mount: SlowMount
    taken: int = 0


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this table."""
    parser.add_argument("--peers", default=PEERS, help=f"of: {', '.join(ALL)} (default {PEERS})")
    parser.add_argument("--seconds", type=float, default=10, help="of each phase (default 10)")
    parser.add_argument("--python", help="the interpreter under test; the project is installed for it")
    parser.add_argument("--publish", action="store_true", help="write the picture to docs/pictures/ too")


def main(options: argparse.Namespace) -> None:
    """Measure each peer, print the table and the verdict, draw the picture."""
    root = cache_folder() / "site"
    documents.make(root, (SMALL, *COLD))
    documents.warm(root, (SMALL,))
    ready, missing = {}, {}
    for name in options.peers.split(","):
        try:
            ready[name] = make_ready(ALL[name], options.python)
        except MissingError as error:
            missing[name] = str(error)
    machine = describe(options.python or sys.executable)
    versions = {name: one.version for name, one in ready.items()}
    report.print_machine({**machine, **versions})
    for name, why in missing.items():
        print(f"missing: {name}: {why}", flush=True)
    pin_client()
    outcomes = []
    for name, one in ready.items():
        try:
            outcomes.append(_outcome(name, one, root, options.seconds))
        except MissingError as error:
            sys.exit(f"missing: {error}")
        except (StartError, InstrumentError) as error:
            print(f"{name}: {error}", flush=True)
            continue
        print(f"{name}: done", flush=True)
    print(f"\n{_table(outcomes)}\n")
    for judged in criteria(outcomes):
        _judge(judged)
    record = {"machine": machine, "versions": versions, "missing": missing, "options": vars(options)}
    kept = [dataclasses.asdict(outcome) for outcome in outcomes]
    print(f"\nfigures: {report.write('slow-disk', {**record, 'outcomes': kept})}")
    cpu, kernel = machine["cpu"].partition(",")[0], machine["kernel"].partition("-")[0]
    picture = draw_slow_disk(outcomes, machine=f"{cpu}, Linux {kernel}, {machine['python']}")
    for place in [report.OUT / "slow-disk.svg", *([PUBLISHED] if options.publish else [])]:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(picture)
        print(f"picture: {place}")


def _outcome(name: str, ready: Ready, root: Path, seconds: float) -> Outcome:
    """All phases on one server, started for them; the disk is gone before anybody waits for its end."""
    with slow_mount(root / "slow", DELAY, SIZE) as mount, started(ready, root, cpu=server_cpu()) as running:
        try:
            if refused := gate.check_body(ready.peer, running.port, SMALL):
                raise StartError(refused)
            return _phases(name, ready, running, Stand(root, seconds, mount))
        finally:
            mount.end()


def _phases(name: str, ready: Ready, running: Running, stand: Stand) -> Outcome:
    _phase(ready, running, stand, seconds=1.0)  # warm
    idle = _phase(ready, running, stand)
    with _readers(ready, running, stand) as readers:
        busy = _phase(ready, running, stand)
        slow = readers.seen()
    with _readers(ready, running, stand):
        stand.mount.hang()
        time.sleep(SETTLE)
        hung = _phase(ready, running, stand)
        ended = _seconds_to_end(running)
    return Outcome(name, idle, busy, hung, slow, ended)


def _phase(ready: Ready, running: Running, stand: Stand, seconds: float | None = None) -> Phase:
    """The hot file and the files that are not cached, asked for side by side."""
    seconds = seconds or stand.seconds
    cold = COLD[stand.taken : stand.taken + int(seconds * COLD_RATE) + 1]
    stand.taken += len(cold)
    documents.chill(stand.root, cold)
    plan = Plan(running.port, (_target(ready, SMALL),), HOT_RATE, seconds=seconds, patience=PATIENCE)
    several = tuple(_target(ready, document) for document in cold)
    hot = Started(plan)
    try:
        other = Started(dataclasses.replace(plan, targets=several, rate=COLD_RATE))
        try:
            return Phase(hot.seen(), other.seen())
        finally:
            other.end()
    finally:
        hot.end()


@contextlib.contextmanager
def _readers(ready: Ready, running: Running, stand: Stand) -> Iterator[Started]:
    """200 clients that read files of the slow disk, each a different one, as fast as they are answered."""
    sha256 = hashlib.sha256(content(SIZE)).hexdigest()
    numbered = (f"{ready.peer.prefix}/slow/{number}.bin" for number in range(SLOW_FILES))
    targets = tuple(Target(path, SIZE, sha256) for path in numbered)
    plan = Plan(
        running.port, targets, 0.0, READERS,
        warmup=SETTLE, seconds=stand.seconds, patience=30.0, pause=PAUSE,
    )  # fmt: skip
    readers = Started(plan)
    try:
        time.sleep(SETTLE)
        yield readers
    finally:
        readers.end()


def _seconds_to_end(running: Running) -> float | None:
    """From SIGTERM to its last process; None if it is still there after a while."""
    begun = time.monotonic()
    with contextlib.suppress(ProcessLookupError):
        os.kill(running.session, signal.SIGTERM)
    while (taken := time.monotonic() - begun) < END_LIMIT:
        if not running.alive():
            return taken
        time.sleep(0.05)
    return None


def _target(ready: Ready, document: Document) -> Target:
    digest = hashlib.sha256()
    for piece in document.pieces():
        digest.update(piece)
    return Target(ready.peer.prefix + document.path, document.size, digest.hexdigest())


def _table(outcomes: Sequence[Outcome]) -> str:
    head = [
        "", "hot p50 idle", "slow", "hung", "hot p99 idle", "slow", "hung", "p99 slow / idle",
        "not cached p99 idle", "slow", "hung", "slow files/s", "503/s", "ends in s",
    ]  # fmt: skip
    return report.table(head, [_line(outcome) for outcome in outcomes])


def _line(outcome: Outcome) -> list[str]:
    phases = (outcome.idle, outcome.busy, outcome.hung)
    ratio = outcome.ratio
    return [
        outcome.peer,
        *[said(phase.hot, "p50") for phase in phases],
        *[said(phase.hot, "p99") for phase in phases],
        "-" if ratio is None else report.number(ratio),
        *[said(phase.cold, "p99") for phase in phases],
        report.number(outcome.slow.rate("right")),
        report.number(outcome.slow.rate("refused")),
        "never" if outcome.ended is None else f"{outcome.ended:.1f}",
    ]


def _judge(one: Criterion) -> None:
    print(f"{'pass' if one.passed else 'FAIL'}: {one.claim}: {one.found}")
