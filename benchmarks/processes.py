"""Start, watch and end other programs. Whatever is started here is ended here, on an error and on Ctrl-C too.

Each program gets a session of its own: its whole tree can be counted (/proc) and ended (killpg) by one
number.
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")
START_LIMIT = 20.0  # seconds until a server must take connections
SETTLE = 0.2  # seconds after the first connection: a master may listen a little before its worker accepts
END_LIMIT = 10.0  # seconds between SIGTERM and SIGKILL


class StartError(Exception):
    """A server did not take connections in time; the text is the end of its log."""


@dataclass(frozen=True)
class Finished:
    """What a bounded run left: exit status (None: ended at its limit), output and errors mixed, seconds."""

    status: int | None
    output: str
    seconds: float

    def tail(self) -> str:
        """The last line that is not blank, or how it ended."""
        lines = [line for line in self.output.splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"exit status {self.status}"


@dataclass(frozen=True)
class Running:
    """A server that takes connections on a loopback port. `session` numbers its whole process tree."""

    session: int
    port: int

    def cpu_seconds(self) -> float:
        """User and system time of the tree since its start, in seconds (to the clock tick)."""
        return sum(_cpu_ticks(fields, self.session) for fields in _members(self.session)) * TICK

    def pids(self) -> list[int]:
        """The processes of the tree."""
        return [int(fields[0]) for fields in _members(self.session)]

    def alive(self) -> bool:
        """Whether any process of the tree is left that is not a zombie."""
        return any(fields[1] != "Z" for fields in _members(self.session))

    def anonymous_bytes(self) -> int:
        """Resident anonymous memory of the tree: heaps and stacks, not the mapped files."""
        return sum(_anonymous(int(fields[0])) for fields in _members(self.session))


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def pinned(command: Sequence[str], cpu: int | None) -> list[str]:
    """The command, held to one processor by taskset; unchanged for None."""
    return list(command) if cpu is None else ["taskset", "-c", str(cpu), *command]


def run_bounded(command: Sequence[str], limit: float) -> Finished:
    """Run a program to its end, or end it after `limit` seconds. Raises OSError if it cannot be started."""
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    status: int | None = None
    try:
        output, _ = process.communicate(timeout=limit)
        status = process.returncode
    except subprocess.TimeoutExpired:
        _signal_session(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
    finally:
        _end(process, grace=0)
    return Finished(status, output, time.monotonic() - started)


@contextlib.contextmanager
def serving(
    command: Sequence[str],
    *,
    port: int,
    log: Path,
    output: Path | None = None,
    cpu: int | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[Running]:
    """A server, from its first accepted connection to the end of the block.

    `log` takes its standard error, `output` its standard output (default: the same file). Raises StartError.
    """
    with log.open("ab") as errors, (output or log).open("ab") as printed:
        process = subprocess.Popen(
            pinned(command, cpu),
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=errors,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
            cwd=folder,
        )
        try:
            _wait_until_listening(process, port, log)
            time.sleep(SETTLE)
            yield Running(process.pid, port)
        finally:
            _end(process, grace=END_LIMIT)


def _wait_until_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    said = log.read_text(errors="replace").strip().splitlines()[-1:]
    raise StartError(said[0] if said else f"exit status {process.poll()}")


def _end(process: "subprocess.Popen[bytes] | subprocess.Popen[str]", grace: float) -> None:
    """SIGTERM, `grace` seconds, then SIGKILL, to the whole session; a stray member does not outlive it."""
    if process.poll() is None and grace:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    _signal_session(process.pid, signal.SIGKILL)
    process.wait()


def _signal_session(session: int, number: signal.Signals) -> None:
    for fields in _members(session):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(fields[0]), number)


def _members(session: int) -> list[list[str]]:
    """/proc/PID/stat of each process of a session: [pid, state, ppid, pgrp, session, ...], see proc(5)."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            # the second field is the program's name in brackets, which may hold blanks and brackets itself
            fields = [entry.name, *(entry / "stat").read_text().rpartition(")")[2].split()]
            if int(fields[4]) == session:
                found.append(fields)
    return found


def _cpu_ticks(fields: Sequence[str], leader: int) -> int:
    utime, stime, cutime, cstime = (int(field) for field in fields[12:16])
    # children that were waited for: counted once, at the leader
    return utime + stime + (cutime + cstime if int(fields[0]) == leader else 0)


def _anonymous(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0
