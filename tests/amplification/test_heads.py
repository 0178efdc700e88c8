"""Heads: floods of fields, of names, of octets. The steps grow with the octets at most, however they arrive;
who goes beyond a limit is refused at the limit, and what follows is not even kept.
"""

from pathlib import Path

import pytest

from tests.amplification.counting import calls_of, counted_site, make, memory_peak, talk
from tests.serving.answers import read_answer, read_answers
from tests.serving.conversations import request
from trio_evserver.http1.connection import Connection, Event
from trio_evserver.http1.errors import RemoteProtocolError
from trio_evserver.http1.limits import Limits
from trio_evserver.semantics.message import Request

KIB = 1024
WIDE = Limits(line=2**20, head=2**20, fields=100_000)

# Each makes a head of about `size` octets.
SHAPES = {
    "fields of names of their own": lambda size: request("/", *(f"X-{n:05}: a" for n in range(size // 12))),
    "fields of the same name": lambda size: request("/", *["X-A: a"] * (size // 8)),
    "empty fields": lambda size: request("/", *["A:"] * (size // 4)),
    "one long value": lambda size: request("/", "X-A: " + "a" * size),
    "one long value of blanks": lambda size: request("/", "X-A: a" + " " * size + "a"),
    "one long name": lambda size: request("/", "a" * size + ": a"),
    "a list of entity tags": lambda size: request("/", "If-None-Match: " + '"a",' * (size // 4) + '"a"'),
    "a list of empty elements": lambda size: request("/", "Connection: " + "," * size),
    "a list of expectations": lambda size: request("/", "Expect: " + "a," * (size // 2)),
    "a long query": lambda size: request("/?" + "a=1&" * (size // 4)),
    "a deep path": lambda size: request("/a" * (size // 2)),
    "a path of escapes": lambda size: request("/%61" * (size // 4)),
}


def read(pieces: list[bytes], limits: Limits) -> Request | Event | RemoteProtocolError:
    """What the reader of messages makes of a head that comes in these pieces."""
    connection = Connection(limits)
    event: Request | Event = Event.NEED_DATA
    try:
        for piece in pieces:
            connection.receive_data(piece)
            event = connection.next_request()
    except RemoteProtocolError as error:
        return error
    return event


@pytest.mark.parametrize("shape", SHAPES)
def test_steps_grow_with_the_octets(shape: str) -> None:
    """Twice the octets are at most twice the steps."""
    small, large = SHAPES[shape](50_000), SHAPES[shape](100_000)
    assert isinstance(read([large], WIDE), Request)
    assert calls_of(lambda: read([large], WIDE)) <= 2.2 * calls_of(lambda: read([small], WIDE)) + 20


def single_octets(data: bytes) -> list[bytes]:
    return [data[place : place + 1] for place in range(len(data))]


@pytest.mark.parametrize("shape", SHAPES)
def test_single_octets_cost_the_same_each(shape: str) -> None:
    """A head that drips in costs a bounded number of steps for each octet: what has been looked at is not
    looked at again.
    """
    data = SHAPES[shape](4000)
    assert calls_of(lambda: read(single_octets(data), WIDE)) <= 25 * len(data)


@pytest.mark.parametrize("shape", SHAPES)
async def test_what_is_beyond_the_limits(tmp_path: Path, shape: str) -> None:
    """10 MiB of head cost no more memory than the limit, and one refusal, without a call to the disk."""
    data = SHAPES[shape](10 * 2**20)
    async with counted_site(make(tmp_path / "site")) as (site, disk):
        with memory_peak() as peak:
            (answer,) = read_answers(await talk(site, data))
        assert answer.status in (414, 431)
        assert disk.opened == 0
    # The memory stream holds all that is said to it, and joins it to what it holds.
    assert peak.bytes <= 2 * len(data) + 256 * KIB


@pytest.mark.parametrize("shape", SHAPES)
async def test_what_is_just_within_the_limits(tmp_path: Path, shape: str) -> None:
    """As much as the limits let through costs a few calls to the disk, and memory of a few times its size,
    beside what the matching takes.
    """
    data = SHAPES[shape](7 * KIB if "/" in shape or "path" in shape or "query" in shape else 30 * KIB)
    async with counted_site(make(tmp_path / "site")) as (site, disk):
        await talk(site, request("/"))
        disk.forget()
        with memory_peak() as peak:
            answer = read_answer(await talk(site, data))
        assert answer.status in (404, 417, 431)
        assert disk.opened <= 2
        assert disk.bytes == 0
    assert peak.bytes <= 12 * len(data) + 512 * KIB
