"""Who gets a worker thread, and when: shares per disk, queues bounded in length and time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
import trio.testing

from trio_evserver.files.failures import DiskBusyError
from trio_evserver.files.gate import Gate
from trio_evserver.files.workers import Hand, Workers

FAST, SLOW = b"/fast", b"/slow"


class Threads:
    """In place of threads: each begins what it is given once it is let go, and does it on the event loop."""

    def __init__(self) -> None:
        self.started = 0
        self.begun: list[str] = []
        self._go = trio.Event()

    async def run_sync(self, job: object, /, *, abandon_on_cancel: bool, limiter: Hand) -> None:
        assert callable(job)
        borrower = object()
        await limiter.acquire_on_behalf_of(borrower)
        self.started += 1
        try:
            await self._go.wait()
            job()
        finally:
            limiter.release_on_behalf_of(borrower)

    def let_go(self) -> None:
        """Those that have started, and all to come."""
        self._go.set()


class Scene:
    """A gate, its workers, and threads that wait to be let go."""

    def __init__(self, nursery: trio.Nursery, threads: int, queue: int, patience: float) -> None:
        self.gate = Gate(threads, queue=queue, patience=patience)
        self.threads = Threads()
        self.workers = Workers(self.gate, nursery, self.threads.run_sync)

    async def ask(self, mount: bytes, *, name: str = "", refusable: bool = False) -> None:
        """One call to the disk at `mount`, that takes its name down when it begins."""
        await self.workers.run(lambda: self.threads.begun.append(name), mount=mount, refusable=refusable)


@asynccontextmanager
async def opened(threads: int, *, queue: int = 100, patience: float = 1000) -> AsyncIterator[Scene]:
    async with trio.open_nursery() as nursery:
        yield Scene(nursery, threads, queue, patience)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("threads", "share", "why"),
    [
        (1, 1, "one thread is for everybody"),
        (3, 3, "too few to leave any"),
        (4, 3, "a quarter is left"),
        (16, 12, "a quarter is left"),
    ],
)
async def test_a_slow_disk_cannot_take_every_thread(threads: int, share: int, why: str) -> None:
    """Its calls in flight stop at its share, and the rest of the threads is for the other disks."""
    async with opened(threads) as scene, trio.open_nursery() as nursery:
        for _ in range(threads):
            nursery.start_soon(scene.ask, SLOW)
        await trio.testing.wait_all_tasks_blocked()
        assert scene.threads.started == share, why
        for _ in range(threads - share):
            nursery.start_soon(scene.ask, FAST)
        await trio.testing.wait_all_tasks_blocked()
        assert scene.threads.started == threads
        assert scene.gate.limiter.borrowed_tokens == threads
        scene.threads.let_go()


async def test_a_full_queue_refuses() -> None:
    """The call is refused before anything is asked of the disk, and the others are not affected."""
    async with opened(1, queue=1) as scene, trio.open_nursery() as nursery:
        nursery.start_soon(scene.ask, SLOW)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(scene.ask, SLOW)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(DiskBusyError, match="full"):
            await scene.ask(SLOW, refusable=True)
        statistics = scene.gate.statistics()
        assert (statistics.waiting, statistics.peak, statistics.hops) == (1, 1, 0)
        assert (statistics.refused_full, statistics.refused_late) == (1, 0)
        scene.threads.let_go()
    assert scene.gate.statistics().hops == 2


async def test_a_long_wait_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    """After `patience` seconds, neither before nor much later; who came later waits on for as long."""
    async with opened(1, patience=3) as scene, trio.open_nursery() as nursery:
        nursery.start_soon(scene.ask, SLOW)
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()

        async def later() -> None:
            await trio.sleep(2)
            with pytest.raises(DiskBusyError, match="waited 3 s"):
                await scene.ask(SLOW, refusable=True)
            assert trio.current_time() - began == pytest.approx(5)
            scene.threads.let_go()

        nursery.start_soon(later)
        with pytest.raises(DiskBusyError, match="waited 3 s"):
            await scene.ask(SLOW, refusable=True)
        assert trio.current_time() - began == pytest.approx(3)
        statistics = scene.gate.statistics()
        assert (statistics.waiting, statistics.refused_full, statistics.refused_late) == (1, 0, 1)
    assert scene.gate.statistics().hops == 1
    assert scene.gate.statistics().refused_late == 2


async def test_a_reply_under_way_is_never_refused(autojump_clock: trio.testing.MockClock) -> None:
    """There is no honest answer any more: its reads wait as long as it takes."""
    async with opened(1, queue=0, patience=1) as scene, trio.open_nursery() as nursery:
        nursery.start_soon(scene.ask, SLOW)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(scene.ask, SLOW)
        await trio.sleep(100)
        scene.threads.let_go()
    assert scene.gate.statistics().hops == 2


async def test_who_leaves_the_queue_holds_nothing() -> None:
    """Cancelled while waiting for its disk's share, and while waiting for any thread at all."""
    async with opened(4) as scene, trio.open_nursery() as nursery:
        for mount in (SLOW, SLOW, SLOW, FAST):
            nursery.start_soon(scene.ask, mount)
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as leaving:
            leaving.start_soon(scene.ask, SLOW)
            leaving.start_soon(scene.ask, FAST)
            await trio.testing.wait_all_tasks_blocked()
            assert scene.gate.statistics().waiting == 2
            leaving.cancel_scope.cancel()
        assert scene.gate.statistics().waiting == 0
        scene.threads.let_go()
        await trio.testing.wait_all_tasks_blocked()
        assert scene.gate.limiter.borrowed_tokens == 0
        assert scene.threads.started == 4


