"""slowhttptest, the field's own instrument: in each of its modes the service stays available, to its own
probes and to an honest client.
"""

import re
import shutil
from pathlib import Path

import pytest
import trio

from tests.slow_clients.crowd import make, served_meanwhile, unexpected
from tests.soak.processes import server_process

MODES = {
    "slow headers": ("-H", "-i", "1"),
    "slow body": ("-B", "-i", "1"),
    "ranges": ("-R",),
    "slow read": ("-X", "-k", "5", "-n", "1", "-z", "64", "-w", "512", "-y", "1024"),
}
CONNECTIONS, SECONDS = 200, 5
LEAST = 5


@pytest.mark.skipif(shutil.which("slowhttptest") is None, reason="slowhttptest is not installed")
async def test_slowhttptest(tmp_path: Path) -> None:
    """200 connections for 5 seconds in each of the four modes, all at the same time."""
    site = make(tmp_path / "site")
    said: dict[str, str] = {}

    async def attack(url: str, mode: str) -> None:
        command = ["slowhttptest", *MODES[mode], "-c", CONNECTIONS, "-r", CONNECTIONS, "-l", SECONDS,
                   "-p", 3, "-u", url]  # fmt: skip
        ran = await trio.run_process([str(word) for word in command], capture_stdout=True)
        said[mode] = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", ran.stdout.decode())

    async with server_process(site, "--head-timeout", "2s", "--body-timeout", "2s") as server:
        url = "http://{}:{}/large.bin".format(*server.address)
        with trio.fail_after(60):
            async with served_meanwhile(server, LEAST), trio.open_nursery() as nursery:
                for mode in MODES:
                    nursery.start_soon(attack, url, mode)
        assert await server.stop() == 0
        assert unexpected(server.log()) == []
    for mode, text in said.items():
        available = re.findall(r"service available:\s+(YES|NO)", text)
        assert available, text
        assert set(available) == {"YES"}, f"{mode}: {text}"
