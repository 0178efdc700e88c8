"""Files that are open, described and, if small, in memory, so that a hot file is served without the disk.

An entry is trusted for as long as stat(2) of its path says that it is the same file: asked for every use,
on the event loop, where that cannot wait (the file is held open on a local file system, so what the call
looks up is in memory), and otherwise at most once in `revalidate` seconds, in a worker. What is not cached
is first looked for without waiting (RESOLVE_CACHED), then by a worker, once for all who ask before it has
begun. Who asks later may expect to see an edit that it did not: they wait for it, and then look whether what
it found is still so. However many ask at the same time, a slow disk is asked twice at most.
"""

import errno
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import trio

from trio_evserver.files.cache_entry import USUAL_NAME, Entry
from trio_evserver.files.disk import Disk
from trio_evserver.files.document_root import DocumentRoot
from trio_evserver.files.failures import refusal_for
from trio_evserver.files.fill import Fill
from trio_evserver.files.lease import Lease
from trio_evserver.files.loader import Loader
from trio_evserver.files.opened import Opened, Unread
from trio_evserver.files.options import FileOptions
from trio_evserver.files.page_cache import MOST_ASKED
from trio_evserver.files.statistics import CacheStatistics
from trio_evserver.files.workers import Workers
from trio_evserver.semantics.message import Refusal
from trio_evserver.semantics.representation import Representation
from trio_evserver.semantics.resource_path import ResourcePath

# Answers that say how the tree is; others say how the machine is at this moment, and are not kept.
_KEPT: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.FORBIDDEN)


