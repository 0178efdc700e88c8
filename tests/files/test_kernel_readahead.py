"""Where the kernel's windows are, on which devices, and that what is asked for like this comes whole."""

import ctypes
import errno
import mmap
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from trio_evserver.files.disk import Disk
from trio_evserver.files.kernel_readahead import KernelReadahead, version, windows_of
from trio_evserver.files.mounts import MountTable

PAGE = 4096
pytestmark = pytest.mark.skipif(mmap.PAGESIZE != PAGE, reason="how windows of larger pages grow is unknown")
DISK, PARTITION, SEVERAL, NETWORK = (os.makedev(*number) for number in ((8, 0), (8, 1), (0, 34), (0, 51)))
TABLE = b"""1 0 8:0 / / rw - ext4 /dev/sda rw
2 1 8:1 / /part rw - xfs /dev/sda1 rw
3 1 0:34 / /several rw - ext4 several rw
4 1 0:51 / /net rw - nfs4 nas:/ rw
"""
LENGTH = 64 * PAGE


@pytest.mark.parametrize(
    ("release", "expected"),
    [("6.18.44-fc", (6, 18)), ("6.17", (6, 17)), ("10.0.1", (10, 0)), ("", (0, 0)), ("next", (0, 0))],
)
def test_version(release: str, expected: tuple[int, int]) -> None:
    assert version(release) == expected


