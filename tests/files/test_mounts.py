"""Which devices are local, and how soon a changed mount table is noticed."""

import os
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from trio_evserver.files.mounts import MountTable, parse_mountinfo

# From a laptop, a container and proc_pid_mountinfo(5), shortened.
REAL = rb"""21 26 0:19 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
26 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw,errors=remount-ro
31 26 0:26 / /run/user/1000/my\040disk rw,nosuid,nodev - fuse.sshfs host:/a\040-\040b rw,user_id=1000
36 26 259:2 /srv /mnt/bind rw,noatime shared:1 master:2 propagate_from:3 - ext4 /dev/nvme0n1p2 rw
40 26 0:43 / /dev/shm rw,nosuid,nodev shared:4 - tmpfs tmpfs rw,inode64
44 26 0:50 / /merged ro - overlay overlay ro,lowerdir=/l,upperdir=/u,workdir=/w
45 26 0:51 / /home rw,relatime shared:1 - nfs4 nas:/home rw,vers=4.2
46 26 0:34 /@ /data rw - btrfs /dev/sdb rw,subvol=/@
47 26 0:60 / /odd rw - tmpfs  rw
"""


def test_a_real_table() -> None:
    """Optional fields, escaped blanks, a bind mount, an empty source: types by device number."""
    assert parse_mountinfo(REAL) == {
        os.makedev(0, 19): "sysfs",
        os.makedev(259, 2): "ext4",
        os.makedev(0, 26): "fuse.sshfs",
        os.makedev(0, 43): "tmpfs",
        os.makedev(0, 50): "overlay",
        os.makedev(0, 51): "nfs4",
        os.makedev(0, 34): "btrfs",
        os.makedev(0, 60): "tmpfs",
    }


def test_an_ambiguous_device_is_not_local(tmp_path: Path) -> None:
    """Two types under one number: neither is believed."""
    table = tmp_path / "mountinfo"
    table.write_bytes(
        b"1 0 0:7 / /a rw - ext4 x rw\n2 0 0:7 / /b rw - nfs4 x rw\n3 0 0:7 / /c rw - ext4 x rw\n"
    )
    mounts = MountTable(str(table))
    assert not mounts.is_local(os.makedev(0, 7))
    mounts.close()


@pytest.mark.parametrize(
    ("device", "local", "in_memory", "why"),
    [
        ((259, 2), True, False, "ext4"),
        ((0, 34), True, False, "btrfs"),
        ((0, 50), True, False, "overlay, whose layers may be on disk"),
        ((0, 43), True, True, "tmpfs"),
        ((0, 51), False, False, "a network"),
        ((0, 26), False, False, "another process"),
        ((9, 9), False, False, "unknown"),
    ],
)
def test_what_is_local(
    tmp_path: Path, device: tuple[int, int], local: bool, in_memory: bool, why: str
) -> None:
    """Only what is known to answer from this machine is asked on the event loop."""
    table = tmp_path / "mountinfo"
    table.write_bytes(REAL)
    mounts = MountTable(str(table))
    number = os.makedev(*device)
    assert (mounts.is_local(number), mounts.in_memory(number)) == (local, in_memory), why
    mounts.close()


class FakePoll:
    """poll(2) that reports a change when it is told to."""

    changed = False

    def register(self, descriptor: int, events: int) -> None:
        assert events == select.POLLPRI, "proc(5): a change is told as POLLPRI"
        self.descriptor = descriptor

    def poll(self, timeout: int) -> list[tuple[int, int]]:
        assert timeout == 0, "asking must not wait"
        found = [(self.descriptor, select.POLLPRI | select.POLLERR)] if self.changed else []
        FakePoll.changed = False
        return found


def test_a_change_is_picked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is read again when the kernel says so, and only then: a number may now be another's."""
    monkeypatch.setattr(select, "poll", FakePoll)
    table = tmp_path / "mountinfo"
    table.write_bytes(b"1 0 0:7 / /a rw - tmpfs x rw\n2 0 0:8 / /b rw - ext4 x rw\n")
    mounts = MountTable(str(table))
    table.write_bytes(b"1 0 0:7 / /a rw - nfs4 x rw\n")
    assert mounts.is_local(os.makedev(0, 7)), "nobody has said anything yet"
    FakePoll.changed = True
    assert not mounts.is_local(os.makedev(0, 7))
    assert not mounts.is_local(os.makedev(0, 8)), "unmounted"
    assert not mounts.in_memory(os.makedev(0, 7))
    mounts.close()


def test_no_table(tmp_path: Path) -> None:
    """Where there is none, as on macOS, nothing is local and nothing fails."""
    mounts = MountTable(str(tmp_path / "absent"))
    assert not mounts.is_local(os.stat(tmp_path).st_dev)
    assert mounts.point_of(os.fsencode(tmp_path)) == b"/"
    mounts.close()
    assert repr(mounts) == "<MountTable 0 devices>"


@pytest.mark.parametrize(
    ("path", "point", "why"),
    [
        (b"/etc/motd", b"/", "nothing but the root above it"),
        (b"/home", b"/home", "the point itself"),
        (b"/home/me/site", b"/home", "below it"),
        (b"/homes", b"/", "a name that only begins alike"),
        (b"/run/user/1000/my disk/a", b"/run/user/1000/my disk", "a blank, which the table writes in octal"),
        (b"/mnt/bind/a", b"/mnt/bind", "a bind mount"),
    ],
)
def test_a_path_lies_under_a_mount_point(tmp_path: Path, path: bytes, point: bytes, why: str) -> None:
    """The longest prefix of whole names, found without asking the disk."""
    table = tmp_path / "mountinfo"
    table.write_bytes(REAL)
    mounts = MountTable(str(table))
    assert mounts.point_of(path) == point, why
    mounts.close()


def test_a_closed_table_knows_nothing() -> None:
    """A worker left behind may still ask."""
    mounts = MountTable()
    mounts.close()
    mounts.close()
    assert not mounts.is_local(os.stat("/").st_dev)


MOUNTED = """
import os, subprocess, sys
from trio_evserver.files.mounts import MountTable
mounts = MountTable()
before = os.stat(sys.argv[1]).st_dev
subprocess.run(["mount", "-t", "tmpfs", "none", sys.argv[1]], check=True)
device = os.stat(sys.argv[1]).st_dev
print(device != before, mounts.in_memory(device), mounts.is_local(device), mounts.in_memory(device))
subprocess.run(["umount", sys.argv[1]], check=True)
print(mounts.is_local(device))
"""


def test_the_kernel_tells_of_mounts(tmp_path: Path) -> None:
    """The same with a real mount, in a mount namespace of its own."""
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("mounting takes root, and unshare(1)")
    run = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", MOUNTED, str(tmp_path)],
        capture_output=True, text=True, timeout=30, cwd=Path(__file__).parents[2], check=False,
    )  # fmt: skip
    if run.returncode and ("permission" in run.stderr.lower() or "not permitted" in run.stderr):
        pytest.skip("mounting is not permitted here")
    assert run.stdout.splitlines() == ["True False True True", "False"], run.stderr
