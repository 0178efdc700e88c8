"""The rows of the `hot` table: one load each, what is read from it, and the ratio that it must reach."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from benchmarks.documents import COLD, HUGE, LARGE, MANY, MEDIUM, MIX, SMALL, Document


class Metric(Enum):
    """What a row compares, with its unit; for the last three less is better."""

    REQUESTS = "requests/s"
    BYTES = "MiB/s"
    CPU = "CPU µs/request"
    LATENCY = "µs p50"
    MEMORY = "KiB/connection"

    @property
    def less_is_better(self) -> bool:
        """Whether a ratio must stay below its mark instead of above."""
        return self in (Metric.CPU, Metric.LATENCY, Metric.MEMORY)


class Kind(Enum):
    """Which load program makes the row."""

    KEEP_ALIVE = "wrk"
    NEW_CONNECTIONS = "ab"
    EACH_ONCE_COLD = "our client, page cache dropped"
    HELD_IDLE = "our client, holding"


class Asks(Enum):
    """What the requests carry besides the target."""

    PLAIN = "plain"
    CONDITIONAL = "conditional"
    BROWSER = "browser"
    RANGE = "range"


@dataclass(frozen=True)
class Row:
    """One line of the table. `reach` is the ratio ours / peer to reach, by the peer's name.

    `leave_out` are peers that this row has no use for. `logged` measures each peer a second time with its
    access log written to a file, and compares the two. `steady` leaves the opening and the end of the
    connections out, which are another row's matter.
    """

    name: str
    title: str
    metric: Metric = Metric.REQUESTS
    kind: Kind = Kind.KEEP_ALIVE
    connections: int = 64
    documents: tuple[Document, ...] = (SMALL,)
    asks: Asks = Asks.PLAIN
    reach: Mapping[str, float] = field(default_factory=dict)
    leave_out: tuple[str, ...] = ("nginx-threads",)
    logged: bool = False
    steady: bool = False


# what Firefox sends with a request for a picture: 12 fields with Host
BROWSER_FIELDS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.7,de;q=0.3",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Connection": "keep-alive",
    "Referer": "http://127.0.0.1/gallery/index.html?page=2",
    "Cookie": "theme=dark; session=6f1c0f8e5b1d4f0a9f3b1d2c",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Priority": "u=0, i",
}

PYTHON_PEERS = ("granian", "uvicorn", "aiohttp", "hypercorn", "tornado", "gunicorn", "http.server")
EVERY_PYTHON_PEER = dict.fromkeys(PYTHON_PEERS, 1.0)
GROWTH = (1, 16, 64, 256, 1024, 4096, 10_000)

_TABLE = (
    Row(
        "keepalive-1k", "1 KiB, keep-alive, 64 connections",
        reach={"sources": 1.3, "nginx": 0.55, "granian": 2, "aiohttp": 8, "uvicorn": 15, "hypercorn": 25},
    ),
    Row("keepalive-1k-1000", "1 KiB, keep-alive, 1,000 connections", connections=1000, reach={"nginx": 0.5}),
    Row(
        "conn-1k-cpu", "1 KiB, a new connection per request: server CPU", Metric.CPU,
        Kind.NEW_CONNECTIONS, 100, reach={"nginx": 1.8, "granian": 1.0},
    ),
    Row(
        "conn-1k", "1 KiB, a new connection per request, 100 at a time",
        kind=Kind.NEW_CONNECTIONS, connections=100, reach={"nginx": 1.0, "granian": 1.2},
    ),
    Row("not-modified", "conditional GET answered 304", asks=Asks.CONDITIONAL, reach={"nginx": 0.5}),
    Row("browser-head", "1 KiB, a browser's head of 12 fields", asks=Asks.BROWSER, reach={"nginx": 0.42}),
    Row(
        "keepalive-100k", "100 KiB, keep-alive, 16 connections", connections=16, documents=(MEDIUM,),
        reach={"nginx": 1.0, "granian": 1.2},
    ),
    Row(
        "keepalive-10m", "10 MiB, keep-alive, 16 connections", Metric.BYTES,
        connections=16, documents=(LARGE,), reach={"nginx": 1.0, **EVERY_PYTHON_PEER},
    ),
    Row(
        "keepalive-1g", "1 GiB, keep-alive, 16 connections", Metric.BYTES,
        connections=16, documents=(HUGE,), reach={"nginx": 1.0, **EVERY_PYTHON_PEER},
    ),
    Row("files-2000", "2,000 files of 0.5 to 16 KiB in turn", documents=MANY, reach={"nginx": 0.5}),
    Row("files-20", "20 files of 3 to 300 KiB in turn", documents=MIX, reach=EVERY_PYTHON_PEER),
    Row(
        "range-64k", "a range of 64 KiB from a file of 1 GiB", documents=(HUGE,), asks=Asks.RANGE,
        reach={"nginx": 0.8},
    ),
    Row("latency-1", "1 KiB, one connection alone", Metric.LATENCY, connections=1, reach={"nginx": 1.6}),
    Row("access-log", "1 KiB, keep-alive, access log on against off", reach={"ours": 0.85}, logged=True),
    Row(
        "idle-memory", "memory of an idle keep-alive connection", Metric.MEMORY, Kind.HELD_IDLE, 10_000,
    ),
    Row(
        "cold-256k", "1,000 cold files of 256 KiB, 64 at a time", Metric.BYTES,
        Kind.EACH_ONCE_COLD, documents=COLD, reach={"nginx-threads": 0.9, **EVERY_PYTHON_PEER}, leave_out=(),
    ),
)  # fmt: skip

_GROWTH = tuple(
    Row(f"growth-{count}", f"1 KiB, keep-alive, {count:,} connections", connections=count, steady=True)
    for count in GROWTH
)

ROWS = {row.name: row for row in (*_TABLE, *_GROWTH)}
DEFAULT = tuple(row.name for row in _TABLE)


def chosen(names: str | None) -> list[list[Row]]:
    """The rows that a comma-separated list names; "growth" stands for all of its rows. Each by itself, but
    those of the growth, which are compared with each other, together. Raises KeyError.
    """
    found: list[list[Row]] = []
    for name in DEFAULT if names is None else names.split(","):
        for row in _GROWTH if name == "growth" else (ROWS[name],):
            if row.steady and found and found[-1][0].steady:
                found[-1].append(row)
            else:
                found.append([row])
    return found
