"""Ranges: no request makes the server read, send or think more than the file is worth (CVE-2011-3192,
CVE-2025-62727).
"""

from pathlib import Path

import pytest

from tests.amplification.counting import (
    CHUNK,
    FILES,
    LARGE,
    SIZE,
    calls_of,
    counted_site,
    make,
    memory_peak,
    talk,
)
from tests.serving.answers import read_answer
from tests.serving.conversations import request
from trio_evserver.http1.limits import Limits
from trio_evserver.semantics.byte_ranges import select
from trio_evserver.serving.options import Options

MOST_RANGES = 16
FRAMING = 150
"""Bytes that a part costs at most beside its content: boundary, media type, Content-Range."""
KIB = 1024

WIDE = Options(files=FILES, limits=Limits(head=64 * KIB))

# More than fits into the default head is sent all the same: the limit is set higher here.
FLOODS = {
    "Apache killer: overlapping, each from the start": ("0-," + ",".join(f"5-{n}" for n in range(1300)), 200),
    "thousands of single bytes": (",".join(f"{n}-{n}" for n in range(0, 8000, 2)), 200),
    "thousands of the same": (",".join(["0-0"] * 8000), 200),
    "thousands of suffixes": (",".join(f"-{n}" for n in range(1, 6000)), 200),
    "thousands of empty elements and one range": ("," * 30_000 + "0-0", 206),
    "as many as are taken, each the whole": (",".join(["0-"] * MOST_RANGES), 200),
    "as many suffixes as are taken, one within the other": (",".join(f"-{n}" for n in range(1, 17)), 206),
    "as many as are taken, a byte of each fourth chunk": (
        ",".join(f"{n * 4 * CHUNK}-{n * 4 * CHUNK}" for n in range(MOST_RANGES)), 206,
    ),
    "as many as are taken, each across a chunk's end": (
        ",".join(f"{n * 4 * CHUNK - 1}-{n * 4 * CHUNK}" for n in range(1, MOST_RANGES)), 206,
    ),
    "as many as are taken, all of the file but a few bytes": (
        ",".join(f"{n * 4 * CHUNK}-{(n + 1) * 4 * CHUNK - 2}" for n in range(MOST_RANGES)), 206,
    ),
    "numbers of 4,000 digits": ("0-" + "9" * 4000, 200),
    "numbers of 20 digits": ("0-99999999999999999999", 206),
}  # fmt: skip


@pytest.mark.parametrize("name", FLOODS)
async def test_floods(tmp_path: Path, name: str) -> None:
    """The body is no longer than the file and the framing of 16 parts, each byte of the file is read once,
    and a chunk once for each range that begins or ends in it; what is held is a window of chunks.
    """
    value, status = FLOODS[name]
    async with counted_site(make(tmp_path / "site"), WIDE) as (site, disk):
        await talk(site, request("/large"))  # known from now on, as any hot file
        disk.forget()
        with memory_peak() as peak:
            answer = read_answer(await talk(site, request("/large", f"Range: bytes={value}")))
    assert answer.status == status
    assert len(answer.body) <= SIZE + MOST_RANGES * FRAMING
    assert disk.opened == 0
    assert disk.calls["read"] + disk.calls["read_cached"] <= SIZE // CHUNK + MOST_RANGES
    assert disk.bytes <= min(SIZE, len(answer.body))
    # What the client sent and what it was sent are in memory, several times over as they are passed on.
    assert peak.bytes <= 6 * len(value) + 6 * len(answer.body) + 256 * KIB
    if status == 200:
        assert answer.body == LARGE


async def test_a_head_has_no_ranges(tmp_path: Path) -> None:
    """HEAD, whatever it asks for, reads nothing."""
    async with counted_site(make(tmp_path / "site")) as (site, disk):
        await talk(site, request("/large", method="HEAD"))
        disk.forget()
        answer = read_answer(
            await talk(site, request("/large", "Range: bytes=0-0,2-2", method="HEAD")), "HEAD"
        )
        assert answer.status == 200
        assert (disk.opened, disk.bytes) == (0, 0)


@pytest.mark.parametrize(
    "element",
    [b"0-", b"-1", b"1-1", b"5-4", b" ", b"", b"x", b"0-0 "],
)
def test_thinking_is_bounded(element: bytes) -> None:
    """Ten times as many ranges cost at most ten times the steps; once there are more than are taken, a step
    for each element at the most.
    """
    few, many = (b"bytes=" + b",".join([element] * count) for count in (1000, 10_000))
    assert calls_of(lambda: select(many, SIZE, MOST_RANGES)) <= 11 * calls_of(
        lambda: select(few, SIZE, MOST_RANGES)
    )
    assert calls_of(lambda: select(many, SIZE, MOST_RANGES)) <= 2 * 10_000
