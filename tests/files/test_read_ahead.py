"""The fan-out: in order, bounded, and never the bytes of another version of the file."""

import errno
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.files.making import describe, descriptors, make_workers, until_idle
from trio_evserver.files import page_cache as page_cache_module
from trio_evserver.files import read_ahead as read_ahead_module
from trio_evserver.files.disk import Buffer, Disk
from trio_evserver.files.identity import identity_of
from trio_evserver.files.lease import Lease
from trio_evserver.files.open_file import OpenFile
from trio_evserver.files.opened import Opened
from trio_evserver.files.options import FileOptions
from trio_evserver.files.read_ahead import ReadAhead, Reading
from trio_evserver.files.region_reader import FileChangedError
from trio_evserver.files.span import Span
from trio_evserver.files.workers import Workers
from trio_evserver.semantics.message import Parts, Region

CHUNK = 10
CONTENT = bytes(range(100))
WORKERS_ONLY = FileOptions(chunk_size=CHUNK, threads=16, read_ahead=4, cached_reads=False)


class OrderedDisk(Disk):
    """A disk whose workers' reads return only when they are told to, and fail if they are told so."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[int] = []
        self.errors: dict[int, OSError] = {}
        self._changed = threading.Condition()
        self._allowed: set[int] = set()
        self._all = False

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        with self._changed:
            self.started.append(offset)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._all or offset in self._allowed, 10)
        if offset in self.errors:
            raise self.errors[offset]
        return super().read(descriptor, length, offset)

    def finish(self, *offsets: int) -> None:
        """Let these reads return; all, without any."""
        with self._changed:
            self._allowed.update(offsets)
            self._all = self._all or not offsets
            self._changed.notify_all()


def lease_of(path: Path, disk: Disk, *, first: bytes = b"", local: bool = True) -> Lease:
    descriptor = os.open(path, os.O_RDONLY)
    identity = identity_of(os.fstat(descriptor))
    file = OpenFile(descriptor, identity, mount=b"/", local=local, close=disk.close)
    return Lease(describe(Opened(file, b"file", b"", None, b"", "", 0))[0], file, first)


async def always_writable() -> None:
    await trio.lowlevel.checkpoint()


@asynccontextmanager
async def reading_of(
    disk: Disk,
    lease: Lease,
    *parts: bytes | Region,
    options: FileOptions = WORKERS_ONLY,
    workers: Workers | None = None,
    read_ahead: ReadAhead | None = None,
    wait_writable: Callable[[], Awaitable[None]] = always_writable,
    in_place: bool = False,
) -> AsyncIterator[Reading]:
    """A reading of the parts, with everything given back at the end."""
    workers = make_workers(options.threads) if workers is None else workers
    read_ahead = ReadAhead(disk, workers, options) if read_ahead is None else read_ahead
    before = read_ahead.memory.held
    length = sum(len(part) if isinstance(part, bytes) else part.length for part in parts)
    with lease:
        async with trio.open_nursery() as nursery:
            reading = read_ahead.open(lease, Parts(parts, length), nursery, wait_writable, in_place=in_place)
            try:
                yield reading
            finally:
                reading.close()
                nursery.cancel_scope.cancel()
    assert read_ahead.memory.held == before, "memory was not given back"


async def all_of(reading: Reading) -> bytes:
    data = b""
    while (part := await reading.next()) is not None:
        data += os.pread(part.descriptor, part.length, part.offset) if isinstance(part, Span) else part
    return data


@pytest.fixture
def path(place: Path) -> Path:
    (place / "file").write_bytes(CONTENT)
    return place / "file"


@pytest.mark.parametrize("options", [WORKERS_ONLY, FileOptions(chunk_size=CHUNK)], ids=["workers", "inline"])
@pytest.mark.parametrize(
    ("parts", "expected", "why"),
    [
        ((Region(0, 100),), CONTENT, "the whole"),
        ((Region(95, 5),), CONTENT[95:], "the end"),
        ((Region(7, 1),), CONTENT[7:8], "a byte"),
        ((Region(15, 30),), CONTENT[15:45], "a range"),
        ((), b"", "nothing"),
        (
            (b"--x\r\n", Region(50, 20), b"\r\n--x\r\n", Region(3, 4), b"\r\n--x--\r\n"),
            b"--x\r\n" + CONTENT[50:70] + b"\r\n--x\r\n" + CONTENT[3:7] + b"\r\n--x--\r\n",
            "multipart/byteranges, its ranges in the order they were asked for",
        ),
    ],
)
async def test_the_bytes_of_the_parts(
    disk: Disk,
    path: Path,
    options: FileOptions,
    parts: tuple[bytes | Region, ...],
    expected: bytes,
    why: str,
) -> None:
    """In order, whole, whichever way they are read; descriptors and memory are given back."""
    before = descriptors()
    async with reading_of(disk, lease_of(path, disk), *parts, options=options) as reading:
        assert await all_of(reading) == expected, why
        assert await reading.next() is None
    assert descriptors() == before


async def test_reads_that_finish_backwards(path: Path) -> None:
    """Four reads are under way; the last to begin ends first; what is handed over is in order."""
    disk = OrderedDisk()
    async with reading_of(disk, lease_of(path, disk), Region(0, 40)) as reading:
        pieces: list[Buffer | Span] = []

        async def take() -> None:
            while (piece := await reading.next()) is not None:
                pieces.append(piece)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(take)
            while len(disk.started) < 4:
                await trio.lowlevel.checkpoint()
            assert sorted(disk.started) == [0, 10, 20, 30]
            for offset in (30, 20, 10):
                disk.finish(offset)
                await trio.testing.wait_all_tasks_blocked(0.001)
                assert pieces == []
            disk.finish(0)
        assert pieces == [CONTENT[:10], CONTENT[10:20], CONTENT[20:30], CONTENT[30:40]]
    disk.shutdown()


# Bounds


@pytest.mark.parametrize("window", [1, 2, 5])
async def test_the_window_bounds_the_chunks(path: Path, window: int) -> None:
    """Of one reply no more chunks are read or held at a time, however fast the disk and slow the client."""
    disk = OrderedDisk()
    disk.finish()
    options = FileOptions(chunk_size=CHUNK, read_ahead=window, cached_reads=False)
    read_ahead = ReadAhead(disk, make_workers(16), options)
    async with reading_of(disk, lease_of(path, disk), Region(0, 100), read_ahead=read_ahead) as reading:
        for taken in range(1, 11):
            assert await reading.next() is not None
            await trio.testing.wait_all_tasks_blocked(0.001)
            assert len(disk.started) <= taken - 1 + window
            assert read_ahead.memory.held <= window * CHUNK
        assert read_ahead.memory.peak == window * CHUNK
    disk.shutdown()


async def test_the_limiter_bounds_the_reads(path: Path) -> None:
    """Two threads: of ten replies with a window of four no more than two reads are ever in flight."""
    disk = OrderedDisk()
    workers = make_workers(2)
    read_ahead = ReadAhead(disk, workers, WORKERS_ONLY)
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(one_of_many, disk, path, read_ahead)
        while len(disk.started) < 2:
            await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked()
        assert len(disk.started) == 2
        assert read_ahead.memory.held == 10 * 4 * CHUNK
        disk.finish()
    assert read_ahead.memory.held == 0
    await until_idle(workers)
    statistics = workers.statistics()
    assert (statistics.peak, statistics.in_flight, statistics.total) == (2, 0, 100)
    disk.shutdown()


async def one_of_many(disk: Disk, path: Path, read_ahead: ReadAhead) -> None:
    with lease_of(path, disk) as lease:
        async with trio.open_nursery() as nursery:
            reading = read_ahead.open(lease, Parts((Region(0, 100),), 100), nursery, always_writable)
            assert await all_of(reading) == CONTENT
            reading.close()


async def test_beyond_the_memory_one_chunk_when_writable(path: Path) -> None:
    """A reply without room reads a single chunk, and only once its peer takes bytes again."""
    disk = OrderedDisk()
    disk.finish()
    options = FileOptions(chunk_size=CHUNK, read_ahead_memory=25, cached_reads=False)
    read_ahead = ReadAhead(disk, make_workers(4), options)
    read_ahead.memory.hold(20)  # other replies
    asked: list[int] = []
    writable = trio.Event()

    async def wait_writable() -> None:
        asked.append(len(disk.started))
        await writable.wait()

    async with reading_of(
        disk, lease_of(path, disk), Region(0, 40), read_ahead=read_ahead, wait_writable=wait_writable
    ) as reading:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reading.next)
            await trio.testing.wait_all_tasks_blocked()
            assert (asked, disk.started) == ([0], []), "nothing is read for a peer that takes nothing"
            writable.set()
        assert (disk.started, read_ahead.memory.held) == ([0], 30)
        for taken in (2, 3):
            await reading.next()
            assert (len(disk.started), len(asked), read_ahead.memory.held) == (taken, taken, 30)
        read_ahead.memory.give_back(20)
        await reading.next()
        assert (len(disk.started), len(asked)) == (4, 3), "there is room again: nobody is asked"
        read_ahead.memory.hold(20)
    disk.shutdown()


async def test_memory_bounds_the_window(path: Path) -> None:
    """Room for two chunks: a window of four reads two ahead."""
    disk = OrderedDisk()
    disk.finish()
    options = FileOptions(chunk_size=CHUNK, read_ahead_memory=2 * CHUNK, cached_reads=False)
    read_ahead = ReadAhead(disk, make_workers(4), options)
    async with reading_of(disk, lease_of(path, disk), Region(0, 100), read_ahead=read_ahead) as reading:
        assert await all_of(reading) == CONTENT
    assert (read_ahead.memory.peak, read_ahead.memory.held) == (2 * CHUNK, 0)
    disk.shutdown()


# What is in memory


class HalfCached(Disk):
    """A disk that knows which bytes are in memory; `inline` and `worked` are the offsets asked for."""

    def __init__(self, cached: range) -> None:
        super().__init__()
        self.cached = cached
        self.inline: list[int] = []
        self.worked: list[int] = []

    def read_cached(self, descriptor: int, device: int, buffer: memoryview, offset: int) -> int:
        if offset not in self.cached:
            raise BlockingIOError
        self.inline.append(offset)
        return os.preadv(descriptor, [buffer[: self.cached.stop - offset]], offset)

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        self.worked.append(offset)
        return super().read(descriptor, length, offset)


@pytest.mark.parametrize(
    ("cached", "inline", "worked", "why"),
    [
        (range(100), list(range(0, 100, 10)), [], "hot: no worker"),
        (range(0), [], list(range(0, 100, 10)), "cold: workers"),
        (range(35), [0, 10, 20, 30], [35, 40, 50, 60, 70, 80, 90], "what there is of a chunk, then the rest"),
        (range(60, 100), None, [0, 10, 20, 30, 40, 50], "cold, then hot: no worker for what is in memory"),
    ],
)
async def test_only_what_is_cold_goes_to_a_worker(
    path: Path, cached: range, inline: list[int] | None, worked: list[int], why: str
) -> None:
    """And all of it comes in order."""
    disk = HalfCached(cached)
    options = FileOptions(chunk_size=CHUNK, read_ahead=3)
    async with reading_of(disk, lease_of(path, disk), Region(0, 100), options=options) as reading:
        assert await all_of(reading) == CONTENT
    assert sorted(disk.worked) == worked, why
    if inline is not None:
        assert disk.inline == inline, why
    disk.shutdown()


async def test_a_file_that_is_not_local_goes_to_a_worker(path: Path) -> None:
    """Its page cache is no promise: what is asked of it may be a question to a network."""
    disk = HalfCached(range(100))
    lease = lease_of(path, disk, local=False)
    async with reading_of(disk, lease, Region(0, 100), options=FileOptions(chunk_size=CHUNK)) as reading:
        assert await all_of(reading) == CONTENT
    assert disk.inline == []
    disk.shutdown()


@pytest.mark.parametrize(
    ("first", "region", "worked"),
    [(20, Region(0, 100), 8), (15, Region(0, 100), 9), (20, Region(12, 30), 3), (100, Region(0, 100), 0)],
)
async def test_what_came_with_the_opening_is_not_read_again(
    path: Path, first: int, region: Region, worked: int
) -> None:
    """The beginning of a cold file travelled with its opening."""
    disk = HalfCached(range(0))
    lease = lease_of(path, disk, first=CONTENT[:first])
    async with reading_of(disk, lease, region, options=FileOptions(chunk_size=CHUNK)) as reading:
        assert await all_of(reading) == CONTENT[region.offset : region.offset + region.length]
    assert len(disk.worked) == worked
    disk.shutdown()


# In place


class PartlyCached(HalfCached):
    """The same, of a file that can be sent in place; `probed` are the offsets asked for."""

    def __init__(self, cached: range) -> None:
        super().__init__(cached)
        self.probed: list[int] = []

    def cached_length(self, descriptor: int, device: int, length: int, offset: int) -> int:
        if offset not in self.cached:
            raise BlockingIOError
        self.probed.append(offset)
        return min(length, self.cached.stop - offset)


@pytest.fixture
def small_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans of three chunks, a tail of four bytes, and each is asked about."""
    monkeypatch.setattr(read_ahead_module, "LONGEST_SPAN", 3 * CHUNK)
    monkeypatch.setattr(read_ahead_module, "_TAIL", 4)
    monkeypatch.setattr(page_cache_module, "_STAYS", 0.0)


