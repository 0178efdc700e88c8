"""The system calls: contained by the kernel, or by the walk; read as far as can be, or not at all."""

import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.files.making import descriptors
from trio_evserver.files import openat2
from trio_evserver.files.capabilities import Capabilities
from trio_evserver.files.disk import Disk
from trio_evserver.files.identity import identity_of, is_directory, is_regular
from trio_evserver.files.kernel_readahead import KernelReadahead

NOWHERE = os.makedev(4095, 1)
"""A device that nothing is on."""
PAGE = 4096  # bytes, of a file, as the disk looks at it


@pytest.fixture
def root(place: Path) -> Iterator[int]:
    """A directory that has everything to get lost in; secrets lie beside it."""
    (place / "secret.txt").write_text("secret")
    tree = place / "root"
    (tree / "dir").mkdir(parents=True)
    (tree / "a.txt").write_text("a")
    (tree / "dir/b.txt").write_text("b")
    links = {
        "near": "a.txt",
        "dir/up": "../a.txt",
        "dirlink": "dir",
        "deep": "dirlink/../dir/./b.txt",
        "dot": ".",
        "slash": "a.txt/",
        "dirslash": "dir/",
        "dangling": "nothing",
        "out": "../secret.txt",
        "dir/out": "../../secret.txt",
        "outdir": "..",
        "around": "../root/a.txt",
        "absolute": str(place / "secret.txt"),
        "absolute-inside": str(tree / "a.txt"),
        "loop": "loop",
        "ping": "pong",
        "pong": "ping",
        "link1": "a.txt",
    } | {f"link{number}": f"link{number - 1}" for number in range(2, 42)}
    for name, target in links.items():
        (tree / name).symlink_to(target)
    os.mkfifo(tree / "fifo")
    descriptor = os.open(tree, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


CASES = [
    ("a.txt", b"a", b"a", "a file"),
    ("dir/b.txt", b"b", b"b", "a file in a directory"),
    ("near", b"a", errno.ELOOP, "a link to a neighbour"),
    ("dir/up", b"a", errno.ELOOP, "a link with .. that stays inside"),
    ("dirlink/b.txt", b"b", errno.ELOOP, "through a link to a directory"),
    ("dirlink/up", b"a", errno.ELOOP, ".. from a link to a directory is the directory's parent"),
    ("deep", b"b", errno.ELOOP, "a link through a link, .. and ."),
    ("dot/dot/a.txt", b"a", errno.ELOOP, "a link to the directory it is in"),
    ("slash", errno.ENOTDIR, errno.ELOOP, "a link that takes a file for a directory"),
    ("a.txt/b", errno.ENOTDIR, errno.ENOTDIR, "a file taken for a directory"),
    ("fifo/b", errno.ENOTDIR, errno.ENOTDIR, "a FIFO taken for a directory"),
    ("nothing", errno.ENOENT, errno.ENOENT, "not there"),
    ("dangling", errno.ENOENT, errno.ELOOP, "a link to what is not there"),
    ("out", errno.EXDEV, errno.ELOOP, "a link that leaves"),
    ("dir/out", errno.EXDEV, errno.ELOOP, "a link that leaves from further down"),
    ("outdir/secret.txt", errno.EXDEV, errno.ELOOP, "through a link that leaves"),
    ("around", errno.EXDEV, errno.ELOOP, "a link that leaves and comes back"),
    ("absolute", errno.EXDEV, errno.ELOOP, "an absolute link"),
    ("absolute-inside", errno.EXDEV, errno.ELOOP, "an absolute link to a file inside"),
    ("../secret.txt", errno.EXDEV, errno.EXDEV, "a name that leaves; no ResourcePath has it"),
    ("loop", errno.ELOOP, errno.ELOOP, "a link to itself"),
    ("ping", errno.ELOOP, errno.ELOOP, "two links to each other"),
    ("link40", b"a", errno.ELOOP, "40 links, as many as the kernel follows"),
    ("link41", errno.ELOOP, errno.ELOOP, "41 links"),
    ("n" * 300, errno.ENAMETOOLONG, errno.ENAMETOOLONG, "a name of 300 bytes"),
]


def outcome(opening: Callable[[], int]) -> bytes | int:
    """The content of what is opened, or the error's number."""
    try:
        descriptor = opening()
    except BlockingIOError:
        return errno.EAGAIN
    except OSError as error:
        return error.errno or 0
    try:
        return os.read(descriptor, 100)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("path", "followed", "unfollowed", "why"), CASES, ids=[case[0][:20] for case in CASES]
)
def test_containment(
    disk: Disk, root: int, path: str, followed: bytes | int, unfollowed: bytes | int, why: str
) -> None:
    """Kernel and walk agree on every path, with links followed and without, and neither leaks."""
    before = descriptors()
    name = os.fsencode(path)
    assert outcome(lambda: disk.open_beneath(root, name, follow=True)) == followed, why
    assert outcome(lambda: disk.open_beneath(root, name, follow=False)) == unfollowed, why
    assert descriptors() == before


