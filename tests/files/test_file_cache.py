"""Found once, seen at once, let go of in the end."""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.files.making import (
    SlowDisk,
    content_of,
    descriptors,
    document_root,
    file_cache,
    lease_on,
    path_of,
    until_idle,
    wait_tick,
)
from tests.files.making import describe as describe_plainly
from trio_evserver.files.cache_entry import ENTRY_COST
from trio_evserver.files.capabilities import Capabilities
from trio_evserver.files.disk import Disk
from trio_evserver.files.file_cache import FileCache
from trio_evserver.files.lease import Lease
from trio_evserver.files.opened import Opened
from trio_evserver.files.options import FileOptions
from trio_evserver.files.statistics import CacheStatistics
from trio_evserver.semantics.message import Refusal
from trio_evserver.semantics.representation import Representation

OPTIONS = FileOptions(threads=4)
EVERY_CALL_IN_A_WORKER = FileOptions(threads=4, cached_reads=False)


async def find(cache: FileCache, target: str) -> bytes | int:
    """The content at `target`, or the status of the refusal."""
    return content_of(await lease_on(cache, target))


def is_local(disk: Disk, place: Path) -> bool:
    return disk.mounts.is_local(os.stat(place).st_dev)


async def test_a_file_is_found_and_kept(disk: Disk, place: Path) -> None:
    """Afterwards it is at hand without a look at the disk but stat(2)."""
    (place / "a").write_text("a")
    before = descriptors()
    async with file_cache(document_root(place, disk), disk, OPTIONS) as cache:
        assert cache.find_nowait(path_of("/a")) is None
        assert await find(cache, "/a") == b"a"
        if is_local(disk, place):
            entry = cache.find_nowait(path_of("/a"))
            assert entry is not None
            assert entry.representation is not None
            assert entry.representation.content == b"a"
        assert await find(cache, "/a") == b"a"
        statistics = cache.statistics()
        assert (statistics.entries, statistics.size) == (1, ENTRY_COST + 1)
        assert statistics.inline_fills + statistics.worker_fills == 1
        assert statistics.hits >= 1
        assert repr(cache) == f"<FileCache 1 entries, {ENTRY_COST + 1} bytes>"
    assert descriptors() == before, "closing the cache closes its files"


# Edits


def rewrite(path: Path) -> None:
    path.write_text("new")


def recreate(path: Path) -> None:
    path.unlink()
    path.write_text("new")


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_text("new")
    os.replace(other, path)


