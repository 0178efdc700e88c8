"""What threads ring is answered by the hub, however busy it is."""

import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.serving.conversations import open_descriptors
from trio_evserver.serving.bell import Bell, open_bell
from trio_evserver.serving.hub import Hub, open_hub

pytestmark = pytest.mark.skipif(
    not (hasattr(select, "epoll") and hasattr(os, "eventfd")), reason="only Linux has bells"
)


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = open_hub()
    assert hub is not None
    yield hub
    hub.close()


async def test_what_threads_ask_for_is_called(hub: Hub) -> None:
    """All of it, once, in their order, on the event loop."""
    bell = Bell(hub)
    called: list[tuple[int, int]] = []
    here = threading.get_ident()

    def ask(thread: int) -> None:
        for number in range(1000):
            bell.call_soon(partial(called.append, (thread, number)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hub.run)
        async with trio.open_nursery() as asking:
            for thread in range(3):
                asking.start_soon(trio.to_thread.run_sync, ask, thread)
        bell.call_soon(lambda: called.append((threading.get_ident(), 0)))
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    bell.close()
    assert called.pop() == (here, 0)
    for thread in range(3):
        assert [number for by, number in called if by == thread] == list(range(1000))


async def test_it_is_answered_while_the_hub_is_at_work() -> None:
    """A turn that never ends, as somebody always waits to be accepted, does not keep a thread from being
    heard.
    """
    hub = Hub(select.epoll(), lambda: 0.0)
    bell = Bell(hub)
    heard: list[float] = []
    give_up = time.monotonic() + 30  # in the only place that could: the event loop is held

    def accept() -> bool:
        return not heard and time.monotonic() < give_up

    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        async with trio.open_nursery() as nursery:
            thread = threading.Timer(0.01, bell.call_soon, [lambda: heard.append(1)])
            thread.start()
            nursery.start_soon(hub.run)
            await hub.attend(listener.fileno(), accept)
            nursery.cancel_scope.cancel()
        thread.join()
    bell.close()
    hub.close()
    assert heard


async def test_a_closed_bell_is_silent(hub: Hub) -> None:
    """A thread that was left behind may ring it late; what has its number by then hears nothing of that."""
    bell = Bell(hub)
    called: list[int] = []
    bell.close()
    other = os.eventfd(0, os.EFD_NONBLOCK)  # the lowest number that is free, which was the bell's
    bell.call_soon(lambda: called.append(1))
    with pytest.raises(BlockingIOError):
        os.eventfd_read(other)
    os.close(other)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hub.run)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert called == []


class Full:
    """An epoll that has no room."""

    def register(self, descriptor: int, mask: int) -> None:
        raise OSError


def test_no_room_for_it() -> None:
    """Nothing is left open where the hub cannot watch it."""
    before = open_descriptors()
    with pytest.raises(OSError):  # noqa: PT011 - whatever it is
        Bell(Hub(cast("Any", Full())))
    assert open_descriptors() == before


def test_without_a_hub() -> None:
    """Nobody would answer."""
    assert open_bell(None) is None
