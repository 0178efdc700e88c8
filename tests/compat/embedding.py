"""A program still typed with trio-typing, whose stubs shadow Trio's own types, embeds the server.

The session "compat" of nox checks it with mypy --strict and runs it.
"""

import os
import tempfile
from pathlib import Path

import trio
from trio_typing import TaskStatus

import trio_evserver


async def site(
    root: "os.PathLike[str]", task_status: TaskStatus[trio_evserver.Server] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve `root` on a free port until cancelled."""
    options = trio_evserver.Options(bind=("127.0.0.1",), port=0)
    async with trio.open_nursery() as nursery:
        server: trio_evserver.Server = await nursery.start(trio_evserver.serve, root, options)
        task_status.started(server)


async def main() -> None:
    """Serve one file, ask for it, and stop."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        (root / "hello.txt").write_text("hello")
        async with trio.open_nursery() as nursery:
            server: trio_evserver.Server = await nursery.start(site, root)
            host, port = server.addresses[0][:2]
            stream = await trio.open_tcp_stream(str(host), int(str(port)))
            async with stream:
                await stream.send_all(b"GET /hello.txt HTTP/1.0\r\n\r\n")
                answer = b""
                while data := await stream.receive_some(4096):
                    answer += data
            await server.drain()
        assert answer.endswith(b"\r\n\r\nhello"), answer


trio.run(main)