IN_PLACE = FileOptions(chunk_size=CHUNK, read_ahead=2)


async def shape_of(reading: Reading) -> list[tuple[int, int] | bytes]:
    """What is handed over: offset and length of what is in place, the rest as it is."""
    found: list[tuple[int, int] | bytes] = []
    while (part := await reading.next()) is not None:
        found.append((part.offset, part.length) if isinstance(part, Span) else bytes(part))
    return found


@pytest.mark.usefixtures("small_spans")
@pytest.mark.parametrize(
    ("cached", "parts", "expected", "why"),
    [
        (
            range(100),
            [Region(0, 100)],
            [(0, 30), (30, 30), (60, 30), (90, 6), CONTENT[96:]],
            "all but its end",
        ),
        (range(100), [Region(50, 4)], [CONTENT[50:54]], "nothing but an end"),
        (
            range(100),
            [b"--a", Region(10, 10), b"--b", Region(40, 10), b"--c"],
            [b"--a", (10, 10), b"--b", (40, 6), CONTENT[46:50], b"--c"],
            "several regions: only the last has an end",
        ),
        (
            range(45),
            [Region(0, 60)],
            [(0, 30), (30, 15), CONTENT[45:50], CONTENT[50:56], CONTENT[56:60]],
            "what is not in memory is read chunk by chunk",
        ),
        (
            range(30, 100),
            [Region(0, 100)],
            [CONTENT[:10], CONTENT[10:20], CONTENT[20:30], (30, 30), (60, 30), (90, 6), CONTENT[96:]],
            "cold, then hot",
        ),
        (range(0), [Region(0, 15)], [CONTENT[:10], CONTENT[10:11], CONTENT[11:15]], "cold"),
    ],
)
async def test_what_is_in_memory_is_left_there(
    path: Path, cached: range, parts: list[bytes | Region], expected: list[tuple[int, int] | bytes], why: str
) -> None:
    """It is handed over as a span, but for the end, which is read; nothing of it is held."""
    disk = PartlyCached(cached)
    read_ahead = ReadAhead(disk, make_workers(2), FileOptions(chunk_size=CHUNK, read_ahead=1))
    lease = lease_of(path, disk)
    async with reading_of(disk, lease, *parts, read_ahead=read_ahead, in_place=True) as reading:
        assert await shape_of(reading) == expected, why
    assert read_ahead.memory.peak <= CHUNK
    disk.shutdown()


