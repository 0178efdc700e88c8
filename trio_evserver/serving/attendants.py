"""A nursery per connection, and who attends in it.

A connection that ended well leaves its task and its nursery behind as they were, and they are kept for the
next one: to open both costs more than all the rest of a short connection.
"""

import logging

import trio

from trio_evserver.serving.attendant import Attendant
from trio_evserver.serving.site import Site
from trio_evserver.serving.transport import ConnectionLost, Transport

logger = logging.getLogger("trio_evserver")

# Nurseries that are kept while they have no connection.
_KEPT = 64


async def converse(transport: Transport, site: Site, peer: object = None) -> None:
    """Serve one connection, which the site counts already, until it ends, and close it.

    Nothing that happens in it leaves it: what goes wrong is logged and ends the connection. Cancellation: the
    connection is closed at once, without a farewell.
    """
    await _attend(Attendant(site, _is_not_kept), transport, peer)


async def _attend(attendant: Attendant, transport: Transport, peer: object) -> None:
    """Have a connection served in a nursery of its own, and then those that the attendant takes over."""
    try:
        async with trio.open_nursery() as nursery:
            try:
                await attendant.serve(nursery, transport, peer)
            except ConnectionLost:
                attendant.lose()
            finally:
                attendant.leave()
    except* Exception:
        logger.exception("a connection failed")
    finally:
        await attendant.close()


def _is_not_kept(attendant: Attendant) -> bool:
    return False


class Attendants:
    """Those of one listener, as tasks of `nursery`."""

    def __init__(self, site: Site, nursery: trio.Nursery) -> None:
        self._site = site
        self._nursery = nursery
        self._idle: list[Attendant] = []
        self._closed = False

    def __repr__(self) -> str:
        return f"<Attendants {len(self._idle)} idle>"

    def give(self, transport: Transport, peer: object) -> None:
        """Serve a connection, which counts from now on."""
        self._site.connection_began()
        if self._idle:
            self._idle.pop().take_over(transport, peer)
        else:
            self._nursery.start_soon(self._employ, transport, peer, name="connection")

    async def _employ(self, transport: Transport, peer: object) -> None:
        attendant = Attendant(self._site, self._keep)
        try:
            await _attend(attendant, transport, peer)
        finally:
            if attendant in self._idle:
                self._idle.remove(attendant)

    def _keep(self, attendant: Attendant) -> bool:
        """Whether one that has become free is to wait for another connection."""
        if self._closed or len(self._idle) >= _KEPT:
            return False
        self._idle.append(attendant)
        return True

    def close(self) -> None:
        """Send home who is free, and from now on whoever becomes it."""
        self._closed = True
        while self._idle:
            self._idle.pop().dismiss()
