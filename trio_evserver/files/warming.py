"""What is to come into the page cache, and who waits for it.

What a question has made the kernel read has most likely come when the event loop has been round once more.
So it looks again, a few times, before a worker has to wait for it: the way to a worker and back costs as much
as all the rest of a cold file. What may not be asked for yet is asked for when something else has come.
"""

import errno
import math
import os
from collections import deque
from collections.abc import Callable
from itertools import chain
from time import monotonic
from typing import Final, TypeAlias

from trio_evserver.files.call import Call
from trio_evserver.files.disk import Disk
from trio_evserver.files.failures import DiskBusyError
from trio_evserver.files.open_file import OpenFile
from trio_evserver.files.page_cache import PageCache
from trio_evserver.files.workers import Workers
from trio_evserver.semantics.message import Region

_PATIENCE: Final = 0.01  # seconds that a disk has to bring what the event loop looks for again
_QUEUE: Final = 0.1  # seconds that others wait to be asked for, as long as some of that comes

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
        """`asked`: when, or since when it could not be, in the warmer's seconds."""
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


class Warmer:
    """Waits for parts of files, on behalf of those who want them. One per site."""

    def __init__(
        self,
        disk: Disk,
        workers: Workers,
        page_cache: PageCache,
        after_look: AfterLook | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Without `after_look` only workers wait. `clock` tells seconds."""
        self._disk = disk
        self._workers = workers
        self._page_cache = page_cache
        self._after_look = after_look
        self._clock = clock
        self._will_look = False
        self._came = -math.inf  # when the last of what was expected had
        self._expected: deque[Warming] = deque()  # looked for again
        self._unasked: dict[bytes, deque[Warming]] = {}  # by mount point: no more could be asked for
        self._awaited = 0  # for so many workers wait
        self._warming: dict[tuple[OpenFile, int, int], Warming] = {}  # by file, offset and length

    def __repr__(self) -> str:
        return f"<Warmer of {self._disk!r}>"

    def warm(self, file: OpenFile, region: Region) -> Warming:
        """Wait until it holds `region`, which a question found missing, once for all who ask for that
        meanwhile. That may be over at once, where it is refused.
        """
        key = (file, region.offset, region.length)
        warming = self._warming.get(key)
        if warming is None:
            warming = self._warming[key] = Warming(file, region, self._clock())
            file.acquire()
            if not self._expect(warming, is_asked=self._page_cache.has_missed(file, region.offset)):
                self._have_awaited(warming)
        return warming

    def _expect(self, warming: Warming, *, is_asked: bool) -> bool:
        """Look for it again, where that will be soon; if it could not be asked for, when others have come."""
        if not is_asked and not self._expected:
            return False
        if not self._will_look:
            self._will_look = self._after_look is not None and self._after_look(self._look_again)
        if self._will_look:
            if is_asked:
                self._expected.append(warming)
            else:
                self._unasked.setdefault(warming.file.mount, deque()).append(warming)
        return self._will_look

    def _look_again(self, is_idle: bool) -> None:
        """Which of those have come that nobody waits for yet. A worker waits for one that has not for long,
        and for one of them as soon as there is nothing else to do.
        """
        self._will_look = False
        now = self._clock()
        since = now - _PATIENCE
        for _ in range(len(self._expected)):
            warming = self._expected.popleft()
            file, region = warming.file, warming.region
            if self._disk.has_come(file.descriptor, file.identity.device, region.length, region.offset):
                self._came = now
                file.release()
                self._workers.arrived(file.mount)
                self._end(warming, None)
            elif warming.asked <= since or (is_idle and not self._awaited):
                self._have_awaited(warming)
            else:
                self._expected.append(warming)
        for mount in list(self._unasked):
            self._ask_for_more(mount, now - _QUEUE if self._came > since else since)
        if (self._expected or self._unasked) and not self._will_look:
            assert self._after_look is not None
            self._will_look = self._after_look(self._look_again)

    def _ask_for_more(self, mount: bytes, since: float) -> None:
        """Ask for what could not be asked for, in place of what has come. A worker waits for what could not
        since then.
        """
        unasked = self._unasked[mount]
        while unasked:
            warming = unasked[0]
            if warming.asked <= since:
                self._have_awaited(unasked.popleft())
            elif self._page_cache.has_room(warming.file):
                self._ask_for(unasked.popleft())
            else:
                return
        del self._unasked[mount]

    def _ask_for(self, warming: Warming) -> None:
        file, region = warming.file, warming.region
        warming.asked = self._clock()
        try:
            found = self._page_cache.ask(file, region)
        except OSError:  # reading meets it, too
            found = 0
        if found == region.length:
            file.release()
            self._end(warming, None)
        elif self._page_cache.has_missed(file, region.offset):
            self._expected.append(warming)
        else:
            self._have_awaited(warming)

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
            self._page_cache.remember(file, region)
        warming.finish(error)

    def close(self) -> None:
        """Nobody looks again: what was expected goes without."""
        left = [self._expected, *self._unasked.values()]
        self._expected, self._unasked = deque(), {}
        for warming in chain.from_iterable(left):
            warming.file.release()
            self._end(warming, OSError(errno.ECANCELED, os.strerror(errno.ECANCELED)))
