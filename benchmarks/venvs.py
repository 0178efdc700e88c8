"""A virtual environment per Python peer, of the interpreter under test, kept between runs in the cache."""

import hashlib
import os
import shutil
from pathlib import Path

from benchmarks.processes import run_bounded

INSTALL_LIMIT = 300.0  # seconds; an index that does not answer must not hold the whole run


class MissingError(Exception):
    """A peer or an instrument is not there; the text says how to get it."""


def cache_folder() -> Path:
    """Where sites and environments are kept between runs: `$XDG_CACHE_HOME/trio-evserver-benchmarks`."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(base) / "trio-evserver-benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def version_of(python: str) -> str:
    """The interpreter's version, "3.11.2"; raises MissingError if it does not run."""
    try:
        finished = run_bounded([python, "-c", "import platform; print(platform.python_version())"], 20)
    except OSError as error:
        raise MissingError(f"{python}: {error.strerror}") from error
    if finished.status != 0:
        raise MissingError(f"{python}: {finished.tail()}")
    return finished.output.strip()


def environment(python: str, name: str, requirements: tuple[str, ...]) -> Path:
    """The interpreter of an environment that holds the requirements; made at first use.

    Raises MissingError with the installer's last words. A half-made environment is removed, so the next run
    tries again.
    """
    stamp = hashlib.sha256("\n".join((python, *requirements)).encode()).hexdigest()[:8]
    folder = cache_folder() / "venvs" / f"{name}-{version_of(python)}-{stamp}"
    inner = folder / "bin" / "python"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _install([python, "-m", "venv", str(folder)], folder)
        _install([str(inner), "-m", "pip", "install", "--quiet", *requirements], folder)
        (folder / "complete").touch()
    return inner


def project_environment(python: str, project: Path, name: str, compiled: bool) -> Path:
    """The interpreter of an environment with the project installed afresh, compiled or not."""
    inner = environment(python, name, ("trio",))
    install = [str(inner), "-m", "pip", "install", "--quiet", "--upgrade", str(project)]
    _install(["env", f"TRIO_EVSERVER_COMPILE={int(compiled)}", *install], None)
    return inner


def installed_version(inner: Path, distribution: str) -> str:
    """The version of a distribution in an environment, or "?"."""
    question = f"import importlib.metadata as m; print(m.version({distribution!r}))"
    finished = run_bounded([str(inner), "-c", question], 20)
    return finished.output.strip() if finished.status == 0 else "?"


def _install(command: list[str], folder: Path | None) -> None:
    finished = run_bounded(command, INSTALL_LIMIT)
    if finished.status == 0:
        return
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
    errors = [line.strip() for line in finished.output.splitlines() if "error" in line.lower()]
    raise MissingError(f"{' '.join(command[1:4])} failed: {errors[-1] if errors else finished.tail()}")
