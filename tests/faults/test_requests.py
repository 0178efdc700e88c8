"""The n-th system call of a request fails, for every n: the answer is honest, or cut where all can see it."""

import os
from pathlib import Path
from typing import NamedTuple

import pytest
import trio
import trio.testing

from tests.faults.failing import DELAY, FAULTS, LASTING, Failing, Fault, failing_disk
from tests.files.making import descriptors
from trio_evserver.files.capabilities import Capabilities
from trio_evserver.files.disk import Disk
from trio_evserver.files.options import FileOptions
from trio_evserver.serving.open_site import open_site
from trio_evserver.serving.options import Options
from trio_evserver.serving.server import serve_connection
from trio_evserver.serving.site import Site

CHUNK = 4096
FILES = {"small": b"small" * 10, "large": os.urandom(5 * CHUNK + 100)}
# An eighth of the cache is the most that one file may have of it: less than `large` has.
CACHE = 8 * 4 * CHUNK
# A refusal may answer for `revalidate` seconds; here the next request is to show that the fault has gone.
CACHED = FileOptions(chunk_size=CHUNK, cache_size=CACHE, revalidate=0.0)
WAYS = {
    "all": (Capabilities(), CACHED),
    "no openat2": (Capabilities(openat2=False), CACHED),
    "no nowait": (Capabilities(nowait=False), CACHED),
    "workers": (Capabilities(), FileOptions(chunk_size=CHUNK, cache_size=0, cached_reads=False)),
}


ROWS = [
    *(pytest.param(fault, False, id=fault.name) for fault in FAULTS),
    *(pytest.param(fault, True, id=f"lasting {fault.name}") for fault in LASTING),
]


class Answer(NamedTuple):
    status: int
    body: bytes
    complete: bool


async def ask(site: Site, target: str) -> Answer:
    """What a client hears to a GET on a connection of its own."""
    ours, theirs = trio.testing.memory_stream_pair()
    received = b""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, theirs, site)
        await ours.send_all(b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % target.encode())
        while data := await ours.receive_some():
            received += data
    head, _, body = received.partition(b"\r\n\r\n")
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    return Answer(int(head.split(b" ")[1]), body, len(body) == int(fields[b"Content-Length"]))


def check(answer: Answer, content: bytes, fault: Fault, where: str) -> None:
    assert answer.status in fault.statuses, where
    if answer.status == 200:
        assert answer.body == content[: len(answer.body)], where
        assert answer.complete or fault.breaks, where
        assert answer.body == content or not answer.complete, where
    else:
        assert answer.complete, where
        assert content not in answer.body


async def until_idle(site: Site) -> None:
    with trio.fail_after(10):
        while site.statistics().reads.in_flight or site.connections:
            await trio.lowlevel.checkpoint()


async def run(
    root: Path,
    disk: Disk,
    failing: Failing,
    files: FileOptions,
    fault: Fault,
    n: int,
    name: str,
    *,
    lasting: bool,
) -> None:
    """Two requests with one fault in them, and one more when all is well again."""
    async with open_site(root, Options(files=files), disk=disk, use_hub=False) as site:
        failing.arm(fault, n, lasting=lasting)
        for which in ("first", "second"):
            check(await ask(site, f"/{name}"), FILES[name], fault, f"call {n}, the {which} request")
        failing.disarm()
        await until_idle(site)
        assert site.statistics().held == 0
        assert await ask(site, f"/{name}") == Answer(200, FILES[name], True), f"after call {n}"
        await until_idle(site)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("fault", "lasting"), ROWS)
async def test_the_nth_call_fails(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: Fault,
    lasting: bool,
    way: str,
    name: str,
) -> None:
    """Never a wrong body under a right length, no descriptor, no token lost; the next request works."""
    for file, content in FILES.items():
        (tmp_path / file).write_bytes(content)
        os.utime(tmp_path / file, (1_700_000_000, 1_700_000_000))
    capabilities, files = WAYS[way]
    before = descriptors()
    disk, failing = failing_disk(monkeypatch, capabilities)
    n = 0
    while not n or failing.fired:
        n += 1
        await run(tmp_path, disk, failing, files, fault, n, name, lasting=lasting)
    disk.shutdown()
    monkeypatch.undo()
    assert descriptors() == before
    assert not [record for record in caplog.records if record.exc_info], "an exception that nobody expected"


@pytest.mark.parametrize("leaves", [False, True], ids=["waits", "leaves"])
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("way", WAYS)
async def test_the_nth_call_takes_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, name: str, leaves: bool
) -> None:
    """Whichever call of a worker the disk sits on, others are answered meanwhile; who waits has the right
    answer in the end; who leaves leaves the call behind with its descriptor and its token, until it returns.
    """
    for file, content in FILES.items():
        (tmp_path / file).write_bytes(content)
        os.utime(tmp_path / file, (1_700_000_000, 1_700_000_000))
    (tmp_path / "other").write_bytes(b"other")
    capabilities, files = WAYS[way]
    before = descriptors()
    disk, failing = failing_disk(monkeypatch, capabilities)
    monkeypatch.setattr(
        disk, "open_beneath_cached", not_in_memory
    )  # or it would all be done on the event loop
    n = 0
    while not n or failing.fired:
        n += 1
        async with open_site(tmp_path, Options(files=files), disk=disk, use_hub=False) as site:
            failing.arm(DELAY, n)
            answers: list[Answer] = []
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_ask_into, site, f"/{name}", answers)
                while not failing.fired and not answers:
                    await trio.lowlevel.checkpoint()
                if not failing.fired:  # there are not so many calls; the next request's are not meant
                    failing.disarm()
                assert await ask(site, "/other") == Answer(200, b"other", True), f"call {n} is held up"
                if failing.fired and not answers:
                    assert site.statistics().reads.in_flight >= 1
                if leaves:
                    nursery.cancel_scope.cancel()
                else:
                    failing.disarm()
            failing.disarm()
            assert answers in ([Answer(200, FILES[name], True)], [] if leaves else None), f"call {n}"
            await until_idle(site)
            assert site.statistics().held == 0
            assert await ask(site, f"/{name}") == Answer(200, FILES[name], True), f"after call {n}"
            await until_idle(site)
    assert n > 1
    disk.shutdown()
    monkeypatch.undo()
    assert descriptors() == before


def not_in_memory(root: int, path: bytes, *, follow: bool) -> int:
    """No name is."""
    raise BlockingIOError


async def _ask_into(site: Site, target: str, answers: list[Answer]) -> None:
    answers.append(await ask(site, target))