@pytest.mark.parametrize(
    ("longest", "asked", "marks"),
    [
        (32, 4, [(4, 8), (8, 24), (24, 48), (48, 64), (64, 96)]),
        (64, 4, [(4, 8), (8, 24), (24, 48), (48, 64), (64, 96)]),
        (128, 1, [(1, 4), (4, 20), (20, 48), (48, 64), (64, 96)]),
        (2048, 1, [(1, 4), (4, 20), (20, 80)]),
    ],
)
def test_windows(longest: int, asked: int, marks: list[tuple[int, int]]) -> None:
    """As traced on Linux 6.18 (the tracepoint block_bio_queue), in pages, of a file of half a MiB."""
    windows = windows_of(longest)
    assert windows is not None
    assert windows.asked == asked
    assert 1 + len(windows.marks) <= 6, "requests: so many are counted on where a queue must take them"
    in_pages = [(mark // PAGE, begins // PAGE) for mark, begins in windows.marks]
    assert in_pages == [(mark, begins) for mark, begins in marks if begins * PAGE < 512 * 1024]


@pytest.mark.parametrize("longest", [0, 1, 31])
def test_windows_that_are_too_short(longest: int) -> None:
    assert windows_of(longest) is None


class Settings:
    """A sysfs of a disk and its partition, and a mount table."""

    def __init__(self, path: Path) -> None:
        self.path = path
        sda = path / "devices/sda"
        (sda / "queue").mkdir(parents=True)
        (sda / "sda1").mkdir()
        (path / "dev/block").mkdir(parents=True)
        (path / "dev/block/8:0").symlink_to(sda)
        (path / "dev/block/8:1").symlink_to(sda / "sda1")
        self.of_disk = sda / "queue/read_ahead_kb"
        self.of_disk.write_text(f"{32 * PAGE // 1024}\n")
        self.queue = sda / "queue/nr_requests"
        self.queue.write_text("256\n")
        (path / "mountinfo").write_bytes(TABLE)
        self.mounts = MountTable(str(path / "mountinfo"))

    def readahead(self, release: str = "6.18.0") -> KernelReadahead:
        return KernelReadahead(self.mounts, release=release, settings=str(self.path))


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    settings = Settings(tmp_path)
    yield settings
    settings.mounts.close()


def asked(readahead: KernelReadahead, device: int, length: int = LENGTH) -> int | None:
    windows = readahead.windows(device, length)
    return None if windows is None else windows.asked


@pytest.mark.parametrize(
    ("device", "expected", "why"),
    [
        (DISK, 4, "a disk"),
        (PARTITION, 4, "a partition, which has its disk's"),
        (SEVERAL, None, "a file system on more than one device, whose queues are not known"),
        (NETWORK, None, "NFS has no such folios, as far as is known here"),
        (os.makedev(9, 9), None, "not mounted"),
    ],
)
def test_devices(settings: Settings, device: int, expected: int | None, why: str) -> None:
    """How long windows may be is found where sysfs(5) has it."""
    assert asked(settings.readahead(), device) == expected, why


def test_an_older_kernel(settings: Settings) -> None:
    """Before 6.17 it began with folios of four pages, or had none at all."""
    assert asked(settings.readahead("6.16.9"), DISK) is None
    assert asked(settings.readahead("6.17.0-rc1"), DISK) == 4


@pytest.mark.parametrize(
    ("device", "expected"), [(DISK, 256), (PARTITION, 256), (SEVERAL, 0), (os.makedev(9, 9), 0)]
)
def test_queues(settings: Settings, device: int, expected: int) -> None:
    """A disk has one, and its partitions have none of their own."""
    assert settings.readahead("2.6").queue_length(device) == expected


@pytest.mark.parametrize(
    ("queue", "expected", "in_windows"),
    [
        (None, 16, False),
        (32, 16, False),
        (64, 16, False),
        (159, 16, False),
        (160, 16, True),
        (192, 21, True),
        (256, 32, True),
        (1023, 64, True),
    ],
)
def test_how_many_at_once(settings: Settings, queue: int | None, expected: int, in_windows: bool) -> None:
    """In windows a file is six requests, which have to fit into the queue besides those of the threads. Where
    it is short or not known they are a few all the same, each of which is asked for at once.
    """
    settings.queue.unlink()
    if queue is not None:
        settings.queue.write_text(f"{queue}\n")
    readahead = settings.readahead()
    assert readahead.most_at_once(PARTITION) == expected
    assert (asked(readahead, PARTITION) is not None) == in_windows


@pytest.mark.parametrize("said", [None, "", "much\n", "0\n"])
def test_a_setting_that_says_nothing(settings: Settings, said: str | None) -> None:
    """Where it is missing, or no number, or readahead is off, all of a file is asked for at once."""
    settings.of_disk.unlink()
    if said is not None:
        settings.of_disk.write_text(said)
    assert asked(settings.readahead(), PARTITION) is None


def test_lengths(settings: Settings) -> None:
    """What fits into the first window needs no more of them; what is long is read in parts."""
    readahead = settings.readahead()
    assert asked(readahead, DISK, 8 * PAGE) is None
    assert asked(readahead, DISK, 8 * PAGE + 1) == 4
    assert asked(readahead, DISK, 512 * 1024) == 4
    assert asked(readahead, DISK, 512 * 1024 + 1) is None


@pytest.mark.parametrize(("whole", "is_kept"), [(8, True), (2, True), (1, False), (0, False)])
def test_trials(settings: Settings, whole: int, is_kept: bool) -> None:
    """Of each device eight files; if hardly one came whole, the windows are not what we think."""
    readahead = settings.readahead()
    assert not readahead.is_on_trial(DISK, PAGE), "it is not asked for like this"
    for number in range(8):
        assert asked(readahead, DISK) == 4
        assert readahead.is_on_trial(DISK, LENGTH)
        readahead.tried(DISK, is_right=number >= 8 - whole)
    assert not readahead.is_on_trial(DISK, LENGTH)
    assert asked(readahead, DISK) == (4 if is_kept else None)
    assert readahead.is_on_trial(PARTITION, LENGTH)


# The kernel that runs the tests


def resident(descriptor: int, size: int) -> list[bool]:
    """Which pages of a file the page cache holds, read to the end: mincore(2)."""
    library = ctypes.CDLL(None, use_errno=True)
    with mmap.mmap(descriptor, size, flags=mmap.MAP_PRIVATE) as pages:
        found = (ctypes.c_ubyte * -(-size // PAGE))()
        first = ctypes.c_char.from_buffer(pages)
        try:
            if library.mincore(ctypes.c_void_p(ctypes.addressof(first)), ctypes.c_size_t(size), found):
                raise OSError(ctypes.get_errno(), "mincore")
        finally:
            del first
    return [bool(page & 1) for page in found]


@pytest.mark.parametrize("size", [40_000, 100_000, 256 * 1024, 300_000, 512 * 1024])
def test_a_real_file_comes_whole(tmp_path: Path, size: int) -> None:
    """To ask for its first pages and at the marks has the kernel read all of a cold file. mincore(2) only
    tells.
    """
    path = tmp_path / "cold"
    path.write_bytes(os.urandom(size))
    descriptor = os.open(path, os.O_RDONLY)
    disk = Disk()
    try:
        device = os.fstat(descriptor).st_dev
        disk.mounts.is_local(device)
        if not disk.tells_residency(descriptor, device) or disk.readahead.windows(device, size) is None:
            pytest.skip("this kernel or file system has no such windows, or does not tell about its pages")
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        if any(resident(descriptor, size)):
            pytest.skip("the page cache keeps this file")
        with pytest.raises(BlockingIOError) as raised:
            disk.begin(descriptor, device, size)
        assert raised.value.errno == errno.EAGAIN
        until = time.monotonic() + 10
        while not all(resident(descriptor, size)) and time.monotonic() < until:
            time.sleep(0.005)
        assert all(resident(descriptor, size))
        assert disk.has_come(descriptor, device, size, 0)
        assert disk.readahead.windows(device, size) is not None, "the trial was passed"
        disk.begin(descriptor, device, size)  # it is there: nothing is raised
    finally:
        os.close(descriptor)
        disk.shutdown()
