"""What is asked of the page cache, how much of that may make the kernel read, and what is to come into it."""

import errno
import os
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.files.making import make_workers, until_idle
from trio_evserver.files.disk import Disk
from trio_evserver.files.gate import Gate
from trio_evserver.files.identity import identity_of
from trio_evserver.files.kernel_readahead import KernelReadahead
from trio_evserver.files.mounts import MountTable
from trio_evserver.files.open_file import OpenFile
from trio_evserver.files.page_cache import PageCache
from trio_evserver.files.warming import Warmer, Warming
from trio_evserver.files.workers import Workers
from trio_evserver.semantics.message import Region

SIZE = 100_000
MOST = 4
"""Questions that may be at the kernel's own reading."""
ELSEWHERE = b"/elsewhere"


class Queue(KernelReadahead):
    """A device whose queue takes so many requests."""

    def __init__(self, mounts: MountTable, length: int) -> None:
        super().__init__(mounts, release="")
        self.length = length

    def queue_length(self, device: int) -> int:
        return self.length


class ColdDisk(Disk):
    """A disk whose page cache is empty until a worker has waited for it, which it does once it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.readahead = Queue(self.mounts, 64)
        self.asked = 0
        self.hot = False
        self.waits = 0
        self.error: OSError | None = None
        self.go = threading.Event()
        self.come: set[int] = set()
        """The descriptors of files of which has come what was begun to be read."""
        self.looks = 0
        self.begun: list[int] = []

    def _answer(self, length: int) -> int:
        self.asked += 1
        if not self.hot:
            raise BlockingIOError(errno.EAGAIN, "cold")
        return length

    def begin(self, descriptor: int, device: int, length: int) -> None:
        self.begun.append(length)

    def cached_length(self, descriptor: int, device: int, length: int, offset: int) -> int:
        return self._answer(length)

    def read_cached(self, descriptor: int, device: int, buffer: memoryview, offset: int) -> int:
        return self._answer(len(buffer))

    def has_come(self, descriptor: int, device: int, length: int, offset: int) -> bool:
        self.looks += 1
        return descriptor in self.come

    def make_resident(self, descriptor: int, length: int, offset: int) -> None:
        self.waits += 1
        assert self.go.wait(10)
        if self.error is not None:
            raise self.error


class Scene:
    """A page cache with a clock of its own, and files that are open."""

    def __init__(self, path: Path, workers: Workers) -> None:
        path.write_bytes(bytes(SIZE))
        self.path = path
        self.now = 100.0
        self.disk = ColdDisk()
        self.workers = workers
        self.closed = 0
        self.cache = PageCache(self.disk, workers, enabled=True, clock=lambda: self.now)
        self.warmer = Warmer(self.disk, workers, self.cache, clock=lambda: self.now)

    def open(self, mount: bytes = b"/") -> OpenFile:
        descriptor = os.open(self.path, os.O_RDONLY)

        def close(descriptor: int) -> None:
            self.closed += 1
            os.close(descriptor)

        return OpenFile(descriptor, identity_of(os.fstat(descriptor)), mount=mount, local=True, close=close)

    def ask(self, file: OpenFile, offset: int = 0, length: int = 1000) -> int:
        return self.cache.length(file, Region(offset, length))


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(tmp_path / "file", make_workers(4))
    yield scene
    scene.disk.go.set()
    await until_idle(scene.workers)
    scene.disk.shutdown()


async def test_few_questions_make_the_kernel_read(scene: Scene) -> None:
    """Beginning to read waits where the device's queue is full: so the event loop stops asking before that,
    of the disk that is busy.
    """
    files = [scene.open() for _ in range(3 * MOST)]
    for file in files:
        assert scene.ask(file) == 0
    assert scene.disk.asked == MOST
    elsewhere = scene.open(ELSEWHERE)
    scene.ask(elsewhere)
    assert scene.disk.asked == MOST + 1
    buffer = memoryview(bytearray(10))
    with pytest.raises(BlockingIOError):
        scene.cache.read(files[0], buffer, 0)
    assert scene.disk.asked == MOST + 1
    for file in [*files, elsewhere]:
        file.release()


async def test_the_beginning_of_a_file_is_begun(scene: Scene) -> None:
    """There is a better way to have that read than to ask for all of it. What was just found is not read."""
    file = scene.open()
    scene.ask(file, length=3000)
    scene.ask(file, offset=1, length=2000)
    assert scene.disk.begun == [3000]
    scene.disk.hot = True
    for _ in range(2):
        scene.ask(file)
    assert scene.disk.begun == [3000, 1000]
    file.release()


async def test_a_worker_makes_room_for_a_question(scene: Scene) -> None:
    """Each call that has ended lets another be asked."""
    file = scene.open()
    for offset in range(MOST):
        scene.ask(file, offset)
    assert scene.disk.asked == MOST
    for more in range(1, 4):
        await scene.workers.run(lambda: None, mount=file.mount)
        scene.ask(file, 1000 * more)
        scene.ask(file, 1000 * more + 1)
        assert scene.disk.asked == MOST + more
    file.release()


async def test_the_same_question_twice_is_one(scene: Scene) -> None:
    """What is asked about again, to be read where it could not be sent, was begun already."""
    file = scene.open()
    for offset in range(MOST):
        scene.ask(file, offset)
        with pytest.raises(BlockingIOError):
            scene.cache.read(file, memoryview(bytearray(1000)), offset)
    assert scene.disk.asked == 2 * MOST - 1  # but for the last, when no more may be asked
    file.release()


async def test_questions_that_nothing_followed(autojump_clock: trio.testing.MockClock, scene: Scene) -> None:
    """Peers may leave before a worker is asked: after a while without one at work they count no more."""
    file = scene.open()
    for offset in range(MOST + 5):
        scene.ask(file, offset)
    assert scene.disk.asked == MOST
    await trio.sleep(0.9)
    scene.ask(file, 5000)
    assert scene.disk.asked == MOST
    await trio.sleep(0.2)
    scene.ask(file, 6000)
    assert scene.disk.asked == MOST + 1
    file.release()


async def test_what_was_found_lately_may_be_asked(scene: Scene) -> None:
    """A hot file is served on while the disk is busy with others: its pages are there, and nobody reads."""
    hot, cold = scene.open(), scene.open()
    scene.disk.hot = True
    assert scene.ask(hot) == 1000
    scene.disk.hot = False
    for offset in range(MOST):
        scene.ask(cold, offset)
    scene.disk.hot = True
    for now, found in [(100.5, 1000), (101.4, 1000), (103.0, 0)]:
        scene.now = now
        assert scene.ask(hot) == found
    hot.release()
    cold.release()


async def test_what_cannot_be_asked_is_no_miss(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that does not know the question reads nothing for it."""

    def unknown(descriptor: int, device: int, length: int, offset: int) -> int:
        raise BlockingIOError

    file = scene.open()
    with monkeypatch.context() as patch:
        patch.setattr(scene.disk, "cached_length", unknown)
        for offset in range(3 * MOST):
            assert scene.ask(file, offset) == 0
    scene.ask(file)
    assert scene.disk.asked == 1
    file.release()


