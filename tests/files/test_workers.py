"""Jobs in worker threads: never too many, never two owners of what a job holds, no token lost."""

import math
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from tests.files.making import make_workers, until_idle
from trio_evserver.files.call import Call
from trio_evserver.files.gate import Gate
from trio_evserver.files.workers import Workers

HERE = b"/"


class Held:
    """A job that is held up until it is let go, in a thread."""

    def __init__(self) -> None:
        self.begun = trio.Event()
        self.open = threading.Event()
        self._token = trio.lowlevel.current_trio_token()

    def __call__(self) -> str:
        self._token.run_sync_soon(self.begun.set)
        assert self.open.wait(10)
        return "result"


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.00001)
    yield
    sys.setswitchinterval(before)


async def ask(workers: Workers, job: Callable[[], object]) -> None:
    await workers.run(job, mount=HERE)


async def test_a_result_comes_back() -> None:
    """In a thread that is not the event loop's."""
    workers = make_workers(1)
    assert await workers.run(threading.get_ident, mount=HERE) != threading.get_ident()
    await until_idle(workers)
    statistics = workers.statistics()
    assert (statistics.in_flight, statistics.peak, statistics.waiting) == (0, 1, 0)
    assert (statistics.total, statistics.limit) == (1, 1)


async def test_an_exception_comes_back() -> None:
    """As the job raised it; neither clean-up is called, because the job itself ran and ended."""
    calls: list[object] = []
    workers = make_workers(1)

    def job() -> None:
        raise OSError(5, "broken")

    with pytest.raises(OSError, match="broken"):
        await workers.run(job, mount=HERE, never_ran=lambda: calls.append("never"), unwanted=calls.append)
    await until_idle(workers)
    assert calls == []


async def test_never_more_than_the_limit() -> None:
    """Of ten jobs in three threads three run, seven wait, and all come to their turn."""
    workers = make_workers(3)
    gates = [Held() for _ in range(10)]
    async with trio.open_nursery() as nursery:
        for gate in gates:
            nursery.start_soon(ask, workers, gate)
        while sum(gate.begun.is_set() for gate in gates) < 3:
            await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked()
        statistics = workers.statistics()
        assert (statistics.in_flight, statistics.waiting, statistics.peak) == (3, 7, 3)
        assert sum(gate.begun.is_set() for gate in gates) == 3
        for gate in gates:
            gate.open.set()
    await until_idle(workers)
    statistics = workers.statistics()
    assert (statistics.in_flight, statistics.peak, statistics.total) == (0, 3, 10)


async def test_cancelled_before_it_began() -> None:
    """A job without a token never runs, and `never_ran` is called in its place, once."""
    workers = make_workers(1)
    gate, calls = Held(), []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, workers, gate)
        await gate.begun.wait()
        with trio.CancelScope() as scope:
            nursery.start_soon(_cancel_when_waiting, workers, scope)
            await workers.run(
                lambda: calls.append("ran"),
                mount=HERE,
                never_ran=lambda: calls.append("never"),
                unwanted=lambda result: calls.append("unwanted"),
            )
        assert scope.cancelled_caught
        assert calls == ["never"]
        gate.open.set()
    await until_idle(workers)
    assert calls == ["never"]


async def _cancel_when_waiting(workers: Workers, scope: trio.CancelScope) -> None:
    await trio.testing.wait_all_tasks_blocked()
    assert workers.statistics().waiting == 1
    scope.cancel()


async def test_cancelled_already() -> None:
    """A scope that is cancelled before the call: the same."""
    workers, calls = make_workers(1), []
    with trio.CancelScope() as scope:
        scope.cancel()
        await workers.run(lambda: calls.append("ran"), mount=HERE, never_ran=lambda: calls.append("never"))
    assert calls == ["never"]
    assert workers.statistics().in_flight == 0


async def test_cancelled_while_running() -> None:
    """The asker leaves; the token comes back with the job, whose own thread disposes of the result."""
    workers = make_workers(1)
    gate = Held()
    disposed: list[tuple[str, int]] = []
    never: list[str] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            _run, workers, gate, lambda result: disposed.append((result, threading.get_ident())), never
        )
        await gate.begun.wait()
        nursery.cancel_scope.cancel()
    assert workers.statistics().in_flight == 1, "left behind, and still counted"
    assert disposed == []
    gate.open.set()
    await until_idle(workers)
    assert [result for result, _ in disposed] == ["result"]
    assert disposed[0][1] != threading.get_ident()
    assert never == []


async def _run(
    workers: Workers, job: Callable[[], Any], unwanted: Callable[[Any], object], never: list[str]
) -> None:
    await workers.run(job, mount=HERE, unwanted=unwanted, never_ran=lambda: never.append("never"))


async def test_a_token_is_not_given_away_while_its_job_runs() -> None:
    """Who waits behind a job that was left behind waits until it has returned: it is a read in flight."""
    workers = make_workers(1)
    first, second = Held(), Held()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, workers, first)
        await first.begun.wait()
        nursery.cancel_scope.cancel()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, workers, second)
        await trio.testing.wait_all_tasks_blocked()
        assert not second.begun.is_set()
        first.open.set()
        second.open.set()
        await second.begun.wait()
    assert workers.statistics().peak == 1


