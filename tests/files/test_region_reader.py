"""What is taken for granted of the page cache, and for how long."""

import ctypes
import mmap
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.files.making import make_workers
from trio_evserver.files.disk import Disk
from trio_evserver.files.identity import identity_of
from trio_evserver.files.open_file import OpenFile
from trio_evserver.files.region_reader import SMALL, FileChangedError, RegionReader
from trio_evserver.semantics.message import Parts, Region

SIZE = 1000


class Asked(Disk):
    """Remembers what it was asked about; the page cache holds what lies before `end`."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, int]] = []
        self.end = SIZE

    def cached_length(self, descriptor: int, device: int, length: int, offset: int) -> int:
        self.asked.append((offset, length))
        if offset >= self.end:
            raise BlockingIOError
        return min(length, self.end - offset)

    def read_cached(self, descriptor: int, device: int, buffer: memoryview, offset: int) -> int:
        return os.preadv(descriptor, [buffer], offset)


class Scene:
    """A reader with a clock of its own, and a file that is open."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(SIZE))
        self.path = path
        self.now = 100.0
        self.disk = Asked()
        self.reader = RegionReader(
            self.disk, make_workers(1), cached_reads=True, chunk_size=100, clock=lambda: self.now
        )
        descriptor = os.open(path, os.O_RDONLY)
        identity = identity_of(os.fstat(descriptor))
        self.file = OpenFile(descriptor, identity, mount=b"/", local=True, close=self.disk.close)

    def find(self, offset: int, length: int) -> tuple[int, int] | None:
        span = self.reader.find_span(self.file, Region(offset, length))
        return None if span is None else (span.offset, span.length)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(tmp_path / "file")
    yield scene
    scene.file.release()
    scene.disk.shutdown()


async def test_it_is_asked_once_for_a_while(scene: Scene) -> None:
    """What was there a hundredth of a second ago is there; after that the kernel is asked again."""
    for now, asked in [(100.0, 1), (100.009, 1), (100.011, 2), (100.012, 2)]:
        scene.now = now
        assert scene.find(50, 100) == (50, 100)
        assert len(scene.disk.asked) == asked


async def test_the_rest_of_a_part(scene: Scene) -> None:
    """What a peer has not taken yet of a part is not asked about; anything beyond it is."""
    scene.find(0, 300)
    assert scene.find(120, 180) == (120, 180)
    assert scene.disk.asked == [(0, 300)]
    scene.find(120, 181)
    assert scene.disk.asked[1:] == [(120, 181)]


async def test_more_before_it(scene: Scene) -> None:
    """A longer part with the same end is not known."""
    scene.find(200, 100)
    scene.find(100, 200)
    assert scene.disk.asked == [(200, 100), (100, 200)]


async def test_a_part_of_it_is_there(scene: Scene) -> None:
    """Only what was found is taken for granted, not what was asked for."""
    scene.disk.end = 150
    assert scene.find(100, 100) == (100, 50)
    assert scene.find(100, 50) == (100, 50)
    assert scene.disk.asked == [(100, 100)]
    assert scene.find(150, 50) is None


async def test_nothing_of_it_is_there(scene: Scene) -> None:
    """That is never remembered: it may come at any time."""
    scene.disk.end = 0
    for _ in range(2):
        assert scene.find(0, 100) is None
    assert len(scene.disk.asked) == 2


async def test_it_is_still_the_same_file(scene: Scene) -> None:
    """Whatever is known of its pages, an edit is noticed."""
    scene.find(0, 100)
    scene.path.write_bytes(b"x" * SIZE)
    os.utime(scene.path, ns=(0, 0))
    with pytest.raises(FileChangedError):
        scene.find(0, 100)


async def test_what_is_remembered_is_bounded(scene: Scene) -> None:
    """However many parts are asked for, few are remembered."""
    for end in range(1, SIZE):
        scene.find(0, end)
        assert len(scene.file.resident) <= 64


@pytest.mark.parametrize(
    ("edited", "current", "found"),
    [(False, False, True), (False, True, True), (True, False, False), (True, True, True)],
)
async def test_who_knows_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edited: bool, current: bool, found: bool
) -> None:
    """The file is asked whether it is still the same, but not by who has just asked that."""
    scene = Scene(tmp_path / "file")
    monkeypatch.setattr(scene.disk, "tells_residency", lambda descriptor, device: True)
    scene.disk.end = SMALL
    os.truncate(scene.path, SMALL)
    status = os.fstat(scene.file.descriptor)
    scene.file.identity = identity_of(status)
    if edited:
        os.utime(scene.path, ns=(0, 0))
    short = scene.reader.short(scene.file, Parts((Region(0, SMALL),), SMALL))
    assert short is not None
    span = scene.reader.find_whole(scene.file, short, current=current)
    assert (span is not None) is found
    scene.file.release()
    scene.disk.shutdown()


async def test_the_buffer_begins_with_a_page(scene: Scene) -> None:
    """As the pages that are copied into it do: some processors copy slowly to a little behind that."""
    data = scene.reader.read_cached(scene.file, Region(0, 100))
    assert scene.reader.is_lent(data)
    assert ctypes.addressof(ctypes.c_char.from_buffer(data)) % mmap.PAGESIZE == 0
