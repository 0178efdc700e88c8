"""From a resource path to an open file: what is served, what is refused, and what is learned on the way."""

import errno
import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.files.making import (
    SECOND,
    content_of,
    descriptors,
    document_root,
    load_cached,
    path_of,
    settle,
)
from trio_evserver.files.disk import Disk
from trio_evserver.files.document_root import DocumentRoot
from trio_evserver.files.opened import Opened, Unread
from trio_evserver.files.options import ETagSource, Symlinks
from trio_evserver.files.validators import MAX_DIGESTED
from trio_evserver.semantics.message import Refusal
from trio_evserver.semantics.resource_path import ResourcePath


def load(root: DocumentRoot, target: str) -> bytes | int:
    """The content at `target`, or the status of the refusal."""
    return content_of(root.load(path_of(target)))


def opened(root: DocumentRoot, target: str) -> Opened:
    """What was opened at `target`, and is closed again."""
    found = root.load(path_of(target))
    assert isinstance(found, Opened)
    found.file.release()
    return found


@pytest.fixture
def site(place: Path) -> Path:
    """A site with links of every kind, special files, and a secret beside it."""
    (place / "secret.txt").write_text("secret")
    site = place / "site"
    (site / "dir").mkdir(parents=True)
    (site / "empty").mkdir()
    (site / "a.txt").write_text("a")
    (site / "dir/index.html").write_text("index")
    (site / "near").symlink_to("a.txt")
    (site / "dir/up").symlink_to("../a.txt")
    (site / "dirlink").symlink_to("dir")
    (site / "out").symlink_to("../secret.txt")
    (site / "absolute").symlink_to(site / "a.txt")
    (site / "absolute-out").symlink_to(place / "secret.txt")
    (site / "loop").symlink_to("loop")
    (site / "dangling").symlink_to("nothing")
    os.mkfifo(site / "fifo")
    os.mknod(site / "socket", stat.S_IFSOCK | 0o600)
    return site


@pytest.mark.parametrize(
    ("target", "never", "inside", "everywhere", "why"),
    [
        ("/a.txt", b"a", b"a", b"a", "a file"),
        ("/dir/", b"index", b"index", b"index", "a directory has its index"),
        ("/dir", 301, 301, 301, "a directory without its slash"),
        ("/empty/", 404, 404, 404, "a directory without an index"),
        ("/", 404, 404, 404, "the root without one"),
        ("/a.txt/", 404, 404, 404, "a file is no directory"),
        ("/a.txt/b", 404, 404, 404, "and has nothing in it"),
        ("/nothing", 404, 404, 404, "not there"),
        ("/" + "n" * 300, 404, 404, 404, "a name of 300 bytes"),
        ("/fifo", 404, 404, 404, "a FIFO is not served, and does not hang"),
        ("/socket", 404, 404, 404, "a socket"),
        ("/near", 404, b"a", b"a", "a link inside"),
        ("/dir/up", 404, b"a", b"a", "a link with .. that stays inside"),
        ("/dirlink/", 404, b"index", b"index", "a link to a directory"),
        ("/dirlink", 404, 301, 301, "without its slash"),
        ("/out", 404, 404, b"secret", "a link that leaves"),
        ("/absolute", 404, 404, b"a", "an absolute link to inside"),
        ("/absolute-out", 404, 404, b"secret", "an absolute link to outside"),
        ("/loop", 404, 404, 404, "a link to itself"),
        ("/dangling", 404, 404, 404, "a link to what is not there"),
    ],
)
def test_what_is_served(
    disk: Disk,
    site: Path,
    target: str,
    never: bytes | int,
    inside: bytes | int,
    everywhere: bytes | int,
    why: str,
) -> None:
    """Under each policy for links, by each way to the disk, hopping to a worker or not; nothing leaks."""
    before = descriptors()
    for symlinks, expected in (
        (Symlinks.NEVER, never),
        (Symlinks.INSIDE, inside),
        (Symlinks.ALL, everywhere),
    ):
        root = document_root(site, disk, symlinks=symlinks)
        assert load(root, target) == expected, f"{why}, {symlinks}"
        with suppress(BlockingIOError):
            found = content_of(load_cached(root, target))
            assert found == expected, f"{why}, {symlinks}, opened without waiting"
        root.shutdown()
    assert descriptors() == before


