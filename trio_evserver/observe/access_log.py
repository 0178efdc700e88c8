"""The access log: one line per answer, in the common or the combined format of Apache.

The event loop puts the line into a bounded buffer, or what it needs where it is not a usual one; a thread
makes such lines, and writes all. So a slow or blocked log costs lines, which are counted, and never an
answer. To have the thread make every line would cost more than to make the usual ones at once, as the
interpreter changes hands for it.
"""

import logging
import os
import select
import threading
import time
from enum import Enum
from types import TracebackType
from typing import Self

from trio_evserver.observe.line_buffer import LineBuffer
from trio_evserver.observe.log_line import LineFormatter
from trio_evserver.observe.statistics import AccessLogStatistics
from trio_evserver.semantics.message import Request

LOGGER = logging.getLogger("trio_evserver.access_log")

# Lines gather for this long: one write then carries many, and a reader does not notice.
BATCH_SECONDS = 0.05
# Lines per write: a batch of usual ones is about 500 KiB.
BATCH_LINES = 4096
# The formatting thread lets go of the interpreter after so many lines (about 0.1 ms), so that the event loop
# waits for that long at most, not for the 5 ms of the interpreter's own switch interval.
SLICE_LINES = 32


class AccessLogFormat(Enum):
    """Which of the two formats a line has."""

    COMMON = "common"
    COMBINED = "combined"


class AccessLog:
    """Lines written to the descriptor `fd`, which stays the caller's, from a bounded buffer by one thread.

    *Resources*: the thread lives from `start` to `close`, or as long as the context manager's block. It is a
    daemon: where a write blocks for ever, the process ends without it.
    """

    def __init__(self, fd: int, format: AccessLogFormat, *, capacity: int = 65536) -> None:
        """`capacity` is the number of lines that may wait."""
        self._fd = fd
        combined = format is AccessLogFormat.COMBINED
        self._formatter = LineFormatter(combined=combined)  # the thread's
        self._buffer = LineBuffer(capacity, combined=combined)
        self._entries = self._buffer.entries
        self._written = 0
        self._failed = 0
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._writer = threading.Thread(target=self._run, name="access log", daemon=True)

    def __repr__(self) -> str:
        return f"<AccessLog fd={self._fd} waiting={len(self._entries)} {self.statistics()}>"

    def statistics(self) -> AccessLogStatistics:
        return AccessLogStatistics(self._written, self._buffer.dropped, self._failed)

    def record(self, peer: object, when: float, request: Request | None, status: int, sent: int) -> None:
        """Put one line into the buffer, or count it as dropped; it never blocks.

        `peer` is a socket address (a tuple, the host first), a str, or None; `when` the time of the request
        in seconds since the epoch; `request` None where no request could be read; `sent` the bytes of content
        sent, without the head. To be called by one thread only.
        """
        if self._buffer.put(peer, when, request, status, sent):
            self._wake.set()

    def start(self) -> None:
        """Start the thread; lines recorded before are kept for it."""
        self._writer.start()

    def close(self, timeout: float = 1.0) -> None:
        """Write what waits, for `timeout` seconds at most; lines recorded from now on are dropped."""
        self._buffer.close()
        self._closing.set()
        self._wake.set()
        if self._writer.is_alive():
            self._writer.join(timeout)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._wake.clear()
            self._closing.wait(BATCH_SECONDS)
            self._drain()
        self._drain()

    def _drain(self) -> None:
        while self._entries:
            self._write(self._format_batch())

    def _format_batch(self) -> list[bytes]:
        """At most BATCH_LINES lines, taken out of the buffer."""
        take = self._entries.popleft
        lines = []
        for number in range(1, min(len(self._entries), BATCH_LINES) + 1):
            entry = take()
            lines.append(entry if isinstance(entry, bytes) else self._formatter.line(entry))
            if number % SLICE_LINES == 0 and not isinstance(entry, bytes):
                time.sleep(0)
        return lines

    def _write(self, lines: list[bytes]) -> None:
        """One write; more only where the system takes part of it."""
        data = b"".join(lines)
        done = 0
        try:
            while done < len(data):
                done += self._write_some(memoryview(data)[done:])
        except OSError as error:
            self._note_failure(error)
        written = len(lines) if done == len(data) else data.count(b"\n", 0, done)
        self._written += written
        self._failed += len(lines) - written

    def _write_some(self, data: memoryview) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            # Another process may have made the shared terminal or pipe non-blocking; this thread may wait.
            poll = select.poll()
            poll.register(self._fd, select.POLLOUT)
            poll.poll(1000)
            return 0

    def _note_failure(self, error: OSError) -> None:
        if self._failed == 0:
            LOGGER.warning(
                "the access log cannot be written (%s); the server goes on without it", error.strerror
            )