@pytest.mark.parametrize(("enabled", "local"), [(False, True), (True, False)])
async def test_nothing_is_asked(scene: Scene, enabled: bool, local: bool) -> None:
    """Where it is not to be, and of files of a network."""
    cache = PageCache(scene.disk, scene.workers, enabled=enabled)
    file = scene.open()
    file.local = local
    assert not cache.knows(file)
    assert cache.length(file, Region(0, 1)) == 0
    with pytest.raises(BlockingIOError):
        cache.read(file, memoryview(bytearray(1)), 0)
    assert scene.disk.asked == 0
    file.release()


async def over(warming: Warming) -> None:
    """Until it has come, or cannot."""
    if not warming.is_over:
        told = trio.Event()
        warming.then(told.set)
        await told.wait()


async def test_many_wait_for_one_part(scene: Scene) -> None:
    """However many want the same part of a file, one worker waits for it; afterwards it is known to be
    there.
    """
    file = scene.open()
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(over, scene.warmer.warm(file, Region(0, 1000)))
        nursery.start_soon(over, scene.warmer.warm(file, Region(0, 2000)))
        await trio.testing.wait_all_tasks_blocked()
        scene.disk.go.set()
    assert scene.disk.waits == 2
    assert scene.ask(file) == 1000
    assert scene.disk.asked == 0
    await over(scene.warmer.warm(file, Region(0, 1000)))
    assert scene.disk.waits == 3, "the next one waits anew"
    file.release()
    assert scene.closed == 1


async def test_whoever_waits_may_leave(scene: Scene) -> None:
    """The worker goes on for the others, and the file stays open for it."""
    file = scene.open()
    warming = scene.warmer.warm(file, Region(0, 1000))
    with trio.move_on_after(0):
        await over(warming)
    file.release()
    assert scene.closed == 0, "a worker is still at it"
    scene.disk.go.set()
    await over(warming)
    await until_idle(scene.workers)
    assert scene.closed == 1


async def test_a_disk_that_fails(scene: Scene) -> None:
    """Nothing is said to be there; whoever waited finds out by reading."""
    file = scene.open()
    scene.disk.error = OSError(errno.EIO, "broken")
    scene.disk.go.set()
    await over(scene.warmer.warm(file, Region(0, 1000)))
    assert scene.ask(file) == 0
    assert scene.disk.asked == 1
    file.release()
    assert scene.closed == 1


