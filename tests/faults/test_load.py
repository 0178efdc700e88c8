"""The n-th system call of a look-up fails, for every n: an honest refusal or the file, and nothing leaks."""

from pathlib import Path

import pytest

from tests.faults.failing import FAULTS, Fault, failing_disk
from tests.files.making import EVERY_WAY, content_of, descriptors, document_root, load_cached, path_of
from trio_evserver.files.options import ETagSource, Symlinks

TREE = {"small": b"small", "dir/index.html": b"index", "large": bytes(range(250)) * 10}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for name, content in TREE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "link").symlink_to("dir/../small")
    return tmp_path


@pytest.mark.parametrize("symlinks", [Symlinks.INSIDE, Symlinks.ALL], ids=["inside", "all"])
@pytest.mark.parametrize(
    ("target", "content"),
    [("/small", b"small"), ("/link", b"small"), ("/dir/", b"index"), ("/large", TREE["large"])],
)
@pytest.mark.parametrize("ways", EVERY_WAY)
@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_the_nth_call_fails(
    site: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    ways: str,
    target: str,
    content: bytes,
    symlinks: Symlinks,
) -> None:
    """With the digest of the content, so that large files are read, too; until no call is left to fail."""
    before = descriptors()
    disk, failing = failing_disk(monkeypatch, EVERY_WAY[ways])
    n = 0
    while not n or failing.fired:
        n += 1
        for cached in (False, True):
            root = document_root(site, disk, symlinks=symlinks, etag=ETagSource.CONTENT)
            if cached:
                content_of(root.load(path_of(target)))  # a worker has been there before
            failing.arm(fault, n)
            try:
                found = content_of(load_cached(root, target) if cached else root.load(path_of(target)))
            except BlockingIOError:
                assert cached
                found = 200
            failing.disarm()
            assert found in (200, content) or found in fault.statuses, f"call {n}, cached={cached}"
            assert content_of(root.load(path_of(target))) == content, "the next look-up works"
            root.shutdown()
    disk.shutdown()
    monkeypatch.undo()
    assert descriptors() == before


def test_the_loop_has_reached_every_call(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The faults are where they should be: a look-up by the walk makes each kind of call."""
    for ways, kinds in (
        ("neither", {"open", "fstat", "stat", "pread", "readlink", "close"}),
        ("all", {"open", "fstat", "stat", "pread", "openat2", "close"}),
    ):
        disk, failing = failing_disk(monkeypatch, EVERY_WAY[ways])
        if ways == "all" and not disk.has_openat2:
            continue
        seen: set[str] = set()
        monkeypatch.setattr(failing, "due", lambda call, seen=seen: seen.add(call))
        content_of(document_root(site, disk).load(path_of("/link")))
        assert seen == kinds
        disk.shutdown()
        monkeypatch.undo()
