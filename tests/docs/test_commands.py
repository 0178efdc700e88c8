"""The shell commands of the pages work."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.docs.markdown import PAGES, ROOT, all_blocks, blocks

WAIT = 20.0
SET_UP = "python3 -m venv .venv && .venv/bin/pip install -q "


def commands() -> list[str]:
    """Each command line of the pages that starts our program, without what comes before it on the line."""
    lines = [line for block in all_blocks("console").values() for line in block.splitlines()]
    last = [line.rpartition(" && ")[2] for line in lines]
    return [line for line in last if re.search(r"trio[-_]evserver", line)]


def arguments(command: str) -> list[str]:
    """What the command hands to the program, on free ports."""
    words = shlex.split(command)
    program = next(place for place, word in enumerate(words) if re.search(r"trio[-_]evserver$", word))
    own = [re.sub(r":\d+$", ":0", word) for word in words[program + 1 :]]
    return own if "--help" in own else [*own, "--port", "0"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory such as the reader has."""
    for site in (tmp_path / "site", tmp_path / "examples" / "site"):
        site.mkdir(parents=True)
        (site / "index.html").write_text("hello")
    return tmp_path


def test_there_are_some() -> None:
    """The test below would pass on nothing."""
    assert any("examples/site" in command for command in commands())


@pytest.mark.parametrize("command", commands())
def test_command_serves(command: str, folder: Path) -> None:
    """It serves the directory that it names until it is told to stop; --help only prints."""
    argv = [sys.executable, "-W", "error", "-m", "trio_evserver", *arguments(command)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        argv, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as server:
        try:
            if "--help" in argv:
                assert b"Usage" in server.communicate(timeout=WAIT)[0]
            else:
                assert server.stderr is not None
                url = json.loads(server.stderr.readline())["urls"][0].replace("0.0.0.0", "127.0.0.1")
                assert urllib.request.urlopen(url, timeout=WAIT).read() == b"hello"
                server.send_signal(signal.SIGINT)
            assert server.wait(WAIT) == 0
        finally:
            server.kill()


def test_set_up_is_one_line_each() -> None:
    """README.md has two lines that do all the set-up, one to serve and one to test, ready to paste."""
    lines = [block.strip() for block in blocks(PAGES[0], "console") if block.startswith(SET_UP)]
    assert lines == [
        f"{SET_UP}. && .venv/bin/python -m trio_evserver examples/site",
        f"{SET_UP}nox && .venv/bin/nox",
    ]