def test_a_device_is_not_served(disk: Disk, tmp_path: Path) -> None:
    """/dev/zero has no end."""
    if os.geteuid():
        pytest.skip("making a device takes root")
    os.mknod(tmp_path / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    found = load(document_root(tmp_path, disk), "/zero")
    assert found in (404, 403), "403 where devices are disabled by the mount (nodev)"


def test_what_may_not_be_read_is_forbidden(disk: Disk) -> None:
    """403, for a file and for what lies in a directory; without root's privileges, where there are any."""
    with tempfile.TemporaryDirectory() as name:  # pytest's own would be closed to anybody else
        site = Path(name)
        site.chmod(0o755)
        (site / "closed").mkdir()
        (site / "closed/file").write_text("closed")
        (site / "file").write_text("closed")
        (site / "file").chmod(0)
        (site / "closed").chmod(0)
        root, user = document_root(site, disk), os.geteuid()
        try:
            os.seteuid(user or 65534)
            found = [load(root, target) for target in ("/file", "/closed/file", "/closed/nothing")]
        finally:
            os.seteuid(user)
            (site / "closed").chmod(0o700)
    assert found == [403, 403, 403]


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/dir", b"/dir/"),
        ("/d%20r", b"/d%20r/"),
        ("/%C3%BC", b"/%C3%BC/"),
        ("/a%3Fb", b"/a%3Fb/"),
        ("/x:y", b"/x:y/"),
    ],
)
def test_a_redirect_is_a_path_of_our_own(
    plain_disk: Disk, tmp_path: Path, target: str, location: bytes
) -> None:
    """RFC 9110 §15.4.2: one slash at the front, all else encoded, one slash at the end."""
    for name in ("dir", "d r", "\N{LATIN SMALL LETTER U WITH DIAERESIS}", "a?b", "x:y"):
        (tmp_path / name).mkdir()
    found = document_root(tmp_path, plain_disk).load(path_of(target))
    assert isinstance(found, Refusal)
    assert found.status == 301
    assert found.fields == ((b"Location", location),)


def deployments(place: Path, *names: str) -> Path:
    """Directories with an a.txt that tells their name, and the link that leads to the first."""
    for name in names:
        (place / name).mkdir()
        (place / name / "a.txt").write_text(name)
    current = place / "current"
    current.symlink_to(names[0])
    return current


def deploy(current: Path, name: str) -> None:
    """Have the link lead to another, atomically."""
    following = current.with_name("next")
    following.symlink_to(name)
    os.replace(following, current)


def test_a_swapped_root_is_seen_at_once(disk: Disk, place: Path) -> None:
    """An atomic deploy: the very next look-up is in the new directory, inline or in a worker."""
    current = deployments(place, "one", "two")
    root = document_root(current, disk)
    for name in ("one", "two", "one"):  # the second time the root is open already
        deploy(current, name)
        with suppress(BlockingIOError):
            assert content_of(load_cached(root, "/a.txt")) == name.encode()
        assert load(root, "/a.txt") == name.encode()
    current.unlink()
    with suppress(BlockingIOError):
        assert content_of(load_cached(root, "/a.txt")) == 404
    assert load(root, "/a.txt") == 404
    root.shutdown()


def test_the_root_is_looked_up_once_a_moment(place: Path) -> None:
    """Who had asked before a moment came may hear what was so then; who asks later hears what is so now."""
    disk = Disk()
    if not disk.has_openat2 or not disk.mounts.is_local(place.stat().st_dev):
        pytest.skip("nothing is opened without waiting here")
    current = deployments(place, "old", "new")
    root = document_root(current, disk)

    def ask(moment: int) -> bytes | int:
        found = root.load_cached(path_of("/a.txt"), moment=moment)
        assert not isinstance(found, Unread)
        return content_of(found)

    assert ask(1) == b"old"
    deploy(current, "new")
    assert ask(1) == b"old"
    assert ask(2) == b"new"
    assert ask(0) == b"new"
    root.shutdown()
    disk.shutdown()


