"""Accepts connections: in small batches, never more than there is room for, and calmly when the machine
runs out.
"""

import errno
import logging
import socket
from contextlib import suppress
from select import POLLIN, poll
from typing import Final

import trio

from trio_evserver.serving.admission import AcceptQueue, has_waited_too_long
from trio_evserver.serving.attendants import Attendants, converse
from trio_evserver.serving.exchange import STALE
from trio_evserver.serving.responder import CLOSE, render_response
from trio_evserver.serving.site import Site
from trio_evserver.serving.socket_transport import MORE, SocketTransport
from trio_evserver.serving.stream_transport import StreamTransport

logger = logging.getLogger("trio_evserver")

# Connections that are accepted before those that are already in have another turn; h2o takes 10, lighttpd
# 100. The more are in, the longer a turn may be, and who comes must not wait for too many of them.
_BATCH: Final = 16
_SHARE: Final = 8
_LARGEST_BATCH: Final = 256
# The machine is out of something. Trio's serve_listeners waits as long.
_PAUSE = 0.1
_REQUEST: Final = 16 * 1024  # bytes: a request's head, in all likelihood
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
# The peer, or the way to it, was gone before it was accepted, or a firewall did not like it: accept(2).
_GONE: Final = frozenset(
    getattr(errno, name)
    for name in ("ECONNABORTED", "EPROTO", "EPERM", "ENETDOWN", "ENOPROTOOPT", "EHOSTDOWN", "ENONET",
                 "EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT")
    if hasattr(errno, name)
)  # fmt: skip


async def accept_sockets(listener: socket.socket, site: Site, nursery: trio.Nursery) -> None:
    """Serve what `listener`, a non-blocking listening socket, accepts, each connection in a task of
    `nursery`.

    Runs until cancelled. Cancellation: prompt; connections go on.
    """
    attendants = Attendants(site, nursery)
    try:
        await Acceptor(listener, site, attendants).run()
    finally:
        attendants.close()


class Acceptor:
    """Accepts from one listening socket, and gives what it accepts to `attendants`."""

    def __init__(self, listener: socket.socket, site: Site, attendants: Attendants) -> None:
        self._listener = listener
        self._site = site
        self._attendants = attendants
        self._queue = AcceptQueue(listener)
        self._episode = Exhaustion()
        self._trouble: OSError | None = None
        self._has_failed = False

    def __repr__(self) -> str:
        return f"<Acceptor {self._listener.fileno()} {self._queue!r}>"

    async def run(self) -> None:
        """Accept until cancelled, waiting where `accept` cannot go on."""
        while True:
            try:
                await self._attend()
            except OSError as error:  # the system has no room to watch it
                self._trouble = error
            trouble, self._trouble = self._trouble, None
            if trouble is not None:
                await self._episode.pause(trouble)
            elif self._has_failed:  # nothing but failures: it may well go on like this
                await trio.sleep(_PAUSE)
            else:
                await wait_room(self._site)

    async def _attend(self) -> None:
        hub = self._site.hub
        if hub is not None:
            await hub.attend(self._listener.fileno(), self.accept)
        else:
            await trio.lowlevel.wait_readable(self._listener)
            self.accept()

    def accept(self) -> bool:
        """Accept a batch of those who wait; False where there is something to be waited for, or no room.

        Called by the hub, in each look in which somebody waits.
        """
        site = self._site
        self._has_failed = False
        room = site.admission.limit - site.connections
        if room <= 0:
            return False
        count, late, emptied = self._accept_batch(min(batch(site.connections), room))
        # Where there was room for no more, it may have been emptied all the same.
        self._queue.accepted(count, late=late, emptied=emptied or is_empty(self._listener))
        self._trouble, site.trouble = self._trouble or site.trouble, None
        self._has_failed = not count and not emptied
        return self._trouble is None and not self._has_failed

    def _accept_batch(self, most: int) -> tuple[int, int, bool]:
        """How many were accepted, how many of them came too late, and whether nobody waits any more."""
        listener, site, is_persistent = self._listener, self._site, self._queue.is_persistent
        count, late, emptied = 0, 0, False
        early: list[tuple[SocketTransport, object]] = []
        for _ in range(most):
            try:
                connected, peer = listener.accept()
                # The first has waited longest: if it is in time, so are those behind it.
                is_late = is_persistent and late == count and has_waited_too_long(connected)
                count += 1
                if is_late:
                    late += 1
                    turn_away(connected, site, peer)
                    self._episode.over()
                    continue
                transport = admit(connected, site, peer)
            except BlockingIOError:
                emptied = True
                break
            except OSError as error:
                site.accept_failed(error)
                if error.errno not in _GONE:
                    self._trouble = error
                    break
            else:
                self._episode.over()
                if transport.has_received:
                    early.append((transport, peer))
                else:
                    self._attendants.give(transport, peer)
        if early:
            give_early(early, site, self._attendants)
        return count, late, emptied


