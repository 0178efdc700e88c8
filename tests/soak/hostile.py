"""What hostile and broken clients do. Each visit checks that what it hears is honest, and that it is got rid
of in the time that the options of the soak allow.
"""

import re

import trio

from tests.serving.answers import Answer, read_answers
from tests.serving.conversations import request
from tests.soak.honest import Guest, Visit
from tests.soak.processes import until
from tests.soak.tree import HUGE, LONGEST, REWRITTEN, SMALL
from tests.soak.wire import RefusedError, pieces, wire

TIMES = ("--head-timeout", "2s", "--body-timeout", "2s", "--idle-timeout", "2s", "--write-timeout", "1s")
LIMITS = ("--max-line", "1k", "--max-head", "4k", "--max-fields", "20", "--max-body", "256k")
PATIENCE = 15.0
"""Seconds in which the server has got rid of any of them: its deadlines, and those of a busy machine."""


async def _said_goodbye(guest: Guest, data: bytes, *, drip: float = 0.0) -> list[Answer]:
    """The answers to `data`, sent in pieces, or by single octets so many seconds apart, until the server
    closes.
    """
    async with wire(guest.address) as client, trio.open_nursery() as nursery:

        async def speak() -> None:
            for piece in (data[n : n + 1] for n in range(len(data))) if drip else pieces(data, guest.chance):
                await client.say(piece)
                await trio.sleep(drip)

        nursery.start_soon(speak)
        heard = await client.rest()
        nursery.cancel_scope.cancel()
    answers = read_answers(heard)
    if any(answer.status == 503 for answer in answers):
        raise RefusedError
    return answers


async def _refused(guest: Guest, data: bytes, *statuses: int) -> None:
    """The last answer is one of these refusals, and nothing follows it."""
    answers = await _said_goodbye(guest, data)
    # A reset may have taken the answer: the linger before it has its bounds, too.
    assert not answers or answers[-1].status in statuses, (data[:200], answers)


async def slow_head(guest: Guest) -> None:
    """A head that never ends, an octet at a time."""
    (answer,) = await _said_goodbye(guest, request("/", "Cookie: " + "a" * 1000), drip=0.1)
    assert answer.status == 408


async def slow_body(guest: Guest) -> None:
    """A body that never ends."""
    fields = guest.chance.choice([("Content-Length: 1000",), ("Transfer-Encoding: chunked",)])
    head = request("/still/10.bin", *fields, body=b"3e8\r\n" if "chunked" in fields[0] else b"")
    async with wire(guest.address) as client, trio.open_nursery() as nursery:
        await client.say(head)

        async def speak() -> None:
            while True:
                await client.say(b"x")
                await trio.sleep(0.1)

        nursery.start_soon(speak)
        heard = await client.rest()
        nursery.cancel_scope.cancel()
    assert [answer.status for answer in read_answers(heard)] in ([408], [503])


async def stalled_reader(guest: Guest) -> None:
    """A file that no socket's buffer holds, asked for and not read."""
    async with wire(guest.address, buffer=4096) as client:
        await client.say(request(HUGE))
        await until(client.is_over, PATIENCE, "a reader that does not read is still there")


async def leaver(guest: Guest) -> None:
    """A reader that is gone in the middle of an answer."""
    async with wire(guest.address) as client:
        await client.say(request(LONGEST))
        await client.rest(guest.chance.randrange(1, 500_000))
        if guest.chance.random() < 0.5:
            client.reset()


async def silent(guest: Guest) -> None:
    """A connection on which nothing is said, or only that nothing will be."""
    async with wire(guest.address) as client:
        if guest.chance.random() < 0.5:
            await client.end()
        assert await client.rest() == b""


async def idle(guest: Guest) -> None:
    """One request, and then nothing more, until the server closes."""
    async with wire(guest.address) as client:
        assert (await client.get("/still/10.bin")).body == SMALL["/still/10.bin"]
        assert await client.rest() == b""


async def garbage(guest: Guest) -> None:
    """Random octets, other protocols."""
    data = guest.chance.choice(
        [
            guest.chance.randbytes(guest.chance.randrange(5, 3000)) + b"\n\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + guest.chance.randbytes(500) + b"\n\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n\r\n",
            b"GET /\r\n\r\n",
            b"\r\n\r\n\r\n",
        ]
    )
    await _refused(guest, data, 400, 414, 505)


async def oversized(guest: Guest) -> None:
    """Beyond each limit on a request."""
    line = request("/" + "a" * 2000)
    head = request("/", *(f"X-{n}: {'a' * 800}" for n in range(8)))
    fields = request("/", *(f"X-{n}: a" for n in range(30)))
    body = request("/", "Content-Length: 300000")
    chunk = request("/", "Transfer-Encoding: chunked", body=b"fffff\r\n")
    data, status = guest.chance.choice([(line, 414), (head, 431), (fields, 431), (body, 413), (chunk, 413)])
    await _refused(guest, data, status)


async def malformed(guest: Guest) -> None:
    """Chunks and framing that are wrong; what is smuggled behind them is not answered."""
    smuggled = request("/still/10.bin")
    chunks = [b"zz\r\n", b"3\r\nabcd\r\n", b"-1\r\n\r\n", b"0x3\r\nabc\r\n", b"3\nabc\r\n", b"\r\n"]
    data = guest.chance.choice(
        [
            *(request("/", "Transfer-Encoding: chunked", body=chunk) for chunk in chunks),
            request("/", "Transfer-Encoding: chunked", "Content-Length: 5", body=b"0\r\n\r\n"),
            request("/", "Content-Length: 5", "Content-Length: 6", body=b"abcde"),
            request("/", "Content-Length: +5", body=b"abcde"),
            request("/", "Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
        ]
    )
    answers = await _said_goodbye(guest, data + smuggled)
    assert [answer.status for answer in answers] in ([400], [501], []), (data, answers)


async def flood(guest: Guest) -> None:
    """Thousands of requests whose answers nobody reads."""
    async with wire(guest.address, buffer=4096) as client:
        with trio.move_on_after(guest.chance.random() * 2):
            await client.say(request("/still/1000.bin") * 5000)
        client.reset()


async def burst(guest: Guest) -> None:
    """Many connections at once, of which some say something, and none stays."""

    async def visit(what: int) -> None:
        async with wire(guest.address) as client:
            await client.say(request("/still/10.bin")[: what % 60])
            if what % 3 == 0:
                client.reset()

    async with trio.open_nursery() as nursery:
        for _ in range(60):
            nursery.start_soon(visit, guest.chance.randrange(200))


async def rewritten(guest: Guest) -> None:
    """A file that is edited in place: what arrives whole is made of its versions, and of the length that was
    announced; otherwise it is cut off, or refused as having changed.
    """
    async with wire(guest.address) as client:
        for target in guest.chance.choices(REWRITTEN, k=5):
            try:
                answer = await client.get(target)
            except EOFError:
                return
            assert answer.status in (200, 500)
            if answer.status == 200:
                assert re.fullmatch(rb"[0-9\0]*", answer.body)
                assert len(answer.body) == int(answer.fields["Content-Length"])


VISITS: tuple[Visit, ...] = (
    slow_head, slow_body, stalled_reader, leaver, silent, idle, garbage, oversized, malformed, flood, burst,
    rewritten,
)  # fmt: skip