def test_the_root_is_opened_once(place: Path) -> None:
    """As long as its path leads to the same directory; and not any more after the end."""
    disk = Counting()
    if not disk.has_openat2 or not disk.mounts.is_local(place.stat().st_dev):
        pytest.skip("nothing is opened without waiting here")
    (place / "a.txt").write_text("a")
    root = document_root(place, disk)
    before = descriptors()
    assert load(root, "/a.txt") == b"a"
    for _ in range(3):
        assert content_of(load_cached(root, "/a.txt")) == b"a"
    assert disk.roots == 1
    assert len(descriptors() - before) == 1
    root.shutdown()
    assert descriptors() == before
    with pytest.raises(BlockingIOError):
        load_cached(root, "/a.txt")
    assert load(root, "/a.txt") == b"a"
    disk.shutdown()


class Counting(Disk):
    """Counts how often a root is opened without waiting."""

    roots = 0

    def open_directory_cached(self, path: bytes) -> int:
        self.roots += 1
        return super().open_directory_cached(path)


# Index


def test_index_precedence(disk: Disk, place: Path) -> None:
    """The first name that is there, and only its probe by name: a later one would hide one that comes."""
    root = document_root(place, disk, index=("index.html", "index.htm"))
    (place / "index.htm").write_text("second")
    assert load(root, "/") == b"second"
    assert opened(root, "/").probe == b""
    (place / "index.html").write_text("first")
    assert load(root, "/") == b"first"
    assert opened(root, "/").probe == os.fsencode(place / "index.html")
    (place / "index.html").unlink()
    assert load(root, "/") == b"second"


def test_an_index_is_a_file(disk: Disk, place: Path) -> None:
    """A directory, or a FIFO, by that name is passed over."""
    root = document_root(place, disk, index=("one", "two", "three"))
    (place / "one").mkdir()
    os.mkfifo(place / "two")
    assert load(root, "/") == 404
    (place / "three").write_text("three")
    assert load(root, "/") == b"three"


def test_no_index(plain_disk: Disk, tmp_path: Path) -> None:
    """Without index names a directory has no content, and with its slash no redirect."""
    (tmp_path / "index.html").write_text("index")
    root = document_root(tmp_path, plain_disk, index=())
    assert load(root, "/") == 404
    assert load(root, "/index.html") == b"index"


# A single file


@pytest.mark.parametrize(
    ("target", "expected"),
    [("/", b"one"), ("/one.txt", b"one"), ("/one.txt/", 404), ("/other.txt", 404), ("/one.txt/x", 404)],
)
def test_a_single_file(disk: Disk, place: Path, target: str, expected: bytes | int) -> None:
    """It is served at "/" and under its name, and nothing beside it is."""
    (place / "one.txt").write_text("one")
    (place / "other.txt").write_text("other")
    root = document_root(place / "one.txt", disk)
    assert root.is_single_file
    assert load(root, target) == expected


def test_a_single_file_is_asked_inline(plain_disk: Disk, place: Path) -> None:
    """On a local file system its edits are seen by stat(2), as those of a file in a directory."""
    (place / "one.txt").write_text("one")
    if not plain_disk.mounts.is_local(os.stat(place).st_dev):
        pytest.skip("not a local file system")
    found = opened(document_root(place / "one.txt", plain_disk), "/")
    assert found.file.local
    assert (found.name, found.probe) == (b"one.txt", os.fsencode(place / "one.txt"))


def test_a_single_file_by_a_link(disk: Disk, place: Path) -> None:
    """Who names a link means what it leads to."""
    (place / "one.txt").write_text("one")
    (place / "link").symlink_to(place / "one.txt")
    root = document_root(place / "link", disk)
    assert load(root, "/") == load(root, "/link") == b"one"
    (place / "link").unlink()
    assert load(root, "/") == 404


