"""A slow disk below a folder, for as long as a block lasts."""

import contextlib
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.venvs import MissingError

START_LIMIT = 10.0


class SlowMount:
    """A mounted slow disk and the process that answers for it."""

    def __init__(self, folder: Path, process: "subprocess.Popen[str]") -> None:
        self.folder = folder
        self._process = process

    def hang(self) -> None:
        """From now on no read is answered."""
        self._process.send_signal(signal.SIGUSR1)

    def end(self) -> None:
        """Whoever still waits for a read is told that the disk is gone; unmounted, whatever else happens."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        unmount(self.folder)


@contextlib.contextmanager
def slow_mount(folder: Path, delay: float, size: int) -> Iterator[SlowMount]:
    """A disk at `folder`, made if need be, whose every read takes `delay` seconds. Raises MissingError."""
    if shutil.which("fusermount3") is None or not Path("/dev/fuse").exists():
        raise MissingError("a slow disk needs /dev/fuse and fusermount3: apt-get install fuse3")
    unmount(folder)  # what a killed run may have left
    folder.mkdir(exist_ok=True)
    arguments = [str(folder), str(delay), str(size)]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.drivers.slow_fuse", *arguments], stdout=subprocess.PIPE, text=True
    )
    mounted = SlowMount(folder, process)
    try:
        assert process.stdout is not None, "it was asked for"
        if not select.select([process.stdout], [], [], START_LIMIT)[0] or not process.stdout.readline():
            raise MissingError("the slow disk could not be mounted: is FUSE allowed to this user?")
        yield mounted
    finally:
        mounted.end()
        with contextlib.suppress(OSError):
            folder.rmdir()


def unmount(folder: Path) -> None:
    """Nothing if nothing is mounted there; in use or not."""
    if shutil.which("fusermount3"):
        subprocess.run(
            ["fusermount3", "-u", "-z", "-q", "--", str(folder)], stderr=subprocess.DEVNULL, check=False
        )
