"""All peers by name, and how one becomes ready to start: found or installed, its version known."""

import contextlib
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers import debian, ours, python
from benchmarks.peers.peer import Debian, Launch, Ours, Peer, PyPI
from benchmarks.processes import Running, free_port, run_bounded, serving
from benchmarks.venvs import MissingError, environment, installed_version, project_environment, version_of

PROJECT = Path(__file__).resolve().parents[2]
ALL = {peer.name: peer for peer in (*ours.PEERS, *debian.PEERS, *python.PEERS)}


@dataclass(frozen=True)
class Ready:
    """A peer that can be started: its program and its version."""

    peer: Peer
    program: Path
    version: str
    environment: dict[str, str] = field(default_factory=dict)


def make_ready(peer: Peer, interpreter: str | None) -> Ready:
    """Find or install a peer. Raises MissingError, saying how to get it.

    `interpreter` is the Python under test, into whose environments everything is installed, the project too;
    for None it is the one that runs this, and the project is run from its checkout.
    """
    python_used = interpreter or sys.executable
    match peer.source:
        case Debian(program, package, version):
            return _debian(peer, program, package, version)
        case PyPI(distributions) if distributions:
            inner = environment(python_used, peer.name, distributions)
            return Ready(peer, inner, installed_version(inner, distributions[0].partition("[")[0]))
        case PyPI():
            return Ready(peer, Path(python_used), f"of Python {version_of(python_used)}")
        case Ours(compiled):
            return _ours(peer, interpreter, compiled)


@contextlib.contextmanager
def started(
    ready: Ready, root: Path, *, cpu: int | None, access_log: Path | None = None
) -> Iterator[Running]:
    """The peer on a free loopback port, with a scratch folder that goes with it. Raises StartError."""
    peer = ready.peer
    with tempfile.TemporaryDirectory(prefix="trio-evserver-bench-") as scratch_name:
        scratch = Path(scratch_name)
        launch = Launch(ready.program, root, free_port(), scratch, access_log)
        with serving(
            peer.command(launch),
            port=launch.port,
            log=scratch / "errors.log",
            output=access_log if peer.logs_to_output else None,
            cpu=cpu,
            environment={**ready.environment, **peer.environment(launch)},
            folder=scratch,
        ) as running:
            yield running


def _debian(peer: Peer, program: str, package: str, version: tuple[str, ...]) -> Ready:
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if found is None:
        raise MissingError(f"{program} is not installed: apt-get install {package}")
    said = run_bounded([found, *version], 20).output
    number = re.search(r"\d+\.\d+[\d.]*", said)
    return Ready(peer, Path(found), number[0] if number else "?")


def _ours(peer: Peer, interpreter: str | None, compiled: bool) -> Ready:
    if not (PROJECT / "trio_evserver" / "cli.py").exists():
        raise MissingError("this checkout has no command line to start yet")
    if interpreter is None:
        return Ready(peer, Path(sys.executable), "checkout", {"PYTHONPATH": str(PROJECT)})
    inner = project_environment(interpreter, PROJECT, peer.name, compiled)
    told = " compiled" if compiled else " not compiled"
    return Ready(peer, inner, installed_version(inner, "trio-evserver") + told)
