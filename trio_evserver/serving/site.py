"""A site: a document root with everything that is needed to answer requests about it, on whatever
connection they come.
"""

import errno
import secrets
import socket
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import final

import trio

from trio_evserver.files.document_root import DocumentRoot
from trio_evserver.files.file_cache import FileCache
from trio_evserver.files.read_ahead import ReadAhead
from trio_evserver.files.workers import Workers
from trio_evserver.http1.head_reader import HeadReader
from trio_evserver.observe.access_log import AccessLog
from trio_evserver.semantics.message import Request, Response
from trio_evserver.semantics.policy import Policy
from trio_evserver.serving.admission import ConnectionLimit
from trio_evserver.serving.deadlines import Deadlines
from trio_evserver.serving.exchange import CROWDED, Exchange
from trio_evserver.serving.hub import Hub, HubReadiness
from trio_evserver.serving.options import Options
from trio_evserver.serving.readiness import Readiness, TrioReadiness
from trio_evserver.serving.responder import Heads
from trio_evserver.serving.statistics import Statistics


@final
class Site:
    """Made by `open_site`. `connections` of `accepted` are open; `draining` once no further request is
    taken on them.
    """

    def __init__(
        self,
        options: Options,
        *,
        root: DocumentRoot,
        cache: FileCache,
        workers: Workers,
        read_ahead: ReadAhead,
        access_log: AccessLog | None,
        hub: Hub | None,
        clock: Callable[[], float],
    ) -> None:
        self.options = options
        self.timeouts = options.timeouts
        self.root = root
        self.read_ahead = read_ahead
        self.access_log = access_log
        self.head_reader = HeadReader(options.limits)
        self.heads = Heads(server_header=options.server_header, clock=clock)
        self.deadlines = Deadlines(options.timeouts)
        self.exchange = Exchange(
            cache, read_ahead.memory, Policy(boundary=_boundary, now=clock), hidden=options.hidden
        )
        self.hub = hub
        self.admission = ConnectionLimit(options.max_connections, lambda: self.connections)
        self.draining = False
        self.trouble: OSError | None = None
        self.connections = self.accepted = self.lost = 0
        self.refused_stale = self.refused_crowded = self.full = 0
        self._cache = cache
        self._workers = workers
        self._responses = [0] * 600  # by status
        self._accept_errors: dict[str, int] = {}
        self._sent = 0
        self._waiting_for_room = trio.lowlevel.ParkingLot()

    def __repr__(self) -> str:
        return f"<Site {self.root!r} connections={self.connections}>"

    def statistics(self) -> Statistics:
        """Where the site stands."""
        memory = self.read_ahead.memory
        return Statistics(
            connections=self.connections,
            accepted=self.accepted,
            lost=self.lost,
            limit=self.admission.limit,
            full=self.full,
            accept_errors=dict(self._accept_errors),
            longest_turn=self.admission.longest,
            long_turns=dict(self.admission.long_turns),
            refused_stale=self.refused_stale,
            refused_crowded=self.refused_crowded,
            responses={status: count for status, count in enumerate(self._responses) if count},
            sent=self._sent,
            reads=self._workers.statistics(),
            held=memory.held,
            held_peak=memory.peak,
            held_limit=memory.limit,
            cache=self._cache.statistics(),
        )

    def answered(self, status: HTTPStatus, sent: int) -> bool:
        """A response has ended, after `sent` bytes of its body; whether it is to be logged."""
        self._responses[status] += 1
        self._sent += sent
        return self.access_log is not None

    def log(self, peer: object, request: Request | None, status: HTTPStatus, sent: int) -> None:
        """Have that in the access log, which there is; without a request, an answer to what was none."""
        assert self.access_log is not None, "`answered` was asked first"
        self.access_log.record(peer, time.time(), request, status, sent)

    def drain(self) -> None:
        """Take no further request: idle connections end now, others with the answer in flight."""
        self.draining = True
        self.deadlines.cancel_idle()

    def readiness(self, connected: socket.socket) -> Readiness:
        """What tells when a non-blocking socket can be read or written again, once it watches."""
        return TrioReadiness(connected) if self.hub is None else HubReadiness(self.hub, connected.fileno())

    def crowded(self) -> Response:
        """The answer to a request on one connection too many."""
        self.refused_crowded += 1
        return self.exchange.refuse(CROWDED)

    def turned_away(self, response: Response, peer: object) -> None:
        """A connection was refused before it was one."""
        self.accepted += 1
        self.refused_stale += 1
        if self.answered(response.status, 0):
            self.log(peer, None, response.status, 0)

    def accept_failed(self, error: OSError) -> None:
        """A connection could not be accepted, or not be watched."""
        name = errno.errorcode.get(error.errno or 0, str(error.errno))
        self._accept_errors[name] = self._accept_errors.get(name, 0) + 1

    def watch_failed(self, error: OSError) -> None:
        """A connection that had been accepted could not be watched: `trouble` for whoever accepts next."""
        self.accept_failed(error)
        self.trouble = error

    def connection_began(self) -> None:
        """One connection more."""
        self.connections += 1
        self.accepted += 1

    def connection_ended(self) -> None:
        """One connection less."""
        self.connections -= 1
        if self._waiting_for_room:
            self._waiting_for_room.unpark_all()

    async def wait_connection_ended(self) -> None:
        """Until a connection ends. Cancellation: prompt."""
        await self._waiting_for_room.park()

    def close(self) -> None:
        """Let go of every file that is kept, or waited for."""
        self._cache.close()
        self.read_ahead.reader.close()


def _boundary() -> bytes:
    return secrets.token_hex(16).encode()
