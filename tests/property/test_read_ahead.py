"""Law: whatever order reads finish in, what is handed over, or left in place, is the parts' bytes, in order,
within the bounds.

For every file size, chunk size, window, memory bound, number of threads, list of parts and set of chunks in
the page cache, however much of a span is sent at a time, over one reply or several at once: what is held
returns to nothing, and never were more reads in flight than the limiter allows, nor more bytes held than the
bound and two chunks for each reply.
"""

import errno
import itertools
import math
import os
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_evserver.files import read_ahead as read_ahead_module
from trio_evserver.files.disk import Disk
from trio_evserver.files.gate import Gate
from trio_evserver.files.identity import Identity
from trio_evserver.files.lease import Lease
from trio_evserver.files.open_file import OpenFile
from trio_evserver.files.options import FileOptions
from trio_evserver.files.read_ahead import ReadAhead
from trio_evserver.files.span import Span
from trio_evserver.files.workers import Hand, Workers
from trio_evserver.semantics.message import Parts, Region
from trio_evserver.semantics.representation import Representation

CONTENT = bytes(range(256)) * 2
LONGEST_LITERAL = 8


class MemoryDisk(Disk):
    """A file that is in memory; `resident` says from which offsets a read need not wait."""

    def __init__(self, content: bytes, resident: list[bool]) -> None:  # no descriptor, no mount table
        self.content = content
        self.resident = resident

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        return self.content[offset : offset + length]

    def read_cached(self, descriptor: int, device: int, buffer: memoryview, offset: int) -> int:
        length = self.cached_length(descriptor, device, len(buffer), offset)
        buffer[:length] = self.read(0, length, offset)
        return length

    def cached_length(self, descriptor: int, device: int, length: int, offset: int) -> int:
        if not self.resident[offset % len(self.resident)]:
            raise BlockingIOError
        return max(1, length // 2) if offset % 3 else length

    def status(self, descriptor: int) -> os.stat_result:
        return os.stat_result((0o100644, 1, 1, 1, 0, 0, len(self.content), 0, 0, 0), {"st_mtime_ns": 0})


class Shuffle:
    """Runs jobs without threads, and lets those in flight finish in an order of its choice."""

    def __init__(self, choices: list[int]) -> None:
        self._choices = choices
        self._turns: list[trio.Event] = []
        self._finished = self.in_flight = self.peak = 0

    async def run_sync(self, job: Callable[[], None], /, *, abandon_on_cancel: bool, limiter: Hand) -> None:
        borrower = object()
        await limiter.acquire_on_behalf_of(borrower)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        turn = trio.Event()
        self._turns.append(turn)
        try:
            await turn.wait()
            job()
        finally:
            self.in_flight -= 1
            limiter.release_on_behalf_of(borrower)

    async def drive(self) -> None:
        """Whenever nothing else moves, finish one."""
        while True:
            await trio.testing.wait_all_tasks_blocked()
            if self._turns:
                choice = self._choices[self._finished % len(self._choices)]
                self._finished += 1
                self._turns.pop(choice % len(self._turns)).set()


def plain(size: int) -> Representation:
    return Representation(
        size=size,
        modified=None,
        modified_is_strong=False,
        entity_tag=None,
        media_type=b"text/plain",
        cache_control=b"no-cache",
        render=lambda fields: b"",
    )


def bytes_of(parts: list[bytes | Region], content: bytes) -> bytes:
    return b"".join(
        part if isinstance(part, bytes) else content[part.offset : part.offset + part.length]
        for part in parts
    )


async def reply(
    read_ahead: ReadAhead,
    file: OpenFile,
    first: bytes,
    parts: list[bytes | Region],
    takes: list[int | None] | None,
) -> bytes:
    """One reply, to a peer that always takes bytes.

    Of a span it takes as many as `takes` says, again and again; None: it cannot be sent in place. Without
    `takes` nothing is.
    """
    turns = itertools.cycle(takes or [0])
    file.acquire()
    received = b""
    with Lease(plain(file.identity.size), file, first) as lease:
        async with trio.open_nursery() as nursery:
            body = Parts(tuple(parts), 0)
            reading = read_ahead.open(
                lease, body, nursery, trio.lowlevel.checkpoint, in_place=takes is not None
            )
            while (part := await reading.next()) is not None:
                if isinstance(part, Span):
                    count = next(turns)
                    if count is None:
                        reading.cannot_send(OSError(errno.EIO, "no"))
                    sent = min(count or 0, part.length)
                    received += CONTENT[part.offset : part.offset + sent]
                    if sent < part.length:
                        reading.put_back(part, sent)
                else:
                    received += part
            reading.close()
    return received


@st.composite
def part_lists(draw: st.DrawFn, size: int) -> list[bytes | Region]:
    regions = st.builds(
        lambda offset, length: Region(offset, min(length, size - offset)),
        st.integers(0, size - 1),
        st.integers(1, size),
    )
    return draw(st.lists(regions | st.binary(min_size=1, max_size=LONGEST_LITERAL), max_size=4))


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_the_bytes_are_those_of_the_parts(data: st.DataObject) -> None:
    """In order, whatever order the reads finish in, and everything borrowed is given back."""
    size = data.draw(st.integers(1, len(CONTENT)), "size")
    chunk_size = data.draw(st.integers(max(1, size // 20), 300), "chunk size")
    options = FileOptions(
        chunk_size=chunk_size,
        threads=data.draw(st.integers(1, 6), "threads"),
        read_ahead=data.draw(st.integers(1, 6), "window"),
        read_ahead_memory=data.draw(st.integers(0, 4 * chunk_size), "memory"),
        cached_reads=data.draw(st.booleans(), "cached reads"),
    )
    replies = data.draw(st.lists(part_lists(size), min_size=1, max_size=3), "replies")
    disk = MemoryDisk(CONTENT[:size], data.draw(st.lists(st.booleans(), min_size=1, max_size=7), "resident"))
    first = CONTENT[: data.draw(st.integers(0, min(size, chunk_size)), "first")]
    # Now and then a byte at least: who takes nothing for ever is waited for by the transport.
    some = st.lists(st.none() | st.integers(0, 300), max_size=4)
    takes = data.draw(
        st.none() | st.builds(lambda counts, last: [*counts, last], some, st.integers(1, 300)), "takes"
    )
    shuffle = Shuffle(data.draw(st.lists(st.integers(0, 20), min_size=1, max_size=20), "order"))
    closed: list[int] = []
    file = OpenFile(7, Identity(1, 1, size, 0, 0), mount=b"/", local=True, close=closed.append)
    received: dict[int, bytes] = {}

    async def take(read_ahead: ReadAhead, number: int, parts: list[bytes | Region]) -> None:
        received[number] = await reply(read_ahead, file, first, parts, takes)

    async def everything() -> tuple[Workers, ReadAhead]:
        async with trio.open_nursery() as driving:
            driving.start_soon(shuffle.drive)
            gate = Gate(options.threads, queue=1000, patience=math.inf)
            workers = Workers(gate, driving, shuffle.run_sync)
            read_ahead = ReadAhead(disk, workers, options)
            async with trio.open_nursery() as nursery:
                for number, parts in enumerate(replies):
                    nursery.start_soon(take, read_ahead, number, parts)
            await trio.testing.wait_all_tasks_blocked()
            driving.cancel_scope.cancel()
        return workers, read_ahead

    sizes: dict[str, Any] = {
        name: data.draw(st.integers(1, 300), name) for name in ("_SHORT", "LONGEST_SPAN", "_TAIL")
    }
    with patch.multiple(read_ahead_module, **sizes):
        workers, read_ahead = trio.run(everything)
    assert received == {number: bytes_of(parts, disk.content) for number, parts in enumerate(replies)}
    assert read_ahead.memory.held == 0
    assert shuffle.peak <= options.threads
    assert workers.statistics().in_flight == 0
    # What came with the opening is a chunk at most; literal bytes are few, and are not waited for.
    beyond = 2 * chunk_size + 4 * LONGEST_LITERAL
    assert read_ahead.memory.peak <= options.read_ahead_memory + len(replies) * beyond
    file.release()
    assert closed == [7]