async def test_a_job_that_fails_after_its_asker_left() -> None:
    """There is no result to dispose of, and the token comes back all the same."""
    workers = make_workers(1)
    begun, go = trio.Event(), threading.Event()
    token = trio.lowlevel.current_trio_token()
    calls: list[str] = []

    def job() -> None:
        token.run_sync_soon(begun.set)
        assert go.wait(10)
        raise OSError

    async with trio.open_nursery() as nursery:
        nursery.start_soon(_run, workers, job, lambda result: calls.append("unwanted"), calls)
        await begun.wait()
        nursery.cancel_scope.cancel()
    go.set()
    await until_idle(workers)
    assert calls == []


async def test_a_thread_that_cannot_start() -> None:
    """As trio does, `run_sync` gives the token back and raises: the job never ran, and says so once."""

    async def no_thread(job: Callable[[], object], /, *, abandon_on_cancel: bool, limiter: Any) -> None:
        borrower = object()
        await limiter.acquire_on_behalf_of(borrower)
        limiter.release_on_behalf_of(borrower)
        raise RuntimeError("can't start new thread")

    calls: list[str] = []
    workers = make_workers(1, no_thread)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="new thread"):
            await workers.run(
                lambda: calls.append("ran"), mount=HERE, never_ran=lambda: calls.append("never")
            )
    assert calls == ["never", "never"]
    assert workers.statistics().in_flight == 0


async def test_the_operating_system_refuses_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with trio's own run_sync, whose threads are denied."""

    def refused(*args: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("trio._threads.start_thread_soon", refused)
    calls: list[str] = []
    workers = make_workers(1)
    with pytest.raises(RuntimeError, match="new thread"):
        await workers.run(lambda: calls.append("ran"), mount=HERE, never_ran=lambda: calls.append("never"))
    assert calls == ["never"]
    assert workers.statistics().in_flight == 0


async def test_every_moment_to_leave() -> None:
    """Whenever it is cancelled, one of asker, `unwanted` and `never_ran` is handed what the job held."""
    workers = make_workers(2)
    owners: list[str] = []
    for patience in range(20):
        async with trio.open_nursery() as nursery:

            async def take() -> None:
                await workers.run(
                    lambda: "held",
                    mount=HERE,
                    never_ran=lambda: owners.append("never"),
                    unwanted=owners.append,
                )
                owners.append("asker")

            nursery.start_soon(take)
            for _ in range(patience):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        await until_idle(workers)
        assert len(owners) == patience + 1, owners


async def test_many_leave_while_threads_go_on(switching: None) -> None:
    """Threads take calls out of the queue while askers leave it: nothing is lost, and nothing done twice."""
    workers = make_workers(3)
    owners: list[int] = []
    ran: list[int] = []

    async def take(number: int) -> None:
        def job() -> int:
            ran.append(number)
            time.sleep(0.0001)
            return number

        taken = partial(owners.append, number)
        await workers.run(job, mount=HERE, never_ran=taken, unwanted=owners.append)
        taken()

    for wave in range(10):
        async with trio.open_nursery() as nursery:
            for number in range(30):
                nursery.start_soon(take, 100 * wave + number)
            for _ in range(wave):
                await trio.sleep(0.0003)
            if wave < 9:  # of the last one all stay
                nursery.cancel_scope.cancel()
        await until_idle(workers)
    assert sorted(owners) == [100 * wave + number for wave in range(10) for number in range(30)]
    assert len(set(ran)) == len(ran) >= 30


class Turns(trio.abc.Instrument):
    """Counts the turns of the event loop."""

    count = 0

    def before_io_wait(self, timeout: float) -> None:
        self.count += 1


async def test_ended_calls_are_told_a_few_at_a_time() -> None:
    """However many have ended: each may have a reply sent, and others want a turn."""
    workers = make_workers(1)
    turns, first, all_ran = Turns(), Held(), threading.Event()
    told: list[int] = []

    def over(call: Call[Any]) -> None:
        told.append(turns.count)

    trio.lowlevel.add_instrument(turns)
    jobs: list[Callable[[], object]] = [first, *[lambda: None] * 200, all_ran.set]
    for job in jobs:
        workers.begin(Call(job, refusable=False, over=over), HERE)
    await first.begun.wait()
    first.open.set()
    assert all_ran.wait(10)
    with trio.fail_after(10):
        while len(told) < len(jobs):
            await trio.lowlevel.checkpoint()
    trio.lowlevel.remove_instrument(turns)
    assert max(Counter(told).values()) <= 64


async def test_the_nursery_is_cancelled() -> None:
    """Whoever waits although the workers have ended is told so, and what a thread does is left behind."""
    calls: list[str] = []
    first = Held()

    async def fail(workers: Workers, job: Callable[[], object]) -> None:
        with pytest.raises(OSError, match="the workers were cancelled"):
            await workers.run(job, mount=HERE, never_ran=lambda: calls.append("never"))

    async with trio.open_nursery() as askers:
        async with trio.open_nursery() as nursery:
            workers = Workers(Gate(2, queue=10, patience=math.inf), nursery)
            askers.start_soon(ask, workers, first)
            await first.begun.wait()
            nursery.cancel_scope.cancel()
            askers.start_soon(fail, workers, lambda: calls.append("ran"))
            with trio.CancelScope(shield=True):
                await trio.testing.wait_all_tasks_blocked()
        first.open.set()
    await until_idle(workers)
    assert calls == ["never"]


async def test_the_nursery_has_ended() -> None:
    """The same where it is gone."""
    async with trio.open_nursery() as nursery:
        workers = Workers(Gate(2, queue=10, patience=math.inf), nursery)
    calls: list[str] = []
    with pytest.raises(RuntimeError, match="closed"):
        await workers.run(lambda: None, mount=HERE, never_ran=lambda: calls.append("never"))
    assert calls == ["never"]
    assert workers.statistics().in_flight == 0
