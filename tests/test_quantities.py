"""Sizes and durations as people write them."""

import pytest

from trio_evserver.quantities import format_duration, format_size, parse_count, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("65536", 65536),
        ("12b", 12),
        ("512k", 512 * 1024),
        ("1K", 1024),
        ("64MiB", 64 * 2**20),
        ("64M", 64 * 2**20),
        ("64 mib", 64 * 2**20),
        ("2GiB", 2 * 2**30),
        ("64kB", 64_000),  # SI: the B makes it a power of ten
        ("1MB", 10**6),
        ("1GB", 10**9),
        ("", None),
        ("k", None),
        ("1.5M", None),  # no fractions: what would half a byte be
        ("-1", None),
        ("1e3", None),
        ("0x10", None),
        ("1_000", None),
        ("\N{ARABIC-INDIC DIGIT ONE}", None),  # a digit, but not one of ours
        ("1T", None),
        ("9" * 16, None),
    ],
)
def test_parse_size(text: str, size: int | None) -> None:
    """Bytes with an optional unit, and nothing that only looks like it."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10", 10.0),
        ("10s", 10.0),
        ("0.5", 0.5),
        ("500ms", 0.5),
        ("2m", 120.0),
        ("1h", 3600.0),
        ("1 h", 3600.0),
        ("", None),
        ("s", None),
        (".5", None),
        ("-1s", None),
        ("1d", None),
        ("10S", None),
        ("inf", None),
        ("nan", None),
        ("1e9", None),
    ],
)
def test_parse_duration(text: str, seconds: float | None) -> None:
    """Seconds with an optional unit."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("-3", -3), ("+3", None), ("3.0", None), ("", None)])
def test_parse_count(text: str, number: int | None) -> None:
    """Whole numbers; a negative one is a number, which a bound then refuses."""
    assert parse_count(text) == number


@pytest.mark.parametrize("size", [0, 1, 1000, 1024, 1536, 65536, 2**20, 64 * 2**20, 2**30, 2**30 + 1])
def test_a_formatted_size_is_read_back(size: int) -> None:
    """The help's defaults are values that the command line takes."""
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.25, 1.0, 1.5, 8.0, 60.0, 90.0, 300.0, 86400.0])
def test_a_formatted_duration_is_read_back(seconds: float) -> None:
    """The same for times."""
    assert parse_duration(format_duration(seconds)) == seconds


def test_the_largest_unit_is_used() -> None:
    """Defaults read well."""
    assert [format_size(2**20), format_size(1025), format_duration(3600), format_duration(0.5)] == [
        "1MiB",
        "1025",
        "1h",
        "500ms",
    ]
