"""Ask a site for files without a socket, as the tests of a program that embeds one may do.

python examples/without_sockets.py DIRECTORY [TARGET ...]
"""

import sys

import trio
import trio.testing

from trio_evserver import Site, open_site, serve_connection


async def get(site: Site, target: str) -> tuple[str, bytes]:
    """The status line and the body of the answer to one GET."""
    client, server = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, server, site)
        await client.send_all(f"GET {target} HTTP/1.0\r\n\r\n".encode())
        answer = b"".join([bytes(data) async for data in client])
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.partition(b"\r\n")[0].decode(), body


async def main(root: str, targets: list[str]) -> None:
    """Print a line for each target."""
    async with open_site(root) as site:
        for target in targets:
            status_line, body = await get(site, target)
            print(f"{target}: {status_line}, {len(body)} bytes")


if __name__ == "__main__":
    trio.run(main, sys.argv[1] if len(sys.argv) > 1 else ".", sys.argv[2:] or ["/"])
