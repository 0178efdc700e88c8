"""The fan-out: the chunks of a reply are read in worker threads, several at a time, and handed over in order.

What the page cache holds is read on the event loop, one chunk when it is due. The first chunk that it does
not hold starts the fan-out: that chunk and those after it that are not in memory either go to the workers,
up to `read_ahead` of them, and each that is handed over is followed by one more, until none is outstanding.

Three bounds hold, whatever the clients do: the workers' limiter bounds reads in flight, the window bounds
chunks of one reply, and `ReadMemory` bounds the bytes, over all replies, that were read and not yet sent.
Beyond the last one a reply reads a single chunk, and only once its socket can take some of it: slow clients
then hold one chunk each at most.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterator

import trio

from trio_evserver.files.chunk_plan import plan
from trio_evserver.files.disk import Buffer, Disk
from trio_evserver.files.lease import Lease
from trio_evserver.files.open_file import OpenFile
from trio_evserver.files.options import FileOptions
from trio_evserver.files.workers import Workers
from trio_evserver.semantics.message import Parts, Region

# Beyond the memory bound, bytes of a chunk: what a socket with room takes at once, roughly.
_SHORT = 64 * 1024


class FileChangedError(Exception):
    """The file is not any more the one whose length and validators were announced."""


class ReadMemory:
    """Bytes that were read, or are being read, and not yet sent; `peak` is the most of them at a time so
    far.
    """

    __slots__ = ("held", "limit", "peak")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = self.peak = 0

    def __repr__(self) -> str:
        return f"<ReadMemory {self.held}/{self.limit}>"

    def has_room_for(self, size: int) -> bool:
        """Whether `size` more bytes stay within the limit."""
        return self.held + size <= self.limit

    def hold(self, size: int) -> None:
        """Count `size` bytes, room or not."""
        self.held += size
        self.peak = max(self.peak, self.held)

    def give_back(self, size: int) -> None:
        """Count them no more."""
        self.held -= size


class ReadAhead:
    """Reads bodies. One per site."""

    def __init__(self, disk: Disk, workers: Workers, options: FileOptions) -> None:
        self._disk = disk
        self._workers = workers
        self._options = options
        self.memory = ReadMemory(options.read_ahead_memory)

    def __repr__(self) -> str:
        return f"<ReadAhead {self.memory!r}>"

    def open(
        self, lease: Lease, body: Parts, nursery: trio.Nursery, wait_writable: Callable[[], Awaitable[None]]
    ) -> "Reading":
        """The chunks of `body`; reads run in `nursery`, and `wait_writable` returns when the peer takes
        bytes again.
        """
        return Reading(self, lease, body, nursery, wait_writable)

    # Reads, for Reading alone

    def read_cached(self, file: OpenFile, region: Region) -> Buffer:
        """What the page cache holds of the beginning of `region`, at least a byte; BlockingIOError:
        nothing.
        """
        if not (self._options.cached_reads and file.local):
            raise BlockingIOError
        data = self._disk.read_cached(file.descriptor, file.identity.device, region.length, region.offset)
        self._check(file)
        return data

    async def read(self, file: OpenFile, region: Region) -> Buffer:
        """The bytes of `region`, read in a worker; takes over one use of the file for as long as it reads."""

        def job() -> bytes:
            try:
                data = self._disk.read(file.descriptor, region.length, region.offset)
                if len(data) < region.length:
                    raise FileChangedError(f"ends at {region.offset + len(data)}")
                self._check(file)
                return data
            finally:
                file.release()

        return await self._workers.run(job, mount=file.mount, never_ran=file.release)

    def _check(self, file: OpenFile) -> None:
        """After each read: is it still the file that was announced?

        A file that has grown was appended to, and the bytes that were announced are still right; one whose
        name was removed or given to another has a new ctime and the old bytes. Anything else may have
        rewritten what was read.
        """
        status = self._disk.status(file.descriptor)
        identity = file.identity
        if status.st_mtime_ns != identity.modified and status.st_size <= identity.size:
            raise FileChangedError("rewritten" if status.st_size == identity.size else "cut short")

    @property
    def window(self) -> int:
        """Chunks of one reply that are read or held at a time."""
        return self._options.read_ahead

    @property
    def chunk_size(self) -> int:
        """In bytes."""
        return self._options.chunk_size


class _Slot:
    """A chunk of the window: `data` or `error` once it is `ready`; `held` bytes are counted for it."""

    __slots__ = ("data", "error", "held", "ready")

    def __init__(self, held: int) -> None:
        self.held = held
        self.data: Buffer = b""
        self.error: Exception | None = None
        self.ready = trio.Event()

    def fill(self, data: Buffer) -> None:
        self.data = data
        self.ready.set()

    def fail(self, error: Exception) -> None:
        self.error = error
        self.ready.set()


class Reading:
    """One body, chunk by chunk.

    Resources: `close` it (or leave its `with`), which gives back the memory of what was read and not handed
    over. Its reads are tasks of the nursery that was handed in, whose owner cancels them when the reply is
    given up.
    """

    def __init__(
        self,
        owner: ReadAhead,
        lease: Lease,
        body: Parts,
        nursery: trio.Nursery,
        wait_writable: Callable[[], Awaitable[None]],
    ) -> None:
        self._owner = owner
        self._file = lease.file
        self._first, lease.first = lease.first, b""
        owner.memory.hold(len(self._first))
        self._chunks: Iterator[bytes | Region] = plan(body.parts, owner.chunk_size)
        self._next: bytes | Region | None = next(self._chunks, None)
        self._rest: Region | None = None  # what was shortened off the next chunk
        self._nursery = nursery
        self._wait_writable = wait_writable
        self._window: deque[_Slot] = deque()
        self._held = 0  # of the chunk that was handed over last, until the next is asked for

    def __repr__(self) -> str:
        return f"<Reading {self._file!r} window={len(self._window)}>"

    async def next(self) -> Buffer | None:
        """The next bytes, None after the last. Asking for them says that those before have been sent.

        Raises OSError where the disk fails, `FileChangedError` where the file did not hold still.
        Cancellation: prompt; the reads of the window go on until the nursery is cancelled.
        """
        memory = self._owner.memory
        memory.give_back(self._held)
        self._held = 0
        if not self._window:
            if self._next is None:
                return None
            if not memory.has_room_for(_size(self._next)):
                await self._wait_writable()
                self._shorten()
            data = self._resident(self._next)
            if data is not None:
                self._held = len(data)
                memory.hold(self._held)
                return data
            self._start(self._advance())
        self._top_up()
        slot = self._window[0]
        await slot.ready.wait()
        self._window.popleft()
        self._held = slot.held
        if slot.error is not None:
            raise slot.error
        return slot.data

    def close(self) -> None:
        """Give back what was read and not sent."""
        self._owner.memory.give_back(self._held + sum(slot.held for slot in self._window))
        self._held = 0
        self._window.clear()
        self._drop_first()

    def _advance(self) -> bytes | Region:
        chunk = self._next
        assert chunk is not None
        self._next = next(self._chunks, None) if self._rest is None else self._rest
        self._rest = None
        return chunk

    def _shorten(self) -> None:
        """Of the next chunk take no more than a socket that has room is likely to."""
        chunk = self._next
        if isinstance(chunk, Region) and chunk.length > _SHORT:
            self._next = Region(chunk.offset, _SHORT)
            self._rest = Region(chunk.offset + _SHORT, chunk.length - _SHORT)

    def _drop_first(self) -> None:
        self._owner.memory.give_back(len(self._first))
        self._first = b""

    def _resident(self, chunk: bytes | Region) -> Buffer | None:
        """The chunk, or the part of it that is in memory; what is missing of it is then the next chunk."""
        if isinstance(chunk, bytes):
            self._advance()
            return chunk
        data: Buffer
        if chunk.offset < len(self._first):  # it came with the opening of the file
            data = memoryview(self._first)[chunk.offset : chunk.offset + chunk.length]
        else:
            self._drop_first()
            try:
                data = self._owner.read_cached(self._file, chunk)
            except BlockingIOError:
                return None
        if len(data) == chunk.length:
            self._advance()
        else:
            self._next = Region(chunk.offset + len(data), chunk.length - len(data))
        return data

    def _top_up(self) -> None:
        """Start reads behind those under way, as far as the window and the memory allow."""
        while (
            self._next is not None
            and len(self._window) < self._owner.window
            and self._owner.memory.has_room_for(_size(self._next))
            and not all(slot.ready.is_set() for slot in self._window)
        ):
            try:
                data = self._resident(self._next)
            except (OSError, FileChangedError) as error:  # told in its turn: those before it are good
                self._append(0).fail(error)
                self._next = None
            else:
                if data is None:
                    self._start(self._advance())
                else:
                    self._append(len(data)).fill(data)

    def _start(self, chunk: bytes | Region) -> None:
        assert isinstance(chunk, Region)  # literal bytes are always resident
        slot = self._append(chunk.length)
        # Here and not in the task: by the time that begins, the reply may have been given up and its lease
        # gone.
        self._file.acquire()
        self._nursery.start_soon(self._read, slot, chunk, name="read-ahead")

    def _append(self, size: int) -> _Slot:
        slot = _Slot(size)
        self._owner.memory.hold(size)
        self._window.append(slot)
        return slot

    async def _read(self, slot: _Slot, region: Region) -> None:
        try:
            slot.fill(await self._owner.read(self._file, region))
        except (OSError, FileChangedError) as error:
            slot.fail(error)


def _size(chunk: bytes | Region) -> int:
    return 0 if isinstance(chunk, bytes) else chunk.length
