"""A server on a real socket, and clients that are not ours: the standard library's and curl."""

import http.client
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
import trio

from trio_evserver.serving.options import Options
from trio_evserver.serving.server import Server, serve

LOOPBACK = Options(bind=("127.0.0.1",), port=0)


@asynccontextmanager
async def running(root: Path, options: Options = LOOPBACK) -> AsyncIterator[Server]:
    """A server, which is drained at the end; what hangs fails."""
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            server: Server = await nursery.start(serve, root, options)
            yield server
            await server.drain()


def address(server: Server) -> tuple[str, int]:
    """Host and port."""
    host, port = server.addresses[0][:2]
    return str(host), int(str(port))


class Reply(NamedTuple):
    """What http.client made of an answer."""

    status: int
    fields: dict[str, str]
    body: bytes


def _ask(host: str, port: int, target: str, fields: dict[str, str], method: str) -> Reply:
    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in fields.items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return Reply(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


async def ask(
    server: Server, target: str, fields: dict[str, str] | None = None, method: str = "GET"
) -> Reply:
    """The answer to a request, as http.client reads it; fails where the body is not as long as was said."""
    return await trio.to_thread.run_sync(partial(_ask, *address(server), target, fields or {}, method))


async def settled(server: Server, target: str) -> Reply:
    """The answer once the file, which was just made, is no more suspected of changing: its tag is strong."""
    while (reply := await ask(server, target)).fields["ETag"].startswith("W/"):
        continue
    return reply


async def curl(*arguments: str, data: bytes = b"") -> bytes:
    """What curl prints; skips where there is no curl, fails where it does."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    ran = await trio.run_process(
        ["curl", "--silent", "--show-error", *arguments], stdin=data, capture_stdout=True
    )
    return ran.stdout
