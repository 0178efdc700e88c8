"""Serve a directory beside other work of the same program, and stop gracefully on SIGINT or SIGTERM.

python examples/beside_other_work.py DIRECTORY
"""

import signal
import sys

import trio

from trio_evserver import Options, Server, serve


async def report(server: Server, seconds: float) -> None:
    """The other work: say now and then how the server does."""
    while True:
        await trio.sleep(seconds)
        now = server.statistics()
        print(f"{now.connections} connections, {now.sent} bytes sent, {now.reads.in_flight} reads in flight")


async def main(root: str) -> None:
    """Serve `root` until a signal comes."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            server: Server = await nursery.start(serve, root, Options(port=0))
            print(*server.urls, flush=True)
            nursery.start_soon(report, server, 10)
            await anext(signals)
            await server.drain()
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, sys.argv[1] if len(sys.argv) > 1 else ".")
