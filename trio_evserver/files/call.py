"""One job for a worker thread, from when it is asked for until its asker has the result, or nobody wants it.

Three may take a call out of the queue it is in: a thread that begins it, its asker who leaves, and the gate
that refuses it. Taking it out is what decides, and a deque does that for one of them only.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import trio

logger = logging.getLogger("trio_evserver")

T = TypeVar("T")


# The queue of a call that is in none.
_NONE: Final[deque[Any]] = deque()


def _drop(what: object) -> None:
    pass


class Call(Generic[T]):
    """`job()`, whose result goes to the task that waits for it, or to `unwanted` where that has left.

    Where nobody waits `over` is called, on the event loop, when the job has ended or turns out never to run.

    `asked`, `began` and `ended` are moments of the gate's clock, 0 until they come. `never_ran` tells that
    the asker has to give back what the job would have.
    """

    __slots__ = (
        "_has_ended", "_is_left", "_is_over", "_job", "_lock", "_over", "_result", "_task", "_unwanted",
        "asked", "began", "ended", "error", "never_ran", "queue", "refusable",
    )  # fmt: skip

    def __init__(
        self,
        job: Callable[[], T],
        *,
        refusable: bool,
        unwanted: Callable[[T], object] = _drop,
        over: "Callable[[Call[T]], object]" = _drop,
    ) -> None:
        self._job = job
        self._unwanted = unwanted
        self._over = over
        self._lock = threading.Lock()
        self._task: trio.lowlevel.Task | None = None
        self._has_ended = self._is_left = self._is_over = False
        self.error: BaseException | None = None
        self.refusable = refusable
        self.never_ran = True
        self.asked = self.began = self.ended = 0.0
        self.queue: deque[Call[T]] = _NONE

    def __repr__(self) -> str:
        return f"<Call {self._job!r}>"

    # The asker's task

    async def wait(self) -> T:
        """What the job returns or raises, or `fail` says instead.

        Cancellation: prompt. A job that has not begun never runs; one that has is left behind, with its
        result.
        """
        if not self._is_over:
            self._task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort)
        error, self.error = self.error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # or it would be part of a cycle
        return self._result

    def _abort(self, raise_cancel: object) -> trio.lowlevel.Abort:
        self._task = None
        try:
            self.queue.remove(self)
        except ValueError:  # a thread is at it, or was
            self.never_ran = False
            with self._lock:
                self._is_left = True
                has_result = self._has_ended and self.error is None
            if has_result:
                self._unwanted(self._result)
        return trio.lowlevel.Abort.SUCCEEDED

    # The event loop

    def tell(self) -> None:
        """The job has ended."""
        self.never_ran = False
        self._wake()

    def fail(self, error: BaseException) -> None:
        """It was taken out of its queue, and will not run."""
        self.error = error
        self._wake()

    def _wake(self) -> None:
        self._is_over = True
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)
            self._task = None
        self._over(self)

    # The thread

    def run(self) -> None:
        """Do the job."""
        try:
            self._result = self._job()
        except BaseException as error:
            self.error = error
        with self._lock:
            self._has_ended = True
            is_unwanted = self._is_left and self.error is None
        if is_unwanted:
            try:
                self._unwanted(self._result)
            except Exception:
                logger.exception("what nobody wants could not be given back")