@pytest.mark.parametrize(
    ("path", "followed", "unfollowed", "why"), CASES, ids=[case[0][:20] for case in CASES]
)
def test_containment_without_waiting(
    disk: Disk, root: int, path: str, followed: bytes | int, unfollowed: bytes | int, why: str
) -> None:
    """What is in the name cache has the same outcome; what is not, and what may be an escape, is EAGAIN."""
    name = os.fsencode(path)
    for follow, expected in ((True, followed), (False, unfollowed)):
        outcome(partial(disk.open_beneath, root, name, follow=follow))
        found = outcome(partial(disk.open_beneath_cached, root, name, follow=follow))
        assert found in (errno.EAGAIN, expected), why
        if expected == errno.EXDEV or not disk.has_openat2:
            assert found == errno.EAGAIN, why


def test_what_is_in_memory_is_opened_at_once(root: int) -> None:
    """Where the kernel can do it, the second opening of a file needs no worker."""
    disk = Disk()
    if not disk.has_openat2 or disk._resident is None:
        pytest.skip("this kernel has no RESOLVE_CACHED")
    os.close(disk.open_beneath(root, b"dir/b.txt", follow=True))
    assert outcome(lambda: disk.open_beneath_cached(root, b"dir/b.txt", follow=True)) == b"b"
    disk.shutdown()


def test_another_mount_is_left_to_a_worker(place: Path) -> None:
    """What is mounted below the root may be a network's; only a worker goes there (here, /dev/shm)."""
    above = Path("/dev")
    if above not in place.parents or not os.path.ismount("/dev/shm"):
        pytest.skip("nothing is mounted on the way here")
    (place / "a").write_bytes(b"a")
    disk = Disk()
    root, name = disk.open_directory(os.fsencode(above)), os.fsencode((place / "a").relative_to(above))
    assert outcome(lambda: disk.open_beneath(root, name, follow=True)) == b"a"
    assert outcome(lambda: disk.open_beneath_cached(root, name, follow=True)) == errno.EAGAIN
    disk.close(root)
    disk.shutdown()


def test_anywhere_is_anywhere(disk: Disk, root: int) -> None:
    """With --symlinks all the kernel resolves a path as for any program."""
    for path, expected in ((b"out", b"secret"), (b"absolute", b"secret"), (b"near", b"a"), (b"a.txt", b"a")):
        assert outcome(partial(disk.open_anywhere, root, path)) == expected


def test_a_directory_is_opened(disk: Disk, root: int) -> None:
    """By its name, through a link, where the last name is "." or has a slash: it can be told from files."""
    for path in (b"dir", b"dirlink", b"dot", b"dirslash"):
        descriptor = disk.open_beneath(root, path, follow=True)
        assert is_directory(disk.status(descriptor))
        assert not is_regular(disk.status(descriptor))
        disk.close(descriptor)


