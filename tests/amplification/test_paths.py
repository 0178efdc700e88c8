"""Paths: deep ones, long ones, loops of links, many that lead to nothing, and directories of many entries. A
look-up is a few system calls, and what is remembered of it is within the cache's size.
"""

import gc
import os
import tracemalloc
from pathlib import Path

import pytest

from tests.amplification.counting import (
    CHUNK,
    FILES,
    SMALL,
    calls_of,
    counted_site,
    make,
    memory_peak,
    talk,
)
from tests.serving.answers import read_answer, read_answers
from tests.serving.conversations import request
from trio_evserver.files.capabilities import Capabilities
from trio_evserver.files.options import FileOptions
from trio_evserver.semantics.target import resolve
from trio_evserver.serving.options import Options

DEEP = 1500
"""Segments of a path that exists: as far as the request line and a few seconds go."""
_OPENS = 2  # the look without waiting, and the worker's


@pytest.fixture
def site(tmp_path: Path) -> Path:
    root = make(tmp_path / "site")
    (root / "loop").symlink_to(".")
    (root / "endless").symlink_to("endless")
    (root / "chain0").symlink_to("small")
    for number in range(1, 60):
        (root / f"chain{number}").symlink_to(f"chain{number - 1}")
    return root


WAYS = {"openat2": Capabilities(), "walk": Capabilities(openat2=False)}
TARGETS = [
    ("/" + "a/" * 4000, 404, "no such directory, 4,000 deep"),
    ("/" + "/".join(["loop"] * 1600) + "/small", 404, "a link to its own directory, 1,600 times"),
    ("/" + "/".join(["loop"] * 39) + "/small", 200, "as many links as any system follows"),
    ("/endless", 404, "a link to itself"),
    ("/chain30", 200, "a chain of links"),
    ("/chain59", 404, "a chain that is too long"),
    ("/" + "a" * 255, 404, "a name as long as names can be"),
    ("/" + "a" * 8000, 404, "a name that is longer"),
    ("/small/" + "a/" * 3000, 404, "below a file"),
    ("/" + "%2e%2e/" * 1000, 404, "upwards"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("target", "status", "why"), TARGETS, ids=[row[2] for row in TARGETS])
async def test_look_ups(site: Path, target: str, status: int, why: str, way: str) -> None:
    """Two names are opened at most, and in a walk 41 links read: as the kernel itself has it."""
    async with counted_site(site, capabilities=WAYS[way]) as (served, disk):
        answer = read_answer(await talk(served, request(target)))
        assert answer.status == status, why
        assert disk.opened <= _OPENS
        assert disk.calls["read_link"] <= _OPENS * 41


@pytest.mark.parametrize("way", WAYS)
async def test_a_deep_directory(tmp_path: Path, way: str) -> None:
    """A path that exists, however deep, costs a descriptor for each of its directories at the most, and gives
    them back.
    """
    root = make(tmp_path / "site")
    bottom = os.open(root, os.O_RDONLY)
    for _ in range(DEEP):
        os.mkdir("d", dir_fd=bottom)
        above, bottom = bottom, os.open("d", os.O_RDONLY, dir_fd=bottom)
        os.close(above)
    os.close(bottom)
    try:
        async with counted_site(root, capabilities=WAYS[way]) as (served, _):
            read_answer(await talk(served, request("/none")))  # from now on the root may be open
            before = len(os.listdir("/dev/fd"))
            answer = read_answer(await talk(served, request("/d" * DEEP + "/none")))
            assert answer.status == 404
            assert len(os.listdir("/dev/fd")) == before
    finally:
        remove_levels(root / "d")


def remove_levels(top: Path) -> None:
    """Remove a deep directory level by level: what removes trees recurses, in old interpreters too far."""
    below = top.with_name("below")
    while (top / "d").exists():
        (top / "d").rename(below)
        top.rmdir()
        below.rename(top)


@pytest.mark.parametrize("segment", [b"/a", b"/", b"/.", b"/%2e%2e", b"/%61", b"/\xc3\xa9", b"/.a"])
def test_steps_grow_with_the_path(segment: bytes) -> None:
    """Twice the segments are at most twice the steps to make a resource of them, whatever they are; each of
    them costs a handful.
    """
    few, many = segment * 1000, segment * 2000
    steps = calls_of(lambda: resolve(many))
    assert steps <= 2.2 * calls_of(lambda: resolve(few)) + 20
    assert steps <= 12 * 2000


async def test_a_query_costs_its_length(site: Path) -> None:
    """A query as long as the line allows is echoed once, in the redirect of a directory, and costs memory of
    a few times its length; nothing of it is kept.
    """
    (site / "dir").mkdir()
    query = "a=%41&" * 1300
    async with counted_site(site) as (served, disk):
        await talk(served, request("/dir"))
        disk.forget()
        before = served.statistics().cache
        with memory_peak() as peak:
            answer = read_answer(await talk(served, request(f"/dir?{query}")))
        assert answer.status == 301
        assert answer.fields["Location"] == f"/dir/?{query}"
        assert len(answer.head) + len(answer.body) <= len(query) + 1024
        after = served.statistics().cache
        assert (after.entries, after.size) == (before.entries, before.size)
        assert disk.opened <= _OPENS
        assert disk.bytes == 0
    assert peak.bytes <= 12 * len(query) + 128 * 1024


async def test_queries_are_one_resource(site: Path) -> None:
    """A thousand different queries, 7 KiB each, are one entry of the cache, and read nothing again."""
    async with counted_site(site) as (served, disk):
        await talk(served, request("/small"))
        disk.forget()
        before = served.statistics().cache
        said = b"".join(request(f"/small?{n}=" + "a" * 7000) for n in range(1000))
        answers = read_answers(await talk(served, said))
        assert {(answer.status, answer.body) for answer in answers} == {(200, SMALL)}
        assert len(answers) == 1000
        after = served.statistics().cache
        assert (after.entries, after.size) == (before.entries, before.size)
        assert (disk.opened, disk.bytes) == (0, 0)


async def test_names_that_lead_to_nothing(site: Path) -> None:
    """Remembering that a name leads to nothing is bounded by the size of the cache in bytes, too, and so by
    what it takes indeed: 300 names of 7 KiB take no more than the size that is set.
    """
    size = 64 * CHUNK
    options = Options(files=FileOptions(cache_size=size))
    async with counted_site(site, options) as (served, _):
        await talk(served, request("/small"))
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for number in range(300):
            await talk(served, request(f"/{number}" + "/a" * 3500))
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert served.statistics().cache.size <= size
        assert held <= size * 5 // 4


async def test_a_directory_of_many_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory costs as many calls as it has index names to try, whatever else is in it, and so does a
    name in it: it is never listed.
    """
    root = make(tmp_path / "site")
    for name, entries in (("few", 1), ("many", 5000)):
        (root / name).mkdir()
        for number in range(entries):
            (root / name / str(number)).touch()
    listed: list[object] = []
    for lister in ("listdir", "scandir"):
        monkeypatch.setattr(os, lister, lambda path=".": listed.append(path))
    calls: dict[str, list[dict[str, int]]] = {"few": [], "many": []}
    async with counted_site(root, Options(files=FILES)) as (served, disk):
        await talk(served, request("/small"))
        await talk(served, request("/none"))  # which leaves the root open
        for name, found in calls.items():
            for target, status in (("", 301), ("/", 404), ("/0", 200), ("/none", 404)):
                disk.forget()
                assert read_answer(await talk(served, request(f"/{name}{target}"))).status == status
                assert disk.opened <= _OPENS
                found.append(dict(disk.calls))
    assert calls["few"] == calls["many"]
    assert listed == []