class FileCache:
    """Finds files. One per site; used from one event loop, with `nursery` for fills that outlive their
    first asker.
    """

    def __init__(
        self,
        root: DocumentRoot,
        disk: Disk,
        workers: Workers,
        options: FileOptions,
        *,
        describe: Callable[[Opened], tuple[Representation, bool]],
        nursery: trio.Nursery,
    ) -> None:
        """`describe` tells what the file is in HTTP's terms, and whether that may be kept."""
        self._root = root
        self._disk = disk
        self._workers = workers
        self._options = options
        self._describe = describe
        self._nursery = nursery
        self._loader = Loader(root, workers, self._make_room)
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._fills: dict[bytes, Fill] = {}
        self._capacity = options.cache_size  # in bytes; 0 once closed
        self._size = 0
        self._copies = 0
        self._hits = self._inline_fills = self._joined = self._evicted = 0

    def __repr__(self) -> str:
        return f"<FileCache {len(self._entries)} entries, {self._size} bytes>"

    def statistics(self) -> CacheStatistics:
        """How much is kept and how often that helped."""
        return CacheStatistics(
            entries=len(self._entries),
            size=self._size,
            hits=self._hits,
            inline_fills=self._inline_fills,
            worker_fills=self._loader.count,
            joined=self._joined,
            evicted=self._evicted,
        )

    def find_nowait(self, path: ResourcePath, moment: int = 0) -> Entry | None:
        """The entry of `path`, if stat(2) says now that it is the file; None: `look`. Never waits for a
        device.

        Whoever asks with the same `moment`, other than 0, had begun to ask before that moment came, so that
        what stat(2) said since holds for all of them. The entry has a file and a representation. It is
        borrowed until the next checkpoint; who needs it longer acquires its file.
        """
        key = path.relative + b"/" if path.directory else path.relative
        entry = self._entries.get(key)
        if entry is None or not entry.probe:
            return None
        if moment and entry.moment == moment:
            self._hits += 1
            return entry
        try:
            status = self._disk.status_of(entry.probe)
        except OSError:
            return None
        identity = entry.file.identity  # type: ignore[union-attr]  # only a file has a probe
        if (
            status.st_ino != identity.inode
            or status.st_mtime_ns != identity.modified
            or status.st_ctime_ns != identity.changed
            or status.st_size != identity.size
            or status.st_dev != identity.device
        ):
            return None
        entry.moment = moment
        self._entries.move_to_end(key)
        self._hits += 1
        return entry

    def set_apart(self, entry: Entry) -> bool:
        """Put the content, which is held, into a file in memory, from which it is sent without a copy; False
        where that cannot be done, or takes a descriptor that an entry has. An entry that is asked for again
        is worth it.
        """
        if len(self._entries) + self._copies >= self._options.cache_files or not entry.set_apart():
            return False
        self._copies += 1
        return True

    def look(self, path: ResourcePath, moment: int = 0) -> Lease | Refusal | Unread | None:
        """What is found at `path` without waiting, where `find_nowait` has no entry: a lease, or why there is
        none. Otherwise whoever asks awaits `fetch`, and hands over what else this says. `moment` as above.
        """
        if not self._options.cached_reads:
            return None
        mount = self._root.mount_of(path)
        ask = self._workers.may_ask(mount, MOST_ASKED)
        try:
            opened = self._root.load_cached(path, ask=ask, moment=moment)
        except BlockingIOError:
            return None
        if isinstance(opened, Unread):
            if ask:
                self._workers.missed(mount)
            return opened
        if isinstance(opened, Refusal) and opened.status not in _KEPT:
            return None  # the machine is in trouble, which the loader can help
        self._inline_fills += 1
        return self._take(_key(path), opened)

    async def fetch(self, path: ResourcePath, unread: Unread | None) -> Lease | Refusal:
        """A lease on the file at `path`, which its taker releases, or why there is none, where neither
        `find_nowait` nor `look` knew; takes over what that left unread.

        Cancellation: prompt; a fill goes on for those who ask next.
        """
        entry = self._entries.get(_key(path))
        # Of an entry with a probe stat(2) has just said that it is another file.
        if entry is None or entry.probe or trio.current_time() - entry.checked >= self._options.revalidate:
            return await self._fill(path, unread)
        self._loader.close(unread)
        self._hits += 1
        return entry.lease()

    def close(self) -> None:
        """Let go of every file and of the root, and keep none that a fill still brings."""
        self._capacity = 0
        self._root.shutdown()
        while self._entries:
            self._evict()

    def _take(self, key: bytes, opened: Opened | Refusal) -> Lease | Refusal:
        """What was found, as a lease of its own, kept for others if it may be."""
        if isinstance(opened, Refusal):
            if opened.status in _KEPT:
                self._keep(key, Entry(opened, b"", trio.current_time()))
            return opened
        try:
            representation, keep = self._describe(opened)
        except BaseException:
            opened.file.release()
            raise
        lease = Lease(representation, opened.file, opened.first)
        if keep and self._capacity:
            opened.file.acquire()
            probe = opened.probe if opened.file.local and self._options.cached_reads else b""
            entry = Entry(lease, probe, 0.0 if probe else trio.current_time())
            self._keep(key, entry)
        return lease

    def _keep(self, key: bytes, entry: Entry) -> None:
        if not self._capacity:
            return
        self._forget(key)
        entry.cost += max(0, len(key) - USUAL_NAME)
        self._entries[key] = entry
        self._size += entry.cost
        self._fit()

    def _fit(self) -> None:
        """Let go of those that were used least, until there is room for the others and their descriptors."""
        while self._size > self._capacity or len(self._entries) + self._copies > self._options.cache_files:
            self._evict()

    def _forget(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._drop(entry)

    def _evict(self) -> None:
        self._evicted += 1
        self._drop(self._entries.popitem(last=False)[1])

    def _drop(self, entry: Entry) -> None:
        self._size -= entry.cost
        if entry.file is not None:
            self._copies -= entry.is_apart
            entry.file.drop_copy()
            entry.file.release()

    # Fills

    async def _fill(self, path: ResourcePath, unread: Unread | None) -> Lease | Refusal:
        key = _key(path)
        fill = self._fills.get(key)
        if fill is None:
            # What was opened already was found before those came who join us.
            fill = self._fills[key] = Fill(begun=unread is not None)
            self._nursery.start_soon(self._run_fill, path, unread, fill)
            return await fill.wait()
        self._loader.close(unread)
        self._joined += 1
        late = fill.begun
        found = await fill.wait()
        if not late or (isinstance(found, Refusal) and found.status not in _KEPT):
            return found
        # What the fill found is from before we asked, perhaps from before an edit: if it is still so, it is
        # at hand now. If not, one fill does for all of us, as long as it has not opened anything before.
        if isinstance(found, Lease):
            found.release()
        return await self._find_again(path)

    async def _find_again(self, path: ResourcePath) -> Lease | Refusal:
        """As whoever asks anew, but a worker does not read what was opened here: it opens it, too."""
        entry = self.find_nowait(path)
        if entry is not None:
            return entry.lease()
        found = self.look(path)
        if isinstance(found, Lease | Refusal):
            return found
        self._loader.close(found)
        return await self.fetch(path, None)

    async def _run_fill(self, path: ResourcePath, unread: Unread | None, fill: Fill) -> None:
        key = _key(path)
        outcome: Lease | Refusal = refusal_for(OSError(errno.ECANCELED, "the fill was cancelled"))
        try:
            outcome = self._take(key, await self._loader.load(path, unread, fill))
        except Exception as error:  # a bug: those who wait get an answer, and the server goes on for others
            outcome = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, repr(error))
        finally:
            del self._fills[key]
            fill.finish(outcome)

    def _make_room(self) -> bool:
        """Let go of half of the entries, if there are any."""
        had_some = bool(self._entries)
        for _ in range((len(self._entries) + 1) // 2):
            self._evict()
        return had_some


def _key(path: ResourcePath) -> bytes:
    return path.relative + b"/" if path.directory else path.relative