@pytest.mark.usefixtures("small_spans")
@pytest.mark.parametrize(
    ("options", "local", "first"),
    [(WORKERS_ONLY, True, b""), (IN_PLACE, False, b""), (IN_PLACE, True, CONTENT)],
    ids=["no cached reads", "not local", "at hand"],
)
async def test_what_is_never_in_place(path: Path, options: FileOptions, local: bool, first: bytes) -> None:
    """Where the page cache may not be asked, or the bytes have been read already, they are handed over."""
    disk = PartlyCached(range(100))
    lease = lease_of(path, disk, local=local, first=first)
    async with reading_of(disk, lease, Region(0, 100), options=options, in_place=True) as reading:
        shape = await shape_of(reading)
    assert b"".join(part for part in shape if isinstance(part, bytes)) == CONTENT
    assert disk.probed == []
    disk.shutdown()


@pytest.mark.usefixtures("small_spans")
async def test_a_span_is_sent_in_parts(path: Path) -> None:
    """What was not sent comes again; `left_of` says how much of it is still in memory."""
    disk = PartlyCached(range(100))
    lease = lease_of(path, disk)
    async with reading_of(disk, lease, Region(0, 40), options=IN_PLACE, in_place=True) as reading:
        span = await reading.next()
        assert isinstance(span, Span)
        assert [reading.left_of(span, sent) for sent in (0, 7, 29)] == [30, 23, 1]
        disk.cached = range(20)
        assert [reading.left_of(span, sent) for sent in (0, 7, 20)] == [20, 13, 0]
        reading.put_back(span, 7)
        assert await shape_of(reading) == [(7, 13), CONTENT[20:30], CONTENT[30:36], CONTENT[36:40]]
    disk.shutdown()


