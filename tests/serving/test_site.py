"""A site opens, tells where it stands, and leaves nothing behind."""

from pathlib import Path

import pytest
import trio
from trio.testing import memory_stream_pair

from tests.conftest import BIG, TEN
from tests.serving.answers import read_answer
from tests.serving.conversations import connect, open_descriptors, opened, request, talk
from trio_evserver.files.options import FileOptions
from trio_evserver.serving.open_site import open_site
from trio_evserver.serving.options import Options
from trio_evserver.serving.server import serve_connection


async def test_what_cannot_be_opened(tmp_path: Path) -> None:
    """A root that is not there is an error at once, and leaves nothing open."""
    before = open_descriptors()
    with pytest.raises(FileNotFoundError):
        async with open_site(tmp_path / "nothing"):
            pytest.fail("it was opened")
    assert open_descriptors() == before


async def test_nothing_is_left_open(root: Path) -> None:
    """At the end of the block every file is closed, those of the cache as well; after an error in it, too."""
    before = open_descriptors()
    async with opened(root) as site:
        await talk(site, request() + request("/big.bin") + request("/"))
        assert site.statistics().cache.entries == 3
    assert open_descriptors() == before
    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        async with opened(root) as site:
            await talk(site, request("/big.bin"))
            raise ZeroDivisionError
    assert open_descriptors() == before


async def test_statistics(root: Path) -> None:
    """Connections, answers by status, bytes, and what the cache has done for them."""
    async with opened(root) as site, trio.open_nursery() as nursery:
        assert (site.statistics().connections, site.statistics().responses) == (0, {})
        peer = connect(site, nursery)
        await peer.say(request() * 3, request("/big.bin"), request("/nothing"))
        statistics = site.statistics()
        assert (statistics.connections, statistics.accepted, statistics.lost) == (1, 1, 0)
        assert statistics.responses == {200: 4, 404: 1}
        assert statistics.sent > 3 * len(TEN) + len(BIG)
        assert statistics.cache.hits >= 2
        assert (statistics.held, statistics.reads.in_flight, statistics.reads.waiting) == (0, 0, 0)
        assert statistics.reads.hops == statistics.reads.total
        assert statistics.held_limit == FileOptions().read_ahead_memory
        assert (statistics.full, statistics.accept_errors) == (0, {})
        assert all(0.01 <= length <= 1.0 and count >= 0 for length, count in statistics.long_turns.items())
        assert "connections=1" in repr(site)
        await peer.end()
    assert site.statistics().connections == 0


async def test_the_memory_for_read_ahead_is_bounded(root: Path) -> None:
    """However many replies there are: beyond the limit each holds one chunk at most."""
    files = FileOptions(cached_reads=False, chunk_size=16 * 1024, read_ahead=4, read_ahead_memory=64 * 1024)
    async with opened(root, Options(files=files)) as site, trio.open_nursery() as nursery:
        peers = [connect(site, nursery) for _ in range(10)]
        for peer in peers:
            await peer.say(request("/big.bin", "Connection: close"))
        for peer in peers:
            assert read_answer(await peer.hear()).body == BIG
        statistics = site.statistics()
        assert 16 * 1024 < statistics.held_peak <= 64 * 1024 + 10 * 16 * 1024
        assert statistics.held == 0


async def test_reads_in_flight_are_bounded(root: Path) -> None:
    """However many connections there are, no more file calls are under way than threads were allowed."""
    files = FileOptions(threads=3, cached_reads=False, cache_size=0, chunk_size=16 * 1024)
    async with open_site(root, Options(files=files)) as site, trio.open_nursery() as nursery:
        streams = []
        for _ in range(20):
            ours, theirs = memory_stream_pair()
            await ours.send_all(request("/big.bin", "Connection: close"))
            streams.append(ours)
            nursery.start_soon(serve_connection, theirs, site)
        for ours in streams:
            heard = b"".join([bytes(data) async for data in ours])
            assert read_answer(heard).body == BIG
        assert 1 <= site.statistics().reads.peak <= 3


@pytest.mark.parametrize(
    ("cache_size", "limit"),
    [(0, 0), (64 * 1024, 8 * 1024), (64 * 1024 * 1024, 256 * 1024), (2**40, 256 * 1024)],
)
def test_content_limit(cache_size: int, limit: int) -> None:
    """One file never takes more than an eighth of the cache, nor more than a quarter of a MiB."""
    assert FileOptions(cache_size=cache_size).content_limit == limit
