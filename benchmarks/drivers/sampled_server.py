"""trio_evserver with its statistics sampled: the most file reads in flight, and the most that waited.

Run as a script by the interpreter under test: `sampled_server.py ROOT PORT CHUNK_SIZE FILE_THREADS OUTPUT`.
Every read goes through the worker threads (no cache, no page-cache reads on the loop), in chunks so small
that one reply is many reads: the case in which the ancestor stalled. On SIGTERM it writes one line of JSON to
OUTPUT and ends.
"""

import json
import signal
import sys

import trio

from trio_evserver import FileOptions, Options, Server, serve
from trio_evserver.process.run import settle_interpreter

INTERVAL = 0.002  # seconds between two samples; `peak` is exact, kept by the limiter itself


async def main(root: str, output: str, port: int, chunk_size: int, threads: int) -> None:
    """Serve until SIGTERM, then say what was seen."""
    files = FileOptions(threads=threads, chunk_size=chunk_size, cache_size=0, cached_reads=False)
    options = Options(bind=("127.0.0.1",), port=port, files=files)
    seen = {"in_flight": 0, "waiting": 0, "samples": 0}
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve, root, options)
        settle_interpreter()  # as the command does
        nursery.start_soon(_sample, server, seen)
        with trio.open_signal_receiver(signal.SIGTERM) as signals:
            async for _ in signals:
                break
        reads = server.statistics().reads
        line = json.dumps({**seen, "peak": reads.peak, "limit": reads.limit}) + "\n"
        await trio.Path(output).write_text(line)
        nursery.cancel_scope.cancel()


async def _sample(server: Server, seen: dict[str, int]) -> None:
    while True:
        reads = server.statistics().reads
        seen["in_flight"] = max(seen["in_flight"], reads.in_flight)
        seen["waiting"] = max(seen["waiting"], reads.waiting)
        seen["samples"] += 1
        await trio.sleep(INTERVAL)


if __name__ == "__main__":
    ROOT, PORT, CHUNK_SIZE, THREADS, OUTPUT = sys.argv[1:]
    trio.run(main, ROOT, OUTPUT, int(PORT), int(CHUNK_SIZE), int(THREADS))
