"""What every test gets: a log that has to stay silent, and a site to serve."""

import logging
import os
from collections.abc import Generator
from pathlib import Path

import pytest

# Long ago, so that a file is settled as soon as it is made: it is no more suspected of changing.
LONG_AGO = 1_700_000_000


class Listener(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.name}: {self.format(record)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Function) -> Generator[None, None, None]:
    """A line at WARNING or above fails the test, as nginx's own tests have it: whatever else it proved, it
    went wrong in a way that nobody expected. A test that expects a line asks for `caplog`, and asserts which.
    """
    listener = Listener()
    logging.getLogger().addHandler(listener)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(listener)
    if listener.lines and "caplog" not in item.fixturenames:
        pytest.fail("logged, and not expected:\n" + "\n".join(listener.lines), pytrace=False)


TEN = b"0123456789"
INDEX = b"<!doctype html><title>index</title>"
SECRET = b"a secret from outside of the root"
# Larger than what is kept in memory, and no two of its chunks are alike.
BIG = b"".join(b"%08d" % number for number in range(50_000))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory to serve; its parent holds what must never be served."""
    (tmp_path / "outside.txt").write_bytes(SECRET)
    site = tmp_path / "site"
    for directory in ("docs", "bare", ".well-known", ".git", "a b"):
        (site / directory).mkdir(parents=True)
    files = {
        "ten.txt": TEN, "index.html": INDEX, "docs/index.html": INDEX, "big.bin": BIG, "empty.txt": b"",
        "a b/\u00e9 .txt": TEN, ".git/config": SECRET, ".secret": SECRET, ".well-known/security.txt": TEN,
        "docs/.hidden": SECRET,
    }  # fmt: skip
    for name, content in files.items():
        (site / name).write_bytes(content)
        os.utime(site / name, (LONG_AGO, LONG_AGO))
    (site / "link.txt").symlink_to("ten.txt")
    (site / "out.txt").symlink_to("../outside.txt")
    (site / "absolute.txt").symlink_to(tmp_path / "outside.txt")
    return site
