"""The n-th sendfile(2) of a reply fails, for every n: the bytes are read instead, and nobody notices."""

import errno
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import trio

from tests.conftest import LONG_AGO
from tests.files.making import descriptors
from tests.serving.answers import read_answers
from tests.serving.conversations import hear_all, request
from trio_evserver.files import read_ahead as read_ahead_module
from trio_evserver.files import region_reader as region_reader_module
from trio_evserver.files.capabilities import Capabilities
from trio_evserver.files.disk import Disk
from trio_evserver.files.options import FileOptions
from trio_evserver.serving import socket_transport as transport_module
from trio_evserver.serving.attendants import converse
from trio_evserver.serving.open_site import open_site
from trio_evserver.serving.options import Options
from trio_evserver.serving.readiness import TrioReadiness
from trio_evserver.serving.site import Site
from trio_evserver.serving.socket_transport import SocketTransport

CHUNK = 4096
LARGE = os.urandom(20 * CHUNK + 100)
FILES = FileOptions(chunk_size=CHUNK, cache_size=8 * CHUNK)
WAYS = {
    "all": (Capabilities(), FILES),
    "no sendfile": (Capabilities(sendfile=False), FILES),
    "no nowait": (Capabilities(nowait=False), FILES),
    "workers": (Capabilities(), FileOptions(chunk_size=CHUNK, cache_size=8 * CHUNK, cached_reads=False)),
}


class Fault(NamedTuple):
    """`code` is the error, 0 for a call that sends at most `most` bytes; `always`: every later one, too."""

    name: str
    code: int
    most: int = 0
    always: bool = False


FAULTS = [
    Fault("EINVAL", errno.EINVAL, always=True),
    Fault("ENOSYS", errno.ENOSYS, always=True),
    Fault("EOPNOTSUPP, once", errno.EOPNOTSUPP),
    Fault("EIO", errno.EIO),
    Fault("ENOMEM", errno.ENOMEM),
    Fault("EAGAIN", errno.EAGAIN),
    Fault("no bytes", 0),
    Fault("a byte", 0, most=1),
    Fault("short, always", 0, most=3000, always=True),
]


class Failing:
    """A sendfile that has the fault from the n-th call on. `calls` counts them."""

    def __init__(self, fault: Fault, n: int) -> None:
        self._fault = fault
        self._n = n
        self.calls = 0

    def sendfile(self, out: int, descriptor: int, offset: int, count: int) -> int:
        self.calls += 1
        if self.calls < self._n or (self.calls > self._n and not self._fault.always):
            return os.sendfile(out, descriptor, offset, count)
        if self._fault.code:
            raise OSError(self._fault.code, os.strerror(self._fault.code))
        count = min(count, self._fault.most)
        return os.sendfile(out, descriptor, offset, count) if count else 0


@pytest.fixture(autouse=True, params=[0, region_reader_module.LONGEST_SPAN], ids=["in steps", "at once"])
def small_spans(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(region_reader_module, "LONGEST_SPAN", request.param)
    monkeypatch.setattr(read_ahead_module, "LONGEST_SPAN", 2 * CHUNK)
    monkeypatch.setattr(read_ahead_module, "_TAIL", CHUNK)


@asynccontextmanager
async def site_of(root: Path, way: str) -> AsyncIterator[Site]:
    """A site with one large file."""
    (root / "large").write_bytes(LARGE)
    os.utime(root / "large", (LONG_AGO, LONG_AGO))
    capabilities, files = WAYS[way]
    disk = Disk(capabilities)
    async with open_site(root, Options(files=files), disk=disk, use_hub=False) as site:
        with trio.fail_after(30):
            yield site
    disk.shutdown()


async def ask(site: Site, *requests: bytes) -> bytes:
    """What a client hears to the requests, over a socket; it may end before its time."""
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    async with trio.open_nursery() as nursery:
        site.connection_began()
        nursery.start_soon(converse, SocketTransport(theirs, TrioReadiness(theirs)), site)
        async with trio.SocketStream(trio.socket.from_stdlib_socket(ours)) as client:
            await client.send_all(b"".join(requests))
            await client.send_eof()
            heard = await hear_all(client)
    return heard


def is_told_apart(path: Path) -> bool:
    """Whether the file system says which pages are in memory."""
    disk = Disk()
    with path.open("rb") as file:
        try:
            return disk.cached_length(file.fileno(), os.stat(path).st_dev, 1, 0) == 1
        except BlockingIOError:
            return False
        finally:
            disk.shutdown()


TWICE = (request("/large"), request("/large", "Range: bytes=5000-29999"))


@pytest.mark.parametrize("way", WAYS)
async def test_without_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """In place where that can be, and the same bytes wherever it cannot."""
    counting = Failing(Fault("none", 0), 0)
    monkeypatch.setattr(transport_module, "sendfile", counting.sendfile)
    before = descriptors()
    async with site_of(tmp_path, way) as site:
        answers = read_answers(await ask(site, *TWICE))
        assert [answer.body for answer in answers] == [LARGE, LARGE[5000:30000]]
        assert site.statistics().held == 0
    assert descriptors() == before
    assert (counting.calls > 0) is (way == "all" and is_told_apart(tmp_path / "large"))


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
async def test_the_nth_sendfile_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    """None of these is the end of a file that can be read: both bodies arrive whole, and nothing is kept."""
    before = descriptors()
    n = calls = 0
    while n <= calls:
        n += 1
        failing = Failing(fault, n)
        monkeypatch.setattr(transport_module, "sendfile", failing.sendfile)
        async with site_of(tmp_path, "all") as site:
            answers = read_answers(await ask(site, *TWICE))
            assert [answer.body for answer in answers] == [LARGE, LARGE[5000:30000]], f"call {n}"
            assert site.statistics().held == 0
        calls = failing.calls
    assert descriptors() == before


@pytest.mark.parametrize("change", ["rewritten", "cut"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_change_under_way(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    way: str,
    change: str,
) -> None:
    """Between the first piece of a body and the second: never as many bytes as were announced, and none but
    those that were there, or zeros behind a cut, in what had been handed over in place.
    """
    path = tmp_path / "large"

    def meddle() -> None:
        if change == "cut":
            os.truncate(path, 3 * CHUNK)
        else:
            path.write_bytes(bytes(len(LARGE)))

    real = read_ahead_module.Reading.next
    handed_over = 0

    async def meddling(reading: read_ahead_module.Reading) -> object:
        nonlocal handed_over
        handed_over += 1
        if handed_over == 3:
            meddle()
        return await real(reading)

    monkeypatch.setattr(read_ahead_module.Reading, "next", meddling)
    async with site_of(tmp_path, way) as site:
        try:
            heard = await ask(site, request("/large"), request("/large"))
        except trio.BrokenResourceError:
            heard = b""
        assert site.statistics().held == 0
    if way == "all" and not handed_over:  # it was sent in one piece
        assert [answer.body for answer in read_answers(heard)] == [LARGE, LARGE]
        return
    _, _, body = heard.partition(b"\r\n\r\n")
    assert len(body) < len(LARGE)
    kept = 3 * CHUNK if way == "all" and change == "cut" else len(body)
    assert LARGE.startswith(body[:kept])
    assert LARGE.startswith(body) or not any(body[kept:])
    assert ["broken off" in record.getMessage() for record in caplog.records] == [True]
