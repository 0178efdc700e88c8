"""The steps of a request, each measured by itself, in this process.

Each figure is the least of many short runs: what the machine did meanwhile only ever adds to it. What a real
connection pays on top, the system calls and the cold caches after each of them, is the difference to the CPU
per request of `hot`.
"""

import os
import tempfile
import time
import timeit
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio
import trio.testing

from trio_evserver import open_site
from trio_evserver.files.disk import Disk
from trio_evserver.http1.connection import Connection
from trio_evserver.http1.head_reader import HeadReader
from trio_evserver.http1.limits import Limits
from trio_evserver.semantics.message import Request, Response
from trio_evserver.serving.answer import FileAnswer
from trio_evserver.serving.site import Site

BARE = b"GET /page.html HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"
BROWSERS = b"".join(
    (
        b"GET /page.html HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n",
        b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n",
        b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n",
        b"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n",
        b"Referer: http://127.0.0.1:8000/\r\nConnection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\n",
        b"Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\n",
        b"Priority: u=0, i\r\n\r\n",
    )
)
ROUNDS, TIMES = 60, 2_000
TASKS = 64

Row = tuple[str, float]


def measure() -> list[Row]:
    """Each step and what it costs, in microseconds."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_bytes(bytes(1024))
        time.sleep(0.1)  # what has just changed is not kept in memory
        return trio.run(_steps, Path(folder))


async def _steps(folder: Path) -> list[Row]:
    async with open_site(folder) as site:
        answered = await _answer(site)
        return [*_of_a_request(site, answered, folder), *await _of_trio()]


async def _answer(site: Site) -> Response:
    """The answer, which the site then holds in memory."""
    request = _read(Connection(Limits()), BARE)
    first = site.exchange.answer_nowait(request)
    if not isinstance(first, Response | FileAnswer):
        await first()
    found = site.exchange.answer_nowait(request)
    assert isinstance(found, Response)
    return found


def _read(connection: Connection, head: bytes) -> Request:
    connection.receive_data(head)
    request = connection.next_request()
    assert isinstance(request, Request)
    return request


def _of_a_request(site: Site, answered: Response, folder: Path) -> list[Row]:
    connection, exchange, limits = Connection(Limits()), site.exchange, Limits()
    bare = _read(connection, BARE)
    etag = dict(answered.fields)[b"ETag"]
    known = _read(connection, BARE[:-2] + b"If-None-Match: " + etag + b"\r\n\r\n")
    part = _read(connection, BARE[:-2] + b"Range: bytes=100-199\r\n\r\n")
    path = os.fsencode(folder / "page.html")
    return [
        ("read a bare head", _least(lambda: HeadReader(limits).read(BARE, None))),
        ("read a browser's head", _least(lambda: HeadReader(limits).read(BROWSERS, None))),
        ("the same, if the one before had its field lines", _least(lambda: _read(connection, BROWSERS))),
        ("stat(2), part of each of the next", _least(lambda: Disk.status_of(path))),
        ("answer: 200", _least(lambda: exchange.answer_nowait(bare))),
        ("answer: 304", _least(lambda: exchange.answer_nowait(known))),
        ("answer: a range", _least(lambda: exchange.answer_nowait(part))),
        ("the head of the response", _least(lambda: site.heads.head(answered, b""))),
    ]


def _least(step: Callable[[], object]) -> float:
    return min(timeit.repeat(step, number=TIMES, repeat=ROUNDS)) / TIMES * 1e6


async def _of_trio() -> list[Row]:
    return [
        ("Trio: a task is woken and waits again", await _waking()),
        ("Trio: a task begins and ends", await _spawning(trio.lowlevel.checkpoint)),
        ("Trio: the same, with a nursery of its own", await _spawning(_with_nursery)),
        ("Trio: a job in a worker thread", await _hopping()),
    ]


async def _with_nursery() -> None:
    async with trio.open_nursery():
        await trio.lowlevel.checkpoint()


async def _waking() -> float:
    """As the hub wakes connections: by rescheduling the very task."""
    least = float("inf")
    tasks: list[trio.lowlevel.Task] = []

    async def wait() -> None:
        while True:
            tasks.append(trio.lowlevel.current_task())
            await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.SUCCEEDED)

    async with trio.open_nursery() as nursery:
        for _ in range(TASKS):
            nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(ROUNDS * 20):
            began = time.process_time()
            waiting, tasks[:] = tasks[:], []
            for task in waiting:
                trio.lowlevel.reschedule(task)
            while len(tasks) < TASKS:
                await trio.lowlevel.checkpoint()
            least = min(least, (time.process_time() - began) / TASKS * 1e6)
        nursery.cancel_scope.cancel()
    return least


async def _spawning(body: Callable[[], Awaitable[None]]) -> float:
    least = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        async with trio.open_nursery() as nursery:
            for _ in range(TASKS):
                nursery.start_soon(body, name="connection")
        least = min(least, (time.process_time() - began) / TASKS * 1e6)
    return least


async def _hopping() -> float:
    least = float("inf")
    for _ in range(ROUNDS * 20):
        began = time.perf_counter()
        await trio.to_thread.run_sync(_nothing)
        least = min(least, (time.perf_counter() - began) * 1e6)
    return least


def _nothing() -> None:
    """The job."""
