"""The literal shape: a nursery per connection, a thread hop per chunk, and nothing bounded.

What one writes first with Trio, and what the ancestor was: `trio.serve_tcp`, every read through
`trio.to_thread.run_sync` with its default limiter, replies streamed in order. No deadline, no limit, no
cache; a backlog of 4,096. Arguments: the folder and the port.
"""

import os
import sys
from functools import partial

import trio

CHUNK = 64 * 1024


async def main(root: str, port: int) -> None:
    """Serve until ended."""
    await trio.serve_tcp(partial(converse, root.encode()), port, host="127.0.0.1", backlog=4096)


async def converse(root: bytes, stream: trio.SocketStream) -> None:
    """One connection: request after request, until the peer ends it or is gone."""
    received = b""
    try:
        while True:
            while b"\r\n\r\n" not in received:
                data = await stream.receive_some()
                if not data:
                    return
                received += data
            head, _, received = received.partition(b"\r\n\r\n")
            await answer(root, head, stream)
            if b"connection: close" in head.lower():
                return
    except trio.BrokenResourceError:
        return


async def answer(root: bytes, head: bytes, stream: trio.SocketStream) -> None:
    """One request: its chunks are read side by side, and sent in order."""
    try:
        descriptor, size = await trio.to_thread.run_sync(find, root, head.split(b" ", 2)[1])
    except OSError:
        await stream.send_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        return
    try:
        chunks = [Chunk(offset) for offset in range(0, size, CHUNK)]
        async with trio.open_nursery() as nursery:
            for chunk in chunks:
                nursery.start_soon(chunk.read, descriptor)
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            for chunk in chunks:
                await chunk.ready.wait()
                await stream.send_all(chunk.data)
    finally:
        os.close(descriptor)


def find(root: bytes, target: bytes) -> tuple[int, int]:
    """An open descriptor and its size."""
    if b".." in target:
        raise FileNotFoundError
    descriptor = os.open(root + target, os.O_RDONLY)
    return descriptor, os.fstat(descriptor).st_size


class Chunk:
    """A part of a file, and when it has been read."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.data = b""
        self.ready = trio.Event()

    async def read(self, descriptor: int) -> None:
        """One thread hop."""
        self.data = await trio.to_thread.run_sync(os.pread, descriptor, CHUNK, self.offset)
        self.ready.set()


if __name__ == "__main__":
    trio.run(main, sys.argv[1], int(sys.argv[2]))
