"""The programs of the pages, and those of examples/, run."""

import ast
import inspect
import os
import signal
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import FunctionType

import pytest
import trio
import trio.testing

import trio_evserver
from tests.docs.markdown import ROOT, all_blocks

WAIT = 20.0
PYTHON = all_blocks("python")
PROGRAMS = {place: text for place, text in PYTHON.items() if "trio.run(" in text}
FRAGMENTS = {place: text for place, text in PYTHON.items() if place not in PROGRAMS}
EXAMPLES = {path.name: path.read_text() for path in sorted((ROOT / "examples").glob("*.py"))}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with a directory `site` in it."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("hello")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_some() -> None:
    """The tests below would pass on nothing."""
    assert PROGRAMS
    assert FRAGMENTS
    assert EXAMPLES


@pytest.fixture(autouse=True)
def heeded() -> Iterator[None]:
    """Ctrl-C, by what is started here: a shell has those ignore it that it runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("place", [*PROGRAMS, *EXAMPLES])
def test_program_runs(place: str, folder: Path) -> None:
    """It ends well, by itself or, if it goes on serving, at Ctrl-C; what it says it serves can be had."""
    program = (PROGRAMS | EXAMPLES)[place]
    (folder / "program.py").write_text(program)
    argv = [sys.executable, "-W", "error", "program.py", *(["site"] if place in EXAMPLES else [])]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        try:
            if goes_on(program):
                assert running.stdout is not None
                url = running.stdout.readline().decode().split()[0]
                assert urllib.request.urlopen(url, timeout=WAIT).read() == b"hello"
                running.send_signal(signal.SIGINT)
            errors = running.communicate(timeout=WAIT)[1].decode()
        finally:
            running.kill()
    if goes_on(program) and not catches_signals(program):
        assert "KeyboardInterrupt" in errors
    else:
        assert (running.returncode, errors) == (0, "")


def goes_on(program: str) -> bool:
    """Whether it serves until it is told to stop."""
    return "print(*server.urls" in program and ("drain()" not in program or catches_signals(program))


def catches_signals(program: str) -> bool:
    """Whether Ctrl-C ends it gracefully."""
    return "open_signal_receiver" in program


@pytest.mark.parametrize("place", FRAGMENTS)
async def test_fragment_runs(place: str, folder: Path, nursery: trio.Nursery) -> None:
    """In an async function, below a nursery, with the names that the text around it has introduced."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    given = vars(trio_evserver) | {"trio": trio, "partial": partial, "nursery": nursery, "context": context}
    names = dict(given)
    code = compile(FRAGMENTS[place], place, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    outcome = FunctionType(code, names)()
    if inspect.iscoroutine(outcome):
        await outcome
    for listener in names.get("listeners", ()):
        stream = await trio.testing.open_stream_to_socket_listener(listener.transport_listener)
        await stream.aclose()
    assert names.keys() - given