def batch(connections: int) -> int:
    """How many are accepted at a time, when so many are open."""
    return min(max(_BATCH, connections // _SHARE), _LARGEST_BATCH)


def admit(connected: socket.socket, site: Site, peer: object) -> SocketTransport:
    """The transport of a connection that was just accepted: watched, unless its request is there already.

    Raises OSError, and has closed it, where the system has no room to watch it.
    """
    try:
        connected.setblocking(False)
        readiness = site.readiness(connected)
        transport = SocketTransport(connected, readiness, here=is_here(peer))
        if site.hub is None or not transport.receive_early():
            transport.watch()
    except OSError:
        connected.close()
        raise
    return transport


def is_here(peer: object) -> bool:
    """Whether an address, as accept(2) tells it, is on this machine, and one of TCP's.

    Nobody copies what a network card is sent in place, but a reader on this machine does: the sooner, the
    faster. Unix-domain sockets hold little unsent as they are.
    """
    if not isinstance(peer, tuple):
        return False
    host = str(peer[0])
    return host.startswith(("127.", "::ffff:127.")) or host == "::1"


def give_early(early: list[tuple[SocketTransport, object]], site: Site, attendants: Attendants) -> None:
    """Serve those whose requests were there when they were accepted: all of them before this moment."""
    assert site.hub is not None
    moment = site.hub.begin_moment()
    for transport, peer in early:
        transport.arrived_before(moment)
        attendants.give(transport, peer)


def turn_away(connected: socket.socket, site: Site, peer: object) -> None:
    """Refuse a connection that nobody may be waiting on any more, at the least cost, and close it."""
    refusal = site.exchange.refuse(STALE)
    head, content = render_response(refusal, site.heads, CLOSE)
    with suppress(OSError), connected:
        connected.setblocking(False)
        # A close with something unread would be a reset, and the answer be lost to it.
        with suppress(OSError):
            connected.recv(_REQUEST)
        connected.send(head + content, MORE)
        connected.shutdown(socket.SHUT_WR)
    site.turned_away(refusal, peer)


async def accept_streams(
    listener: trio.abc.Listener[trio.abc.Stream], site: Site, nursery: trio.Nursery
) -> None:
    """As `accept_sockets`, for any Trio listener."""
    episode = Exhaustion()
    while True:
        await wait_room(site)
        try:
            stream = await listener.accept()
        except OSError as error:
            site.accept_failed(error)
            if error.errno in _GONE:
                await trio.lowlevel.checkpoint()
            elif error.errno in _EXHAUSTED:
                await episode.pause(error)
            else:
                raise
            continue
        episode.over()
        site.connection_began()
        nursery.start_soon(converse, StreamTransport(stream), site, peer_of(stream), name="connection")


def is_empty(listener: socket.socket) -> bool:
    """Whether nobody waits in its accept queue, as far as can be told: nobody is refused on a guess."""
    waiting = poll()
    waiting.register(listener, POLLIN)
    try:
        return not waiting.poll(0)
    except OSError:
        return True


async def wait_room(site: Site) -> None:
    """Until fewer connections are open than may be: silent ones make room, the next ones wait in the
    kernel's queue.
    """
    if site.connections >= site.admission.limit:
        site.full += 1
    while site.connections >= site.admission.limit:
        site.deadlines.cancel_longest_idle(_BATCH)
        with trio.move_on_after(_PAUSE):  # the limit, too, may have grown
            await site.wait_connection_ended()


def peer_of(stream: trio.abc.Stream) -> object:
    """The address of the peer, where the stream is a socket's or wraps one; None where it has none."""
    inner = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    if not isinstance(inner, trio.SocketStream):
        return None
    try:
        return inner.socket.getpeername()
    except OSError:
        return None


class Exhaustion:
    """A time in which nothing can be accepted because the machine is out of something: one line in the log
    for all of it.
    """

    def __init__(self) -> None:
        self._since: float | None = None

    def __repr__(self) -> str:
        return f"<Exhaustion since={self._since}>"

    async def pause(self, error: OSError) -> None:
        """Wait before the next try; accepting at once would fail again and take the time of those who are
        in.
        """
        if self._since is None:
            self._since = trio.current_time()
            logger.error("cannot accept connections for now: %s", error)
        await trio.sleep(_PAUSE)

    def over(self) -> None:
        """A connection was accepted."""
        if self._since is not None:
            logger.error("accepting again, after %.1f s", trio.current_time() - self._since)
            self._since = None
