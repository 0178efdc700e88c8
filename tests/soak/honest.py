"""What honest clients do. Each visit makes connections of its own, and fails on any answer that is not right,
octet by octet.
"""

import random
import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeAlias

import trio

from tests.serving.answers import Answer
from tests.serving.conversations import request
from tests.soak.tree import GONE, LARGE, LONGEST, REPLACED, SMALL, STILL, Editor, version
from tests.soak.wire import Wire, pieces, wire


class Guest(NamedTuple):
    """Who visits: where the server is, what is drawn, and who changes the files."""

    address: tuple[str, int]
    chance: random.Random
    editor: Editor


Visit: TypeAlias = Callable[[Guest], Awaitable[None]]


def right(answer: Answer, content: bytes, status: int = 200) -> None:
    """The answer is this content."""
    assert answer.status == status, answer.head
    assert answer.body == content, f"{len(answer.body)} octets, not {len(content)}: {answer.head!r}"


async def small_ones(guest: Guest) -> None:
    """Small files, one after the other on one connection."""
    async with wire(guest.address) as client:
        for target in guest.chance.choices(list(SMALL), k=guest.chance.randrange(1, 20)):
            right(await client.get(target), SMALL[target])


async def any_one(guest: Guest) -> None:
    """A file of any size, on a connection that is closed after it."""
    target = guest.chance.choice(list(STILL))
    async with wire(guest.address) as client:
        right(await client.get(target, "Connection: close"), STILL[target])
        assert await client.rest() == b""


async def old_version(guest: Guest) -> None:
    """HTTP/1.0, which closes unless it is asked to keep the connection."""
    target = guest.chance.choice(list(SMALL))
    async with wire(guest.address) as client:
        for _ in range(2):
            answer = await client.get(target, "Connection: keep-alive", version="1.0")
            right(answer, SMALL[target])
            assert answer.fields["Connection"] == "keep-alive"
        right(await client.get(target, version="1.0"), SMALL[target])
        assert await client.rest() == b""


async def ranges(guest: Guest) -> None:
    """One range, several, and one that lies beyond the end."""
    target = guest.chance.choice([target for target in STILL if len(STILL[target]) >= 1000])
    content = STILL[target]
    async with wire(guest.address) as client:
        first = guest.chance.randrange(len(content))
        last = guest.chance.randrange(first, len(content))
        right(await client.get(target, f"Range: bytes={first}-{last}"), content[first : last + 1], 206)
        right(await client.get(target, f"Range: bytes=-{last + 1}"), content[-last - 1 :], 206)
        places = [(place, place + guest.chance.randrange(50)) for place in range(0, 1000, 200)]
        answer = await client.get(target, "Range: bytes=" + ",".join(f"{a}-{b}" for a, b in places))
        assert answer.status == 206
        assert parts(answer) == [content[a : b + 1] for a, b in places]
        assert (await client.get(target, f"Range: bytes={len(content)}-")).status == 416


def parts(answer: Answer) -> list[bytes]:
    """The contents of a multipart/byteranges."""
    boundary = answer.fields["Content-Type"].partition("boundary=")[2].encode()
    first, *middle, last = re.split(rb"(?:\r\n|\A)--" + boundary, answer.body)
    assert (first, last) == (b"", b"--\r\n")
    return [part.partition(b"\r\n\r\n")[2] for part in middle]


async def conditions(guest: Guest) -> None:
    """What has not changed is 304; what must not have changed is 412."""
    target = guest.chance.choice(list(STILL))
    async with wire(guest.address) as client:
        known = await client.get(target)
        right(known, STILL[target])
        tag = known.fields["ETag"]
        right(await client.get(target, f"If-None-Match: {tag}"), b"", 304)
        right(await client.get(target, f"If-Modified-Since: {known.fields['Last-Modified']}"), b"", 304)
        right(await client.get(target, 'If-None-Match: "other"'), STILL[target])
        assert (await client.get(target, 'If-Match: "other"')).status == 412


async def heads(guest: Guest) -> None:
    """HEAD has the length and no body."""
    async with wire(guest.address) as client:
        for target in guest.chance.choices(list(STILL), k=3):
            answer = await client.get(target, method="HEAD")
            right(answer, b"")
            assert answer.fields["Content-Length"] == str(len(STILL[target]))


