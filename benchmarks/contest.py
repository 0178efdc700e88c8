"""A contest in a row, or some: every peer started and checked, then measured in turn, round by round."""

import contextlib
import dataclasses
import http.client
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import documents, gate
from benchmarks.instruments.load import InstrumentError
from benchmarks.machine import server_cpu
from benchmarks.measure import Sample, measure, unfit
from benchmarks.peers.catalogue import Ready, started
from benchmarks.processes import Running, StartError
from benchmarks.rows import Kind, Row
from benchmarks.venvs import cache_folder

LOGGED = ", log on"


@dataclass
class Contender:
    """A peer in one row: running, or out for a reason; its samples, one a round (None: the round failed)."""

    name: str
    ready: Ready
    running: Running | None = None
    verdict: gate.Verdict = field(default_factory=gate.Verdict)
    out: str = ""
    samples: list[Sample | None] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        """What a reader must know beside the figures."""
        return [said for said in dict.fromkeys((self.out, *self.verdict.marks, *self.failures)) if said]

    def figures(self) -> list[float | None]:
        """The row's figure, round by round."""
        return [sample.figure if sample else None for sample in self.samples]

    def cpu(self) -> list[float | None]:
        """CPU µs a request, round by round."""
        return [sample.cpu_us if sample else None for sample in self.samples]


def run_rows(
    rows: Sequence[Row], ready: dict[str, Ready], rounds: int, seconds: float
) -> list[list[Contender]]:
    """All peers of some rows of the same files run side by side, idle but for the one whose turn it is, once
    a round in each of the rows: what is compared is measured within a minute or so.

    Where memory is measured each round has servers of its own: what one has kept from the round before would
    seem to cost nothing.
    """
    root = cache_folder() / "site"
    first = rows[0]
    documents.make(root, first.documents)
    if first.kind is not Kind.EACH_ONCE_COLD:
        documents.warm(root, first.documents)
    starts = rounds if first.kind is Kind.HELD_IDLE else 1
    found: list[dict[str, Contender]] = [{} for _ in rows]
    for _ in range(starts):
        with _contenders(first, ready, root) as contenders:
            for of_row in found:
                for one in contenders:
                    before = of_row.get(one.name)
                    samples, failures = (before.samples, before.failures) if before else ([], [])
                    of_row[one.name] = dataclasses.replace(one, samples=samples, failures=failures)
            for _ in range(rounds // starts):
                for row, of_row in zip(rows, found, strict=True):
                    for one in of_row.values():
                        one.samples.append(_one_run(row, one, root, seconds))
    return [list(of_row.values()) for of_row in found]


@contextlib.contextmanager
def _contenders(row: Row, ready: dict[str, Ready], root: Path) -> Iterator[list[Contender]]:
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trio-evserver-bench-")))
        found = []
        for name, one in ready.items():
            if name in row.leave_out or (row.logged and not one.peer.can_log):
                continue
            found.append(Contender(name, one))
            _start(stack, row, found[-1], root, None)
            if row.logged:
                found.append(Contender(f"{name}{LOGGED}", one))
                _start(stack, row, found[-1], root, scratch / f"{name}.log")
        yield found


def _start(
    stack: contextlib.ExitStack, row: Row, one: Contender, root: Path, access_log: Path | None
) -> None:
    try:
        one.running = stack.enter_context(started(one.ready, root, cpu=server_cpu(), access_log=access_log))
    except StartError as error:
        one.out = f"did not start: {error}"
        return
    one.verdict = gate.check(one.ready.peer, one.running.port, row.documents[0])
    for other in row.documents[1:]:
        if not one.verdict.refused:
            refused = gate.check_body(one.ready.peer, one.running.port, other)
            one.verdict = dataclasses.replace(one.verdict, refused=refused)
    one.out = unfit(row, one.verdict)


def _one_run(row: Row, one: Contender, root: Path, seconds: float) -> Sample | None:
    if one.out or one.running is None:
        return None
    try:
        return measure(row, one.ready.peer, one.running, one.verdict, root, seconds)
    except (InstrumentError, OSError, http.client.HTTPException) as error:
        one.failures.append(str(error))
        if not one.running.alive():
            one.out = "its process ended under the load"
        return None
