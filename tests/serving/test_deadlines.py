"""Deadlines, by themselves and as a peer meets them; the clock is virtual."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, lockstep_stream_pair

from tests.conftest import BIG, TEN
from tests.serving.answers import read_answer, read_answers
from tests.serving.conversations import (
    Recorder,
    connect,
    connect_small,
    hear_all,
    opened,
    request,
    small_listener,
)
from trio_evserver.files.options import FileOptions
from trio_evserver.http1.limits import Limits
from trio_evserver.observe.access_log import AccessLog
from trio_evserver.serving.deadlines import Deadline, Deadlines, Phase
from trio_evserver.serving.listener import accept_sockets
from trio_evserver.serving.options import Options, Timeouts
from trio_evserver.serving.server import serve_connection
from trio_evserver.serving.site import Site

GET = request()
TIMEOUTS = Timeouts(head=10, body=20, idle=60, write=30, linger=2)
# What the deadlines are coarse by, and a bit for what the machine itself takes of a clock that jumps.
SLACK = 1.0
OPTIONS = Options(timeouts=TIMEOUTS, limits=Limits(body=10_000_000))


def add(deadlines: Deadlines, scope: trio.CancelScope) -> Deadline:
    """A deadline that cancels the scope."""
    deadline = Deadline(deadlines, scope)
    deadlines.add(deadline)
    return deadline


async def test_no_deadline_is_early(autojump_clock: MockClock) -> None:
    """A phase may last as long as was said, and is cut off within half a second after that."""
    deadlines = Deadlines(TIMEOUTS)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(deadlines.run)
        for began in (0.0, 0.1, 0.24, 0.26, 7.77):
            await trio.sleep(began)
            with trio.CancelScope() as scope:
                deadline = add(deadlines, scope)
                deadline.start(Phase.HEAD, 10)
                start = trio.current_time()
                await trio.sleep_forever()
            assert 10 <= trio.current_time() - start <= 10.5
            assert deadline.expired
            deadlines.remove(deadline)
        nursery.cancel_scope.cancel()


async def test_a_deadline_that_moves(autojump_clock: MockClock) -> None:
    """Starting a phase again puts its end off; without a phase there is none."""
    deadlines = Deadlines(TIMEOUTS)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(deadlines.run)
        with trio.CancelScope() as scope:
            deadline = add(deadlines, scope)
            for _ in range(10):
                deadline.start(Phase.WRITE, 30)
                await trio.sleep(29)
            deadline.stop()
            await trio.sleep(1000)
            deadline.start(Phase.IDLE, 60)
            await trio.sleep_forever()
        assert 1350 <= trio.current_time() <= 1351
        deadlines.remove(deadline)
        nursery.cancel_scope.cancel()


async def test_only_the_idle_are_drained() -> None:
    """`cancel_idle` ends connections on which no request has begun, be it their first or a later one; no
    others, and they have not expired.
    """
    deadlines = Deadlines(TIMEOUTS)
    scopes = {phase: trio.CancelScope() for phase in Phase}
    for phase, scope in scopes.items():
        add(deadlines, scope).start(phase, 10)
    deadlines.cancel_idle()
    ended = {phase for phase, scope in scopes.items() if scope.cancel_called}
    assert ended == {Phase.IDLE, Phase.FIRST}


async def test_the_longest_idle_are_ended(autojump_clock: MockClock) -> None:
    """Who has been idle for longest goes first, however much longer it might have been. Only after them goes
    who has sent nothing since it connected, and not where that was just now.
    """
    deadlines = Deadlines(TIMEOUTS)
    names = ("dumb", "dumber", "old", "busy", "new", "fresh")
    scopes = {name: trio.CancelScope() for name in names}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(deadlines.run)
        for name, phase, seconds in (
            ("dumb", Phase.FIRST, 10),
            ("dumber", Phase.FIRST, 10),
            ("old", Phase.IDLE, 60),
            ("busy", Phase.HEAD, 10),
            ("new", Phase.IDLE, 10),
            ("fresh", Phase.FIRST, 10),
        ):
            await trio.sleep(1)
            add(deadlines, scopes[name]).start(phase, seconds)
        for ended in ("old", "new", "dumb", "dumber"):
            before = {name for name in names if scopes[name].cancel_called}
            deadlines.cancel_longest_idle(1 + len(before))
            assert {name for name in names if scopes[name].cancel_called} == before | {ended}
        deadlines.cancel_longest_idle(9)
        assert not scopes["fresh"].cancel_called
        await trio.sleep(2)
        deadlines.cancel_longest_idle(9)
        assert [name for name in names if not scopes[name].cancel_called] == ["busy"]
        nursery.cancel_scope.cancel()


async def test_who_has_sent_nothing_yet_is_fresh(root: Path) -> None:
    """A connection waits for its first byte; after an answer it is idle, as an empty line does not change."""
    async with opened(root) as site, trio.open_nursery() as nursery:
        peer = connect(site, nursery)
        for data, phase in ((b"", Phase.FIRST), (b"\r\n", Phase.FIRST), (GET, Phase.IDLE), (GET, Phase.IDLE)):
            await peer.say(data)
            (deadline,) = site.deadlines._deadlines
            assert deadline.phase is phase
        await peer.end()


@asynccontextmanager
async def on_a_socket(
    root: Path, options: Options = OPTIONS, access_log: AccessLog | None = None
) -> AsyncIterator[tuple[trio.SocketStream, Site]]:
    """The client's end of a connection over TCP, where a farewell can be sent and a reset be seen."""
    async with opened(root, options, access_log=access_log) as site, trio.open_nursery() as nursery:
        with small_listener() as listener:
            nursery.start_soon(accept_sockets, listener, site, nursery)
            async with await connect_small(listener) as client:
                yield client, site
            nursery.cancel_scope.cancel()


