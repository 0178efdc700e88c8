"""The command line, through click's runner and, where a process matters, as one."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.compiled import COMPILED
from trio_evserver import __version__
from trio_evserver.cli import banner, is_loopback_only, main, ready_line

ROOT = Path(__file__).parents[1]
WAIT = 20.0


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text("hello")
    return tmp_path


def refused(*arguments: str, exit_code: int = 2) -> str:
    """What is said about a command line that does not start a server."""
    result = CliRunner().invoke(main, arguments, prog_name="trio-evserver")
    assert result.exit_code == exit_code, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def test_help_is_in_sections_at_80_columns() -> None:
    """Every option but the one for development is listed once, with its default and its unit."""
    text = CliRunner().invoke(main, ["-h"], terminal_width=80).output
    sections = ["Addresses", "Files", "Reading", "Limits", "Times", "Output", "Help"]
    assert re.findall(r"^(\w+):$", text, re.MULTILINE) == sections
    assert max(map(len, text.splitlines())) <= 80
    assert "--no-cached-reads" not in text
    flat = " ".join(text.split())
    assert "[default: 64MiB]" in flat
    assert "[default: 10s]" in flat
    assert "[default: 127.0.0.1 and ::1]" in flat


def test_version() -> None:
    """--version names the program, its version, and whether it is compiled."""
    told = f"trio-evserver, version {__version__}{', compiled' if COMPILED else ''}\n"
    assert CliRunner().invoke(main, ["--version"]).output == told


def test_a_directory_is_needed_where_there_is_no_terminal() -> None:
    """A unit file that forgot the path must not publish /."""
    assert "Which DIRECTORY?" in refused()


def test_a_missing_directory(tmp_path: Path) -> None:
    """It is named."""
    assert "nowhere" in refused(str(tmp_path / "nowhere"))


def test_a_number_was_meant_as_the_port() -> None:
    """The habit from http.server."""
    assert "did you mean --port 9000?" in refused("9000")


def test_a_number_may_be_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it exists it is no mistake; here the next check stops the start."""
    (tmp_path / "9000").mkdir()
    monkeypatch.chdir(tmp_path)
    assert "--chunk-size" in refused("9000", "--chunk-size", "0")


