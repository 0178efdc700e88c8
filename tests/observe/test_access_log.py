"""The access log's buffer and thread."""

import errno
import logging
import os
import select
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from trio_evserver.observe import access_log, line_buffer
from trio_evserver.observe.access_log import AccessLog, AccessLogFormat
from trio_evserver.observe.statistics import AccessLogStatistics
from trio_evserver.semantics.message import Request

REQUEST = Request(b"GET", b"/a", b"/a", None, b"h", b"HTTP/1.1", {b"user-agent": b"test"})


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for fd in (reading, writing):
        with suppress(OSError):  # a test may have closed it
            os.close(fd)


def record(log: AccessLog, times: int = 1, target: bytes = b"/a") -> None:
    for _ in range(times):
        request = Request(b"GET", target, target, None, b"h", b"HTTP/1.1", REQUEST.fields)
        log.record(("192.0.2.1", 1), 0.0, request, 200, 5)


def test_lines_are_written_in_order(tmp_path: Path) -> None:
    """Everything recorded before the end of the block is in the file, in order, also across batches."""
    path = tmp_path / "log"
    many = access_log.BATCH_LINES + 10
    with path.open("wb") as file, AccessLog(file.fileno(), AccessLogFormat.COMBINED, capacity=many) as log:
        for number in range(many):
            log.record(None, 0.0, REQUEST, 200, number + 1)
    sizes = [int(line.split(b'"')[2].split()[1]) for line in path.read_bytes().splitlines()]
    assert sizes == list(range(1, many + 1))
    assert log.statistics() == AccessLogStatistics(written=many, dropped=0, failed=0)


def test_a_line_is_written_while_the_log_is_open(pipe: tuple[int, int]) -> None:
    """The thread wakes for the first line, and again for one that comes after the buffer was empty."""
    reading, writing = pipe
    with AccessLog(writing, AccessLogFormat.COMMON) as log:
        for _ in range(3):
            record(log)
            assert os.read(reading, 4096).count(b"\n") == 1


def test_a_batch_is_one_write(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Lines that wait together are written together."""
    writes: list[int] = []
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        writes.append(len(data))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    with (tmp_path / "log").open("wb") as file:
        log = AccessLog(file.fileno(), AccessLogFormat.COMMON)
        record(log, 100)
        log.start()
        log.close()
    assert len(writes) == 1


def test_a_full_buffer_drops_and_counts(tmp_path: Path) -> None:
    """Beyond the capacity lines are dropped, the newest ones, and counted."""
    path = tmp_path / "log"
    with path.open("wb") as file:
        log = AccessLog(file.fileno(), AccessLogFormat.COMMON, capacity=3)
        record(log, 5)
        log.start()
        log.close()
    assert log.statistics() == AccessLogStatistics(written=3, dropped=2, failed=0)
    assert path.read_bytes().count(b"\n") == 3


def test_a_crowded_buffer_takes_short_lines_only() -> None:
    """Where many lines wait, a peer cannot make the buffer hold its long ones."""
    log = AccessLog(-1, AccessLogFormat.COMMON)
    record(log, line_buffer.CROWDED_LINES, b"/" * 8000)
    record(log, 5, b"/" * 8000)
    record(log, 7)
    assert log.statistics().dropped == 5


def test_lines_after_the_end_are_dropped(tmp_path: Path) -> None:
    """A connection that ends after the log did loses its line, and nothing breaks."""
    with (tmp_path / "log").open("wb") as file, AccessLog(file.fileno(), AccessLogFormat.COMMON) as log:
        pass
    record(log)
    assert log.statistics().dropped == 1


def test_a_blocked_descriptor_holds_nobody(pipe: tuple[int, int]) -> None:
    """Nobody reads: recording goes on, the end waits no longer than it was told, the rest is dropped."""
    reading, writing = pipe
    log = AccessLog(writing, AccessLogFormat.COMMON, capacity=5000)
    log.start()
    record(log, 20_000)
    log.close(timeout=0.01)
    assert log.statistics().dropped > 0
    # Read on, so that the thread ends before the descriptor's number goes to another test.
    while log._writer.is_alive():
        if select.select([reading], [], [], 0.01)[0]:
            os.read(reading, 65536)


def test_a_broken_pipe_is_said_once(pipe: tuple[int, int], caplog: pytest.LogCaptureFixture) -> None:
    """EPIPE: lines are counted as failed, one warning says so, and recording goes on."""
    reading, writing = pipe
    os.close(reading)
    with caplog.at_level(logging.WARNING, "trio_evserver"):
        log = AccessLog(writing, AccessLogFormat.COMMON)
        record(log, access_log.BATCH_LINES + 1)
        log.start()
        log.close()
    assert log.statistics().failed == access_log.BATCH_LINES + 1
    assert [r.getMessage() for r in caplog.records] == [
        "the access log cannot be written (Broken pipe); the server goes on without it"
    ]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux's device that is always full")
def test_a_full_disk_fails_and_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    """ENOSPC is counted like any other failure."""
    with (
        open("/dev/full", "wb", buffering=0) as file,
        AccessLog(file.fileno(), AccessLogFormat.COMMON) as log,
    ):
        record(log, 4)
    assert log.statistics() == AccessLogStatistics(written=0, dropped=0, failed=4)
    assert len(caplog.records) == 1


def test_a_partial_write_goes_on(monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]) -> None:
    """The rest of what the system took in part is written next; EAGAIN is waited out."""
    reading, writing = pipe
    write = os.write
    blocked = iter([True, False])

    def write_little(fd: int, data: memoryview) -> int:
        if next(blocked, False):
            raise BlockingIOError(errno.EAGAIN, "again")
        return write(fd, data[:7])

    monkeypatch.setattr(os, "write", write_little)
    with AccessLog(writing, AccessLogFormat.COMMON) as log:
        record(log, 2)
    assert os.read(reading, 4096).count(b'"GET /a HTTP/1.1" 200 5\n') == 2
    assert log.statistics().written == 2


def test_the_thread_ends_with_the_block(tmp_path: Path) -> None:
    """Nothing is left running."""
    before = threading.active_count()
    with (tmp_path / "log").open("wb") as file, AccessLog(file.fileno(), AccessLogFormat.COMMON):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
