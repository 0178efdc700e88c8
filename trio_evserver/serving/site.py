"""A site: a document root with everything that is needed to answer requests about it, on whatever
connection they come.
"""

import errno
import os
import secrets
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from http import HTTPStatus

import trio

from trio_evserver.files.disk import Capabilities, Disk
from trio_evserver.files.document_root import DocumentRoot
from trio_evserver.files.file_cache import FileCache
from trio_evserver.files.first_read import FirstRead
from trio_evserver.files.gate import Gate
from trio_evserver.files.read_ahead import ReadAhead
from trio_evserver.files.region_reader import SMALL
from trio_evserver.files.workers import RunSync, Workers
from trio_evserver.observe.access_log import AccessLog
from trio_evserver.semantics.message import Request, Response
from trio_evserver.semantics.policy import Policy
from trio_evserver.serving.admission import ConnectionLimit
from trio_evserver.serving.deadlines import Deadlines
from trio_evserver.serving.exchange import Exchange, describe
from trio_evserver.serving.options import Options
from trio_evserver.serving.readiness import Hub, HubReadiness, Readiness, TrioReadiness, open_hub
from trio_evserver.serving.responder import Heads, render_head
from trio_evserver.serving.statistics import Statistics


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
        self.root = root
        self.read_ahead = read_ahead
        self.access_log = access_log
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

    def answered(self, peer: object, request: Request | None, status: HTTPStatus, sent: int) -> None:
        """A response has ended, after `sent` bytes of its body; without a request, to what was none."""
        self._responses[status] += 1
        self._sent += sent
        if self.access_log is not None:
            self.access_log.record(peer, time.time(), request, status, sent)

    def drain(self) -> None:
        """Take no further request: idle connections end now, others with the answer in flight."""
        self.draining = True
        self.deadlines.cancel_idle()

    def readiness(self, connected: socket.socket) -> Readiness:
        """What tells when a non-blocking socket can be read or written again, once it watches."""
        return TrioReadiness(connected) if self.hub is None else HubReadiness(self.hub, connected.fileno())

    def turned_away(self, response: Response, peer: object) -> None:
        """A connection was refused before it was one."""
        self.accepted += 1
        self.refused_stale += 1
        self.answered(peer, None, response.status, 0)

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
        """Let go of every file that is kept."""
        self._cache.close()


@asynccontextmanager
async def open_site(
    root: str | os.PathLike[str],
    options: Options = Options(),
    *,
    access_log: AccessLog | None = None,
    disk: Disk | None = None,
    run_sync: RunSync | None = None,
    use_hub: bool = True,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[Site]:
    """A site that serves `root`, a directory or a single file, with `serve_connection`.

    `disk`, `run_sync` (in place of `trio.to_thread.run_sync`) and `clock` (seconds since the epoch) are for
    tests. Raises FileNotFoundError, or whatever else keeps `root` from being looked at.

    Resources: at the end of the block every file is closed; a read that a worker is still at keeps its own
    until it returns. Cancellation: prompt. An exception of the block comes out in an exception group, as
    out of any nursery.
    """
    with ExitStack() as resources:
        if disk is None:
            disk = Disk(Capabilities(nowait=options.files.cached_reads))
            resources.callback(disk.shutdown)
        document_root = await trio.to_thread.run_sync(partial(_document_root, root, disk, options, clock))
        hub = open_hub() if use_hub else None
        if hub is not None:
            resources.callback(hub.close)  # after the nursery: its task may be about to poll
        async with trio.open_nursery() as nursery:
            site = _compose(options, document_root, disk, run_sync, access_log, hub, clock, nursery)
            if hub is not None:
                nursery.start_soon(hub.run, name="hub")
            nursery.start_soon(site.deadlines.run, name="deadlines")
            trio.lowlevel.add_instrument(site.admission)
            try:
                yield site
            finally:
                trio.lowlevel.remove_instrument(site.admission)
                site.close()
                nursery.cancel_scope.cancel()


def _compose(
    options: Options,
    root: DocumentRoot,
    disk: Disk,
    run_sync: RunSync | None,
    access_log: AccessLog | None,
    hub: Hub | None,
    clock: Callable[[], float],
    nursery: trio.Nursery,
) -> Site:
    files = options.files
    workers = Workers(Gate(files.threads, queue=files.queue, patience=files.patience), nursery, run_sync)
    description = partial(describe, source=files.etag, render=render_head)
    return Site(
        options,
        root=root,
        cache=FileCache(root, disk, workers, files, describe=description, nursery=nursery),
        workers=workers,
        read_ahead=ReadAhead(disk, workers, files),
        access_log=access_log,
        hub=hub,
        clock=clock,
    )


def _document_root(
    root: str | os.PathLike[str], disk: Disk, options: Options, clock: Callable[[], float]
) -> DocumentRoot:
    files = options.files
    first_read = FirstRead(
        disk,
        etag=files.etag,
        content_limit=files.content_limit,
        in_place=SMALL if files.cached_reads else sys.maxsize,
        first_read=files.chunk_size,
        close=_close_in_thread(disk),
        clock=lambda: int(clock() * 1e9),
    )
    return DocumentRoot(root, disk, index=options.index, symlinks=files.symlinks, first_read=first_read)


def _close_in_thread(disk: Disk) -> Callable[[int], None]:
    """Closes a descriptor where close(2) may wait (NFS and FUSE write back and report), without anyone
    waiting for it.
    """

    def close(descriptor: int) -> None:
        try:
            trio.lowlevel.start_thread_soon(partial(disk.close, descriptor), lambda outcome: None)
        except RuntimeError:  # no thread is to be had: better a wait than a lost descriptor
            disk.close(descriptor)

    return close


def _boundary() -> bytes:
    return secrets.token_hex(16).encode()
