"""Conversations: keep-alive, pipelining, bodies, refusals, and how each ends."""

import socket
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import memory_stream_pair

from tests.compiled import replaces_a_method
from tests.conftest import BIG, INDEX, TEN
from tests.serving.answers import read_answer, read_answers
from tests.serving.conversations import Recorder, connect, hear_all, opened, request, talk
from trio_evserver.http1.limits import Limits
from trio_evserver.serving.attendants import converse
from trio_evserver.serving.exchange import Exchange
from trio_evserver.serving.options import Options
from trio_evserver.serving.readiness import TrioReadiness
from trio_evserver.serving.server import serve_connection
from trio_evserver.serving.socket_transport import SocketTransport

GET = request()
CHUNKED = "Transfer-Encoding: chunked"


async def test_keep_alive(root: Path) -> None:
    """Request after request is answered on one connection, which stays open until the peer ends it."""
    async with opened(root) as site, trio.open_nursery() as nursery:
        peer = connect(site, nursery)
        for target, content in (("/ten.txt", TEN), ("/", INDEX), ("/big.bin", BIG), ("/ten.txt", TEN)):
            await peer.say(request(target))
            data = await peer.hear()
            assert read_answer(data).body == content
            assert not peer.closed
        await peer.end()
        assert (await peer.hear(), peer.closed) == (b"", True)


async def test_pipelining(root: Path) -> None:
    """A hundred requests at once are answered in their order, more than one turn of the event loop takes."""
    targets = ["/ten.txt", "/nothing", "/", "/big.bin", "/docs"] * 20
    async with opened(root) as site:
        answers = read_answers(await talk(site, b"".join(map(request, targets))))
    assert [answer.status for answer in answers] == [200, 404, 200, 200, 301] * 20
    assert [answer.body for answer in answers[::5]] == [TEN] * 20
    assert [answer.body for answer in answers[3::5]] == [BIG] * 20


async def test_a_burst_lets_others_have_a_turn(root: Path) -> None:
    """While a thousand pipelined requests are answered from memory, another connection gets its answer."""
    async with opened(root) as site, trio.open_nursery() as nursery:
        await talk(site, GET)
        greedy_ours, greedy_theirs = memory_stream_pair()
        ours, theirs = memory_stream_pair()
        await greedy_ours.send_all(GET * 1000)
        await ours.send_all(GET)
        nursery.start_soon(serve_connection, greedy_theirs, site)
        nursery.start_soon(serve_connection, theirs, site)
        assert read_answer(bytes(await ours.receive_some())).body == TEN
        assert 0 < site.statistics().responses[200] < 500
        nursery.cancel_scope.cancel()


PERSISTENCE = [
    ("1.1", None, None, "the default of HTTP/1.1, which goes without saying"),
    ("1.1", "keep-alive", None, "nothing new to HTTP/1.1"),
    ("1.1", "close", "close", "the client's wish"),
    ("1.1", "Keep-Alive, Close", "close", "close decides, in any case and any list"),
    ("1.1", "upgrade", None, "an option that means nothing here"),
    ("1.0", None, "close", "the default of HTTP/1.0"),
    ("1.0", "keep-alive", "keep-alive", "asked for, and confirmed, as HTTP/1.0 needs"),
    ("1.0", "close", "close", "the default, said"),
]


@pytest.mark.parametrize(("version", "asked", "said", "why"), PERSISTENCE)
async def test_persistence(root: Path, version: str, asked: str | None, said: str | None, why: str) -> None:
    """RFC 9112 §9.3: who says what, and whether the connection takes another request."""
    fields = [] if asked is None else [f"Connection: {asked}"]
    async with opened(root) as site, trio.open_nursery() as nursery:
        peer = connect(site, nursery)
        await peer.say(request("/ten.txt", *fields, version=version) + GET)
        data = await peer.hear()
        answers = read_answers(data)
        assert answers[0].fields.get("Connection") == said, why
        assert [answer.body for answer in answers] == [TEN] * (1 if said == "close" else 2), why
        assert peer.closed is (said == "close"), why
        await peer.end()


@pytest.mark.parametrize("target", ["/ten.txt", "/big.bin", "/empty.txt", "/nothing", "/docs", "/..", "/%zz"])
async def test_head(root: Path, target: str) -> None:
    """HEAD is answered with the head of GET, octet for octet, and nothing after it."""
    async with opened(root) as site:
        got = read_answer(await talk(site, request(target)))
        asked = await talk(site, request(target, method="HEAD"))
    assert asked == got.head