@pytest.mark.usefixtures("small_spans")
@pytest.mark.parametrize(
    ("code", "for_ever"),
    [(errno.EINVAL, True), (errno.ENOSYS, True), (errno.EOPNOTSUPP, True), (errno.EIO, False)],
)
async def test_a_span_that_cannot_be_sent(path: Path, code: int, for_ever: bool) -> None:
    """This reply is read from then on; the next one, too, where the answer will always be the same."""
    disk = PartlyCached(range(100))
    read_ahead = ReadAhead(disk, make_workers(2), IN_PLACE)
    shapes = []
    for refused in (True, False):
        lease = lease_of(path, disk)
        async with reading_of(disk, lease, Region(0, 40), read_ahead=read_ahead, in_place=True) as reading:
            if refused:
                span = await reading.next()
                assert isinstance(span, Span)
                reading.cannot_send(OSError(code, "no"))
                reading.put_back(span, 0)
            shapes.append(await shape_of(reading))
    read = [CONTENT[:10], CONTENT[10:20], CONTENT[20:30], CONTENT[30:36], CONTENT[36:40]]
    assert shapes == [read, read if for_ever else [(0, 30), (30, 6), CONTENT[36:40]]]
    disk.shutdown()


@pytest.mark.usefixtures("small_spans")
@pytest.mark.parametrize("when", ["before", "behind"])
async def test_a_change_is_noticed_in_place(disk: Disk, path: Path, when: str) -> None:
    """Before a span is handed over, and after the last of them, before the end has left."""
    lease = lease_of(path, disk)
    # One chunk ahead: what has been read and checked before the change is the old file, and may be sent.
    options = FileOptions(chunk_size=CHUNK, read_ahead=1)
    async with reading_of(disk, lease, Region(0, 25), options=options, in_place=True) as reading:
        found = 0
        while when == "behind" and found < 21:  # in one span, or in chunks that are read
            part = await reading.next()
            assert part is not None
            found += part.length if isinstance(part, Span) else len(part)
        rewrite(path)
        if found:
            assert reading.left_of(Span(lease.file.descriptor, 0, 10), 5) == 0
        with pytest.raises(FileChangedError, match="rewritten"):
            await reading.next()