async def no_connections(site: Site) -> None:
    """Until there was one, and is none any more."""
    while site.connections or not site.accepted:
        await site.wait_connection_ended()


HEADS = [
    (b"", "", 10, "nothing at all since the accept: closed without a word"),
    (b"\r\n", "", 10, "an empty line is no request"),
    (b"GET / HT", "408", 10, "a head without an end"),
    (GET, "200", 60, "nothing after an answer: closed without a word"),
    (GET + b"\r\n", "200", 60, "nor is an empty line a request there"),
    (GET + b"GET / HT", "200 408", 10, "a second head without an end"),
    (request("/", "Content-Length: 9", body=b"1234"), "408", 20, "a body without an end"),
    (request("/", "Content-Length: 9", "Expect: 100-continue"), "100 408", 20, "a body that never comes"),
    (request("/", "Transfer-Encoding: chunked", body=b"4\r\nab"), "408", 20, "a chunk without an end"),
    (request("/", "Content-Length: 9", method="POST"), "405", 2, "a body that is not waited for for long"),
    (b"nonsense\r\n\r\n", "400", 2, "no more of a connection that is given up"),
]


@pytest.mark.parametrize(("data", "statuses", "after", "why"), HEADS)
async def test_a_silent_peer(
    root: Path, data: bytes, statuses: str, after: float, why: str, autojump_clock: MockClock
) -> None:
    """Who falls silent is told 408 where a request has begun (RFC 9110 §15.5.9), and the connection ends."""
    log = Recorder()
    async with on_a_socket(root, access_log=log) as (client, site):
        start = trio.current_time()
        await client.send_all(data)
        answers = read_answers(await hear_all(client))
        await trio.testing.wait_all_tasks_blocked()
        assert " ".join(str(answer.status) for answer in answers) == statuses, why
        if "408" in statuses:
            assert answers[-1].fields["Connection"] == "close"
        await no_connections(site)  # it may linger, after it has ended its side
        assert after <= trio.current_time() - start <= after + SLACK, why
        assert [str(record[2]) for record in log.records] == [s for s in statuses.split() if s != "100"]


async def test_a_slow_head(root: Path, autojump_clock: MockClock) -> None:
    """The whole head has one deadline: an octet now and then does not put it off."""
    async with opened(root, OPTIONS) as site, trio.open_nursery() as nursery:
        peer = connect(site, nursery)
        slow = request("/ten.txt", "X-Slow: " + "a" * 100)
        for i in range(len(slow)):
            if peer.closed:
                break
            await peer.say(slow[i : i + 1])
            await trio.sleep(1)
        assert peer.closed
        assert 10 <= trio.current_time() <= 10 + 2 * SLACK


async def test_a_slow_body(root: Path, autojump_clock: MockClock) -> None:
    """The same goes for a body."""
    async with opened(root, OPTIONS) as site, trio.open_nursery() as nursery:
        peer = connect(site, nursery)
        await peer.say(request("/", "Content-Length: 1000"))
        while not peer.closed:
            await peer.say(b"x")
            await trio.sleep(1)
        assert 20 <= trio.current_time() <= 20 + 2 * SLACK


async def test_every_request_has_its_own_time(root: Path, autojump_clock: MockClock) -> None:
    """A peer that takes nine seconds for each head, and nearly a minute between them, is served on."""
    async with opened(root, OPTIONS) as site, trio.open_nursery() as nursery:
        peer = connect(site, nursery)
        for _ in range(5):
            await peer.say(GET[:5])
            await trio.sleep(9)
            await peer.say(GET[5:])
            assert read_answer(await peer.hear()).body == TEN
            await trio.sleep(59)
        await peer.end()