async def test_head_has_no_range(root: Path) -> None:
    """RFC 9110 §14.2: Range is for GET alone; a HEAD with one is answered as one without."""
    async with opened(root) as site:
        plain = await talk(site, request(method="HEAD"))
        assert await talk(site, request("/ten.txt", "Range: bytes=0-3", method="HEAD")) == plain


@pytest.mark.parametrize(
    ("target", "status"),
    [("*", 204), ("/", 204), ("/ten.txt", 204), ("/nothing", 204), ("/%00", 400), ("/..", 404), ("x", 400)],
)
async def test_options(root: Path, target: str, status: int) -> None:
    """OPTIONS tells the methods, of the server and of each path; a 204 has no Content-Length."""
    async with opened(root) as site:
        answer = read_answer(await talk(site, request(target, method="OPTIONS")))
    assert answer.status == status
    assert answer.fields.get("Allow") == ("GET, HEAD, OPTIONS" if status == 204 else None)


METHODS = [
    ("POST", "/ten.txt", 405), ("PUT", "/ten.txt", 405), ("DELETE", "/ten.txt", 405), ("PATCH", "/", 405),
    ("TRACE", "/", 405), ("CONNECT", "example.org:80", 405), ("BREW", "/pot", 501), ("get", "/ten.txt", 501),
    ("GETS", "/", 501),
]  # fmt: skip


@pytest.mark.parametrize(("method", "target", "status"), METHODS)
async def test_other_methods(root: Path, method: str, target: str, status: int) -> None:
    """405 with Allow for what HTTP knows, 501 for what it does not; without a body the connection goes on."""
    async with opened(root) as site:
        answers = read_answers(await talk(site, request(target, method=method) + GET))
    assert [answer.status for answer in answers] == [status, 200]
    assert answers[0].fields.get("Allow") == ("GET, HEAD, OPTIONS" if status == 405 else None)


LATE_BODIES = [
    ("GET", "Expect: 100-continue", b"100 200 200", "the body is asked for, and read"),
    ("GET", "Expect: 100-Continue", b"100 200 200", "in any case"),
    ("OPTIONS", "Expect: 100-continue", b"100 204 200", "of any method that is served"),
    ("POST", "Expect: 100-continue", b"405", "the final answer at once: the body is not wanted"),
    ("BREW", "Expect: 100-continue", b"501", "the same for an unknown method"),
    ("GET", "Expect: 200-ok", b"417", "an unknown expectation"),
    ("GET", "Expect: 100-continue, more", b"417", "one unknown among known ones"),
]


@pytest.mark.parametrize("framing", ["Content-Length: 4", CHUNKED])
@pytest.mark.parametrize(("method", "expect", "statuses", "why"), LATE_BODIES)
async def test_expect(root: Path, framing: str, method: str, expect: str, statuses: bytes, why: str) -> None:
    """RFC 9110 §10.1.1, for a client that waits: it hears 100 or the final answer before it sends a body."""
    body = b"4\r\nbody\r\n0\r\n\r\n" if framing == CHUNKED else b"body"
    async with opened(root) as site, trio.open_nursery() as nursery:
        peer = connect(site, nursery)
        await peer.say(request("/ten.txt", expect, framing, method=method))
        first = await peer.hear()
        assert first.startswith(b"HTTP/1.1 " + statuses[:3]), why
        await peer.say(body + GET)
        await peer.end()
        rest = await peer.hear()
        answers = read_answers(first + rest, method)
        assert b" ".join(b"%d" % answer.status for answer in answers) == statuses, why
        assert peer.closed


async def test_expect_with_the_body(root: Path) -> None:
    """Where the body is there already, no 100 is sent; nor to HTTP/1.0, which knows none."""
    expecting = request("/ten.txt", "Expect: 100-continue", "Content-Length: 4", body=b"body")
    old = request(
        "/ten.txt", "Expect: x", "Content-Length: 4", "Connection: keep-alive", version="1.0", body=b"body"
    )
    async with opened(root) as site:
        answers = read_answers(await talk(site, expecting + old))
    assert [answer.status for answer in answers] == [200, 200]


