"""Diagnostics: escaped, bounded, off the event loop."""

import logging
import os
from pathlib import Path

import pytest

from trio_evserver.observe.logs import LOGGER, diagnostics, escape


def test_records_are_written(tmp_path: Path) -> None:
    """What was logged in the block is in the file at its end, from child loggers too."""
    path = tmp_path / "log"
    with path.open("wb") as file, diagnostics(logging.INFO, file.fileno()):
        LOGGER.info("one %s", "fish")
        LOGGER.getChild("serving").warning("two")
    lines = path.read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["INFO one fish", "WARNING two"]


@pytest.mark.parametrize(
    ("level", "expected"),
    [(logging.DEBUG, ["d", "i", "w"]), (logging.INFO, ["i", "w"]), (logging.WARNING, ["w"])],
)
def test_levels(tmp_path: Path, level: int, expected: list[str]) -> None:
    """-v, neither, -q: the level is the least that is written."""
    path = tmp_path / "log"
    with path.open("wb") as file, diagnostics(level, file.fileno()):
        LOGGER.debug("d")
        LOGGER.info("i")
        LOGGER.warning("w")
    assert [line.rsplit(" ", 1)[1] for line in path.read_text().splitlines()] == expected


def test_a_peer_cannot_forge_a_line(tmp_path: Path) -> None:
    """Control characters are escaped in the message, and below a traceback every line is indented."""
    path = tmp_path / "log"
    with path.open("wb") as file, diagnostics(logging.INFO, file.fileno()):
        try:
            raise ValueError("bad\n2000-01-01 INFO forged\x1b[31m")
        except ValueError:
            LOGGER.exception("target %s", "/\r\n\x1b[2J")
    first, *trace = path.read_text().splitlines()
    assert first.endswith(r"ERROR target /\r\n\x1b[2J")
    assert any("forged" in line for line in trace)
    assert all(line.startswith("    ") for line in trace)
    assert "\x1b" not in path.read_text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("Grüße, 世界", "Grüße, 世界"),  # a root may have such a name
        ("a\x00b\x7f", r"a\x00b\x7f"),
        ("\u202egnp.exe", r"\u202egnp.exe"),  # turns the writing direction
        ("\udcff", r"\udcff"),  # a byte that is no UTF-8, as the file system gives it
    ],
)
def test_escape(text: str, expected: str) -> None:
    """What prints as itself stays."""
    assert escape(text) == expected


def test_a_blocked_descriptor_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody reads: logging goes on, the end does not wait for ever, drops are counted."""
    monkeypatch.setattr("trio_evserver.observe.logs.CLOSE_SECONDS", 0.01)
    reading, writing = os.pipe()
    with diagnostics(logging.INFO, writing, capacity=10) as handler:
        for _ in range(2000):
            LOGGER.info("x" * 1000)
    assert handler.dropped > 0
    # The thread then ends with its write; the number of the descriptor is not free before.
    os.close(reading)
    os.close(writing)


def test_the_logger_is_left_as_it_was() -> None:
    """The library's user keeps the set-up of the logger."""
    before = (LOGGER.level, LOGGER.propagate, list(LOGGER.handlers))
    with open(os.devnull, "wb") as file, diagnostics(logging.DEBUG, file.fileno()):
        assert len(LOGGER.handlers) == len(before[2]) + 1
    assert (LOGGER.level, LOGGER.propagate, list(LOGGER.handlers)) == before
