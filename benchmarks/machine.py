"""What a figure was measured on: machine, kernel, interpreter; printed above each table, kept in its JSON."""

import os
import platform
import re
from pathlib import Path

from benchmarks.processes import run_bounded

SERVER_CPU, CLIENT_CPU = 1, 0


def describe(python: str) -> dict[str, str]:
    """Kernel, processor and interpreter, each in a few words."""
    return {
        "kernel": platform.release(),
        "cpu": f"{_cpu_model()}, {os.cpu_count()} cores seen",
        "python": _build_of(python),
        "placement": "server on CPU 1, client on CPU 0" if server_cpu() is not None else "one CPU for both",
    }


def server_cpu() -> int | None:
    """The processor for the servers; None where there is only one."""
    return SERVER_CPU if {SERVER_CPU, CLIENT_CPU} <= os.sched_getaffinity(0) or _pinned() else None


def pin_client() -> None:
    """Hold this process, and the instruments that it starts, to the client's processor."""
    if server_cpu() is not None:
        os.sched_setaffinity(0, {CLIENT_CPU})


def _pinned() -> bool:
    return os.sched_getaffinity(0) == {CLIENT_CPU} and (os.cpu_count() or 1) > SERVER_CPU


def _cpu_model() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _build_of(python: str) -> str:
    """Its version, and whether it was built with profile-guided optimisation; without, an eighth slower.

    Debian's build is one and does not say so: it calls the profiling targets itself, without the option.
    """
    question = """
import platform, sysconfig
pgo = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
pgo = pgo or "deb_system" in sysconfig.get_scheme_names()
print(platform.python_implementation(), platform.python_version() + ",", "PGO" if pgo else "no PGO")
"""
    return run_bounded([python, "-c", question], 20).tail()