class Looks:
    """An event loop that looks when it is told to."""

    def __init__(self, scene: Scene) -> None:
        self.is_looking = True
        self.calls: list[Callable[[bool], None]] = []
        self.cache = PageCache(
            scene.disk, scene.workers, enabled=True, looks_again=True, clock=lambda: scene.now
        )
        self.warmer = Warmer(scene.disk, scene.workers, self.cache, self.after_look, lambda: scene.now)

    def after_look(self, call: Callable[[bool], None]) -> bool:
        if self.is_looking:
            self.calls.append(call)
        return self.is_looking

    def end(self, *, is_idle: bool = False) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call(is_idle)

    def warm(self, file: OpenFile) -> Warming:
        """What is not there when it is asked about."""
        assert self.cache.length(file, Region(0, 1000)) == 0
        return self.warmer.warm(file, Region(0, 1000))


async def test_what_comes_soon_no_worker_waits_for(scene: Scene) -> None:
    """It is looked for after each look of the event loop, in any order; then it is known to be there, and the
    file is let go of.
    """
    looks = Looks(scene)
    files = [scene.open() for _ in range(3)]
    warmings = [looks.warm(file) for file in files]
    told: list[int] = []
    for number, warming in enumerate(warmings):
        warming.then(partial(told.append, number))
    assert looks.warmer.warm(files[0], Region(0, 1000)) is warmings[0], "once for all who want it"
    assert len(looks.calls) == 1
    looks.end()
    assert told == []
    for number in (1, 0, 2):
        scene.disk.come.add(files[number].descriptor)
        looks.end()
    assert told == [1, 0, 2]
    assert all(warming.is_over and warming.refused is None for warming in warmings)
    assert scene.disk.looks == 3 + 3 + 2 + 1
    looks.end(is_idle=True)
    assert not looks.calls
    asked = scene.disk.asked
    for file in files:
        assert looks.cache.length(file, Region(0, 1000)) == 1000
        file.release()
    assert (scene.disk.asked, scene.disk.waits, scene.closed) == (asked, 0, 3)


async def test_a_worker_waits_for_what_takes_long(scene: Scene) -> None:
    """After a hundredth of a second; until then nobody does, as long as there is something else to do."""
    looks = Looks(scene)
    file = scene.open()
    warming = looks.warm(file)
    for scene.now in (100.0, 100.004, 100.009):
        looks.end()
        assert looks.calls
    await trio.testing.wait_all_tasks_blocked()
    assert scene.disk.waits == 0
    scene.now = 100.011
    looks.end()
    assert not looks.calls
    file.release()
    scene.disk.go.set()
    await over(warming)
    await until_idle(scene.workers)
    assert (scene.disk.waits, scene.closed) == (1, 1)


async def test_one_worker_waits_when_there_is_nothing_else_to_do(scene: Scene) -> None:
    """For one of many, as the others come at the same time; when it has, for the next."""
    looks = Looks(scene)
    files = [scene.open() for _ in range(4)]
    warmings = [looks.warm(file) for file in files]
    for _ in range(3):
        looks.end(is_idle=True)
    scene.disk.go.set()
    await over(warmings[0])
    await until_idle(scene.workers)
    assert scene.disk.waits == 1
    assert [warming.is_over for warming in warmings] == [True, False, False, False]
    scene.disk.come |= {files[1].descriptor, files[2].descriptor}
    looks.end(is_idle=True)
    assert [warming.is_over for warming in warmings] == [True, True, True, False]
    await over(warmings[3])
    await until_idle(scene.workers)
    assert scene.disk.waits == 2
    for file in files:
        file.release()
    assert scene.closed == 4


async def test_a_part_that_was_not_asked_about(scene: Scene) -> None:
    """Or where the event loop may be away for long: the kernel reads nothing yet, or nobody looks."""
    looks = Looks(scene)
    scene.disk.go.set()
    file, other = scene.open(), scene.open()
    await over(looks.warmer.warm(file, Region(0, 1000)))
    looks.is_looking = False
    await over(looks.warm(other))
    await until_idle(scene.workers)
    assert (scene.disk.waits, scene.disk.looks, len(looks.calls)) == (2, 0, 0)
    file.release()
    other.release()


