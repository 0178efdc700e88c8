"""One run of one row on one running peer."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.client import fetch_each, holding
from benchmarks.documents import KIB, MIB, chill
from benchmarks.gate import Verdict, range_field
from benchmarks.instruments import ab, wrk
from benchmarks.instruments.load import InstrumentError, Load
from benchmarks.peers.peer import Peer
from benchmarks.processes import Running
from benchmarks.rows import BROWSER_FIELDS, Asks, Kind, Metric, Row

WARM_CONNECTIONS = (
    100  # held before the first memory reading, so that start-up costs are not counted as theirs
)
SHORT = 2.0  # seconds
SETTLE = 0.5  # seconds for a server to notice what its clients did last


@dataclass(frozen=True)
class Sample:
    """A figure in the row's unit, the server's CPU in µs a request, and the errors that the client saw."""

    figure: float
    cpu_us: float | None
    errors: int


def unfit(row: Row, verdict: Verdict) -> str:
    """Why a peer has no figure in this row, or ""."""
    if verdict.refused:
        return verdict.refused
    if row.asks is Asks.CONDITIONAL and verdict.validator is None:
        return "no 304"
    if row.asks is Asks.RANGE and not verdict.ranges:
        return "no Range"
    return ""


def measure(row: Row, peer: Peer, running: Running, verdict: Verdict, root: Path, seconds: float) -> Sample:
    """Put the row's load on the peer. Raises InstrumentError."""
    if row.kind is Kind.HELD_IDLE:
        return _memory_of_idle(row, peer, running)
    if row.kind is Kind.EACH_ONCE_COLD:
        chill(root, row.documents)
    load, used = _one_load(row, peer, running, verdict, seconds)
    if not load.requests and row.metric is not Metric.BYTES:
        raise InstrumentError(f"no request was answered right, {load.errors} errors")
    cpu_us = used * 1e6 / load.requests if load.requests else None
    return Sample(_figure(row.metric, load, cpu_us), cpu_us, load.errors)


def _one_load(row: Row, peer: Peer, running: Running, verdict: Verdict, seconds: float) -> tuple[Load, float]:
    """The load and the CPU seconds it took; of a `steady` row what a run has more of than a short one."""
    load, used = _timed(row, peer, running, verdict, seconds)
    if not row.steady:
        return load, used
    short, used_by_short = _timed(row, peer, running, verdict, SHORT)
    more = Load(
        load.requests - short.requests,
        load.received - short.received,
        load.seconds - short.seconds,
        load.errors + short.errors,
    )
    if more.requests <= 0 or more.seconds <= 0:
        raise InstrumentError(f"a run of {seconds:g} s answered no more than one of {SHORT:g} s")
    return more, used - used_by_short


def _timed(row: Row, peer: Peer, running: Running, verdict: Verdict, seconds: float) -> tuple[Load, float]:
    before = running.cpu_seconds()
    load = _put(row, peer, running, verdict, seconds)
    if row.steady:
        time.sleep(SETTLE)  # the connections have to be closed by the server, too
    return load, running.cpu_seconds() - before


def _put(row: Row, peer: Peer, running: Running, verdict: Verdict, seconds: float) -> Load:
    target = peer.prefix + row.documents[0].path
    if row.kind is Kind.EACH_ONCE_COLD:
        return fetch_each(running.port, peer.prefix, row.documents, row.connections)
    if row.kind is Kind.NEW_CONNECTIONS:
        return ab.run(running.port, target, connections=row.connections, seconds=seconds)
    with tempfile.NamedTemporaryFile("w", prefix="trio-evserver-paths-") as listed:
        listed.writelines(f"{peer.prefix}{document.path}\n" for document in row.documents)
        listed.flush()
        return wrk.run(
            running.port,
            target,
            connections=row.connections,
            seconds=seconds,
            listed=Path(listed.name) if len(row.documents) > 1 else None,
            fields=_fields(row, verdict),
        )


def _fields(row: Row, verdict: Verdict) -> dict[str, str]:
    match row.asks:
        case Asks.PLAIN:
            return {}
        case Asks.BROWSER:
            return BROWSER_FIELDS
        case Asks.RANGE:
            return {"Range": range_field(row.documents[0])}
        case Asks.CONDITIONAL:
            assert verdict.validator is not None, "unfit() was asked first"
            return dict([verdict.validator])


def _figure(metric: Metric, load: Load, cpu_us: float | None) -> float:
    match metric:
        case Metric.REQUESTS:
            return load.requests / load.seconds
        case Metric.BYTES:
            return load.received / load.seconds / MIB
        case Metric.LATENCY:
            return load.p50_us or 0.0
        case Metric.CPU:
            return cpu_us or 0.0
        case Metric.MEMORY:
            raise AssertionError("memory is read from the server, not from a load")


def _memory_of_idle(row: Row, peer: Peer, running: Running) -> Sample:
    """Anonymous memory with many connections held, less that with a few, by their difference."""
    target = peer.prefix + row.documents[0].path
    with holding(running.port, target, WARM_CONNECTIONS) as few:
        time.sleep(SETTLE)
        before = running.anonymous_bytes()
        with holding(running.port, target, row.connections - WARM_CONNECTIONS) as held:
            time.sleep(SETTLE)
            grown = running.anonymous_bytes() - before
    if few + held < row.connections:
        raise InstrumentError(f"only {few + held:,} of {row.connections:,} connections stayed open")
    return Sample(grown / held / KIB, None, 0)