async def test_every_pipelined_request_has_its_own_time(root: Path, autojump_clock: MockClock) -> None:
    """The time for a head begins with its first octet, also where that came with the request before it."""
    async with opened(root, OPTIONS) as site, trio.open_nursery() as nursery:
        peer = connect(site, nursery)
        await peer.say(GET[:5])
        for _ in range(5):
            await trio.sleep(9)
            await peer.say(GET[5:] + GET[:5])
            assert read_answer(await peer.hear()).status == 200
        await trio.sleep(9)
        await peer.say(GET[5:])
        assert read_answer(await peer.hear()).status == 200
        await peer.end()


async def test_a_reader_that_stalls(root: Path, autojump_clock: MockClock) -> None:
    """A reply without progress is broken off with a reset: the peer cannot take it for whole."""
    log = Recorder()
    (root / "large.bin").write_bytes(BIG * 4)
    async with on_a_socket(root, access_log=log) as (client, site):
        await client.send_all(request("/large.bin"))
        await no_connections(site)
        assert 30 <= trio.current_time() <= 30 + 2 * SLACK
        with pytest.raises(trio.BrokenResourceError) as broken:
            await hear_all(client)
        assert isinstance(broken.value.__cause__, ConnectionResetError)
    assert [record[1:3] for record in log.records] == [("GET", 200)]
    assert log.records[0][3] < len(BIG) * 4


async def test_a_reader_that_is_slow(root: Path, autojump_clock: MockClock) -> None:
    """A reply that makes some progress every now and then is never cut, however long it takes."""
    (root / "large.bin").write_bytes(BIG * 2)
    async with on_a_socket(root) as (client, _):
        await client.send_all(request("/large.bin", "Connection: close"))
        heard = bytearray()
        while data := await client.receive_some(64 * 1024):
            heard += data
            await trio.sleep(20)
        assert read_answer(bytes(heard)).body == BIG * 2
        assert trio.current_time() > 2 * TIMEOUTS.write


async def test_a_reader_that_trickles(root: Path, autojump_clock: MockClock) -> None:
    """A peer that takes a few octets a second, to hold its connection for ever, is cut, too."""
    (root / "large.bin").write_bytes(BIG * 2)
    async with on_a_socket(root) as (client, site), trio.open_nursery() as nursery:
        await client.send_all(request("/large.bin"))
        nursery.start_soon(trickle, client)
        await no_connections(site)
        assert 30 <= trio.current_time() <= 300
        nursery.cancel_scope.cancel()


async def trickle(client: trio.SocketStream) -> None:
    for _ in range(1000):
        await client.receive_some(10)
        await trio.sleep(1)


async def test_a_stream_whose_reader_stalls(root: Path, autojump_clock: MockClock) -> None:
    """On a stream of any other kind, too: it is closed."""
    async with opened(root, OPTIONS) as site, trio.open_nursery() as nursery:
        ours, theirs = lockstep_stream_pair()
        nursery.start_soon(serve_connection, theirs, site)
        await ours.send_all(request("/big.bin"))
        await ours.receive_some(1)
        await no_connections(site)
        assert 30 <= trio.current_time() <= 30 + 2 * SLACK


async def test_a_stream_whose_reader_is_slow(root: Path, autojump_clock: MockClock) -> None:
    """And there, too, progress is what counts, not the time that a large piece takes as a whole."""
    async with opened(root, OPTIONS) as site, trio.open_nursery() as nursery:
        ours, theirs = lockstep_stream_pair()
        nursery.start_soon(serve_connection, theirs, site)
        await ours.send_all(request("/big.bin", "Connection: close"))
        heard = bytearray()
        while data := await ours.receive_some(64 * 1024):
            heard += data
            await trio.sleep(10)
        assert read_answer(bytes(heard)).body == BIG


class Full(trio.abc.Stream):
    """A stream that has taken everything so far and takes no more: nobody reads at its other end."""

    def __init__(self, received: bytes) -> None:
        self._received = received
        self.closed = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        received, self._received = self._received, b""
        return received

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        await trio.sleep_forever()

    async def aclose(self) -> None:
        self.closed = True
        await trio.lowlevel.checkpoint()


async def test_a_reply_that_waits_for_room(root: Path, autojump_clock: MockClock) -> None:
    """Beyond the memory for read-ahead a chunk is read once its socket takes some of it, and not for ever is
    that waited for either.
    """
    options = Options(timeouts=TIMEOUTS, files=FileOptions(read_ahead_memory=1))
    stream = Full(request("/big.bin"))
    async with opened(root, options) as site:
        with trio.move_on_after(100):
            await serve_connection(stream, site)
    assert stream.closed
    assert 30 <= trio.current_time() <= 30 + SLACK
