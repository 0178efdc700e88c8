"""Who gets a worker thread, and when: shares per disk, queues bounded in length and time."""

import pytest
import trio
import trio.testing

from trio_evserver.files.gate import DiskBusyError, Gate, Ticket

FAST, SLOW = b"/fast", b"/slow"


async def admit(gate: Gate, mount: bytes, *, refusable: bool = False) -> Ticket:
    ticket = gate.ticket(mount, refusable=refusable)
    await ticket.acquire_on_behalf_of(ticket)
    return ticket


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
    gate = Gate(threads, queue=100, patience=1)
    slow = []
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            slow.append(await admit(gate, SLOW))

        for _ in range(threads):
            nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        assert len(slow) == share, why
        for _ in range(threads - share):
            await admit(gate, FAST)
        assert gate.limiter.borrowed_tokens == threads
        nursery.cancel_scope.cancel()


async def test_a_full_queue_refuses() -> None:
    """The call is refused before anything is asked of the disk, and the others are not affected."""
    gate = Gate(1, queue=1, patience=1000)
    held = await admit(gate, SLOW, refusable=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(admit, gate, SLOW)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(DiskBusyError, match="full"):
            await admit(gate, SLOW, refusable=True)
        statistics = gate.statistics()
        assert (statistics.waiting, statistics.peak, statistics.hops) == (1, 1, 1)
        assert (statistics.refused_full, statistics.refused_late) == (1, 0)
        held.release_on_behalf_of(held)
    assert gate.limiter.borrowed_tokens == 1


async def test_a_long_wait_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    """After `patience` seconds, neither before nor much later; nothing is held."""
    gate = Gate(1, queue=10, patience=3)
    held = await admit(gate, SLOW)
    began = trio.current_time()
    with pytest.raises(DiskBusyError, match="waited 3 s"):
        await admit(gate, SLOW, refusable=True)
    assert trio.current_time() - began == pytest.approx(3)
    statistics = gate.statistics()
    assert (statistics.waiting, statistics.peak, statistics.hops) == (0, 1, 1)
    assert (statistics.refused_full, statistics.refused_late) == (0, 1)
    held.release_on_behalf_of(held)
    again = await admit(gate, SLOW, refusable=True)
    assert again.admitted


async def test_a_reply_under_way_is_never_refused(autojump_clock: trio.testing.MockClock) -> None:
    """There is no honest answer any more: its reads wait as long as it takes."""
    gate = Gate(1, queue=0, patience=1)
    held = await admit(gate, SLOW)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(admit, gate, SLOW)
        await trio.sleep(100)
        held.release_on_behalf_of(held)
    assert gate.limiter.borrowed_tokens == 1


async def test_who_leaves_the_queue_holds_nothing() -> None:
    """Cancelled while waiting for the share, and while waiting for the limiter with the share in hand."""
    gate = Gate(4, queue=10, patience=1000)
    held = [await admit(gate, SLOW) for _ in range(3)] + [await admit(gate, FAST)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(admit, gate, SLOW)
        nursery.start_soon(admit, gate, FAST)
        await trio.testing.wait_all_tasks_blocked()
        assert gate.statistics().waiting == 2
        nursery.cancel_scope.cancel()
    assert gate.statistics().waiting == 0
    for ticket in held:
        ticket.release_on_behalf_of(ticket)
    assert gate.limiter.borrowed_tokens == 0
    for _ in range(3):
        await admit(gate, FAST)
    await admit(gate, SLOW)
    assert gate.limiter.borrowed_tokens == 4


async def test_how_long_they_waited(autojump_clock: trio.testing.MockClock) -> None:
    """Seconds of waiting are counted for who was admitted, who was refused and who left, to the share and to
    the limiter; seconds in a thread until it has returned.
    """
    gate = Gate(1, queue=10, patience=3)
    held = await admit(gate, SLOW)
    with pytest.raises(DiskBusyError):
        await admit(gate, SLOW, refusable=True)
    with trio.move_on_after(5):
        await admit(gate, FAST)
    assert (gate.statistics().waited, gate.statistics().longest_wait) == pytest.approx((3 + 5, 5))
    assert gate.statistics().busy == 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(admit, gate, FAST)
        await trio.sleep(7)
        held.release_on_behalf_of(held)
    statistics = gate.statistics()
    assert (statistics.waited, statistics.longest_wait) == pytest.approx((3 + 5 + 7, 7))
    assert statistics.busy == pytest.approx(3 + 5 + 7)
    assert statistics.hops == 2