def test_a_root_must_be_there(plain_disk: Disk, tmp_path: Path) -> None:
    """Whoever starts the server is told."""
    with pytest.raises(FileNotFoundError):
        document_root(tmp_path / "nothing", plain_disk)


# What is read at once


@pytest.mark.parametrize(
    ("size", "content", "first", "why"),
    [
        (0, True, 0, "an empty file is all there"),
        (1024, True, 0, "up to the limit the whole"),
        (1025, False, 1025, "beyond it the beginning, which here is all of it"),
        (5000, False, 4096, "the beginning"),
    ],
)
def test_what_is_read_with_the_opening(
    disk: Disk, place: Path, size: int, content: bool, first: int, why: str
) -> None:
    """One visit to the disk brings a small file whole, and of a large one what is sent first."""
    data = os.urandom(size)
    (place / "file").write_bytes(data)
    found = opened(document_root(place, disk), "/file")
    assert found.content == (data if content else None), why
    assert found.first == data[:first], why
    assert found.digest == ""


def test_nothing_large_is_read_on_the_loop(plain_disk: Disk, place: Path) -> None:
    """Without waiting a large file is opened only; its chunks are read as they are due."""
    (place / "file").write_bytes(bytes(5000))
    root = document_root(place, plain_disk)
    opened(root, "/file")
    try:
        found = root.load_cached(path_of("/file"))
    except BlockingIOError:
        pytest.skip("nothing is opened without waiting here")
    assert isinstance(found, Opened)
    found.file.release()
    assert (found.content, found.first) == (None, b"")


# Validators


@pytest.mark.parametrize("size", [0, 10, 5000])
@pytest.mark.parametrize(
    ("seconds", "etag", "expected"),
    [
        (0, ETagSource.AUTO, True),
        (1, ETagSource.AUTO, True),
        (2, ETagSource.AUTO, False),
        (0, ETagSource.OFF, False),
        (1_600_000_000, ETagSource.CONTENT, True),
    ],
)
def test_the_content_is_hashed(
    disk: Disk, place: Path, size: int, seconds: int, etag: ETagSource, expected: bool
) -> None:
    """Where the time means nothing, or the content is asked for; of the whole file, whatever is kept."""
    data = os.urandom(size)
    (place / "file").write_bytes(data)
    os.utime(place / "file", (seconds, seconds))
    found = opened(document_root(place, disk, etag=etag), "/file")
    assert found.digest == (hashlib.blake2b(data, digest_size=16).hexdigest() if expected else "")


def test_a_huge_file_is_not_hashed(plain_disk: Disk, tmp_path: Path) -> None:
    """64 MiB are read through for a tag, not a byte more (here a hole)."""
    with open(tmp_path / "file", "wb") as file:
        file.truncate(MAX_DIGESTED + 1)
    os.utime(tmp_path / "file", (0, 0))
    assert opened(document_root(tmp_path, plain_disk), "/file").digest == ""


def test_a_large_file_is_not_hashed_on_the_loop(plain_disk: Disk, tmp_path: Path) -> None:
    """Even where all of it is in memory, hashing takes its time."""
    (tmp_path / "file").write_bytes(bytes(5000))
    root = document_root(tmp_path, plain_disk, etag=ETagSource.CONTENT)
    digest = opened(root, "/file").digest
    try:
        found = root.load_cached(path_of("/file"))
    except BlockingIOError:
        pytest.skip("nothing is opened without waiting here")
    assert isinstance(found, Unread)
    read = root.read(found, path_of("/file"))
    assert isinstance(read, Opened)
    read.file.release()
    assert read.digest == digest == hashlib.blake2b(bytes(5000), digest_size=16).hexdigest()


