"""What a peer is: a program, where it comes from, how it is started on a folder, and what it claims to do."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

APPS = Path(__file__).with_name("apps")


@dataclass(frozen=True)
class Launch:
    """How one start differs from another: the program, the folder served, the port, scratch, access log.

    `access_log` is the file for a combined log, None for no log at all.
    """

    program: Path
    root: Path
    port: int
    scratch: Path
    access_log: Path | None = None


@dataclass(frozen=True)
class Debian:
    """A program of a Debian package."""

    program: str
    package: str
    version: tuple[str, ...]
    """Arguments that make it print its version."""


@dataclass(frozen=True)
class PyPI:
    """Distributions for an environment of its own; the first is the one whose version is told."""

    distributions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ours:
    """This project, installed into an environment or run from the checkout.

    `compiled`: as it is installed where there is a compiler; the sources alone elsewhere, and in a checkout.
    """

    compiled: bool = True


@dataclass(frozen=True)
class Peer:
    """A server and what it claims. `kind` says what does the work: C, Go, Rust, or Python.

    `prefix` stands before each path. `environment` is added to the process's own. `logs_to_output` marks a
    peer whose access log is its standard output.
    """

    name: str
    kind: str
    source: Debian | PyPI | Ours
    command: Callable[[Launch], list[str]]
    prefix: str = ""
    conditional: bool = True
    ranges: bool = True
    can_log: bool = False
    logs_to_output: bool = False
    environment: Callable[[Launch], dict[str, str]] = field(default=lambda launch: {})
