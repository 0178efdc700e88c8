"""What the tests of files share."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.files.making import EVERY_WAY
from trio_evserver.files.disk import Disk


@pytest.fixture(params=list(EVERY_WAY.values()), ids=list(EVERY_WAY))
def disk(request: pytest.FixtureRequest) -> Iterator[Disk]:
    """A disk, by each of the ways."""
    disk = Disk(request.param)
    yield disk
    disk.shutdown()


@pytest.fixture
def plain_disk() -> Iterator[Disk]:
    """A disk by the best way at hand, where the way does not matter."""
    disk = Disk()
    yield disk
    disk.shutdown()


@pytest.fixture(params=["ordinary", "tmpfs"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """An empty directory on the ordinary file system, and one in memory."""
    if request.param == "ordinary":
        yield tmp_path
        return
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("no /dev/shm to write to")
    directory = Path(tempfile.mkdtemp(dir="/dev/shm"))
    yield directory
    shutil.rmtree(directory)
