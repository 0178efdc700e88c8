"""The tables of docs/http.md, asked one row at a time."""

import re
from http import HTTPStatus
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.docs.markdown import ROOT, table
from trio_evserver import open_site, serve_connection
from trio_evserver.pages.errors import EXPLANATIONS

HTTP = ROOT / "docs" / "http.md"
TARGETS = [(row[0].strip("`"), int(row[1])) for row in table(HTTP, "request")]
RANGES = [(row[0].strip("`"), int(row[1][:3])) for row in table(HTTP, "Range")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The example site, as far as the tables ask for it, and a file of 10 bytes."""
    (tmp_path / "index.html").write_text("hello")
    (tmp_path / "poem.txt").write_text("0123456789")
    (tmp_path / "about").mkdir()
    (tmp_path / "about" / "index.html").write_text("about")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("secret")
    return tmp_path


async def status_of(root: Path, request_line: str, field: str = "X: y") -> int:
    """The status of the answer to one request."""
    async with open_site(root) as site, trio.open_nursery() as nursery:
        client, server = trio.testing.memory_stream_pair()
        nursery.start_soon(serve_connection, server, site)
        head = f"{request_line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{field}\r\n\r\n"
        await client.send_all(head.encode())
        await client.send_eof()
        answer = b"".join([bytes(data) async for data in client])
    return int(answer.split(b" ", 2)[1])


def test_there_are_some() -> None:
    """The tests below would pass on nothing."""
    assert TARGETS
    assert RANGES


@pytest.mark.parametrize(("request_line", "status"), TARGETS)
async def test_target(request_line: str, status: int, root: Path) -> None:
    """A request for it has this status."""
    assert await status_of(root, request_line) == status


@pytest.mark.parametrize(("value", "status"), RANGES)
async def test_range(value: str, status: int, root: Path) -> None:
    """Of a file of 10 bytes it has this status."""
    assert await status_of(root, "GET /poem.txt", f"Range: {value}") == status


def test_every_status_is_explained() -> None:
    """docs/http.md has each status that has a page of its own, and those that need none."""
    documented = {int(status) for row in table(HTTP, "status") for status in re.findall(r"\d{3}", row[0])}
    assert documented == {*EXPLANATIONS, *map(int, (HTTPStatus.CONTINUE, 200, 204, 206, 304))}
