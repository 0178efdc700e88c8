"""Runs one `check` under atheris."""

import sys
from collections.abc import Callable

import atheris  # type: ignore[import-untyped]  # has no types


def run(check: Callable[[bytes], None]) -> None:
    """Feed `check` until it raises; the command line is libFuzzer's."""
    atheris.instrument_all()
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()
