"""A server in a process of its own, and what /proc says about it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, NamedTuple

import trio

ROOT = Path(__file__).parents[2]
_START = 30.0  # seconds, on a busy machine


class Figures(NamedTuple):
    """What a process holds: sockets, copies of cached files in memory, other descriptors, threads, resident
    memory in bytes.
    """

    sockets: int
    copies: int
    files: int
    threads: int
    memory: int


class ServerProcess:
    """`python -m trio_evserver`, listening on `address`; what it writes to stderr is in the file `stderr`."""

    def __init__(self, process: "subprocess.Popen[bytes]", address: tuple[str, int], stderr: Path) -> None:
        self.process = process
        self.address = address
        self._stderr = stderr

    def figures(self) -> Figures:
        """As proc(5) has them, at this moment."""
        proc = Path("/proc", str(self.process.pid))
        leads = []
        for descriptor in proc.joinpath("fd").iterdir():
            try:
                leads.append(os.readlink(descriptor))
            except FileNotFoundError:  # closed meanwhile
                continue
        sockets = sum(lead.startswith("socket:") for lead in leads)
        copies = sum(lead.startswith("/memfd:") for lead in leads)
        status = dict(line.split(":", 1) for line in proc.joinpath("status").read_text().splitlines())
        memory = int(status["VmRSS"].split()[0]) * 1024
        return Figures(sockets, copies, len(leads) - sockets - copies, int(status["Threads"]), memory)

    def processor_time(self) -> float:
        """Seconds of processor time that it has used so far."""
        fields = Path("/proc", str(self.process.pid), "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def log(self) -> list[str]:
        """The lines on stderr so far, without the first, which says that it listens."""
        return self._stderr.read_text().splitlines()[1:]

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await self.wait()

    async def wait(self) -> int:
        """The exit code, once it has ended."""
        return await trio.to_thread.run_sync(self.process.wait, abandon_on_cancel=True)


@asynccontextmanager
async def server_process(site: Path, *options: str) -> AsyncIterator[ServerProcess]:
    """A server of `site` on a free port; killed at the end, if it has not ended by then."""
    stderr = site.with_name(f"{site.name}.stderr")
    with stderr.open("wb") as written:
        process = _start(site, options, written)
        try:
            with trio.fail_after(_START):
                while not (line := stderr.read_bytes()).endswith(b"\n"):
                    assert process.poll() is None, line.decode()
                    await trio.sleep(0.02)
            host, _, port = json.loads(line)["urls"][0].split("/")[2].partition(":")
            yield ServerProcess(process, (host, int(port)), stderr)
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(process.wait)


def _start(site: Path, options: tuple[str, ...], stderr: IO[bytes]) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-W", "error", "-m", "trio_evserver", str(site)]
    return subprocess.Popen(
        [*command, "--bind", "127.0.0.1", "--port", "0", *options],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
    )


async def until(happened: Callable[[], object], seconds: float, what: str) -> None:
    """Look until it is so; fails after so many seconds."""
    with trio.move_on_after(seconds):
        while not happened():  # noqa: ASYNC110 -- another process, of which there are no events
            await trio.sleep(0.02)
        return
    raise AssertionError(f"after {seconds:g} s: {what}")