BODIES = [
    (["Content-Length: 10"], b"0123456789", "a length"),
    (["Content-Length: 0"], b"", "a length of nothing"),
    ([CHUNKED], b"0\r\n\r\n", "chunks, none of them"),
    ([CHUNKED], b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", "chunks and an extension"),
    ([CHUNKED], b"1\r\na\r\n0\r\nExpect: x\r\nRange: bytes=0-0\r\n\r\n", "trailers are no fields"),
    (
        ["Content-Length: 36"],
        b"GET /nothing HTTP/1.1\r\nHost: evil\r\n\r",
        "a body that looks like a request",
    ),
]


@pytest.mark.parametrize("cut", ["whole", "single octets"])
@pytest.mark.parametrize(("fields", "body", "why"), BODIES)
async def test_bodies(root: Path, fields: list[str], body: bytes, why: str, cut: str) -> None:
    """A request's body is read and thrown away, exactly; what follows it is the next request."""
    data = request("/ten.txt", *fields, body=body) + request("/")
    pieces = [data] if cut == "whole" else [data[i : i + 1] for i in range(len(data))]
    async with opened(root) as site:
        answers = read_answers(await talk(site, *pieces))
    assert [answer.body for answer in answers] == [TEN, INDEX], why


def head(*lines: str) -> bytes:
    """A head of these lines, each as it is."""
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


LINE, HOST = "GET /ten.txt HTTP/1.1", "Host: h"
REFUSED = [
    (b"GET /ten.txt HTTP/1.1\nHost: h\n\n", 400, "bare LF, RFC 9112 §2.2"),
    (b"GET /ten.txt HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", 400, "bare CR, RFC 9112 §2.2"),
    (head(LINE, HOST, "X: y", " folded"), 400, "obs-fold, RFC 9112 §5.2"),
    (head(LINE, HOST, "X : y"), 400, "a blank before the colon, RFC 9112 §5.1"),
    (head(LINE, " X: y", HOST), 400, "a blank before the first field line, RFC 9112 §2.2"),
    (head(LINE, HOST, "no colon"), 400, "no field line, RFC 9112 §5"),
    (head(LINE, HOST, ": y"), 400, "no field name, RFC 9112 §5"),
    (head(LINE, HOST, "X: a\x00b"), 400, "NUL, RFC 9110 §5.5"),
    (head(LINE, HOST, "X: a\x1bb"), 400, "a control character, RFC 9110 §5.5"),
    (head(LINE), 400, "no Host, RFC 9112 §3.2"),
    (head(LINE, HOST, HOST), 400, "two of Host, RFC 9112 §3.2"),
    (head(LINE, "Host: a/b"), 400, "a Host that is none, RFC 9112 §3.2"),
    (head(LINE, "Host: user@h"), 400, "user information in Host, RFC 9110 §7.2"),
    (head("GET  /ten.txt HTTP/1.1", HOST), 400, "two blanks, RFC 9112 §3"),
    (head("GET /ten txt HTTP/1.1", HOST), 400, "a blank in the target, RFC 9112 §3.2"),
    (head("GET /ten.txt", HOST), 400, "HTTP/0.9 with fields, RFC 9112 §3"),
    (head("G(T /ten.txt HTTP/1.1", HOST), 400, "a method that is no token, RFC 9110 §9.1"),
    (head("GET ten.txt HTTP/1.1", HOST), 400, "no form of target, RFC 9112 §3.2"),
    (head("GET * HTTP/1.1", HOST), 400, "the asterisk of a method other than OPTIONS, RFC 9112 §3.2.4"),
    (head("GET /\xff HTTP/1.1", HOST), 400, "not ASCII, RFC 9112 §3.2"),
    (head("GET /ten.txt HTTP/2.0", HOST), 505, "another major version, RFC 9110 §15.6.6"),
    (head("GET /ten.txt http/1.1", HOST), 400, "the name is case-sensitive, RFC 9112 §2.3"),
    (head(LINE, HOST, "Content-Length: 1, 1"), 400, "a list of lengths, RFC 9110 §8.6"),
    (head(LINE, HOST, "Content-Length: 1", "Content-Length: 1"), 400, "doubled, RFC 9110 §8.6"),
    (head(LINE, HOST, "Content-Length: +1"), 400, "a sign, RFC 9110 §8.6"),
    (head(LINE, HOST, "Content-Length: 1_0"), 400, "what int() takes, RFC 9110 §8.6"),
    (head(LINE, HOST, "Content-Length:"), 400, "an empty length, RFC 9110 §8.6"),
    (head(LINE, HOST, "Content-Length: 4", CHUNKED), 400, "both framings, RFC 9112 §6.1"),
    (head(LINE, HOST, "Transfer-Encoding: gzip"), 501, "an unknown coding, RFC 9112 §6.1"),
    (head(LINE, HOST, "Transfer-Encoding: chunked, gzip"), 400, "chunked is not final, RFC 9112 §6.3"),
    (head(LINE, HOST, "Transfer-Encoding: chunked, chunked"), 400, "chunked twice, RFC 9112 §6.1"),
    (head("GET / HTTP/1.0", CHUNKED), 400, "chunked in HTTP/1.0, RFC 9112 §6.1"),
    (request("/", CHUNKED, body=b"0x1\r\na\r\n0\r\n\r\n"), 400, "0x, RFC 9112 §7.1"),
    (request("/", CHUNKED, body=b"1\na\r\n0\r\n\r\n"), 400, "a bare LF after a size, RFC 9112 §7.1"),
    (request("/", CHUNKED, body=b"1\r\nabc\r\n0\r\n\r\n"), 400, "more data than said, RFC 9112 §7.1"),
    (request("/", CHUNKED, body=b"-1\r\n\r\n"), 400, "a sign, RFC 9112 §7.1"),
    (request("/", CHUNKED, body=b"0\r\nX : y\r\n\r\n"), 400, "a malformed trailer, RFC 9112 §7.1.2"),
    (request("/", CHUNKED, body=b"0\r\nHost: x\r\n\r\n"), 400, "a trailer that would route, RFC 9110 §6.5.1"),
    (b"\r\n\r\n" + GET, 400, "more than one empty line, RFC 9112 §2.2"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 400, "TLS"),
    (request("/" + "a" * 300), 414, "a line beyond the limit, RFC 9110 §15.5.15"),
    (request("/", "X: " + "a" * 1000), 431, "a head beyond the limit, RFC 6585 §5"),
    (request("/", *["X: y"] * 20), 431, "too many fields, RFC 6585 §5"),
    (request("/", "Content-Length: 101"), 413, "a body beyond the limit, RFC 9110 §15.5.14"),
    (request("/", CHUNKED, body=b"65\r\n"), 413, "a chunk beyond the limit, RFC 9110 §15.5.14"),
    (request("/", CHUNKED, body=b"1;" + b"x" * 300), 413, "a chunk extension without end"),
]
SMALL = Options(limits=Limits(line=256, head=1024, fields=16, body=100))


@pytest.mark.parametrize(
    ("data", "status", "why"), REFUSED, ids=[why.replace("\u00a7", "") for _, _, why in REFUSED]
)
async def test_refused(root: Path, data: bytes, status: int, why: str) -> None:
    """What breaks the protocol or a limit gets its status, after the answers before it, and then nothing
    more: what follows is not looked at, and the connection is closed.
    """
    async with opened(root, SMALL) as site, trio.open_nursery() as nursery:
        peer = connect(site, nursery)
        await peer.say(GET + data, GET, GET)
        heard = await peer.hear()
        answers = read_answers(heard)
        assert [answer.status for answer in answers] == [200, status]
        assert answers[1].fields["Connection"] == "close"
        assert answers[1].fields["Cache-Control"] == "no-store"
        await peer.end()
        assert (await peer.hear(), peer.closed) == (b"", True)


HALF_CLOSED = [
    (GET, [200], "one request"),
    (GET * 40, [200] * 40, "pipelined ones"),
    (request("/big.bin") * 2, [200, 200], "replies that take a while"),
    (GET + b"GET / HT", [200, 400], "a head that stays incomplete, RFC 9112 §8"),
    (GET + request("/", "Content-Length: 9", body=b"123"), [200, 400], "a body that does, RFC 9112 §8"),
    (GET + request("/", CHUNKED, body=b"3\r\nabc\r\n"), [200, 400], "chunks without the last, RFC 9112 §8"),
    (request("/", "Content-Length: 9", "Expect: 100-continue"), [100, 400], "a body that never comes"),
    (b"", [], "nothing at all"),
    (GET + b"\r\n", [200], "an empty line too many, RFC 9112 §2.2"),
]


@pytest.mark.parametrize(("data", "statuses", "why"), HALF_CLOSED)
async def test_half_closed(root: Path, data: bytes, statuses: list[int], why: str) -> None:
    """The end of what the peer sends is not the end of what it is sent."""
    async with opened(root) as site, trio.open_nursery() as nursery:
        peer = connect(site, nursery)
        await peer.say(data)
        await peer.end()
        heard = await peer.hear()
        assert [answer.status for answer in read_answers(heard)] == statuses, why
        assert peer.closed
        assert site.connections == 0


async def test_a_refused_body_is_lingered_over(root: Path) -> None:
    """The answer to a refused POST is there before the body is, and what the peer is still sending is taken
    (here not more than a MiB) before the connection is closed.
    """
    piece = b"x" * 64 * 1024
    patient = Options(limits=Limits(body=10_000_000))
    async with opened(root, patient) as site, trio.open_nursery() as nursery:
        peer = connect(site, nursery)
        await peer.say(request("/", "Content-Length: 9999999", method="POST"))
        data = await peer.hear()
        answer = read_answer(data)
        assert (answer.status, answer.fields["Connection"], peer.closed) == (
            405,
            "close",
            True,
        )  # it has said all
        await peer.say(*[piece] * 15)
        assert site.connections == 1
        await peer.say(piece)
        assert site.connections == 0


async def test_every_answer_is_recorded(root: Path) -> None:
    """The access log and the statistics have every answer: its request where there was one, what was sent."""
    log = Recorder()
    data = (
        request("/ten.txt") + request("/big.bin", method="HEAD") + request("/big.bin") + request("/nothing")
    )
    async with opened(root, access_log=log) as site:
        answers = read_answers(await talk(site, data + b"nonsense\r\n\r\n"), "GET", "HEAD")
        statistics = site.statistics()
    assert log.records == [
        (None, "GET", 200, 10),
        (None, "HEAD", 200, 0),
        (None, "GET", 200, len(BIG)),
        (None, "GET", 404, len(answers[3].body)),
        (None, None, 400, len(answers[4].body)),
    ]
    assert statistics.responses == {200: 3, 404: 1, 400: 1}
    assert statistics.sent == sum(len(answer.body) for answer in answers)
    assert (statistics.connections, statistics.accepted, statistics.lost) == (0, 1, 0)
    assert statistics.held == statistics.reads.in_flight == 0


async def test_a_peer_that_leaves_is_counted(root: Path) -> None:
    """A peer that is gone before its answer is no fault of ours: counted, recorded, not logged."""
    log = Recorder()
    async with opened(root, access_log=log) as site:
        ours, theirs = memory_stream_pair()
        await ours.send_all(GET)
        await ours.aclose()
        await serve_connection(theirs, site)
        assert site.statistics().lost == 1
        assert site.connections == 0
    assert [record[1:3] for record in log.records] == [("GET", 200)]


@replaces_a_method
@pytest.mark.parametrize("broken", ["answer_nowait", "_answer_with"])
async def test_a_bug_ends_its_connection_only(
    root: Path, broken: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception that nobody foresaw is logged with its traceback, and the others are served on."""

    def bug(self: Exchange, request: object, moment: int = 0) -> None:
        raise RuntimeError("a bug")

    async with opened(root) as site, trio.open_nursery() as nursery:
        other = connect(site, nursery)
        with monkeypatch.context() as patch:
            patch.setattr(Exchange, broken, bug)
            assert await talk(site, request("/nothing")) == b""
        await other.say(GET)
        data = await other.hear()
        assert (read_answer(data).status, other.closed) == (200, False)
        await other.end()
    assert [record.getMessage() for record in caplog.records] == ["a connection failed"]
    assert "RuntimeError: a bug" in caplog.text


class Obstinate(trio.abc.Stream):
    """A stream that cannot be closed without an error."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._stream.aclose()
        raise OSError("cannot close")


async def test_a_stream_that_cannot_be_closed(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An error of the close itself does not leave the connection either, which no more counts."""
    async with opened(root) as site:
        ours, theirs = memory_stream_pair()
        await ours.send_all(GET)
        await ours.send_eof()
        await serve_connection(Obstinate(theirs), site)
        assert site.connections == 0
    assert [record.getMessage() for record in caplog.records] == ["a connection could not be closed"]


class Noting(socket.socket):
    """A socket that notes whether more was to come after each send."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__(fileno=connected.detach())
        self.setblocking(False)
        self.more: list[bool] = []

    def send(self, data: Any, flags: int = 0) -> int:
        self.more.append(bool(flags & socket.MSG_MORE))
        return super().send(data, flags)


@pytest.mark.skipif(not hasattr(socket, "MSG_MORE"), reason="only Linux can wait for the end")
@pytest.mark.parametrize(
    ("said", "more"),
    [
        (request() + request("/ten.txt", "Connection: close"), [False, True]),
        (request() * 2 + request("/nothing", "Connection: close"), [False, False, True]),
        (request("/ten.txt", "Transfer-Encoding: nonsense"), [True]),
    ],
    ids=["a file", "an error", "a refusal"],
)
async def test_the_last_answer_travels_with_the_end(root: Path, said: bytes, more: list[bool]) -> None:
    """Only the last answer waits for what comes next, which is the end of the connection."""
    ours, theirs = socket.socketpair()
    async with opened(root) as site, trio.SocketStream(trio.socket.from_stdlib_socket(ours)) as client:
        connected = Noting(theirs)
        await client.send_all(said)
        await client.send_eof()
        site.connection_began()
        await converse(SocketTransport(connected, TrioReadiness(connected)), site)
        assert len(read_answers(await hear_all(client))) == len(more)
        assert connected.more == more