# A file that does not hold still


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def remove(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    path.with_name("other").write_bytes(bytes(100))
    os.replace(path.with_name("other"), path)


def chmod(path: Path) -> None:
    path.chmod(0o600)


def cut(path: Path) -> None:
    os.truncate(path, 50)
    os.utime(path, ns=(0, 5))


def cut_in_the_same_tick(path: Path) -> None:
    modified = path.stat().st_mtime_ns
    os.truncate(path, 50)
    os.utime(path, ns=(0, modified))


def rewrite(path: Path) -> None:
    path.write_bytes(bytes(100))
    os.utime(path, ns=(0, 5))


@pytest.mark.parametrize("options", [WORKERS_ONLY, FileOptions(chunk_size=CHUNK)], ids=["workers", "inline"])
@pytest.mark.parametrize(
    ("change", "whole", "why"),
    [
        (append, True, "what was announced is still right, and exactly that much is sent"),
        (remove, True, "the open file is what it was"),
        (replace, True, "the same: the name is another file's now"),
        (chmod, True, "a new ctime, the old bytes"),
        (cut, False, "bytes are missing"),
        (cut_in_the_same_tick, False, "bytes are missing, and the time does not tell"),
        (rewrite, False, "the rest is another file's"),
    ],
)
async def test_a_file_that_changes(
    disk: Disk, path: Path, options: FileOptions, change: Callable[[Path], None], whole: bool, why: str
) -> None:
    """While it is served: the bytes announced, or an error in their place; never others, never fewer."""
    before = descriptors()
    lease = lease_of(path, disk)
    options = FileOptions(chunk_size=CHUNK, read_ahead=1, cached_reads=options.cached_reads)
    async with reading_of(disk, lease, Region(0, 100), options=options) as reading:
        begun = await reading.next()
        assert not isinstance(begun, Span)
        data = bytes(begun or b"")
        change(path)
        try:
            data += await all_of(reading)
        except FileChangedError:
            assert not whole, why
        else:
            assert whole, why
    assert data == CONTENT[: len(data)]
    assert len(data) == 100 or not whole
    assert descriptors() == before


async def test_a_file_that_has_changed_before_the_first_read(disk: Disk, path: Path) -> None:
    """Nothing was handed over: another answer can still be given."""
    lease = lease_of(path, disk)
    rewrite(path)
    async with reading_of(disk, lease, Region(0, 100)) as reading:
        with pytest.raises(FileChangedError, match="rewritten"):
            await reading.next()


# Errors


async def test_an_error_surfaces_in_its_turn(path: Path) -> None:
    """The third chunk fails first; the two before it are handed over all the same, then the error."""
    disk = OrderedDisk()
    disk.errors[20] = OSError(errno.EIO, "broken")
    before = descriptors()
    async with reading_of(disk, lease_of(path, disk), Region(0, 100)) as reading:
        disk.finish(20)
        pieces: list[Buffer | Span] = []
        async with trio.open_nursery() as nursery:

            async def take() -> None:
                pieces.append(await reading.next() or b"")

            nursery.start_soon(take)
            await trio.testing.wait_all_tasks_blocked(0.001)
            disk.finish()
        assert pieces == [CONTENT[:10]]
        assert await reading.next() == CONTENT[10:20]
        with pytest.raises(OSError, match="broken"):
            await reading.next()
    assert descriptors() == before
    disk.shutdown()


@pytest.mark.parametrize("change", [None, rewrite], ids=["EIO", "rewritten"])
async def test_an_error_inline_surfaces_in_its_turn(
    path: Path, change: Callable[[Path], None] | None
) -> None:
    """The same where the later chunk is asked of the page cache, on the event loop."""

    class Later(HalfCached):
        def read_cached(self, descriptor: int, device: int, buffer: memoryview, offset: int) -> int:
            if offset == 20:
                if change is None:
                    raise OSError(errno.EIO, "broken")
                change(path)
                return len(buffer)
            return super().read_cached(descriptor, device, buffer, offset)

        def read(self, descriptor: int, length: int, offset: int) -> bytes:
            return CONTENT[offset : offset + length]

        def status(self, descriptor: int) -> os.stat_result:
            # What the workers ask comes before the change, as it may.
            on_the_loop = threading.current_thread() is threading.main_thread()
            return super().status(descriptor) if on_the_loop else unchanged

    unchanged = os.stat(path)
    disk = Later(range(0))
    async with reading_of(
        disk, lease_of(path, disk), Region(0, 100), options=FileOptions(chunk_size=CHUNK)
    ) as reading:
        assert await reading.next() == CONTENT[:10]
        assert await reading.next() == CONTENT[10:20]
        with pytest.raises(FileChangedError if change else OSError):
            await reading.next()
    disk.shutdown()


async def test_a_failing_status_is_a_failing_read(path: Path) -> None:
    """What cannot be checked is not sent."""

    class Blind(Disk):
        def status(self, descriptor: int) -> os.stat_result:
            raise OSError(errno.ESTALE, "stale")

    disk = Blind()
    async with reading_of(disk, lease_of(path, disk), Region(0, 100)) as reading:
        with pytest.raises(OSError, match="stale"):
            await reading.next()
    disk.shutdown()


# Giving up


async def test_a_reply_that_is_given_up(path: Path) -> None:
    """Its reads are left behind: each keeps the file and its token until it returns, and no memory counts."""
    disk = OrderedDisk()
    before = descriptors()
    workers = make_workers(2)
    read_ahead = ReadAhead(disk, workers, WORKERS_ONLY)
    with trio.CancelScope() as scope:
        async with (
            reading_of(disk, lease_of(path, disk), Region(0, 100), read_ahead=read_ahead) as reading,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(reading.next)
            while len(disk.started) < 2:
                await trio.lowlevel.checkpoint()
            scope.cancel()
    assert (read_ahead.memory.held, workers.statistics().in_flight) == (0, 2)
    assert len(descriptors() - before) == 1, "a worker still reads from it"
    disk.finish()
    await until_idle(workers)
    assert descriptors() == before
    assert len(disk.started) == 2, "those that had not begun never ran"
    disk.shutdown()


async def test_a_reading_that_is_closed_at_once(path: Path) -> None:
    """It has asked nothing of the disk."""
    disk = OrderedDisk()
    async with reading_of(disk, lease_of(path, disk), Region(0, 100)) as reading:
        assert repr(reading).endswith("window=0>")
    assert disk.started == []
    disk.shutdown()


# One chunk, at once

SMALL_CHUNKS = FileOptions(chunk_size=CHUNK, read_ahead_memory=2 * CHUNK)
WHOLE = (Region(20, 10),)


@pytest.mark.parametrize(
    ("parts", "cached", "held", "in_place", "first", "found", "why"),
    [
        (WHOLE, range(100), 0, False, b"", CONTENT[20:30], "a chunk that is in memory"),
        (WHOLE, range(100), CHUNK, False, b"", CONTENT[20:30], "and for which there is room"),
        (WHOLE, range(100), CHUNK + 1, False, b"", None, "there is no room"),
        (WHOLE, range(0), 0, False, b"", None, "not in memory"),
        (WHOLE, range(25), 0, False, b"", None, "not to its end"),
        ((Region(20, 11),), range(100), 0, False, b"", None, "more than a chunk"),
        ((Region(20, 5), Region(40, 5)), range(100), 0, False, b"", None, "two parts"),
        ((b"--", Region(20, 5), b"--"), range(100), 0, False, b"", None, "a multipart body"),
        ((Region(20, 4),), range(100), 0, True, b"", CONTENT[20:24], "too short to be sent in place"),
        ((Region(20, 5),), range(100), 0, True, b"", None, "to be sent in place"),
        (WHOLE, range(100), 0, False, CONTENT[:10], None, "the beginning was read, and is held"),
    ],
)
async def test_one_chunk_at_once(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    parts: tuple[bytes | Region, ...],
    cached: range,
    held: int,
    in_place: bool,
    first: bytes,
    found: bytes | None,
    why: str,
) -> None:
    """A short body that is in memory needs no reading of chunks; it is lent, and nothing is held."""
    monkeypatch.setattr(read_ahead_module, "_TAIL", 4)
    disk = HalfCached(cached)
    read_ahead = ReadAhead(disk, make_workers(1), SMALL_CHUNKS)
    read_ahead.memory.hold(held)
    length = sum(len(part) if isinstance(part, bytes) else part.length for part in parts)
    with lease_of(path, disk, first=first) as lease:
        data = read_ahead.read_nowait(lease, Parts(parts, length), in_place=in_place)
        assert (data if data is None else bytes(data)) == found, why
    assert read_ahead.memory.held == held
    disk.shutdown()


async def test_not_the_chunk_of_another_file(path: Path) -> None:
    """A file that was rewritten is not sent at once: who opens a reading is told."""
    disk = HalfCached(range(100))
    read_ahead = ReadAhead(disk, make_workers(1), SMALL_CHUNKS)
    with lease_of(path, disk) as lease:
        rewrite(path)
        assert read_ahead.read_nowait(lease, Parts(WHOLE, 10)) is None
    disk.shutdown()
