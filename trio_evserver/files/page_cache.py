"""What the kernel holds of files in memory, asked on the event loop, and what is to come into it.

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

from trio_evserver.files.call import Call
from trio_evserver.files.disk import Disk
from trio_evserver.files.failures import DiskBusyError
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


class Warming:
    """A part of a file that a worker waits for, on behalf of all who want it, until that `is_over`. If they
    are refused it, `refused` says why; what else goes wrong, reading meets, too.
    """

    __slots__ = ("_callbacks", "is_over", "refused")

    def __init__(self) -> None:
        self._callbacks: list[Callable[[], None]] = []
        self.is_over = False
        self.refused: DiskBusyError | None = None

    def then(self, callback: Callable[[], None]) -> None:
        """Have this called, on the event loop, when it is over, which it is not yet. It must not raise."""
        self._callbacks.append(callback)

    def finish(self, error: BaseException | None) -> None:
        """It has come, or cannot."""
        self.is_over = True
        self.refused = error if isinstance(error, DiskBusyError) else None
        callbacks, self._callbacks = self._callbacks, []  # who waits may hold this: no cycle is to stay
        for callback in callbacks:
            callback()


class PageCache:
    """Asks the page cache. What is known of it lies with the files and the gate, but for what is to come."""

    def __init__(
        self, disk: Disk, workers: Workers, *, enabled: bool, clock: Callable[[], float] = monotonic
    ) -> None:
        """Not `enabled`, it holds nothing. `clock` tells seconds."""
        self._disk = disk
        self._workers = workers
        self._enabled = enabled
        self._clock = clock
        self._missed: tuple[OpenFile | None, int] = None, 0  # by the last question that found nothing: where
        self._warming: dict[tuple[OpenFile, int, int], Warming] = {}  # by file, offset and length

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
        device = file.identity.device
        try:
            found = self._disk.cached_length(file.descriptor, device, region.length, region.offset)
        except BlockingIOError as error:
            self._note_miss(file, region.offset, error)
            return 0
        self._remember(file, Region(region.offset, found), now)
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
        self._remember(file, Region(offset, found), now)
        return found

    def _known_until(self, file: OpenFile, region: Region) -> float:
        """Until when `region` is taken to be there."""
        begins, until = file.resident.get(region.offset + region.length, _UNKNOWN)
        return until if begins <= region.offset else _NEVER

    def _may_ask(self, file: OpenFile, until: float, now: float) -> bool:
        if not (self._enabled and file.local):
            return False
        return now < until + _LATELY or self._workers.may_ask(file.mount)

    def _note_miss(self, file: OpenFile, offset: int, error: BlockingIOError) -> None:
        """A question that was asked, and not for the second time, makes the kernel read."""
        if error.errno == errno.EAGAIN and self._missed != (file, offset):
            self._missed = file, offset
            self._workers.missed(file.mount)

    def _remember(self, file: OpenFile, region: Region, now: float) -> None:
        if len(file.resident) >= _MOST_REMEMBERED:
            file.resident.clear()
        file.resident[region.offset + region.length] = (region.offset, now + _STAYS)

    # What is to come

    def warm(self, file: OpenFile, region: Region) -> Warming:
        """Have a worker wait until it holds `region`, once for all who ask for that meanwhile. That may be
        over at once, where it is refused.
        """
        key = (file, region.offset, region.length)
        warming = self._warming.get(key)
        if warming is not None:
            return warming
        warming = self._warming[key] = Warming()
        file.acquire()

        def job() -> None:
            try:
                self._disk.make_resident(file.descriptor, region.length, region.offset)
            finally:
                file.release()

        def over(call: Call[None]) -> None:
            del self._warming[key]
            if call.never_ran:
                file.release()
            elif call.error is None:
                self._remember(file, region, self._clock())
            warming.finish(call.error)

        try:
            self._workers.begin(Call(job, refusable=True, over=over), file.mount)
        except BaseException as error:
            del self._warming[key]
            file.release()
            if not isinstance(error, DiskBusyError):
                raise
            warming.finish(error)
        return warming
