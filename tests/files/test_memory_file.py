"""Content in a file that lies in memory."""

import errno
import fcntl
import os

import pytest

from trio_evserver.files.memory_file import open_memory_file

CONTENT = bytes(range(256)) * 300

linux = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="no such files here")


@linux
def test_it_has_the_content_for_good() -> None:
    """All of it can be read, at any place; none of it can be changed, nor its size, by whoever has it."""
    descriptor = open_memory_file(CONTENT)
    assert descriptor is not None
    try:
        assert os.pread(descriptor, len(CONTENT) + 1, 0) == CONTENT
        assert os.pread(descriptor, 3, 1000) == CONTENT[1000:1003]
        for change in (
            lambda: os.pwrite(descriptor, b"x", 0),
            lambda: os.truncate(descriptor, 10),
            lambda: os.truncate(descriptor, len(CONTENT) + 1),
        ):
            with pytest.raises(PermissionError):
                change()
    finally:
        os.close(descriptor)


def test_a_system_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are no such files the content stays where it is."""
    monkeypatch.delattr(os, "memfd_create", raising=False)
    assert open_memory_file(CONTENT) is None


@linux
@pytest.mark.parametrize("call", ["memfd_create", "write", "fcntl"])
def test_whatever_fails(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """Out of descriptors, out of memory, a kernel that seals nothing: no file, and none left open."""

    def fail(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "as told")

    before = set(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(fcntl if call == "fcntl" else os, call, fail)
    assert open_memory_file(CONTENT) is None
    monkeypatch.undo()
    assert set(os.listdir("/proc/self/fd")) == before


@linux
def test_a_short_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one call does not take the next one does."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:1000]))
    descriptor = open_memory_file(CONTENT)
    assert descriptor is not None
    assert os.pread(descriptor, len(CONTENT) + 1, 0) == CONTENT
    os.close(descriptor)