def replace_with_the_same_time(path: Path) -> None:
    status = path.stat()
    replace(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def rewrite_with_the_same_time(path: Path) -> None:
    status = path.stat()
    rewrite(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def link(path: Path) -> None:
    other = path.with_name("other")
    other.write_text("new")
    path.unlink()
    path.symlink_to("other")


EDITS = [rewrite, recreate, replace, replace_with_the_same_time, rewrite_with_the_same_time, link]


@pytest.mark.parametrize("name", ["a", "index.html"])
@pytest.mark.parametrize("edit", EDITS)
async def test_the_next_find_sees_an_edit(
    disk: Disk, place: Path, edit: Callable[[Path], None], name: str
) -> None:
    """The same size, the same second, even the same mtime: device, inode, size, mtime and ctime tell."""
    if not is_local(disk, place):
        pytest.skip("asked once in a second only, where it could block")
    target = "/" if name == "index.html" else "/a"
    path = place / name
    path.write_text("old")
    wait_tick(path)
    async with file_cache(document_root(place, disk), disk, OPTIONS) as cache:
        assert await find(cache, target) == b"old"
        assert cache.find_nowait(path_of(target)) is not None
        edit(path)
        assert cache.find_nowait(path_of(target)) is None
        assert await find(cache, target) == b"new"
        path.unlink()
        assert await find(cache, target) == 404
        assert cache.find_nowait(path_of(target)) is None


async def test_the_next_find_sees_a_chmod(disk: Disk, place: Path) -> None:
    """What may not be read any more is not served from memory, either."""
    if not is_local(disk, place):
        pytest.skip("asked once in a second only, where it could block")
    (place / "a").write_text("a")
    wait_tick(place / "a")
    async with file_cache(document_root(place, disk), disk, OPTIONS) as cache:
        await find(cache, "/a")
        (place / "a").chmod(0)
        assert cache.find_nowait(path_of("/a")) is None
        if os.geteuid():
            assert await find(cache, "/a") == 403


async def test_the_next_find_sees_a_swapped_directory(disk: Disk, place: Path) -> None:
    """A link to a directory, and the root itself, count as well: the whole path is asked."""
    if not is_local(disk, place):
        pytest.skip("asked once in a second only, where it could block")
    for name in ("one", "two"):
        (place / name).mkdir()
        (place / name / "a").write_text(name)
    (place / "current").symlink_to("one")
    async with (
        file_cache(document_root(place, disk), disk, OPTIONS) as above,
        file_cache(document_root(place / "current", disk), disk, OPTIONS) as within,
    ):
        assert await find(above, "/current/a") == await find(within, "/a") == b"one"
        (place / "next").symlink_to("two")
        os.replace(place / "next", place / "current")
        assert await find(above, "/current/a") == await find(within, "/a") == b"two"


async def test_an_edit_is_seen_after_a_while_where_asking_could_block(
    place: Path, mock_clock: trio.testing.MockClock, disk: Disk
) -> None:
    """At most once in `revalidate` seconds a worker looks; until then nobody does."""
    (place / "a").write_text("old")
    wait_tick(place / "a")
    async with file_cache(document_root(place, disk), disk, EVERY_CALL_IN_A_WORKER) as cache:
        assert await find(cache, "/a") == b"old"
        rewrite(place / "a")
        mock_clock.jump(0.9)
        assert await find(cache, "/a") == b"old"
        assert cache.find_nowait(path_of("/a")) is None
        assert cache.statistics().worker_fills == 1
        mock_clock.jump(0.2)
        assert await find(cache, "/a") == b"new"
        assert cache.statistics().worker_fills == 2


async def test_what_is_not_local_is_not_asked_inline(
    place: Path, mock_clock: trio.testing.MockClock, plain_disk: Disk
) -> None:
    """Without a mount table, as on a network file system: `revalidate` there, too."""
    plain_disk.shutdown()
    (place / "a").write_text("old")
    async with file_cache(document_root(place, plain_disk), plain_disk, OPTIONS) as cache:
        assert await find(cache, "/a") == b"old"
        replace(place / "a")
        assert cache.find_nowait(path_of("/a")) is None
        assert await find(cache, "/a") == b"old"
        mock_clock.jump(1.1)
        assert await find(cache, "/a") == b"new"


# What is not there


async def test_what_appears_is_found_at_once(plain_disk: Disk, place: Path) -> None:
    """Where the look-up cannot wait, the lack of a file is no more trusted than a file.

    tmpfs remembers no names that are not there, so behind one of them nothing is looked up without waiting.
    """
    if not is_local(plain_disk, place) or plain_disk._resident is None:
        pytest.skip("no look-up without waiting here")
    device = os.stat(place).st_dev
    root = document_root(place, plain_disk, index=("one", "two"))
    async with file_cache(root, plain_disk, OPTIONS) as cache:
        indexes = (("/", "two"), ("/", "one"))
        for target, name in (("/a", "a"), *(() if plain_disk.mounts.in_memory(device) else indexes)):
            before = await find(cache, target)
            assert before in (404, b"two")
            (place / name).write_text(name)
            assert await find(cache, target) == name.encode()


async def test_what_appears_is_found_after_a_while_where_looking_could_block(
    disk: Disk, place: Path, mock_clock: trio.testing.MockClock
) -> None:
    """A negative entry answers for `revalidate` seconds: scanners cost no worker."""
    async with file_cache(document_root(place, disk), disk, EVERY_CALL_IN_A_WORKER) as cache:
        assert await find(cache, "/a") == 404
        (place / "a").write_text("a")
        for _ in range(5):
            assert await find(cache, "/a") == 404
        assert cache.statistics().worker_fills == 1
        mock_clock.jump(1.1)
        assert await find(cache, "/a") == b"a"


async def test_revalidate_zero_asks_every_time(disk: Disk, place: Path) -> None:
    """Whoever wants every edit seen on any file system pays with a worker."""
    options = FileOptions(cached_reads=False, revalidate=0.0)
    async with file_cache(document_root(place, disk), disk, options) as cache:
        assert await find(cache, "/a") == 404
        (place / "a").write_text("one")
        assert await find(cache, "/a") == b"one"
        replace(place / "a")
        assert await find(cache, "/a") == b"new"


async def test_directories_and_files_are_told_apart(disk: Disk, place: Path) -> None:
    """/a and /a/ are two resources."""
    (place / "a").mkdir()
    (place / "a/index.html").write_text("index")
    async with file_cache(document_root(place, disk), disk, OPTIONS) as cache:
        for _ in range(2):
            assert await find(cache, "/a") == 301
            assert await find(cache, "/a/") == b"index"


# Single flight


async def test_one_load_for_all_who_ask(place: Path) -> None:
    """Each of them has a lease of its own; the last one given back closes the file."""
    (place / "a").write_text("a")
    disk = SlowDisk()
    disk.hold()
    before = descriptors()
    leases: list[Lease | Refusal] = []
    async with file_cache(document_root(place, disk), disk, FileOptions(cached_reads=False)) as cache:
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                leases.append(await lease_on(cache, "/a"))

            for _ in range(20):
                nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            disk.let_go()
        assert disk.openings == 1
        assert (cache.statistics().worker_fills, cache.statistics().joined) == (1, 19)
    assert [content_of(lease) for lease in leases] == [b"a"] * 20
    assert descriptors() == before
    disk.shutdown()


class HeldAfterwards(SlowDisk):
    """A disk that has opened the file by the time it is held up. No look-up is made without waiting."""

    def __init__(self) -> None:
        super().__init__(Capabilities(openat2=False))

    def open_beneath(self, root: int, path: bytes, *, follow: bool) -> int:
        descriptor = Disk.open_beneath(self, root, path, follow=follow)
        self.openings += 1
        assert self._go.wait(10)
        return descriptor


LATE = [
    (OPTIONS, True, b"new", 2, "an edit that came before them is seen, for one more look by all of them"),
    (OPTIONS, False, b"old", 1, "without one stat(2) says that it is still the same file"),
    (FileOptions(cache_size=0), True, b"new", 2, "the same where nothing is kept"),
    (FileOptions(cache_size=0), False, b"old", 2, "though then nobody can know that nothing has changed"),
    (EVERY_CALL_IN_A_WORKER, True, b"old", 1, "where asking could block, not within `revalidate`"),
    (FileOptions(cached_reads=False, revalidate=0), True, b"new", 2, "unless each answer is to be asked for"),
]


@pytest.mark.parametrize(("options", "edited", "content", "openings", "why"), LATE)
async def test_who_asks_when_the_disk_has_been_asked(
    place: Path, options: FileOptions, edited: bool, content: bytes, openings: int, why: str
) -> None:
    """They wait for the one who is there, and look for themselves then, together."""
    disk = HeldAfterwards()
    if not is_local(disk, place):
        pytest.skip("asked once in a second only, where it could block")
    (place / "a").write_text("old")
    wait_tick(place / "a")
    disk.hold()
    before = descriptors()
    late: list[bytes | int] = []
    async with file_cache(document_root(place, disk), disk, options) as cache:
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                late.append(await find(cache, "/a"))

            nursery.start_soon(find, cache, "/a")
            with trio.fail_after(10):
                while not disk.openings:
                    await trio.lowlevel.checkpoint()
            if edited:
                replace(place / "a")
            for _ in range(20):
                nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            disk.let_go()
        assert (set(late), disk.openings) == ({content}, openings), why
    assert descriptors() == before
    disk.shutdown()


class HeldWhileReading(Disk):
    """A disk whose names are in memory and whose pages are not; while it is held, it reads nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.go = threading.Event()
        self.go.set()

    def read_cached(self, descriptor: int, device: int, buffer: memoryview, offset: int) -> int:
        raise BlockingIOError

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        self.reads += 1
        data = super().read(descriptor, length, offset)
        assert self.go.wait(10)
        return data


@pytest.mark.parametrize(
    ("options", "edited", "content", "fills", "why"),
    [
        (OPTIONS, True, b"new", 2, "an edit that came before them is seen, for one more look by all of them"),
        (OPTIONS, False, b"old", 1, "without one stat(2) says that it is still the same file"),
        (FileOptions(cache_size=0), True, b"new", 2, "the same where nothing is kept"),
        (FileOptions(cache_size=0), False, b"old", 2, "though then nobody can know that nothing has changed"),
    ],
)
async def test_who_asks_when_the_file_is_open(
    place: Path, options: FileOptions, edited: bool, content: bytes, fills: int, why: str
) -> None:
    """The same where the file was opened without waiting, and only its content is waited for."""
    disk = HeldWhileReading()
    if not (is_local(disk, place) and disk.has_openat2):
        pytest.skip("nothing is opened without waiting here")
    (place / "a").write_text("old")
    (place / "b").write_text("b")
    wait_tick(place / "a")
    before = descriptors()
    late: list[bytes | int] = []
    async with file_cache(document_root(place, disk), disk, options) as cache:
        await find(cache, "/b")  # the place is known to be local from now on
        before_it = cache.statistics().worker_fills
        disk.reads = 0
        disk.go.clear()
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                late.append(await find(cache, "/a"))

            nursery.start_soon(find, cache, "/a")
            with trio.fail_after(10):
                while not disk.reads:
                    await trio.lowlevel.checkpoint()
            if edited:
                replace(place / "a")
            for _ in range(20):
                nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            disk.go.set()
        assert (set(late), cache.statistics().worker_fills - before_it) == ({content}, fills), why
    assert descriptors() == before
    disk.shutdown()


async def test_a_disk_in_trouble_is_not_asked_again(tmp_path: Path) -> None:
    """Who comes late hears of it, too: it says how the machine is now, and the next who asks finds out."""
    disk = HeldAfterwards()
    (tmp_path / "a").write_text("a")
    disk.hold()
    found: list[bytes | int] = []

    def describe(opened: Opened) -> tuple[Representation, bool]:
        raise ZeroDivisionError

    root = document_root(tmp_path, disk)
    async with file_cache(root, disk, OPTIONS, describe=describe) as cache, trio.open_nursery() as nursery:

        async def ask() -> None:
            found.append(await find(cache, "/a"))

        nursery.start_soon(ask)
        with trio.fail_after(10):
            while not disk.openings:
                await trio.lowlevel.checkpoint()
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        disk.let_go()
    assert (found, disk.openings) == ([500, 500], 1)
    disk.shutdown()


async def test_an_asker_who_leaves_leaves_the_fill(place: Path) -> None:
    """The others have their answer from it, and nothing of the one who left stays open."""
    (place / "a").write_text("a")
    disk = SlowDisk()
    disk.hold()
    before = descriptors()
    found: list[bytes | int] = []
    async with file_cache(document_root(place, disk), disk, FileOptions(cached_reads=False)) as cache:
        async with trio.open_nursery() as staying, trio.open_nursery() as leaving:

            async def ask() -> None:
                found.append(await find(cache, "/a"))

            leaving.start_soon(ask)
            staying.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            leaving.cancel_scope.cancel()
            disk.let_go()
        assert (found, disk.openings) == ([b"a"], 1)
    assert descriptors() == before
    disk.shutdown()


@pytest.mark.parametrize("cache_size", [1024 * 1024, 0], ids=["kept", "not kept"])
async def test_a_fill_that_nobody_waits_for(place: Path, cache_size: int) -> None:
    """It goes on for whoever asks next; where nothing is kept its file is closed again."""
    (place / "a").write_text("a")
    disk = SlowDisk()
    disk.hold()
    before = descriptors()
    options = FileOptions(cached_reads=False, cache_size=cache_size)
    async with file_cache(document_root(place, disk), disk, options) as cache:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lease_on, cache, "/a")
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        disk.let_go()
        with trio.fail_after(10):
            while cache._fills:
                await trio.lowlevel.checkpoint()
        assert cache.statistics().entries == (1 if cache_size else 0)
        assert len(descriptors() - before) == (1 if cache_size else 0)
        if cache_size:
            assert await find(cache, "/a") == b"a"
            assert disk.openings == 1
    assert descriptors() == before
    disk.shutdown()


async def test_the_end_of_the_site_ends_a_fill(place: Path) -> None:
    """Who waits elsewhere has an answer, and what the worker brings later is let go of by the worker."""
    (place / "a").write_text("a")
    disk = SlowDisk()
    disk.hold()
    before = descriptors()
    found: list[bytes | int] = []
    options = FileOptions(cached_reads=False)
    async with (
        trio.open_nursery() as elsewhere,
        file_cache(document_root(place, disk), disk, options) as cache,
    ):

        async def ask() -> None:
            found.append(await find(cache, "/a"))

        elsewhere.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
    assert found == [500]
    disk.let_go()
    await until_idle(cache._workers)
    assert descriptors() == before
    disk.shutdown()


async def test_a_closed_cache_keeps_nothing(place: Path) -> None:
    """A fill that comes in after `close` serves who asked, and is let go of with them."""
    (place / "a").write_text("a")
    disk = SlowDisk()
    disk.hold()
    before = descriptors()
    async with file_cache(document_root(place, disk), disk, FileOptions(cached_reads=False)) as cache:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(find, cache, "/a")
            await trio.testing.wait_all_tasks_blocked()
            cache.close()
            disk.let_go()
        assert cache.statistics().entries == 0
        assert descriptors() == before
    disk.shutdown()


# Bounds


async def test_the_least_recently_used_goes_first_by_bytes(disk: Disk, place: Path) -> None:
    """Room for three entries: of four the one that was not asked for again is dropped, and closed."""
    if not is_local(disk, place):
        pytest.skip("use is noted where stat(2) is asked")
    for name in "abcd":
        (place / name).write_text(name * 100)
    options = FileOptions(cache_size=3 * (ENTRY_COST + 100))
    async with file_cache(document_root(place, disk), disk, options) as cache:
        for name in "abca":
            await find(cache, f"/{name}")
        before = descriptors()
        await find(cache, "/d")
        assert cache.find_nowait(path_of("/b")) is None
        assert all(cache.find_nowait(path_of(f"/{name}")) for name in "acd")
        assert cache.statistics().size == options.cache_size
        assert cache.statistics().evicted == 1
        assert len(descriptors()) == len(before)


async def test_the_least_recently_used_goes_first_by_count(disk: Disk, place: Path) -> None:
    """The same where open files are scarcer than memory; what is not there counts, too."""
    for name in "abc":
        (place / name).write_text(name)
    async with file_cache(document_root(place, disk), disk, FileOptions(cache_files=2)) as cache:
        for name in "abcxyz":
            await find(cache, f"/{name}")
            assert cache.statistics().entries <= 2
        assert cache.find_nowait(path_of("/c")) is None


@pytest.mark.parametrize(
    "options", [FileOptions(cache_size=0), FileOptions(cache_size=100)], ids=["off", "tiny"]
)
async def test_nothing_is_kept(disk: Disk, place: Path, options: FileOptions) -> None:
    """With --cache-size 0, or one that holds not even an entry, a file is open as long as its lease."""
    (place / "a").write_text("a")
    async with file_cache(document_root(place, disk), disk, options) as cache:
        for target in ("/a", "/nothing"):
            await find(cache, target)
        before = descriptors()  # with the root, perhaps
        found = await lease_on(cache, "/a")
        assert isinstance(found, Lease)
        assert len(descriptors() - before) == 1
        found.release()
        assert descriptors() == before
        statistics = cache.statistics()
        assert (statistics.entries, statistics.size, statistics.hits) == (0, 0, 0)


class FullDisk(Disk):
    """A disk that is out of descriptors, from when it is told so until one is closed."""

    full = False
    code = errno.EMFILE

    def __init__(self) -> None:
        super().__init__()
        self.forgotten: list[int] = []

    def _check_full(self) -> None:
        if self.full:
            raise OSError(self.code, os.strerror(self.code))

    def open_beneath(self, root: int, path: bytes, *, follow: bool) -> int:
        self._check_full()
        return super().open_beneath(root, path, follow=follow)

    def open_beneath_cached(self, root: int, path: bytes, *, follow: bool) -> int:
        self._check_full()
        return super().open_beneath_cached(root, path, follow=follow)

    def forget(self, descriptor: int) -> None:
        """As `close`, of a file that had been served."""
        self.full = False
        self.forgotten.append(descriptor)
        self.close(descriptor)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE])
@pytest.mark.parametrize("options", [OPTIONS, EVERY_CALL_IN_A_WORKER], ids=["inline", "worker"])
async def test_out_of_descriptors_the_cache_gives_up_its_own(
    tmp_path: Path, options: FileOptions, code: int
) -> None:
    """Half of the entries go, and the look-up is made again, wherever it was made first."""
    for name in "abcde":
        (tmp_path / name).write_text(name)
    disk = FullDisk()
    disk.code = code

    def describe(opened: Opened) -> tuple[Representation, bool]:
        opened.file._close = disk.forget
        return describe_plainly(opened)

    async with file_cache(document_root(tmp_path, disk), disk, options, describe=describe) as cache:
        for name in "abcd":
            await find(cache, f"/{name}")
        disk.full = True
        assert await find(cache, "/e") == b"e"
        assert len(disk.forgotten) == 2
        assert cache.statistics().entries == 3
    disk.shutdown()


@pytest.mark.parametrize("options", [OPTIONS, EVERY_CALL_IN_A_WORKER], ids=["inline", "worker"])
async def test_out_of_descriptors_with_nothing_to_give_up(tmp_path: Path, options: FileOptions) -> None:
    """503, which is not kept: the next look-up is made anew."""
    (tmp_path / "a").write_text("a")
    disk = FullDisk()
    async with file_cache(document_root(tmp_path, disk), disk, options) as cache:
        disk.full = True
        assert await find(cache, "/a") == 503
        assert cache.statistics().entries == 0
        disk.full = False
        assert await find(cache, "/a") == b"a"
    disk.shutdown()


async def test_a_machine_in_trouble_is_no_property_of_a_file(tmp_path: Path) -> None:
    """500 is told to who asked, and forgotten."""
    (tmp_path / "a").write_text("a")
    disk = FullDisk()
    disk.code = errno.EIO
    async with file_cache(document_root(tmp_path, disk), disk, OPTIONS) as cache:
        disk.full = True
        assert await find(cache, "/a") == 500
        disk.full = False
        assert await find(cache, "/a") == b"a"
    disk.shutdown()


# Descriptions


@pytest.mark.parametrize(("options", "status"), [(OPTIONS, None), (EVERY_CALL_IN_A_WORKER, 500)])
async def test_a_bug_in_a_description_leaks_nothing(
    plain_disk: Disk, tmp_path: Path, options: FileOptions, status: int | None
) -> None:
    """The asker has the exception, or for all who wait an answer; the file is closed, the cache goes on."""
    (tmp_path / "a").write_text("a")
    bugs = [1, 1]

    def describe(opened: Opened) -> tuple[Representation, bool]:
        if bugs:
            bugs.pop()
            raise ZeroDivisionError
        return describe_plainly(opened)

    root = document_root(tmp_path, plain_disk)
    async with file_cache(root, plain_disk, options, describe=describe) as cache:
        assert await find(cache, "/nothing") == 404  # from now on the root may be open
        assert await find(cache, "/nothing-else") == 404
        before = descriptors()
        for _ in range(2):
            try:
                assert await find(cache, "/a") == 500
            except ZeroDivisionError:
                assert status is None
        assert descriptors() == before
        assert await find(cache, "/a") == b"a"


async def test_what_may_be_changing_is_not_kept(disk: Disk, place: Path) -> None:
    """Nor does what was kept before stand in for it."""
    (place / "a").write_text("old")
    wait_tick(place / "a")
    settled = True

    def describe(opened: Opened) -> tuple[Representation, bool]:
        return describe_plainly(opened)[0], settled

    before = descriptors()
    async with file_cache(document_root(place, disk), disk, OPTIONS, describe=describe) as cache:
        assert await find(cache, "/a") == b"old"
        settled = False
        if is_local(disk, place):
            for text in ("one", "two", "six"):
                (place / "a").write_text(text)
                wait_tick(place / "a")
                assert await find(cache, "/a") == text.encode()
    assert descriptors() == before


async def test_the_very_first_file(plain_disk: Disk, place: Path) -> None:
    """Whether the root is local is known before anything is asked for: a file that is in memory needs no
    worker, be it the first.
    """
    (place / "a").write_text("a")
    async with file_cache(document_root(place, plain_disk), plain_disk, OPTIONS) as cache:
        await find(cache, "/a")
        statistics = cache.statistics()
        assert isinstance(statistics, CacheStatistics)
        inline = is_local(plain_disk, place) and plain_disk._resident is not None
        assert (statistics.inline_fills, statistics.worker_fills) == (int(inline), int(not inline))