async def pipelined(guest: Guest) -> None:
    """Many requests in one write are answered in their order; sometimes our side has ended by then."""
    targets = guest.chance.choices(list(STILL), k=guest.chance.randrange(2, 40))
    async with wire(guest.address) as client, trio.open_nursery() as nursery:
        half_closed = guest.chance.random() < 0.5
        nursery.start_soon(_ask_all, client, targets, half_closed)
        for target in targets:
            right(await client.answer(), STILL[target])
        assert not half_closed or await client.rest() == b""


async def _ask_all(client: Wire, targets: list[str], half_closed: bool) -> None:
    await client.say(b"".join(request(target) for target in targets))
    if half_closed:
        await client.end()


async def in_pieces(guest: Guest) -> None:
    """Requests that arrive in any pieces."""
    targets = guest.chance.choices(list(SMALL), k=3)
    async with wire(guest.address) as client:
        for piece in pieces(b"".join(request(target) for target in targets), guest.chance):
            await client.say(piece)
            await trio.sleep(guest.chance.random() * 0.02)
        for target in targets:
            right(await client.answer(), SMALL[target])


async def bodies(guest: Guest) -> None:
    """Requests with bodies that nobody wants: GET is answered and the connection lives, POST is refused."""
    target = guest.chance.choice(list(SMALL))
    body = guest.chance.randbytes(guest.chance.randrange(1, 100_000))
    chunked = b"%x;note=1\r\n%b\r\n0\r\nTrailer: 1\r\n\r\n" % (len(body), body)
    async with wire(guest.address) as client:
        await client.say(request(target, f"Content-Length: {len(body)}", body=body))
        right(await client.answer(), SMALL[target])
        await client.say(request(target, "Transfer-Encoding: chunked", body=chunked))
        right(await client.answer(), SMALL[target])
        await client.say(request(target, "Expect: 100-continue", "Content-Length: 3"))
        await trio.sleep(guest.chance.random() * 0.02)
        await client.say(b"abc")
        right(await client.answer(), SMALL[target])
        await client.say(request("/", f"Content-Length: {len(body)}", method="POST", body=body))
        assert (await client.answer()).status == 405
        assert await client.rest() == b""


async def other_answers(guest: Guest) -> None:
    """What is not a file."""
    nothing = f"/nothing/{guest.chance.randrange(1_000_000)}"
    async with wire(guest.address) as client:
        for target, status in ((nothing, 404), ("/still", 301), ("/.secret", 404), ("/still/%00", 400)):
            assert (await client.get(target)).status == status, target
        assert (await client.get("*", method="OPTIONS")).status == 204
        right(await client.get("/still/"), b"index")


async def slow_reader(guest: Guest) -> None:
    """An honest slow download: small steps, small buffers, and every octet arrives."""
    async with wire(guest.address, buffer=32 * 1024) as client:
        await client.say(request(LONGEST))
        right(await client.answer(step=16 * 1024, pause=guest.chance.random() * 0.005), STILL[LONGEST])


async def large_ones(guest: Guest) -> None:
    """Large files, on several connections at the same time."""
    async with trio.open_nursery() as nursery:
        for target in guest.chance.choices(list(LARGE), k=4):
            nursery.start_soon(_large_one, guest, target)


async def _large_one(guest: Guest, target: str) -> None:
    async with wire(guest.address) as client:
        right(await client.get(target), LARGE[target])


async def replaced(guest: Guest) -> None:
    """A name that is renamed over all the time: a whole version, and none older than was there when asked."""
    async with wire(guest.address) as client:
        for target in guest.chance.choices(REPLACED, k=5):
            seen = guest.editor.seen[target]
            answer = await client.get(target)
            right(answer, version(target, int(answer.body[:8])))
            found, made = int(answer.body[:8]), guest.editor.made[target]
            assert seen <= found <= made, f"{target}: version {found}, not {seen} to {made}: {answer.head!r}"


async def gone(guest: Guest) -> None:
    """A name that comes and goes: a whole version, or 404."""
    async with wire(guest.address) as client:
        for target in guest.chance.choices(GONE, k=5):
            answer = await client.get(target)
            if answer.status != 404:
                right(answer, version(target, int(answer.body[:8])))


VISITS: tuple[Visit, ...] = (
    small_ones, any_one, old_version, ranges, conditions, heads, pipelined, in_pieces, bodies, other_answers,
    slow_reader, large_ones, replaced, gone,
)  # fmt: skip
