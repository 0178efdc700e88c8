"""What the kernel holds of files in memory, asked on the event loop.

A question (preadv2(2) with RWF_NOWAIT) does not wait for pages that are missing. But it has the kernel begin
to read them, and beginning does wait where the device's queue is full, 64 to 256 requests as a rule. So the
event loop asks only while few of its questions have made the kernel read (`Gate.may_ask`), and beyond that
of parts that were found lately.
"""

import errno
import math
from collections.abc import Callable
from time import monotonic
from typing import Final

from trio_evserver.files.disk import Disk
from trio_evserver.files.open_file import OpenFile
from trio_evserver.files.workers import Workers
from trio_evserver.semantics.message import Region

# Pages that were in memory are taken to be there for so many seconds more: in that time the kernel does not
# come round to pages that were just used, however little memory it has.
_STAYS = 0.01
# For so many seconds more they are most likely there, and a question makes nobody read.
_LATELY: Final = 1.0
_NEVER: Final = -math.inf
_UNKNOWN: Final = (0, _NEVER)
_MOST_REMEMBERED: Final = 64  # parts of one file
MOST_ASKED: Final = 4
"""So many where a worker waits for each: to have the kernel begin takes the event loop 25 us, and after a few
misses the next is most likely one, too.
"""


class PageCache:
    """Asks the page cache. What is known of it lies with the files and the gate."""

    def __init__(
        self,
        disk: Disk,
        workers: Workers,
        *,
        enabled: bool,
        looks_again: bool = False,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Not `enabled`, it holds nothing. `looks_again`: the event loop looks for what was missing, so that
        more may be asked for at a time. `clock` tells seconds.
        """
        self._disk = disk
        self._workers = workers
        self._enabled = enabled
        self._looks_again = looks_again
        self._clock = clock
        self._missed: tuple[OpenFile | None, int] = None, 0  # by the last question that found nothing: where

    def __repr__(self) -> str:
        return f"<PageCache of {self._disk!r}>"

    def knows(self, file: OpenFile) -> bool:
        """Whether it can tell about `file`, which is not empty, and what is there be sent in place."""
        return (
            self._enabled and file.local and self._disk.tells_residency(file.descriptor, file.identity.device)
        )

    def length(self, file: OpenFile, region: Region) -> int:
        """How much it holds of the beginning of `region`, where that can be sent in place, and as far as can
        be told.
        """
        now = self._clock()
        until = self._known_until(file, region)
        if now < until:
            return region.length
        if not self._may_ask(file, until, now):
            return 0
        return self.ask(file, region)

    def ask(self, file: OpenFile, region: Region) -> int:
        """As `length`, where that may be asked."""
        device = file.identity.device
        try:
            if not region.offset:
                self._disk.begin(file.descriptor, device, region.length)
            found = self._disk.cached_length(file.descriptor, device, region.length, region.offset)
        except BlockingIOError as error:
            self._note_miss(file, region.offset, error)
            return 0
        self.remember(file, Region(region.offset, found))
        return found

    def read(self, file: OpenFile, buffer: memoryview, offset: int) -> int:
        """Fill the beginning of `buffer` with what it holds from `offset` on, which must lie inside the file;
        how many bytes that is, at least 1. BlockingIOError: nothing.
        """
        now = self._clock()
        if not self._may_ask(file, self._known_until(file, Region(offset, len(buffer))), now):
            raise BlockingIOError
        try:
            found = self._disk.read_cached(file.descriptor, file.identity.device, buffer, offset)
        except BlockingIOError as error:
            self._note_miss(file, offset, error)
            raise
        self.remember(file, Region(offset, found))
        return found

    def _known_until(self, file: OpenFile, region: Region) -> float:
        """Until when `region` is taken to be there."""
        begins, until = file.resident.get(region.offset + region.length, _UNKNOWN)
        return until if begins <= region.offset else _NEVER

    def _may_ask(self, file: OpenFile, until: float, now: float) -> bool:
        if not (self._enabled and file.local):
            return False
        return now < until + _LATELY or self.has_room(file)

    def has_room(self, file: OpenFile) -> bool:
        """Whether the kernel may be made to read more of its disk."""
        most = MOST_ASKED
        if self._looks_again:
            most = self._disk.readahead.most_at_once(file.identity.device)
        return self._workers.may_ask(file.mount, most)

    def has_missed(self, file: OpenFile, offset: int) -> bool:
        """Whether the last question that found nothing was this, so that the kernel reads."""
        return self._missed == (file, offset)

    def _note_miss(self, file: OpenFile, offset: int, error: BlockingIOError) -> None:
        """A question that was asked, and not for the second time, makes the kernel read."""
        if error.errno == errno.EAGAIN and self._missed != (file, offset):
            self._missed = file, offset
            self._workers.missed(file.mount)

    def remember(self, file: OpenFile, region: Region) -> None:
        """It holds this now."""
        if len(file.resident) >= _MOST_REMEMBERED:
            file.resident.clear()
        file.resident[region.offset + region.length] = (region.offset, self._clock() + _STAYS)