async def test_how_many_are_expected(scene: Scene) -> None:
    """What is out at a time fits into the queue of a device; what has come makes room, for the first."""
    looks = Looks(scene)
    files = [scene.open() for _ in range(20)]
    warmings = [looks.warm(file) for file in files]
    assert scene.disk.asked == 16
    scene.disk.come.add(files[0].descriptor)
    looks.end()
    assert scene.disk.asked == 17
    late = [scene.open(), scene.open()]
    for file in late:
        assert looks.cache.length(file, Region(0, 1000)) == 0
    assert scene.disk.asked == 17
    scene.disk.come |= {file.descriptor for file in files[1:17]}
    for done, asked in [(17, 20), (17, 20)]:
        looks.end()
        assert [warming.is_over for warming in warmings] == [True] * done + [False] * (20 - done)
        assert scene.disk.asked == asked
    looks.warmer.close()
    assert all(warming.is_over for warming in warmings)
    assert scene.disk.waits == 0
    for file in [*files, *late]:
        file.release()
    assert scene.closed == 22


async def test_a_worker_waits_for_what_nobody_could_ask_for(scene: Scene) -> None:
    """Those whose turn to be asked for has not come within a hundredth of a second, nothing having come."""
    looks = Looks(scene)
    files = [scene.open() for _ in range(18)]
    warmings = [looks.warm(file) for file in files]
    scene.now = 100.005
    looks.end()
    assert scene.disk.asked == 16
    await trio.testing.wait_all_tasks_blocked()
    assert scene.disk.waits == 0
    scene.now = 100.011
    looks.end()
    assert not looks.calls, "workers wait for all of them"
    scene.disk.go.set()
    for warming in warmings:
        await over(warming)
    await until_idle(scene.workers)
    assert (scene.disk.asked, scene.disk.waits) == (16, 18)
    for file in files:
        file.release()
    assert scene.closed == 18


async def test_who_waits_to_be_asked_for_waits_longer_where_others_come(scene: Scene) -> None:
    """The disk is fast, and the queue moves: a tenth of a second."""
    looks = Looks(scene)
    files = [scene.open() for _ in range(20)]
    warmings = [looks.warm(file) for file in files]
    scene.disk.come |= {file.descriptor for file in files[:2]}
    scene.now = 100.05
    looks.end()
    assert scene.disk.asked == 18
    scene.disk.come.add(files[16].descriptor)
    scene.now = 100.1
    looks.end()
    scene.disk.go.set()
    await over(warmings[19])
    assert scene.disk.asked == 18
    for warming in warmings:
        looks.end(is_idle=True)
        await over(warming)
    await until_idle(scene.workers)
    for file in files:
        file.release()
    assert scene.closed == 20


async def test_what_is_found_when_it_is_asked_for_late(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have come meanwhile; a worker waits for the rest of it, and for what cannot be asked for."""
    looks = Looks(scene)
    scene.disk.go.set()
    files = [scene.open() for _ in range(20)]
    warmings = [looks.warm(file) for file in files]
    found: dict[int, int | OSError] = {
        files[16].descriptor: 1000,
        files[17].descriptor: 10,
        files[18].descriptor: OSError(errno.EIO, "broken"),
        files[19].descriptor: BlockingIOError("who knows"),
    }

    def answer(descriptor: int, device: int, length: int, offset: int) -> int:
        said = found[descriptor]
        if isinstance(said, OSError):
            raise said
        return said

    monkeypatch.setattr(scene.disk, "cached_length", answer)
    scene.disk.come |= {file.descriptor for file in files[:4]}
    looks.end()
    assert [number for number, warming in enumerate(warmings) if warming.is_over] == [0, 1, 2, 3, 16]
    for warming in warmings[17:]:
        await over(warming)
    await until_idle(scene.workers)
    assert scene.disk.waits == 3
    looks.warmer.close()
    for file in files:
        file.release()
    assert scene.closed == 20


async def test_nobody_looks_any_more(scene: Scene) -> None:
    """At the end of a site what is expected is given back, and whoever waits is told."""
    looks = Looks(scene)
    file = scene.open()
    warming = looks.warm(file)
    looks.warmer.close()
    assert warming.is_over
    assert looks.cache.length(file, Region(0, 1000)) == 0
    looks.end()
    file.release()
    assert scene.closed == 1


async def test_a_disk_that_is_busy(
    scene: Scene, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    """The queue is full, or the wait too long: all who wait are refused, and the file is given back."""
    workers = Workers(Gate(1, queue=1, patience=3), nursery)
    warmer = Warmer(scene.disk, workers, PageCache(scene.disk, workers, enabled=True))
    files = [scene.open() for _ in range(3)]
    begun = warmer.warm(files[0], Region(0, 1000))
    waits = warmer.warm(files[1], Region(0, 1000))
    for _ in range(2):
        refused = warmer.warm(files[2], Region(0, 1000)).refused
        assert refused is not None
        assert "full" in refused.reason
    for file in files:
        file.release()
    assert scene.closed == 1
    await over(waits)
    assert waits.refused is not None
    assert "waited 3 s" in waits.refused.reason
    assert scene.closed == 2
    scene.disk.go.set()
    await over(begun)
    assert begun.refused is None
    await until_idle(workers)
    assert scene.closed == 3