def test_a_fifo_does_not_hang(disk: Disk, root: int) -> None:
    """Opening it returns at once although nobody writes; its status says that it is no file."""
    for opening in (disk.open_beneath, lambda root, path, follow: disk.open_anywhere(root, path)):
        descriptor = opening(root, b"fifo", follow=True)
        assert not is_regular(disk.status(descriptor))
        disk.close(descriptor)


def test_a_socket_is_not_opened(disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ENXIO, which the table knows."""
    monkeypatch.chdir(tmp_path)  # a socket's path has room for 108 bytes
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s")
        descriptor = os.open(tmp_path, os.O_RDONLY)
        assert outcome(lambda: disk.open_beneath(descriptor, b"s", follow=True)) == errno.ENXIO
        os.close(descriptor)


def test_descriptors_are_not_inherited(disk: Disk, root: int, place: Path) -> None:
    """O_CLOEXEC, however it was opened: a program that is started must not hold a document open."""
    opened = [
        disk.open_directory(os.fsencode(place)),
        disk.open_file(os.fsencode(place / "secret.txt")),
        disk.open_beneath(root, b"dir/b.txt", follow=True),
        disk.open_anywhere(root, b"a.txt"),
    ]
    assert not any(map(os.get_inheritable, opened))
    for descriptor in opened:
        disk.close(descriptor)


@pytest.mark.parametrize(
    "capabilities", [Capabilities(), Capabilities(openat2=False)], ids=["openat2", "walk"]
)
@pytest.mark.parametrize(("name", "path"), [("x", b"x"), ("d", b"d/secret.txt")], ids=["file", "directory"])
def test_a_writer_cannot_win_a_race(
    tmp_path: Path, capabilities: Capabilities, name: str, path: bytes
) -> None:
    """While a writer swaps a file, or a directory, for a link that leaves, the outside is never opened."""
    disk = Disk(capabilities)
    tree = tmp_path / "root"
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret.txt").write_text("outside")
    tree.mkdir()
    (tree / "inside").mkdir()
    (tree / "inside/secret.txt").write_text("inside")
    inside, outside = (
        ("inside", "../outside") if name == "d" else ("inside/secret.txt", "../outside/secret.txt")
    )
    (tree / name).symlink_to(inside)
    done = threading.Event()

    def swap() -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            (tree / "new").symlink_to(outside if turn % 2 else inside)
            os.replace(tree / "new", tree / name)

    writer = threading.Thread(target=swap)
    writer.start()
    root = disk.open_directory(os.fsencode(tree))
    try:
        found: set[bytes | int] = set()
        for round_ in range(100_000):
            found.add(outcome(lambda: disk.open_beneath(root, path, follow=True)))
            if round_ >= 1500 and found >= {b"inside", errno.EXDEV}:
                break
    finally:
        done.set()
        writer.join()
        disk.close(root)
        disk.shutdown()
    assert found <= {b"inside", errno.EXDEV, errno.ENOENT, errno.ELOOP, errno.EAGAIN}
    assert found >= {b"inside", errno.EXDEV}, "the writer was never in time: the race was not run"


def test_a_kernel_without_openat2(root: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """ENOSYS, or EPERM from a seccomp profile: found by trying it, and walked instead."""
    for code in (errno.ENOSYS, errno.EPERM):
        monkeypatch.setattr(openat2, "open_at", failing_openat2(code, resolve=0))
        disk = Disk()
        assert not disk.has_openat2
        assert outcome(partial(disk.open_beneath, root, b"dir/up", follow=True)) == b"a"
        disk.shutdown()


def test_a_kernel_without_resolve_cached(root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux 5.6 to 5.11 contain paths, and say EINVAL to RESOLVE_CACHED: nothing is then tried at once."""
    monkeypatch.setattr(openat2, "open_at", failing_openat2(errno.EINVAL, resolve=openat2.CACHED))
    disk = Disk()
    if not disk.has_openat2:
        pytest.skip("no openat2 here")
    assert outcome(lambda: disk.open_beneath(root, b"dir/up", follow=True)) == b"a"
    with pytest.raises(BlockingIOError):
        disk.open_beneath_cached(root, b"a.txt", follow=True)
    with pytest.raises(BlockingIOError):
        disk.open_directory_cached(os.fsencode(tmp_path))
    disk.shutdown()


def failing_openat2(code: int, *, resolve: int) -> Callable[..., int]:
    """An openat2 that fails where it is called with all the flags `resolve`."""
    real = openat2.open_at

    def call(syscall: Callable[..., int], root: int, path: bytes, flags: int, how: int) -> int:
        if flags & resolve == resolve:
            raise OSError(code, os.strerror(code))
        return real(syscall, root, path, flags, how)

    return call


def test_a_rename_under_way_is_waited_for(root: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """openat2 says EAGAIN where ".." met a rename, "and the caller should retry": sometimes, not always."""
    disk = Disk()
    if not disk.has_openat2:
        pytest.skip("no openat2 here")
    real, refusals = openat2.open_at, [3]

    def racing(*call: object) -> int:
        refusals[0] -= 1
        if refusals[0] >= 0:
            raise BlockingIOError(errno.EAGAIN, "rename")
        return real(*call)  # type: ignore[arg-type]  # it is called as the real one is

    monkeypatch.setattr(openat2, "open_at", racing)
    assert outcome(lambda: disk.open_beneath(root, b"dir/up", follow=True)) == b"a"
    refusals[0] = 10_000
    assert outcome(lambda: disk.open_beneath(root, b"dir/up", follow=True)) == errno.EAGAIN
    assert refusals[0] > 9_000
    disk.shutdown()


# Reading


@pytest.fixture
def ten(place: Path) -> Iterator[int]:
    """A file of ten bytes, just written, so that the page cache holds it."""
    (place / "ten").write_bytes(b"0123456789")
    descriptor = os.open(place / "ten", os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize(
    ("length", "offset", "expected"),
    [(10, 0, b"0123456789"), (4, 3, b"3456"), (100, 8, b"89"), (1, 10, b""), (5, 1000, b"")],
)
def test_read(disk: Disk, ten: int, length: int, offset: int, expected: bytes) -> None:
    """As many bytes as were asked for, fewer only where the file ends."""
    assert disk.read(ten, length, offset) == expected


def test_a_short_read_is_continued(disk: Disk, ten: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal, or a boundary of the file system, is not the end of the file."""
    real = os.pread
    monkeypatch.setattr(
        os, "pread", lambda descriptor, length, offset: real(descriptor, min(length, 3), offset)
    )
    assert disk.read(ten, 10, 0) == b"0123456789"
    assert disk.read(ten, 100, 5) == b"56789"


def cached(disk: Disk, descriptor: int, length: int, offset: int) -> bytes | None:
    """None where it would have had to wait."""
    try:
        buffer = memoryview(bytearray(length))
        return bytes(buffer[: disk.read_cached(descriptor, os.fstat(descriptor).st_dev, buffer, offset)])
    except BlockingIOError:
        return None


@pytest.mark.parametrize(
    ("length", "offset", "expected"), [(10, 0, b"0123456789"), (4, 3, b"3456"), (100, 8, b"89")]
)
def test_read_cached(disk: Disk, ten: int, length: int, offset: int, expected: bytes) -> None:
    """The right bytes or none; never none from memory, which cannot be waited for."""
    found = cached(disk, ten, length, offset)
    assert found in (None, expected)
    if disk.mounts.in_memory(os.fstat(ten).st_dev):
        assert found == expected


@pytest.mark.parametrize("offset", [10, 11, 5000])
def test_the_end_of_a_file_is_never_read_cached(disk: Disk, ten: int, offset: int) -> None:
    """No bytes are no answer: a file that has shrunk would be asked for them for ever."""
    assert cached(disk, ten, 1, offset) is None


def test_a_file_system_without_nowait(ten: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """EOPNOTSUPP is remembered by device, so that it is asked once; overlayfs and tmpfs say it."""
    calls = []

    real = os.preadv

    def unsupported(descriptor: int, buffers: list[memoryview], offset: int, flags: int = 0) -> int:
        if not flags:
            return real(descriptor, buffers, offset)
        calls.append(flags)
        raise OSError(errno.EOPNOTSUPP, "no")

    monkeypatch.setattr(os, "preadv", unsupported)
    disk = Disk()
    for _ in range(3):
        assert cached(disk, ten, 4, 0) in (None, b"0123")
    assert len(calls) == 1
    disk.shutdown()


@pytest.mark.parametrize(
    ("result", "expected", "why"),
    [
        (0, None, "Linux 5.9 and 5.10 say 0 for EAGAIN"),
        (3, b"\0\0\0", "what there is"),
        (BlockingIOError(), None, "cold"),
    ],
)
def test_nowait_answers(
    ten: int, monkeypatch: pytest.MonkeyPatch, result: int | OSError, expected: bytes | None, why: str
) -> None:
    """A prefix counts, nothing does not."""

    def preadv(*call: object) -> int:
        if isinstance(result, OSError):
            raise result
        return result

    monkeypatch.setattr(os, "preadv", preadv)
    disk = Disk()
    assert cached(disk, ten, 5, 0) == expected, why
    disk.shutdown()


def test_a_failure_of_the_disk_is_not_hidden(ten: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only EAGAIN means that a worker should try."""

    def broken(*call: object) -> int:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "preadv", broken)
    disk = Disk()
    with pytest.raises(OSError, match="broken"):
        disk.read_cached(ten, os.fstat(ten).st_dev, memoryview(bytearray(5)), 0)
    disk.shutdown()


# Sending in place


def in_memory(disk: Disk, descriptor: int, length: int, offset: int) -> int | None:
    """None where it cannot be told, or not without waiting."""
    try:
        return disk.cached_length(descriptor, os.fstat(descriptor).st_dev, length, offset)
    except BlockingIOError:
        return None


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[int]:
    """A file of six MiB and a byte, just written, so that the page cache holds it."""
    (tmp_path / "pages").write_bytes(bytes(6 * 2**20 + 1))
    descriptor = os.open(tmp_path / "pages", os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize(
    ("length", "offset", "expected", "why"),
    [
        (1, 0, 1, "a byte"),
        (4096, 0, 4096, "a page"),
        (4097, 0, 4097, "a byte of the next"),
        (5000, 4000, 5000, "three pages are touched"),
        (2**20, 12345, 2**20, "as much as is asked for, and no more"),
        (2 * 4096, 6 * 2**20 - 4096, 4097, "to the end of the file"),
        (5 * 2**20, 0, 4 * 2**20, "as much as one call can tell"),
        (10, 6 * 2**20 + 1, None, "behind the end"),
    ],
)
def test_cached_length(
    disk: Disk, pages: int, length: int, offset: int, expected: int | None, why: str
) -> None:
    """All of what is in memory, or nothing where the system cannot tell."""
    found = in_memory(disk, pages, length, offset)
    if repr(disk).endswith("sendfile=False>"):
        assert found is None
    elif cached(disk, pages, 1, 0) is not None:  # RWF_NOWAIT is known here
        assert found == expected, why


@pytest.mark.parametrize(
    ("result", "expected", "why"),
    [
        (0, None, "Linux 5.9 and 5.10 say 0 for EAGAIN; or the file has shrunk"),
        (4096, 4096, "the first page, and then one that is not there"),
        (8192, 5000, "the end of the last page was not asked for"),
        (BlockingIOError(), None, "cold"),
        (OSError(errno.EOPNOTSUPP, "no"), None, "nobody knows"),
    ],
)
def test_what_the_probe_says(
    pages: int, monkeypatch: pytest.MonkeyPatch, result: int | OSError, expected: int | None, why: str
) -> None:
    """A prefix counts, nothing does not; every page is asked for, and that it does not know is remembered."""
    asked = []

    def preadv(descriptor: int, places: list[bytearray], offset: int, flags: int) -> int:
        asked.append((sum(map(len, places)), flags))
        if isinstance(result, OSError):
            raise result
        return result

    monkeypatch.setattr(os, "preadv", preadv)
    disk = Disk()
    for _ in range(2):
        assert in_memory(disk, pages, 5000, 0) == expected, why
    assert asked == [(8192, os.RWF_NOWAIT)] * (1 if why == "nobody knows" else 2)
    disk.shutdown()


@pytest.mark.parametrize(
    ("missing", "places"),
    [
        (None, [5, 65541, 131077, 140004]),
        (65541, [5, 65541]),
        (140004, [5, 65541, 131077, 140004]),
    ],
)
def test_what_was_begun_has_come(
    pages: int, monkeypatch: pytest.MonkeyPatch, missing: int | None, places: list[int]
) -> None:
    """A page in each 64 KiB is asked for, and the last, in the order of reading, until one is missing."""
    asked = []
    preadv = os.preadv

    def asks(descriptor: int, buffers: list[bytearray], offset: int, flags: int) -> int:
        assert flags == os.RWF_NOWAIT
        asked.append(offset)
        if offset == missing:
            raise BlockingIOError
        return preadv(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", asks)
    disk = Disk()
    assert disk.has_come(pages, NOWHERE, 140_000, 5) == (missing is None)
    assert asked == places
    asked.clear()
    assert disk.has_come(pages, NOWHERE, 1, 5) != (missing == 5)
    assert asked == [5]
    disk.shutdown()


def test_what_has_come_to_an_end(disk: Disk, pages: int) -> None:
    """A file that was cut short, or a descriptor that is none, has nothing there."""
    assert not disk.has_come(pages, NOWHERE, 7 * 2**20, 0)
    assert not disk.has_come(-1, NOWHERE, 1, 0)


class Asks:
    """preadv(2) of a file none of which is there but what has `come`: which pages of it were asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.come = 0

    def __call__(self, descriptor: int, buffers: list[bytearray], offset: int, flags: int) -> int:
        assert flags == os.RWF_NOWAIT
        pages = -(-sum(map(len, buffers)) // PAGE)
        self.asked.append((offset // PAGE, pages))
        if offset >= self.come:
            raise BlockingIOError(errno.EAGAIN, "cold")
        return min(sum(map(len, buffers)), self.come - offset)


@pytest.fixture
def windows(pages: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """A disk whose device has known windows, the shortest that are of use."""
    disk = Disk()
    disk.tells_residency(pages, NOWHERE)
    if repr(disk).endswith("sendfile=False>") or NOWHERE not in disk._with_nowait:
        pytest.skip("this system does not tell which pages are in memory")
    readahead = KernelReadahead(disk.mounts, release="6.18")
    monkeypatch.setattr(readahead, "_longest_window", lambda device: 32)
    monkeypatch.setattr(disk, "readahead", readahead)
    yield disk
    disk.shutdown()


def test_a_file_is_begun_window_by_window(windows: Disk, pages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first pages are asked for, and then what is marked, as far as it goes; what is there is not."""
    asks = Asks()
    monkeypatch.setattr(os, "preadv", asks)
    with pytest.raises(BlockingIOError) as raised:
        windows.begin(pages, NOWHERE, 40 * PAGE)
    assert raised.value.errno == errno.EAGAIN
    assert asks.asked == [(0, 4), (4, 1), (8, 1)]
    asks.asked.clear()
    asks.come = PAGE
    windows.begin(pages, NOWHERE, 40 * PAGE)
    assert asks.asked == [(0, 4)]
    asks.asked.clear()
    windows.begin(pages, NOWHERE, 8 * PAGE)
    windows.begin(pages, NOWHERE + 1, 40 * PAGE)  # of which it is not known that it can be asked
    assert asks.asked == []


@pytest.mark.parametrize("is_whole", [True, False])
def test_files_on_trial(windows: Disk, pages: int, monkeypatch: pytest.MonkeyPatch, is_whole: bool) -> None:
    """The first that seem to have come are looked at page by page. One that is not whole has not come, and if
    hardly one is, the next are asked for at once.
    """
    asks = Asks()
    monkeypatch.setattr(os, "preadv", asks)
    length = 16 * PAGE + 1
    looked_at = 0

    def look(*question: int) -> int:
        nonlocal looked_at
        looked_at += 1
        return length if is_whole else length - 1

    monkeypatch.setattr(windows, "cached_length", look)
    for _ in range(8):
        asks.come = 0
        with pytest.raises(BlockingIOError):
            windows.begin(pages, NOWHERE, length)
        asks.come = length
        assert windows.has_come(pages, NOWHERE, length, 0) == is_whole
    assert looked_at == 8
    assert windows.has_come(pages, NOWHERE, length, 0), "as far as a few pages tell"
    assert looked_at == 8
    asks.asked.clear()
    windows.begin(pages, NOWHERE, length)
    assert asks.asked == ([(0, 4)] if is_whole else [])


def test_a_probe_that_fails(pages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure of the disk is not hidden."""

    def broken(*call: object) -> int:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "preadv", broken)
    disk = Disk()
    with pytest.raises(OSError, match="broken"):
        in_memory(disk, pages, 1, 0)
    disk.shutdown()


@pytest.mark.parametrize(
    ("length", "offset"), [(1, 0), (5000, 4000), (6 * 2**20 + 1, 0), (100, 6 * 2**20), (10, 6 * 2**20 + 1)]
)
def test_make_resident(
    disk: Disk, pages: int, length: int, offset: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every page is asked for, to the end of the file, by sendfile(2) or without it."""
    seen: list[tuple[int, int]] = []
    sendfile, preadv = os.sendfile, os.preadv

    def sending(out: int, descriptor: int, offset: int, count: int) -> int:
        done = sendfile(out, descriptor, offset, min(count, 2**20))
        seen.append((offset, done))
        return done

    def reading(descriptor: int, places: list[bytearray], offset: int) -> int:
        done = preadv(descriptor, places, offset)
        seen.append((offset, min(done, end - offset)))
        return done

    end = min(offset + length, 6 * 2**20 + 1)
    monkeypatch.setattr(os, "sendfile", sending)
    monkeypatch.setattr(os, "preadv", reading)
    disk.make_resident(pages, length, offset)
    at = offset
    for begins, count in seen:
        assert begins == at
        at += count
    assert at == max(end, offset)


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS, errno.EPERM])
def test_make_resident_where_sendfile_is_refused(
    pages: int, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """By a file system, a kernel or a seccomp profile: the pages are read instead."""
    read: list[int] = []
    preadv = os.preadv

    def refuse(*call: object) -> int:
        raise OSError(code, "no")

    def reading(descriptor: int, places: list[bytearray], offset: int) -> int:
        read.append(offset)
        return preadv(descriptor, places, offset)

    disk = Disk()
    monkeypatch.setattr(os, "sendfile", refuse)
    monkeypatch.setattr(os, "preadv", reading)
    disk.make_resident(pages, 5 * 2**20, 0)
    assert read == [0, 4 * 2**20]
    disk.shutdown()


def test_make_resident_fails(pages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure of the disk is not hidden."""

    def broken(*call: object) -> int:
        raise OSError(errno.EIO, "broken")

    disk = Disk()
    monkeypatch.setattr(os, "sendfile", broken)
    monkeypatch.setattr(os, "preadv", broken)
    with pytest.raises(OSError, match="broken"):
        disk.make_resident(pages, 100, 0)
    disk.shutdown()


def test_shutdown_while_a_thread_is_at_it(pages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pages are handed to stays open until the last who hands has ended: its number is nobody else's."""
    disk = Disk()
    sendfile = os.sendfile
    before = set(os.listdir("/proc/self/fd"))
    numbers: list[int] = []

    def sending(out: int, descriptor: int, offset: int, count: int) -> int:
        numbers.append(out)
        disk.shutdown()
        assert os.readlink(f"/proc/self/fd/{out}") == os.devnull
        return sendfile(out, descriptor, offset, 4096)

    monkeypatch.setattr(os, "sendfile", sending)
    disk.make_resident(pages, 3 * 4096, 0)
    assert len(set(numbers)) == 1
    assert len(numbers) == 3
    assert str(numbers[0]) not in os.listdir("/proc/self/fd")
    assert set(os.listdir("/proc/self/fd")) < before
    disk.make_resident(pages, 3 * 4096, 0)  # without it, by reading
    assert len(numbers) == 3


@pytest.mark.parametrize(
    ("result", "expected", "asked", "why"),
    [
        (1, True, 1, "it is there"),
        (BlockingIOError(errno.EAGAIN, "cold"), True, 1, "it is not, which is an answer"),
        (OSError(errno.EOPNOTSUPP, "no"), False, 1, "nobody knows"),
        (OSError(errno.EIO, "broken"), False, 3, "that is the file's, and whoever reads it is told"),
    ],
)
def test_who_tells_residency(
    pages: int, monkeypatch: pytest.MonkeyPatch, result: int | OSError, expected: bool, asked: int, why: str
) -> None:
    """A file system is asked once, by one byte, if it answers."""
    calls: list[int] = []

    def preadv(descriptor: int, buffers: list[bytearray], offset: int, flags: int) -> int:
        calls.append(len(buffers[0]))
        if isinstance(result, OSError):
            raise result
        return result

    disk = Disk()
    monkeypatch.setattr(os, "preadv", preadv)
    for _ in range(3):
        assert disk.tells_residency(pages, os.fstat(pages).st_dev) is expected, why
    assert calls == [1] * asked
    disk.shutdown()


def test_a_device_number_that_is_given_to_another(pages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an unmount it may stand for a file system that does not know: the last answer counts."""
    device = os.fstat(pages).st_dev

    def unknown(*call: object) -> int:
        raise OSError(errno.EOPNOTSUPP, "no")

    disk = Disk()
    monkeypatch.setattr(os, "preadv", lambda *call: 1)
    assert disk.tells_residency(pages, device)
    monkeypatch.setattr(os, "preadv", unknown)
    with pytest.raises(BlockingIOError):
        disk.cached_length(pages, device, 1, 0)
    assert not disk.tells_residency(pages, device)
    disk.shutdown()


def test_residency_is_told_only_of_what_can_be_sent(disk: Disk, pages: int) -> None:
    """Without sendfile, or without the question, it is read."""
    device = os.fstat(pages).st_dev
    told = disk.tells_residency(pages, device)
    if repr(disk).endswith("sendfile=False>"):
        assert not told
    else:
        assert told is (cached(disk, pages, 1, 0) is not None)


# Closing and status


def test_close_drops_what_close_reports(disk: Disk, ten: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux closes the descriptor whatever it says; EBADF is a bug of ours and must be seen."""
    other = os.dup(ten)
    real = os.close

    def reporting(descriptor: int) -> None:
        real(descriptor)
        raise OSError(errno.EIO, "write-back")

    monkeypatch.setattr(os, "close", reporting)
    disk.close(other)
    monkeypatch.undo()
    with pytest.raises(OSError, match="Bad file") as refused:
        disk.close(other)
    assert refused.value.errno == errno.EBADF


def test_identity(disk: Disk, place: Path) -> None:
    """stat(2) by name and fstat(2) agree, and an edit of the same size differs."""
    path = place / "a"
    path.write_bytes(b"one")
    descriptor = os.open(path, os.O_RDONLY)
    first = identity_of(disk.status(descriptor))
    assert first == identity_of(disk.status_of(os.fsencode(path)))
    os.utime(path, ns=(5, first.modified - 1))
    assert identity_of(disk.status(descriptor)) != first
    assert first.size == 3
    os.close(descriptor)


def test_a_repr_tells_the_ways() -> None:
    """What a log or a debugger shows."""
    disk = Disk(Capabilities(openat2=False, nowait=False))
    assert repr(disk) == "<Disk openat2=False nowait=False sendfile=False>"
    disk.shutdown()
