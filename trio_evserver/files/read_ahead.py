"""The fan-out: the chunks of a reply are read in worker threads, several at a time, and handed over in order.

What the page cache holds is not read ahead: it is sent in place where the transport can, or read on the event
loop, one chunk when it is due. The first chunk that it does not hold starts the fan-out: that chunk and those
after it that are not in memory either go to the workers, up to `read_ahead` of them, and each that is handed
over is followed by one more, until none is outstanding.

Three bounds hold, whatever the clients do: the workers' limiter bounds reads in flight, the window bounds
chunks of one reply, and `ReadMemory` bounds the bytes, over all replies, that were read and not yet sent.
Beyond the last one a reply reads a single chunk, and only once its socket can take some of it: slow clients
then hold one chunk each at most. What is sent in place is not held.
"""

from collections import deque
from collections.abc import Awaitable, Callable

import trio

from trio_evserver.files.chunk_plan import Chunk, Chunks, plan
from trio_evserver.files.disk import Buffer, Disk
from trio_evserver.files.lease import Lease
from trio_evserver.files.options import FileOptions
from trio_evserver.files.read_memory import ReadMemory
from trio_evserver.files.region_reader import LONGEST_SPAN, FileChangedError, RegionReader
from trio_evserver.files.span import Span
from trio_evserver.files.warming import AfterLook
from trio_evserver.files.workers import Workers
from trio_evserver.semantics.message import Parts, Region

# Beyond the memory bound, bytes of a chunk: what a socket with room takes at once, roughly.
_SHORT = 64 * 1024
# So many bytes at the end of a body that is sent in steps are read and then checked, never sent in place: a
# change while the reply was sent is noticed before its last byte has left.
_TAIL = 64 * 1024