def test_a_fifo_is_no_root(tmp_path: Path) -> None:
    """Neither directory nor file."""
    os.mkfifo(tmp_path / "fifo")
    assert "neither a directory nor a regular file" in refused(str(tmp_path / "fifo"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_directory(tmp_path: Path) -> None:
    """Said at the start, instead of by 403 for everything."""
    (tmp_path / "closed").mkdir(mode=0)
    assert "may not read" in refused(str(tmp_path / "closed"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--bogus",), "--bogus"),
        (("-q", "-v"), "--quiet and --verbose"),
        (("--file-threads", "0"), "--file-threads"),
        (("-b", "[::1"), "--bind"),
        (("--access-log", "json"), "combined"),
    ],
)
def test_a_bad_option(site: Path, arguments: tuple[str, ...], said: str) -> None:
    """Exit 2 and the option's name."""
    assert said in refused(str(site), *arguments)


def test_a_busy_port(site: Path) -> None:
    """Exit 1, with the address and what to do, and no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        text = refused(str(site), "-b", f"127.0.0.1:{port}", exit_code=1)
    assert f"127.0.0.1:{port}" in text
    assert "--port" in text


def test_ready_line() -> None:
    """One line of JSON, whatever the root is called."""
    line = ready_line(Path("/a\nb"), ("http://[::1]:1/",))
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "urls": ["http://[::1]:1/"],
        "root": "/a\nb",
        "version": __version__,
        "pid": os.getpid(),
    }


@pytest.mark.parametrize(
    ("public", "hint"), [(False, "\nNetwork: off, add --public\n"), (True, "/\nCtrl-C stops\n")]
)
def test_banner(public: bool, hint: str) -> None:
    """Version, root without control characters, a line per URL, and the hint where others cannot connect."""
    text = banner(Path("/a\x1b[2J"), ("http://127.0.0.1:1/", "http://[::1]:1/"), public=public)
    assert text.startswith(f"trio-evserver {__version__} serves /a\\x1b[2J\n  http://127.0.0.1:1/\n")
    assert hint in text
    assert text.endswith("\nCtrl-C stops\n")


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        ((("127.0.0.1", 1), ("::1", 1, 0, 0)), True),
        ((("127.0.0.2", 1),), True),
        ((("127.0.0.1", 1), ("192.0.2.1", 1)), False),
        ((("0.0.0.0", 1),), False),
        ((("fe80::1%eth0", 1, 0, 2),), False),
    ],
)
def test_is_loopback_only(addresses: tuple[tuple[Any, ...], ...], expected: bool) -> None:
    """One address that others can reach is enough."""
    assert is_loopback_only(addresses) is expected


@contextmanager
def started(*arguments: str, shell: str = "", **popen: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The program as a process, which is gone after the block whatever happens; `shell` runs before it."""
    program = [sys.executable, "-m", "trio_evserver", *arguments]
    command = ["sh", "-c", f'{shell} exec "$@"', "sh", *program] if shell else program
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    settings: dict[str, Any] = {"cwd": ROOT} | pipes | popen
    with subprocess.Popen(command, **settings) as process:
        try:
            yield process
        finally:
            process.kill()


def ready(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """The facts of the line that says that the server listens."""
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith(b"{"), line + process.stderr.read()
    facts: dict[str, Any] = json.loads(line)
    return facts


def get(url: str) -> bytes:
    """The content at `url`."""
    with urllib.request.urlopen(url, timeout=WAIT) as response:
        content: bytes = response.read()
    return content


def output(process: subprocess.Popen[bytes], number: signal.Signals) -> tuple[bytes, bytes]:
    """Stop the process with the signal; what is left of its output."""
    process.send_signal(number)
    out, err = process.communicate(timeout=WAIT)
    assert process.returncode == 0, err
    return out, err


def test_serves_until_a_signal(site: Path) -> None:
    """The ready line names URLs that work, the log is on stdout, SIGINT ends with 0."""
    with started(str(site), "-p", "0") as process:
        facts = ready(process)
        assert facts["root"] == str(site)
        assert facts["pid"] == process.pid
        assert [get(url) for url in facts["urls"]] == [b"hello"] * len(facts["urls"])
        out, _ = output(process, signal.SIGINT)
    assert out.count(b'"GET / HTTP/1.1" 200 5 "-" "Python-urllib/') == len(facts["urls"])


def test_a_free_port_is_the_same_for_every_address(site: Path) -> None:
    """--port 0 takes one for both loopback addresses."""
    with started(str(site), "-p", "0") as process:
        ports = {url.rsplit(":", 1)[1] for url in ready(process)["urls"]}
        output(process, signal.SIGTERM)
    assert len(ports) == 1


def test_a_single_file(site: Path) -> None:
    """It is at / and at its name."""
    (site / "one.txt").write_text("one")
    with started(str(site / "one.txt"), "-p", "0", "-b", "127.0.0.1") as process:
        url = ready(process)["urls"][0]
        assert [get(url), get(url + "one.txt")] == [b"one", b"one"]
        output(process, signal.SIGTERM)


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (("-q",), 0),  # quiet means the log, too
        (("-q", "--access-log", "common"), 1),  # unless it is asked for
        (("--access-log", "off"), 0),
        (("--access-log", "common"), 1),
    ],
)
def test_which_log(site: Path, arguments: tuple[str, ...], lines: int) -> None:
    """The ready line stays for scripts in every case."""
    with started(str(site), "-p", "0", "-b", "127.0.0.1", *arguments) as process:
        get(ready(process)["urls"][0])
        out, _ = output(process, signal.SIGTERM)
    assert out.count(b"\n") == lines
    assert b"urllib" not in out


def test_a_blocked_stdout_holds_nobody(site: Path) -> None:
    """Nobody reads the log: requests are answered, and the process ends when it is told to."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    with started(str(site), "-p", "0", "-b", "127.0.0.1", stdout=writing) as process:
        url = ready(process)["urls"][0]
        assert [get(url) for _ in range(5)] == [b"hello"] * 5
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT) == 0
    os.close(reading)
    os.close(writing)


def test_a_closed_stdout_is_no_client(site: Path) -> None:
    """Started with stdout closed, the log does not go into the first socket."""
    with started(str(site), "-p", "0", "-b", "127.0.0.1", shell="exec >&-;") as process:
        assert get(ready(process)["urls"][0]) == b"hello"
        output(process, signal.SIGTERM)


def test_a_terminal_gets_the_banner_and_the_current_directory(site: Path) -> None:
    """On a terminal DIRECTORY may be left out, and people are told what to do."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with started("-p", "0", "-b", "127.0.0.1", stderr=theirs, cwd=site, env=environment) as process:
        os.close(theirs)
        text = b""
        while b"Ctrl-C stops" not in text:
            text += os.read(ours, 1000)
        url = text.decode().split()[4]
        assert get(url) == b"hello"
        output(process, signal.SIGINT)
    os.close(ours)
    assert f"serves {site}\r\n" in text.decode()
    assert b"Network: off, add --public\r\n" in text


def test_few_descriptors_are_said_once(site: Path) -> None:
    """Where the limit does not allow what was asked for, it is reduced, with a warning."""
    with started(str(site), "-p", "0", "-b", "127.0.0.1", shell="ulimit -n 256;") as process:
        assert process.stderr is not None
        lines = [process.stderr.readline(), process.stderr.readline()]
        _, rest = output(process, signal.SIGTERM)
    warnings = [line for line in [*lines, *rest.splitlines()] if b"WARNING" in line]
    assert len(warnings) == 1
    assert b"256" in warnings[0]