def test_what_was_opened_and_is_left_unread(plain_disk: Disk, tmp_path: Path) -> None:
    """Is read or closed, and either way nothing stays open; if it cannot be read, the reason is an answer."""
    (tmp_path / "file").write_bytes(b"1")
    disk = NothingResident()
    root = document_root(tmp_path, disk)
    opened(root, "/file")
    with suppress(BlockingIOError):
        root.load_cached(path_of("/nothing"))  # from now on the root is open
    before = descriptors()
    for _ in range(2):
        found = root.load_cached(path_of("/file"))
        assert isinstance(found, Unread)
        root.close(found)
    assert descriptors() == before
    found = root.load_cached(path_of("/file"))
    assert isinstance(found, Unread)
    disk.fails = True
    assert content_of(root.read(found, path_of("/file"))) == 500
    assert descriptors() == before


class NothingResident(Disk):
    """A disk whose names are in memory, and whose pages are not; it may fail."""

    fails = False

    def read_cached(self, descriptor: int, device: int, buffer: memoryview, offset: int) -> int:
        raise BlockingIOError

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        if self.fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(descriptor, length, offset)


# Files that do not hold still


class Restless(Disk):
    """A disk on which a file changes whenever it is read, so many times."""

    def __init__(self, path: Path, changes: int, change: Callable[[Path, int], None]) -> None:
        super().__init__()
        self.path, self.changes, self.change = path, changes, change

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        data = super().read(descriptor, length, offset)
        if self.changes:
            self.changes -= 1
            self.change(self.path, self.changes)
        return data


def rewrite(path: Path, turn: int) -> None:
    path.write_bytes(b"%010d" % turn)
    os.utime(path, (1_000_000_000 + turn, 1_000_000_000 + turn))


def grow(path: Path, turn: int) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def test_a_file_that_changes_once_is_read_again(tmp_path: Path) -> None:
    """Content and identity belong together."""
    path = tmp_path / "file"
    path.write_bytes(b"first-----")
    disk = Restless(path, 1, rewrite)
    found = opened(document_root(tmp_path, disk), "/file")
    assert found.content == b"0000000000"
    assert found.file.identity.modified == 1_000_000_000 * SECOND
    disk.shutdown()


@pytest.mark.parametrize("change", [rewrite, grow])
@pytest.mark.parametrize("limit", [1024, 5], ids=["small", "large"])
def test_a_file_that_never_holds_still_is_streamed(
    tmp_path: Path, limit: int, change: Callable[[Path, int], None]
) -> None:
    """Nothing that was read is used, as it may be of several versions; the status is the last one."""
    path = tmp_path / "file"
    path.write_bytes(b"first-----")
    disk = Restless(path, 100, change)
    found = opened(document_root(tmp_path, disk, content_limit=limit, etag=ETagSource.CONTENT), "/file")
    assert (found.content, found.first, found.digest) == (None, b"", "")
    assert found.file.identity.modified == path.stat().st_mtime_ns
    assert disk.changes > 90, "tried a few times only"
    disk.shutdown()


def test_a_file_shorter_than_its_status_is_streamed(tmp_path: Path) -> None:
    """As files of /proc and /sys are, and some of FUSE: its length is not promised on our word."""

    class Short(Disk):
        def read(self, descriptor: int, length: int, offset: int) -> bytes:
            return super().read(descriptor, length, offset)[:3]

    (tmp_path / "file").write_bytes(b"0123456789")
    disk = Short()
    assert opened(document_root(tmp_path, disk), "/file").content is None
    disk.shutdown()


def test_read_at_is_before_the_reading(tmp_path: Path) -> None:
    """Reading may take long: what had changed just before it began may have changed in it, unseen."""
    events: list[str] = []

    class Watched(Disk):
        def read(self, descriptor: int, length: int, offset: int) -> bytes:
            events.append("read")
            return super().read(descriptor, length, offset)

    def clock() -> int:
        events.append("clock")
        return time.time_ns()

    (tmp_path / "file").write_bytes(b"0123456789")
    disk = Watched()
    opened(document_root(tmp_path, disk, clock=clock), "/file")
    assert events == ["clock", "read"]
    disk.shutdown()


# The parts