class ReadAhead:
    """Reads bodies. One per site."""

    def __init__(
        self, disk: Disk, workers: Workers, options: FileOptions, after_look: AfterLook | None = None
    ) -> None:
        """`after_look` as of `Warmer`."""
        cached, size = options.cached_reads, options.chunk_size
        self.reader = RegionReader(disk, workers, cached_reads=cached, chunk_size=size, after_look=after_look)
        self.memory = ReadMemory(options.read_ahead_memory)
        self.window = options.read_ahead
        self.chunk_size = size

    def __repr__(self) -> str:
        return f"<ReadAhead {self.memory!r}>"

    def open(
        self,
        lease: Lease,
        body: Parts,
        nursery: trio.Nursery,
        wait_writable: Callable[[], Awaitable[None]],
        *,
        in_place: bool = False,
    ) -> "Reading":
        """The chunks of `body`; reads run in `nursery`, and `wait_writable` returns when the peer takes
        bytes again. With `in_place` what need not be read is handed over as a `Span`.
        """
        return Reading(self, lease, body, nursery, wait_writable, in_place)

    def read_nowait(self, lease: Lease, body: Parts, *, in_place: bool = False) -> memoryview | None:
        """The whole of `body`, where that is one chunk, in memory, and can be held: good until the next
        checkpoint. None: `open` it.
        """
        (part, *others) = body.parts
        if others or isinstance(part, bytes) or lease.first:
            return None
        if part.length > (_TAIL if in_place else self.chunk_size) or not self.memory.has_room_for(
            part.length
        ):
            return None
        try:
            data = self.reader.read_cached(lease.file, part)
        except (OSError, FileChangedError):  # whatever it is, it comes again
            return None
        return data if len(data) == part.length else None


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
        in_place: bool,
    ) -> None:
        self._owner = owner
        self._reader = owner.reader
        self._memory = owner.memory
        self._file = lease.file
        self._first, lease.first = lease.first, b""
        self._memory.hold(len(self._first))
        self._in_place = in_place
        if in_place:
            self._chunks = Chunks(plan(body.parts, max(LONGEST_SPAN, owner.chunk_size), _TAIL))
        else:
            self._chunks = Chunks(plan(body.parts, owner.chunk_size))
        self._nursery = nursery
        self._wait_writable = wait_writable
        self._window: deque[_Slot] = deque()
        self._held = 0  # of the chunk that was handed over last, until the next is asked for

    def __repr__(self) -> str:
        return f"<Reading {self._file!r} window={len(self._window)}>"

    async def next(self) -> Buffer | Span | None:
        """The next bytes, None after the last. Asking for them says that those before have been sent.

        They are good until the next checkpoint: what is not sent by then is to be kept (`keep`). Raises
        OSError where the disk fails, `FileChangedError` where the file did not hold still. Cancellation:
        prompt; the reads of the window go on until the nursery is cancelled.
        """
        self._memory.give_back(self._held)
        self._held = 0
        if not self._window:
            chunk = self._chunks.first
            if chunk is None:
                return None
            found = self._span(chunk) or await self._read_at_once(chunk)
            if found is not None:
                return found
            self._cut_to_read()
            self._start()
        self._top_up()
        slot = self._window[0]
        await slot.ready.wait()
        self._window.popleft()
        self._held = slot.held
        if slot.error is not None:
            raise slot.error
        return slot.data

    def keep(self, part: Buffer, sent: int) -> Buffer:
        """What is left of the part that was handed over last, of which so many bytes have been sent; good
        until the next one is asked for.
        """
        rest = memoryview(part)[sent:]
        if not self._reader.is_lent(rest):
            return rest
        self._held = len(rest)
        self._memory.hold(self._held)
        return bytes(rest)

    def close(self) -> None:
        """Give back what was not sent."""
        self._memory.give_back(self._held + sum(slot.held for slot in self._window))
        self._held = 0
        self._window.clear()
        self._drop_first()

    # In place

    def left_of(self, span: Span, sent: int) -> int:
        """Of a span that was handed over last, and of which so many bytes were sent before a wait for the
        peer: how many more are still in memory. 0: the next chunk tells what is the matter with them.
        """
        try:
            left = self._reader.find_span(self._file, Region(span.offset + sent, span.length - sent))
        except (OSError, FileChangedError):
            return 0
        return left.length if left is not None and left.descriptor == span.descriptor else 0

    def put_back(self, span: Span, sent: int) -> None:
        """Of the span that was handed over last only so many bytes were sent."""
        self._chunks.put_back(Region(span.offset + sent, span.length - sent))

    def cannot_send(self, error: OSError) -> None:
        """The span that was handed over last could not be sent in place: from now on, read."""
        self._in_place = False
        self._reader.cannot_send(self._file, error)

    def _span(self, chunk: Chunk) -> Span | None:
        """What of the chunk can be sent in place; what is missing of it is then the next chunk."""
        if not self._in_place or isinstance(chunk, bytes) or chunk.length <= _TAIL:
            return None
        if chunk.offset < len(self._first):  # it is at hand
            return None
        span = self._reader.find_span(self._file, chunk)
        if span is not None:
            self._chunks.take_part(span.length)
        return span

    # Read

    async def _read_at_once(self, chunk: Chunk) -> Buffer | None:
        """What of the chunk is in memory; where there is no room to hold it, as soon as it can be sent."""
        if isinstance(chunk, Region) and not self._memory.has_room_for(chunk.length):
            await self._wait_writable()
            self._chunks.shorten(_SHORT)
        return self._resident()

    def _cut_to_read(self) -> int:
        """Make the first chunk no longer than one read; its size in bytes, 0 where none are to be read."""
        chunk = self._chunks.first
        if not isinstance(chunk, Region):
            return 0
        chunk_size = self._owner.chunk_size
        length = min(chunk.length, chunk_size - chunk.offset % chunk_size)
        self._chunks.shorten(length)
        return length

    def _drop_first(self) -> None:
        self._memory.give_back(len(self._first))
        self._first = b""

    def _resident(self) -> Buffer | None:
        """The first chunk, or the part of it that is in memory; what is missing of it is then the next."""
        chunk = self._chunks.first
        assert chunk is not None
        if isinstance(chunk, bytes):
            self._chunks.take()
            return chunk
        data: Buffer
        if chunk.offset < len(self._first):  # it came with the opening of the file
            data = memoryview(self._first)[chunk.offset : chunk.offset + chunk.length]
        else:
            self._drop_first()
            try:
                data = self._reader.read_cached(self._file, chunk)
            except BlockingIOError:
                return None
        self._chunks.take_part(len(data))
        return data

    def _top_up(self) -> None:
        """Start reads behind those under way, as far as the window and the memory allow."""
        while (
            self._chunks.first is not None
            and len(self._window) < self._owner.window
            and self._memory.has_room_for(self._cut_to_read())
            and not all(slot.ready.is_set() for slot in self._window)
        ):
            try:
                data = self._resident()
            except (OSError, FileChangedError) as error:  # told in its turn: those before it are good
                self._append(0).fail(error)
                self._chunks = Chunks(iter(()))
            else:
                if data is None:
                    self._start()
                else:
                    self._append(len(data)).fill(bytes(data))

    def _start(self) -> None:
        """Read the first chunk in a worker."""
        chunk = self._chunks.first
        assert isinstance(chunk, Region)  # literal bytes are always resident
        self._chunks.take()
        slot = self._append(chunk.length)
        # Here and not in the task: by the time that begins, the reply may have been given up and its lease
        # gone.
        self._file.acquire()
        self._nursery.start_soon(self._read, slot, chunk, name="read-ahead")

    def _append(self, size: int) -> _Slot:
        slot = _Slot(size)
        self._memory.hold(size)
        self._window.append(slot)
        return slot

    async def _read(self, slot: _Slot, region: Region) -> None:
        try:
            slot.fill(await self._reader.read(self._file, region))
        except (OSError, FileChangedError) as error:
            slot.fail(error)
