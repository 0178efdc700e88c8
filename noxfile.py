"""What is checked, and on which interpreters: `nox` runs all, `nox --list` names it, `nox -s NAME` runs one.

An interpreter that is not found is skipped, and nox says so; with CI set it is an error. What follows `--` is
handed on to the tool: `nox -s tests-3.12 -- -k ranges`.
"""

import os
from pathlib import Path

import nox

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PYPROJECT)
PACKAGE = "trio_evserver"
FUZZ_PYTHON = "3.12"  # atheris follows new interpreters late

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["tests", "compiled", "property", "fuzz-bounded", "types", "lint", "compat"]


# To pytest it says which of the two is to be tested.
SOURCES = {"TRIO_EVSERVER_COMPILE": "0"}
COMPILED = {"TRIO_EVSERVER_COMPILE": "1"}


def install(session: nox.Session, *groups: str, project: bool = True, env: dict[str, str] = SOURCES) -> None:
    """The project itself, and the dependency groups named."""
    requirements = dict.fromkeys(nox.project.dependency_groups(PYPROJECT, *groups))
    what = ["."] if project else []
    session.install("--quiet", "--disable-pip-version-check", *what, *requirements, env=env)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Every test but those of the session "property"; warnings are errors."""
    install(session, "test")
    session.run("pytest", "--ignore=tests/property", *session.posargs, env=SOURCES)


@nox.session(python=PYTHONS)
def compiled(session: nox.Session) -> None:
    """Every test once more, of the server as it is compiled where there is a compiler."""
    install(session, "test", env=COMPILED)
    # The checkout comes after what is installed, for the tests alone.
    question = "import sysconfig; print(sysconfig.get_path('purelib'))"
    installed = session.run("python", "-c", question, silent=True)
    Path(str(installed).strip(), "checkout.pth").write_text(str(Path.cwd()))
    rooms = session.posargs or ["tests", "fuzz"]
    session.run("pytest", "-o", "pythonpath=", *rooms, env={**COMPILED, "PYTHONSAFEPATH": "1"})


@nox.session
def property(session: nox.Session) -> None:
    """The laws, one per file."""
    install(session, "test")
    session.run("pytest", "tests/property", *session.posargs)


@nox.session(name="fuzz-bounded")
def fuzz_bounded(session: nox.Session) -> None:
    """The fuzzers for a few seconds, and every input they have ever found."""
    install(session, "test")
    session.run("pytest", "fuzz", *session.posargs)


@nox.session(python=FUZZ_PYTHON)
def fuzz(session: nox.Session) -> None:
    """The fuzzers for long: hypothesis with 20,000 examples a test, then atheris, a minute an entry point."""
    install(session, "fuzz")
    session.run("pytest", "fuzz", *session.posargs, env={"FUZZ_EXAMPLES": "20000"})
    for entry in sorted(Path("fuzz", "entries").glob("*.py")):
        if entry.stem != "harness":
            session.run("python", "-m", f"fuzz.entries.{entry.stem}", "-max_total_time=60")


@nox.session(default=False)
def soak(session: nox.Session) -> None:
    """Everything at once for 5 minutes, or for SOAK_TIME; `nox -s soak -- 2h` says it, too."""
    install(session, "test")
    time = session.posargs[0] if session.posargs else os.environ.get("SOAK_TIME", "5m")
    session.run("pytest", "tests/soak", "-s", env={"SOAK_TIME": time})


@nox.session(default=False)
def faults(session: nox.Session) -> None:
    """What fails, stalls or asks for too much: system calls, cancellations, slow clients, amplification."""
    install(session, "test")
    rooms = ("faults", "slow_clients", "amplification", "serving/test_cancellation.py")
    session.run("pytest", *(f"tests/{room}" for room in rooms), *session.posargs)


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict, of the tests and the benchmarks, too."""
    install(session, "types")
    session.run(
        "mypy", PACKAGE, "noxfile.py", "hatch_build.py", "tests", "fuzz", "benchmarks", *session.posargs
    )


@nox.session
def lint(session: nox.Session) -> None:
    """ruff: what it finds, and how it would set the code."""
    install(session, "lint", project=False)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def compat(session: nox.Session) -> None:
    """A program that is still typed with trio-typing can embed this server: to mypy, and when it runs.

    Our own sources are not checked under those stubs: mypy reads them, installed, for their types alone.
    """
    install(session, "trio-typing")
    # Not from the checkout, where mypy and Python would find the sources before what is installed.
    with session.chdir(Path("tests", "compat")):
        session.run("mypy", "--strict", "--config-file=", "embedding.py")
        session.run("python", "-W", "error", "embedding.py")


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks; not among the default sessions, as they want a quiet machine and other servers."""
    install(session, env={})
    session.run("python", "-m", "benchmarks", *session.posargs)