async def test_a_thread_goes_on_with_what_waits() -> None:
    """Of the same disk, in the order in which they asked, without another thread."""
    async with opened(1) as scene, trio.open_nursery() as nursery:
        for name in "abcd":
            nursery.start_soon(partial(scene.ask, SLOW, name=name))
            await trio.testing.wait_all_tasks_blocked()
        scene.threads.let_go()
    assert scene.threads.begun == ["a", "b", "c", "d"]
    assert scene.threads.started == 1
    assert scene.gate.statistics().hops == 4


async def test_who_waits_longest_is_next_whatever_their_disk() -> None:
    """A thread does not go on with its own disk where a call of another has waited for longer."""
    async with opened(1) as scene, trio.open_nursery() as nursery:
        for mount, name in [(SLOW, "a"), (FAST, "b"), (SLOW, "c"), (SLOW, "d"), (FAST, "e")]:
            nursery.start_soon(partial(scene.ask, mount, name=name))
            await trio.testing.wait_all_tasks_blocked()
        scene.threads.let_go()
    assert scene.threads.begun == ["a", "b", "c", "d", "e"]
    assert scene.threads.started == 4


async def test_how_long_they_waited(autojump_clock: trio.testing.MockClock) -> None:
    """Seconds of waiting are counted for who began, who was refused and who left; and how long threads were
    at it.
    """
    async with opened(1, patience=3) as scene, trio.open_nursery() as nursery:
        nursery.start_soon(scene.ask, SLOW)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(DiskBusyError):
            await scene.ask(SLOW, refusable=True)
        with trio.move_on_after(5):
            await scene.ask(FAST)
        statistics = scene.gate.statistics()
        assert (statistics.waited, statistics.longest_wait) == pytest.approx((3 + 5, 5))
        nursery.start_soon(scene.ask, FAST)
        await trio.sleep(7)
        scene.threads.let_go()
    statistics = scene.gate.statistics()
    # The first one's thread was there at once, but was let go after 15 seconds only.
    assert (statistics.waited, statistics.longest_wait) == pytest.approx((3 + 5 + 15 + 7, 15))
    assert statistics.hops == 2


def test_how_long_threads_were_busy() -> None:
    """The seconds of the jobs alone, by the clock of the run."""
    clock = trio.testing.MockClock()

    async def main() -> float:
        async with opened(1) as scene:
            scene.threads.let_go()
            for _ in range(2):
                await scene.workers.run(lambda: clock.jump(4), mount=SLOW)
            return scene.gate.statistics().busy

    assert trio.run(main, clock=clock) == pytest.approx(8)
