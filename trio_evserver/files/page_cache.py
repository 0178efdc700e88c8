"""What the kernel holds of files in memory, asked on the event loop, and what is to come into it.

A question (preadv2(2) with RWF_NOWAIT) does not wait for pages that are missing. But it has the kernel begin
to read them, and beginning does wait where the device's queue is full, 64 to 256 requests as a rule. So the
event loop asks only while few of its questions have made the kernel read (`Gate.may_ask`), and beyond that
of parts that were found lately.

What a question has made the kernel read has most likely come when the event loop has been round once more.
So it looks again, a few times, before a worker has to wait for it: the way to a worker and back costs as much
as all the rest of a cold file.
"""

import errno
import math
import os
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final, TypeAlias

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
# So many questions may be out, of what the event loop looks for again. With what the threads are at they are
# to fit into the queue of a device, which takes 64 requests at the least; each is one request to four, of
# which those that wait in the queue are put together.
_MOST_EXPECTED: Final = 16
_PATIENCE: Final = 0.01  # seconds that a disk has to bring what the event loop looks for again

MOST_ASKED: Final = 4
"""So many where a worker waits for each: to have the kernel begin takes the event loop 25 us, and after a few
misses the next is most likely one, too.
"""

AfterLook: TypeAlias = Callable[[Callable[[bool], None]], bool]
"""Has something called when the event loop has been round once more, and told whether there was nothing else
to do; False if it may not come round for long.
"""


class Warming:
    """A part of a file that is waited for, on behalf of all who want it, until that `is_over`. If they are
    refused it, `refused` says why; what else goes wrong, reading meets, too.
    """

    __slots__ = ("_callbacks", "asked", "file", "is_over", "refused", "region")

    def __init__(self, file: OpenFile, region: Region, asked: float) -> None:
        """`asked`: when, in the page cache's seconds."""
        self.file = file
        self.region = region
        self.asked = asked
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
        self,
        disk: Disk,
        workers: Workers,
        *,
        enabled: bool,
        after_look: AfterLook | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Not `enabled`, it holds nothing. Without `after_look` only workers wait. `clock` tells seconds."""
        self._disk = disk
        self._workers = workers
        self._enabled = enabled
        self._after_look = after_look
        self._most_asked = MOST_ASKED if after_look is None else _MOST_EXPECTED
        self._will_look = False
        self._expected: deque[Warming] = deque()  # looked for again
        self._awaited = 0  # for so many workers wait
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
            if not region.offset:
                self._disk.begin(file.descriptor, device, region.length)
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
        return now < until + _LATELY or self._workers.may_ask(file.mount, self._most_asked)

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
        """Wait until it holds `region`, which a question found missing, once for all who ask for that
        meanwhile. That may be over at once, where it is refused.
        """
        key = (file, region.offset, region.length)
        warming = self._warming.get(key)
        if warming is None:
            warming = self._warming[key] = Warming(file, region, self._clock())
            file.acquire()
            if self._missed != (file, region.offset) or not self._expect(warming):
                self._have_awaited(warming)
        return warming

    def _expect(self, warming: Warming) -> bool:
        """Look for it again, where that will be soon."""
        if not self._will_look:
            self._will_look = self._after_look is not None and self._after_look(self._look_again)
        if self._will_look:
            self._expected.append(warming)
        return self._will_look

    def _look_again(self, is_idle: bool) -> None:
        """Which of those have come that nobody waits for yet. A worker waits for one that has not for long,
        and for one of them as soon as there is nothing else to do.
        """
        self._will_look = False
        since = self._clock() - _PATIENCE
        for _ in range(len(self._expected)):
            warming = self._expected.popleft()
            file, region = warming.file, warming.region
            if self._disk.has_come(file.descriptor, file.identity.device, region.length, region.offset):
                file.release()
                self._workers.arrived(file.mount)
                self._end(warming, None)
            elif warming.asked <= since or (is_idle and not self._awaited):
                self._have_awaited(warming)
            else:
                self._expected.append(warming)
        if self._expected and not self._will_look:
            assert self._after_look is not None
            self._will_look = self._after_look(self._look_again)

    def _have_awaited(self, warming: Warming) -> None:
        """Have a worker wait for it."""
        file, region = warming.file, warming.region
        self._awaited += 1

        def job() -> None:
            try:
                self._disk.make_resident(file.descriptor, region.length, region.offset)
            finally:
                file.release()

        def over(call: Call[None]) -> None:
            if call.never_ran:
                file.release()
            self._awaited -= 1
            self._end(warming, call.error)

        try:
            self._workers.begin(Call(job, refusable=True, over=over), file.mount)
        except BaseException as error:
            file.release()
            self._awaited -= 1
            self._end(warming, error)
            if not isinstance(error, DiskBusyError):
                raise

    def _end(self, warming: Warming, error: BaseException | None) -> None:
        """It has come, or cannot."""
        file, region = warming.file, warming.region
        del self._warming[(file, region.offset, region.length)]
        if error is None:
            self._remember(file, region, self._clock())
        warming.finish(error)

    def close(self) -> None:
        """Nobody looks again: what was expected goes without."""
        while self._expected:
            warming = self._expected.popleft()
            warming.file.release()
            self._end(warming, OSError(errno.ECANCELED, os.strerror(errno.ECANCELED)))
