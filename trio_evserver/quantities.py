"""Values of the command line as people write them: sizes and durations with units, numbers within bounds."""

import re
from collections.abc import Callable
from typing import TypeVar

import click

# As nginx, systemd and dd do, a bare letter is a power of two; only the B of kB, MB and GB says otherwise.
SIZE_UNITS = {
    "": 1,
    "b": 1,
    "k": 2**10,
    "kib": 2**10,
    "kb": 10**3,
    "m": 2**20,
    "mib": 2**20,
    "mb": 10**6,
    "g": 2**30,
    "gib": 2**30,
    "gb": 10**9,
}
DURATION_UNITS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}

_COUNT = re.compile(r"-?[0-9]{1,9}", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,15}) ?([a-z]*)", re.ASCII | re.IGNORECASE)
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([a-z]*)", re.ASCII)

N = TypeVar("N", int, float)


def format_size(size: int) -> str:
    """`size` bytes in the largest power of two that divides it: 65536 is "64KiB"."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit}{name}"
    return str(size)


def format_duration(seconds: float) -> str:
    """`seconds` as "500ms", "10s", "2m" or "1h"."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:g}ms"
    for unit, name in ((3600, "h"), (60, "m")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:g}{name}"
    return f"{seconds:g}s"


def parse_size(text: str) -> int | None:
    """Bytes, None where `text` is no size."""
    match = _SIZE.fullmatch(text)
    unit = SIZE_UNITS.get(match[2].lower()) if match else None
    return int(match[1]) * unit if match and unit is not None else None


def parse_duration(text: str) -> float | None:
    """Seconds, None where `text` is no duration."""
    match = _DURATION.fullmatch(text)
    unit = DURATION_UNITS.get(match[2]) if match else None
    return float(match[1]) * unit if match and unit is not None else None


def parse_count(text: str) -> int | None:
    """The number, None where `text` is no whole one."""
    return int(text) if _COUNT.fullmatch(text) else None


def size(least: int, most: int | None = None) -> Callable[[str], int]:
    """A click type: bytes, from `least` to `most`."""
    hint = "a size such as 64MiB, 64M, 512k or 65536 (K, M and G are powers of 1024; kB, MB and GB of 1000)"
    return _between(parse_size, hint, format_size, least, most)


def duration(least: float, most: float | None = None) -> Callable[[str], float]:
    """A click type: seconds, from `least` to `most`."""
    hint = "a duration such as 10s, 500ms, 2m, 1h or 10 (seconds)"
    return _between(parse_duration, hint, format_duration, least, most)


def count(least: int, most: int | None = None) -> Callable[[str], int]:
    """A click type: a whole number from `least` to `most`."""
    return _between(parse_count, "a whole number", str, least, most)


def _between(
    parse: Callable[[str], N | None], hint: str, form: Callable[[N], str], least: N, most: N | None
) -> Callable[[str], N]:
    def convert(text: str) -> N:
        value = parse(str(text).strip())
        if value is None:
            raise click.BadParameter(f"{text!r} is not {hint}.")
        if value < least:
            raise click.BadParameter(f"{text} is too small: give {form(least)} or more.")
        if most is not None and value > most:
            raise click.BadParameter(f"{text} is too large: give {form(most)} or less.")
        return value

    return convert
