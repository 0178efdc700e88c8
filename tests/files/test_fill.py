"""Everybody who waits for a fill has a lease of their own, and the fill's own ends with the last of them."""

from http import HTTPStatus

import trio
import trio.testing

from tests.files.making import describe
from trio_evserver.files.fill import Fill
from trio_evserver.files.identity import Identity
from trio_evserver.files.lease import Lease
from trio_evserver.files.open_file import OpenFile
from trio_evserver.files.opened import Opened
from trio_evserver.semantics.message import Refusal


def make_lease(closed: list[int]) -> Lease:
    file = OpenFile(7, Identity(1, 2, 3, 4, 5), mount=b"/", local=True, close=closed.append)
    return Lease(describe(Opened(file, b"a", b"", None, b"", "", 0))[0], file, b"")


async def test_each_who_waits_has_a_lease() -> None:
    """The file is closed when the last of them gives it back, whoever that is."""
    closed: list[int] = []
    fill, leases = Fill(begun=False), []

    async def wait() -> None:
        found = await fill.wait()
        assert isinstance(found, Lease)
        leases.append(found)

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        fill.finish(make_lease(closed))
    assert len({id(lease) for lease in leases}) == 3
    for lease in leases:
        assert closed == []
        lease.release()
    assert closed == [7]


async def test_a_fill_that_nobody_waits_for_lets_go_at_once() -> None:
    """There is nobody whose leaving could end it."""
    closed: list[int] = []
    Fill(begun=False).finish(make_lease(closed))
    assert closed == [7]


async def test_who_leaves_takes_nothing_along() -> None:
    """Before the fill has ended, and in the very moment in which it ends."""
    for at_once in (False, True):
        closed: list[int] = []
        fill = Fill(begun=False)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fill.wait)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
            if not at_once:
                await trio.lowlevel.cancel_shielded_checkpoint()
                await trio.lowlevel.cancel_shielded_checkpoint()
            fill.finish(make_lease(closed))
        assert closed == [7], f"at once: {at_once}"


async def test_a_refusal_is_for_all() -> None:
    """It is a value, and nothing to give back."""
    fill, refusal, found = Fill(begun=False), Refusal(HTTPStatus.NOT_FOUND, "nothing"), []

    async def wait() -> None:
        found.append(await fill.wait())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        fill.finish(refusal)
    assert found == [refusal, refusal]
