"""Law: however a conversation is cut into pieces, its answers are those of its requests asked one by one.

Any requests, pipelined on one connection in pieces of any size, give the same octets in the same order as
each of them on a connection of its own, up to the first one that ends the conversation.
"""

import tempfile
from itertools import accumulate, pairwise
from pathlib import Path

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.serving.conversations import opened, request, talk
from trio_evserver.http1.limits import Limits
from trio_evserver.serving.options import Options
from trio_evserver.serving.site import Site

TARGETS = ["/", "/ten.txt", "/large.bin", "/nothing", "/dir", "/..", "/%00", "/%2f", "/ten.txt?q"]
# Most of what is asked is right, or few conversations would get beyond their first request.
FIELDS = [
    *["Range: bytes=2-4", "Range: bytes=-1", "Range: bytes=99-", "If-None-Match: *", 'If-Match: "x"'] * 3,
    *["Connection: keep-alive", "X: " + "y" * 50, "Accept: */*"] * 3,
    *["Connection: close", "Expect: nothing", "Host: twice", "bad"],
]
BODIES = [
    *[([], b"")] * 9,
    *[(["Content-Length: 5"], b"GET /"), (["Content-Length: 4", "Expect: 100-continue"], b"body")] * 2,
    *[(["Transfer-Encoding: chunked"], b"3\r\nabc\r\n0\r\nT: x\r\n\r\n")] * 2,
    (["Content-Length: 0"], b""),
    (["Transfer-Encoding: chunked"], b"0\r\n\r\n"),
    (["Transfer-Encoding: chunked"], b"x\r\n"),
    (["Content-Length: 9999"], b""),
]
METHODS = [*["GET", "GET", "HEAD", "OPTIONS"] * 3, "POST", "BREW"]
VERSIONS = ["1.1"] * 7 + ["1.0"]


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request, in which something may be wrong."""
    framing, body = draw(st.sampled_from(BODIES))
    return request(
        draw(st.sampled_from(TARGETS)),
        *draw(st.lists(st.sampled_from(FIELDS), max_size=2)),
        *framing,
        method=draw(st.sampled_from(METHODS)),
        version=draw(st.sampled_from(VERSIONS)),
        body=body,
    )


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[bytes], list[int]]:
    """Requests, and where their octets are cut: anywhere, and above all at line ends and within bodies."""
    conversation = draw(st.lists(requests(), min_size=1, max_size=5))
    data = b"".join(conversation)
    line_ends = [place for place in range(1, len(data)) if data[place - 1] in b"\r\n"]
    ends = accumulate(map(len, conversation))
    tails = [place for end in ends for place in range(end - 5, end + 1) if place < len(data)]
    places = st.integers(1, len(data) - 1) | st.sampled_from(line_ends) | st.sampled_from(tails)
    return conversation, draw(st.lists(places, max_size=8))


# It is up to the cuts whether a client that waits is told to go on, because its body may be there already.
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
OPTIONS = Options(limits=Limits(body=1000))


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *cuts})
    return [data[start:end] for start, end in pairwise(places)]


async def one_by_one(site: Site, conversation: list[bytes]) -> bytes:
    """The answers to requests on a connection each, up to the one that says that it is the last."""
    heard = b""
    for one in conversation:
        answer = (await talk(site, one)).replace(CONTINUE, b"")
        heard += answer
        if b"\r\nConnection: close\r\n" in answer.partition(b"\r\n\r\n")[0] + b"\r\n":
            break
    return heard


async def heard_both_ways(root: Path, conversation: list[bytes], cuts: list[int]) -> tuple[bytes, bytes]:
    async with opened(root, OPTIONS) as site:
        expected = await one_by_one(site, conversation)
        heard = await talk(site, *pieces(b"".join(conversation), cuts))
    return heard.replace(CONTINUE, b""), expected


@settings(deadline=None, max_examples=400)
@given(conversations())
def test_the_pieces_do_not_matter(drawn: tuple[list[bytes], list[int]]) -> None:
    """The same octets, however they are cut."""
    conversation, cuts = drawn
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        (root / "dir").mkdir()
        (root / "ten.txt").write_bytes(b"0123456789")
        (root / "index.html").write_bytes(b"<p>")
        (root / "large.bin").write_bytes(b"large" * 60_000)
        clock = MockClock(autojump_threshold=0)
        heard, expected = trio.run(heard_both_ways, root, conversation, cuts, clock=clock)
        assert heard == expected
