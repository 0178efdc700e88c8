"""Diagnostics: the standard `logging` of the logger "trio_evserver", written to a descriptor by a thread.

A record costs its maker an append to a bounded queue; formatting, escaping and writing happen in the thread,
so that a blocked stderr holds neither the event loop nor the end of the process. `sys.stderr` itself is not
used, as its lock is taken again when the interpreter ends.
"""

import logging
import os
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import QueueHandler, QueueListener
from typing import Any

LOGGER = logging.getLogger("trio_evserver")

CAPACITY = 1024
CLOSE_SECONDS = 1.0


def escape(text: str) -> str:
    r"""`text` with `\x1b`, `\n`, `\u202e` and the like for each character that does not print as itself."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class EscapingFormatter(logging.Formatter):
    """`time LEVEL message` on one line; a traceback is indented below it, so that no line can be forged."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- logging's name
        return escape(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 -- logging's name
        trace = super().formatException(ei)
        return "\n".join("    " + escape(line) for line in trace.split("\n"))


class DroppingHandler(QueueHandler):
    """Puts records into a bounded queue as they are; `dropped` counts those it had no room for."""

    dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """The record, untouched: it is formatted by the thread, which may read sources for a traceback."""
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class DescriptorListener(QueueListener):
    """Takes records from the queue and writes each to the descriptor `fd`, which stays the caller's."""

    def __init__(self, records: "queue.Queue[logging.LogRecord]", fd: int) -> None:
        super().__init__(records)
        self._records = records
        self._fd = fd
        self._formatter = EscapingFormatter()

    def handle(self, record: logging.LogRecord) -> None:
        line = self._formatter.format(record) + "\n"
        # There is nowhere left to say that stderr is gone.
        with suppress(OSError):
            os.write(self._fd, line.encode("utf-8", "backslashreplace"))

    def enqueue_sentinel(self) -> None:
        """Waits for room, where the standard one would fail; `diagnostics` bounds the wait."""
        # logging documents the overriding but names the sentinel only in its source.
        self._records.put(self._sentinel)  # type: ignore[attr-defined]  # typeshed leaves it out


@contextmanager
def diagnostics(level: int, fd: int = 2, *, capacity: int = CAPACITY) -> Iterator[DroppingHandler]:
    """Write the records of LOGGER at `level` and above to `fd` while the block runs.

    `capacity` records may wait; at the end those that wait are written, for CLOSE_SECONDS at most.
    """
    records: queue.Queue[logging.LogRecord] = queue.Queue(capacity)
    handler = DroppingHandler(records)
    listener = DescriptorListener(records, fd)
    before = LOGGER.level, LOGGER.propagate
    LOGGER.setLevel(level)
    LOGGER.propagate = False
    LOGGER.addHandler(handler)
    listener.start()
    try:
        yield handler
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.level, LOGGER.propagate = before
        _stop(listener)


def _stop(listener: DescriptorListener) -> None:
    """`listener.stop()` has no timeout, so a thread of ours waits for it, and we for that thread."""
    stopping = threading.Thread(target=listener.stop, name="diagnostics end", daemon=True)
    stopping.start()
    stopping.join(CLOSE_SECONDS)
