"""One server in one process, from its start to the signal that ends it."""

import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

import trio

from trio_evserver.observe.access_log import AccessLog
from trio_evserver.serving.options import Options
from trio_evserver.serving.server import Listener, Server, serve

LOGGER = logging.getLogger("trio_evserver")

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def run(
    root: str | os.PathLike[str],
    options: Options,
    *,
    listeners: Sequence[Listener],
    access_log: AccessLog | None = None,
    announce: Callable[[Server], None],
) -> None:
    """Serve `root` on `listeners` until SIGINT or SIGTERM comes and the answers in flight are finished.

    They have `options.grace` seconds; a second signal ends them at once. `announce` is called with the
    running server in a thread of its own, as it writes to where nobody may be reading. *Resources*: the
    listeners are closed at the end.
    """
    start = partial(serve, root, options, listeners=listeners, access_log=access_log)
    with trio.open_signal_receiver(*STOP_SIGNALS) as signals:
        async with trio.open_nursery() as nursery:
            server: Server = await nursery.start(start)
            settle_interpreter()
            nursery.start_soon(partial(trio.to_thread.run_sync, announce, server, abandon_on_cancel=True))
            await anext(signals)
            LOGGER.info("stopping when the answers in flight are finished; another signal stops at once")
            nursery.start_soon(_cancel_at_signal, signals, nursery.cancel_scope)
            await server.drain()
            nursery.cancel_scope.cancel()


def settle_interpreter() -> None:
    """Tell the interpreter what kind of program this is.

    What start-up made is left out of every garbage collection, and collections are rare: a request leaves no
    cycles, so there is next to nothing to find, and each search stands in the way of the requests meanwhile.
    A worker thread that runs Python hands the interpreter back to the event loop after half a millisecond
    instead of five: measured with all reads in workers, at 2,000 requests/s, that answers a third more.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 100)
    sys.setswitchinterval(0.0005)


async def _cancel_at_signal(signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
    await anext(signals)
    scope.cancel()
