"""How to ask for a cold file so that the kernel reads it in large folios, and for how many at a time.

If it is asked for all of it at once the kernel allocates each page, accounts for it and puts it into the page
cache by itself. If it is asked for little it reads a first window of a few pages, and marks the one behind
what was asked for. To ask for a marked page begins the next window, two or four times as long, in folios of
four times as many pages, and with a mark where it begins. So 256 KiB are 12 to 15 folios instead of 64, which
takes half of the time, or less, and half of it where they are sent. It is 3 or 4 requests to the device
instead of 1, of half a MiB up to 6. So it is done only where the queue of the device has room for them.

Source: mm/readahead.c of Linux 6.18 (`get_init_ra_size`, `get_next_ra_size`, `page_cache_async_ra`,
`page_cache_ra_order`), which has been like this since 6.17. As another kernel may have other windows, the
first few files of each device are looked at when they have come: if hardly one is whole, the files of this
device are asked for all at once from then on.
"""

import os
import re
from mmap import PAGESIZE
from typing import Final

import msgspec

from trio_evserver.files.mounts import MountTable

_SINCE: Final = (6, 17)
_PAGE: Final = 4096  # bytes: how windows of larger pages grow was not looked at
_WITH_LARGE_FOLIOS: Final = frozenset({"ext4", "xfs"})
# What is longer is read by several workers at the same time, each its part.
_LONGEST: Final = 512 * 1024
# Of the device itself; of a partition, the disk's.
_SETTINGS: Final = ("dev/block/{}/queue/{}", "dev/block/{}/../queue/{}")
# So many files may be asked for at a time that they fit into the queue of the device with what the threads
# are at. Where it is not known to take the fewest in windows, each is asked for at once: a request or two.
_FEWEST: Final = 16
_MOST: Final = 64
_OF_A_FILE: Final = 6  # requests
_OF_THREADS: Final = 64
_LEAST_QUEUE: Final = _FEWEST * _OF_A_FILE + _OF_THREADS
_TRIALS: Final = 8
_FEWEST_WHOLE: Final = 2  # of them, if the windows are what we think


class Windows(msgspec.Struct, frozen=True):
    """`asked`: how many pages to ask for at first. `marks`: the bytes to ask for then, one by one, and where
    the windows that are read for them begin.
    """

    asked: int
    marks: tuple[tuple[int, int], ...]


class KernelReadahead:
    """What is known of devices: their windows, and how much they can be asked for."""

    def __init__(self, mounts: MountTable, *, release: str | None = None, settings: str = "/sys") -> None:
        """`release` is the kernel's, as uname(2) has it; `settings` is where sysfs(5) is mounted."""
        self._mounts = mounts
        self._settings = settings
        is_known = version(os.uname().release if release is None else release) >= _SINCE
        self._has_windows = is_known and PAGESIZE == _PAGE
        self._windows: dict[int, Windows | None] = {}
        self._trials: dict[int, list[bool]] = {}  # whether the first files of a device came whole
        self._most: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"<KernelReadahead of {len(self._windows)} devices>"

    def windows(self, device: int, length: int) -> Windows | None:
        """How to ask for the first `length` bytes of a file of `device`; None: for all of them at once."""
        if device not in self._windows:
            self._windows[device] = windows_of(self._longest_window(device))
            self._trials[device] = []
        windows = self._windows[device]
        return windows if windows is not None and windows.marks[0][1] < length <= _LONGEST else None

    def is_on_trial(self, device: int, length: int) -> bool:
        """Whether it is yet to be seen that so many bytes come whole."""
        return self.windows(device, length) is not None and len(self._trials[device]) < _TRIALS

    def tried(self, device: int, *, is_right: bool) -> None:
        """What was asked for like this has come, whole or not: it may have been in memory in part."""
        trials = self._trials[device]
        trials.append(is_right)
        if len(trials) == _TRIALS and sum(trials) < _FEWEST_WHOLE:
            self._windows[device] = None

    def _longest_window(self, device: int) -> int:
        """How many pages of a file of this device it has at most; 0 if that is not known, or of no use."""
        if not self._has_windows or self._mounts.kind_of(device) not in _WITH_LARGE_FOLIOS:
            return 0
        if self.queue_length(device) < _LEAST_QUEUE:
            return 0
        return self._setting(device, "read_ahead_kb") * 1024 // _PAGE

    def most_at_once(self, device: int) -> int:
        """How many files of `device` may be asked for before the first has come."""
        most = self._most.get(device)
        if most is None:
            fitting = (self.queue_length(device) - _OF_THREADS) // _OF_A_FILE
            most = self._most[device] = min(max(fitting, _FEWEST), _MOST)
        return most

    def queue_length(self, device: int) -> int:
        """How many requests the queue of a device takes before who has more waits; 0 if that is not known."""
        return self._setting(device, "nr_requests")

    def _setting(self, device: int, name: str) -> int:
        number = f"{os.major(device)}:{os.minor(device)}"
        for place in _SETTINGS:
            try:
                with open(os.path.join(self._settings, place.format(number, name)), "rb") as file:
                    return int(file.read())
            except (OSError, ValueError):
                continue
        return 0


def version(release: str) -> tuple[int, int]:
    """The first two numbers of a kernel's release; two noughts if it has none."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def windows_of(longest: int) -> Windows | None:
    """The windows where the longest has so many pages; None where they are too short to be of use."""
    if longest < 32:
        return None
    # Where they grow soon enough the first is short, since its pages are single.
    asked, size = (1, 4) if longest >= 128 else (4, 8)
    marks = []
    mark, begins, order = asked, size, 0
    while begins * _PAGE < _LONGEST:
        marks.append((mark * _PAGE, begins * _PAGE))
        size = min(size * (4 if size < longest // 16 else 2), longest)
        order += 2
        whole = (begins + size) >> order << order  # it ends where a folio of this order would
        if whole > begins:
            size = whole - begins
        order = min(order, size.bit_length() - 1)
        mark, begins = begins, begins + size
    return Windows(asked, tuple(marks))