def test_local_files_are_local(plain_disk: Disk, place: Path) -> None:
    """The mount table says so of the file and of every directory on the way."""
    (place / "file").write_bytes(b"1")
    found = opened(document_root(place, plain_disk), "/file")
    assert found.file.local == plain_disk.mounts.is_local(os.stat(place).st_dev)
    assert found.file.mount == plain_disk.mounts.point_of(os.fsencode(place))


def test_without_a_mount_table_nothing_is_local(plain_disk: Disk, place: Path) -> None:
    """Nothing is then tried on the event loop, and descriptors are closed by `close`, not at once."""
    (place / "file").write_bytes(b"1")
    settle(place / "file")
    plain_disk.shutdown()
    root = document_root(place, plain_disk)
    found = opened(root, "/file")
    assert not found.file.local
    with pytest.raises(BlockingIOError):
        root.load_cached(path_of("/file"))


def test_the_root_is_absolute(plain_disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later chdir moves nothing."""
    (tmp_path / "file").write_bytes(b"1")
    monkeypatch.chdir(tmp_path)
    root = document_root(Path("."), plain_disk)
    monkeypatch.chdir("/")
    assert load(root, "/file") == b"1"
    assert root.path == os.fsencode(tmp_path)
    assert repr(root) == f"<DocumentRoot {str(tmp_path)!r}>"


def test_names_are_bytes(disk: Disk, place: Path) -> None:
    """A name that is no UTF-8 lies in the root like any other; a ResourcePath just never asks for it."""
    name = b"\xff\xfe"
    with open(os.fsencode(place) + b"/" + name, "wb") as file:
        file.write(b"odd")
    path = ResourcePath((name,), False, name)
    assert content_of(document_root(place, disk).load(path)) == b"odd"


@pytest.mark.parametrize(
    ("code", "status"),
    [(errno.EACCES, 403), (errno.EMFILE, 503), (errno.EIO, 500), (errno.EAGAIN, 503), (errno.ELOOP, 404)],
)
def test_an_error_is_a_refusal(tmp_path: Path, code: int, status: int) -> None:
    """Whatever the disk says becomes a value; only "this would wait" is an exception, and only inline."""

    class Broken(Disk):
        def open_beneath(self, root: int, path: bytes, *, follow: bool) -> int:
            raise OSError(code, os.strerror(code))

    disk = Broken()
    before = descriptors()
    assert load(document_root(tmp_path, disk), "/file") == status
    assert descriptors() == before
    disk.shutdown()


@pytest.mark.parametrize(
    ("size", "local", "etag", "brought", "read", "why"),
    [
        (100, True, ETagSource.AUTO, 0, 100, "small enough to be read"),
        (101, True, ETagSource.AUTO, 101, 0, "brought into the page cache, to be sent from there"),
        (400, True, ETagSource.AUTO, 400, 0, "as much as is read at first"),
        (401, True, ETagSource.AUTO, 0, 400, "the beginning of a large one"),
        (101, False, ETagSource.AUTO, 0, 101, "of a network: nobody knows how long its pages stay"),
        (101, True, ETagSource.CONTENT, 0, 101, "all of it has to be seen for its entity tag"),
    ],
)
def test_what_a_worker_brings(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    local: bool,
    etag: ETagSource,
    brought: int,
    read: int,
    why: str,
) -> None:
    """What can be sent from the page cache is not read into memory of our own."""
    (tmp_path / "a").write_bytes(bytes(size))
    disk = Disk()
    made: list[int] = []
    monkeypatch.setattr(disk, "tells_residency", lambda descriptor, device: True)
    monkeypatch.setattr(disk, "make_resident", lambda descriptor, length, offset: made.append(length))
    monkeypatch.setattr(disk.mounts, "is_local", lambda device: local)
    root = document_root(tmp_path, disk, content_limit=300, in_place=100, first_read=400, etag=etag)
    opened = root.load(path_of("/a"))
    assert isinstance(opened, Opened)
    assert sum(made) == brought, why
    assert len(opened.content or opened.first) == read, why
    opened.file.release()
    disk.shutdown()
