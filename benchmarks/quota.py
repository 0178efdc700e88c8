"""A server held to a part of a processor: a CPU cgroup with a quota, of version 1 or 2."""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Running
from benchmarks.venvs import MissingError

# Within its quota the server goes first: on a busy machine the quota must be what holds it, not the others.
_SHARES, _WEIGHT = "262144", "10000"
_HOW = "a CPU quota needs a CPU cgroup that this user may write: run as root, or delegated, as by "
_DELEGATED = "`systemd-run --user --scope -p Delegate=cpu python -m benchmarks overload`"


@dataclass(frozen=True)
class Quota:
    """`used` ms of every `period` ms, in the new folder `parent`/name; `version` of the cgroup interface."""

    parent: Path
    version: int

    @contextlib.contextmanager
    def hold(self, running: Running, used: float, period: float) -> Iterator[None]:
        """The server's whole tree gets no more than `used` of every `period` ms in the block."""
        folder = self.parent / f"trio-evserver-bench-{os.getpid()}-{running.port}"
        folder.mkdir()
        try:
            self._set(folder, int(used * 1000), int(period * 1000))
            for pid in running.pids():
                (folder / "cgroup.procs").write_text(str(pid))
            yield
        finally:
            _empty(folder, self.parent)

    def _set(self, folder: Path, used: int, period: int) -> None:
        if self.version == 2:
            (folder / "cpu.max").write_text(f"{used} {period}")
            (folder / "cpu.weight").write_text(_WEIGHT)
        else:
            (folder / "cpu.cfs_period_us").write_text(str(period))
            (folder / "cpu.cfs_quota_us").write_text(str(used))
            (folder / "cpu.shares").write_text(_SHARES)


def find_quota() -> Quota:
    """Where groups can be made. Raises MissingError, saying what is missing."""
    own = dict(_memberships(Path("/proc/self/cgroup").read_text()))
    found = list(_mounts(Path("/proc/self/mountinfo").read_text()))
    for version, mount in found:
        home = mount / own.get("cpu" if version == 1 else "", "/").lstrip("/")
        for parent in (home, *home.parents) if version == 2 else (home,):
            if parent.is_relative_to(mount) and _takes_groups(parent, version):
                return Quota(parent, version)
    mounted = ", ".join(str(mount) for _, mount in found) or "none"
    raise MissingError(f"{_HOW}{_DELEGATED} (CPU or unified hierarchies mounted: {mounted})")


def _mounts(mountinfo: str) -> Iterator[tuple[int, Path]]:
    """Version and place of each hierarchy that may have the CPU controller, version 1 first: see proc(5)."""
    unified = []
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        place, (kind, _, settings) = Path(fields.split()[4]), rest.split(" ", 2)
        if kind == "cgroup" and "cpu" in settings.split(","):
            yield 1, place
        elif kind == "cgroup2":
            unified.append(place)
    for place in unified:
        yield 2, place


def _memberships(listed: str) -> Iterator[tuple[str, str]]:
    """(controller, own group) of /proc/self/cgroup; the unified hierarchy's controller is ""."""
    for line in listed.splitlines():
        _, controllers, group = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, group


def _takes_groups(parent: Path, version: int) -> bool:
    """Whether a group with a quota can be made below."""
    probe = parent / f"trio-evserver-bench-{os.getpid()}-probe"
    try:
        if version == 2 and "cpu" not in (parent / "cgroup.subtree_control").read_text().split():
            (parent / "cgroup.subtree_control").write_text("+cpu")
        probe.mkdir()
    except OSError:
        return False
    try:
        return (probe / ("cpu.max" if version == 2 else "cpu.cfs_quota_us")).exists()
    finally:
        probe.rmdir()


def _empty(folder: Path, parent: Path) -> None:
    """Let its processes go where they came from, and remove it."""
    for _ in range(50):
        for pid in (folder / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):  # it ended meanwhile, or is ending
                (parent / "cgroup.procs").write_text(pid)
        with contextlib.suppress(OSError):
            folder.rmdir()
            return
        time.sleep(0.02)
    folder.rmdir()
