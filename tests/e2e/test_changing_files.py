"""Files that change: the next request sees it, and a reply under way never passes a wrong body for right."""

import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.conftest import LONG_AGO
from tests.e2e.clients import ask, running
from tests.serving.conversations import connect_small, request, small_listener
from trio_evserver.files.options import FileOptions
from trio_evserver.serving.options import Options
from trio_evserver.serving.server import serve

SIZE = 4 * 1024 * 1024


def write_over(path: Path, content: bytes) -> None:
    """In place: the same file with other content."""
    with path.open("r+b") as file:
        file.write(content)
        file.truncate()


def replace(path: Path, content: bytes) -> None:
    """As an editor or a deploy does it: another file of the same name."""
    beside = path.with_name("beside")
    beside.write_bytes(content)
    beside.replace(path)


@pytest.mark.parametrize("edit", [write_over, replace])
@pytest.mark.parametrize("size", [10, 300_000])
async def test_an_edit_is_seen_at_once(root: Path, edit: Callable[[Path, bytes], None], size: int) -> None:
    """The very next request has the new content, however short the time between them, and a tag that is not
    the old one's, unless both are weak.
    """
    path = root / "edited.bin"
    path.write_bytes(b"x" * size)
    async with running(root) as server:
        tags = []
        for number in range(40):
            content = b"%010d" % number * (size // 10)
            edit(path, content)
            for _ in range(2):
                reply = await ask(server, "/edited.bin")
                assert reply.body == content
            tags.append(reply.fields["ETag"])
    strong = [tag for tag in tags if not tag.startswith("W/")]
    assert len(set(strong)) == len(strong)


async def test_what_comes_and_goes(root: Path) -> None:
    """A file that is removed is gone, one that is made is there, one that becomes a directory is one."""
    path = root / "there.txt"
    async with running(
        root, Options(bind=("127.0.0.1",), port=0, files=FileOptions(revalidate=0.0))
    ) as server:
        for _ in range(3):
            assert (await ask(server, "/there.txt")).status == 404
            path.write_bytes(b"here")
            assert (await ask(server, "/there.txt")).body == b"here"
            path.unlink()
            assert (await ask(server, "/there.txt")).status == 404
            path.mkdir()
            assert (await ask(server, "/there.txt")).status == 301
            path.rmdir()


async def test_a_root_that_is_swapped(root: Path, tmp_path: Path) -> None:
    """A deploy that swaps a link to the root takes effect with the next request."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name.txt").write_text(name)
        os.utime(tmp_path / name / "name.txt", (LONG_AGO, LONG_AGO))
    link = tmp_path / "current"
    link.symlink_to("one")
    async with running(link) as server:
        for name in ("one", "two", "one", "two"):
            (tmp_path / "next").symlink_to(name)
            (tmp_path / "next").replace(link)
            assert (await ask(server, "/name.txt")).body == name.encode()


@asynccontextmanager
async def half_read(root: Path, cached_reads: bool) -> AsyncIterator[trio.SocketStream]:
    """A client that has read the head of a long reply, and not much more; the server is waiting for it."""
    options = Options(files=FileOptions(chunk_size=64 * 1024, cached_reads=cached_reads))
    listener: socket.socket = small_listener()
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve, root, options, listeners=[listener]))
        async with await connect_small(listener) as client:
            await client.send_all(request("/long.bin") + request("/ten.txt"))
            yield client
        await server.drain()


async def hear_to_the_end(client: trio.SocketStream) -> tuple[bytes, bool]:
    """What there is to hear, and whether it ended in good order."""
    heard = bytearray()
    try:
        while data := await client.receive_some():
            heard += data
            if heard.endswith(b"\r\n\r\n0123456789"):  # the pipelined request's answer
                return bytes(heard), True
    except trio.BrokenResourceError:
        return bytes(heard), False
    return bytes(heard), True


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more" * 1000)


def shrink(path: Path) -> None:
    os.truncate(path, SIZE // 2)


def shrink_to_nothing(path: Path) -> None:
    os.truncate(path, 0)


def rewrite(path: Path) -> None:
    write_over(path, b"b" * SIZE)


def replace_it(path: Path) -> None:
    replace(path, b"b" * (SIZE + 1))


CHANGES = [
    (grow, True, "the octets announced are still the right ones"),
    (replace_it, True, "the file that was opened is still the old one"),
    (Path.unlink, True, "and is that also without a name"),
    (shrink, False, "there are not as many octets as announced"),
    (shrink_to_nothing, False, "there are none"),
    (rewrite, False, "there are as many, and they are others"),
]


@pytest.mark.parametrize("cached_reads", [True, False], ids=["in place", "workers"])
@pytest.mark.parametrize(("change", "whole", "why"), CHANGES, ids=[row[0].__name__ for row in CHANGES])
async def test_a_change_while_it_is_served(
    root: Path,
    change: Callable[[Path], None],
    whole: bool,
    why: str,
    cached_reads: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Either exactly the body that was announced, and the next answer after it; or the connection breaks, and
    nothing follows.
    """
    path = root / "long.bin"
    path.write_bytes(b"a" * SIZE)
    os.utime(path, (LONG_AGO, LONG_AGO))
    async with half_read(root, cached_reads) as client:
        heard = bytes(await client.receive_some(1000))
        change(path)
        rest, in_order = await hear_to_the_end(client)
        head, _, body = (heard + rest).partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % SIZE in head
    assert in_order is whole, why
    if whole:
        assert body[:SIZE] == b"a" * SIZE
        assert body[SIZE:].startswith(b"HTTP/1.1 200 OK\r\n")
        assert caplog.records == []
    else:
        assert len(body) < SIZE
        assert b"HTTP" not in body
        assert ["a reply was broken off" in record.getMessage() for record in caplog.records] == [True]
