"""How a site is put together, and taken apart again."""

import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from functools import partial

import trio

from trio_evserver.files.capabilities import Capabilities
from trio_evserver.files.disk import Disk
from trio_evserver.files.document_root import DocumentRoot
from trio_evserver.files.file_cache import FileCache
from trio_evserver.files.first_read import FirstRead
from trio_evserver.files.gate import Gate
from trio_evserver.files.read_ahead import ReadAhead
from trio_evserver.files.region_reader import SMALL
from trio_evserver.files.workers import RunSync, Workers
from trio_evserver.http1.response_head import render_fields
from trio_evserver.observe.access_log import AccessLog
from trio_evserver.serving.bell import Bell, open_bell
from trio_evserver.serving.exchange import describe
from trio_evserver.serving.hub import Hub, open_hub
from trio_evserver.serving.options import Options
from trio_evserver.serving.site import Site


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
        bell = open_bell(hub)
        if bell is not None:
            resources.callback(bell.close)
        async with trio.open_nursery() as nursery:
            site = _compose(options, document_root, disk, run_sync, access_log, hub, bell, clock, nursery)
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
    bell: Bell | None,
    clock: Callable[[], float],
    nursery: trio.Nursery,
) -> Site:
    files = options.files
    gate = Gate(files.threads, queue=files.queue, patience=files.patience)
    workers = Workers(gate, nursery, run_sync, bell.call_soon if bell is not None else None)
    description = partial(describe, source=files.etag, render=render_fields)
    return Site(
        options,
        root=root,
        cache=FileCache(root, disk, workers, files, describe=description, nursery=nursery),
        workers=workers,
        read_ahead=ReadAhead(disk, workers, files, hub.after_look if hub is not None else None),
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
