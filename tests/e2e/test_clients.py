"""Real clients: curl, http.client and llhttp (httptools) make of our octets what they should."""

import email.utils
import http.client
import time
from pathlib import Path

import httptools
import pytest
import trio

from tests.conftest import BIG, INDEX, LONG_AGO, SECRET, TEN
from tests.e2e.clients import LOOPBACK, address, ask, curl, running
from tests.serving.answers import read_answer
from tests.serving.conversations import hear_all, request
from trio_evserver.http1.limits import Limits
from trio_evserver.serving.options import Options
from trio_evserver.serving.server import Server

LARGE = Options(bind=("127.0.0.1",), port=0, limits=Limits(body=2**22))


def url(server: Server, target: str = "/ten.txt") -> str:
    return server.urls[0].rstrip("/") + target


async def test_curl_gets(root: Path) -> None:
    """curl gets files of every kind, over one connection, which it is let keep."""
    async with running(root) as server:
        urls = [url(server, target) for target in ("/ten.txt", "/big.bin", "/", "/empty.txt")]
        said = await curl("--write-out", "%{stderr}%{http_code}", *urls)
        assert said == TEN + BIG + INDEX
        connects = await curl("--output", "/dev/null", "--output", "/dev/null", "--write-out",
                              "%{num_connects} ", *urls[:2])  # fmt: skip
        assert connects == b"1 0 "
        assert await curl("--http1.0", urls[0]) == TEN


async def test_curl_asks_for_parts(root: Path) -> None:
    """Ranges, a resumed download, and a condition."""
    async with running(root) as server:
        assert await curl("--range", "2-4", url(server)) == b"234"
        assert await curl("--continue-at", "7", url(server)) == b"789"
        later = email.utils.formatdate(LONG_AGO + 60)
        code = await curl("--time-cond", later, "--write-out", "%{http_code}", url(server))
        assert code == b"304"


async def test_curl_heads(root: Path) -> None:
    """--head shows the length and fetches nothing."""
    async with running(root) as server:
        said = await curl("--head", "--write-out", "%{size_download}", url(server, "/big.bin"))
    assert b"Content-Length: 400000\r\n" in said
    assert said.endswith(b"\r\n\r\n0")


async def test_curl_follows(root: Path) -> None:
    """A directory without its slash is redirected to on this very host."""
    async with running(root) as server:
        said = await curl("--location", "--write-out", "%{url_effective}", url(server, "/docs"))
        assert said == INDEX + url(server, "/docs/").encode()


@pytest.mark.parametrize("target", ["/../outside.txt", "/docs/../../outside.txt", "/%2e%2e/outside.txt"])
async def test_curl_does_not_get_out(root: Path, target: str) -> None:
    """Paths sent as they are lead nowhere."""
    async with running(root) as server:
        said = await curl("--path-as-is", "--write-out", "%{http_code}", url(server, target))
    assert said.endswith(b"404")
    assert SECRET not in said


@pytest.mark.parametrize(
    "arguments", [(), ("--header", "Expect:"), ("--header", "Transfer-Encoding: chunked")]
)
async def test_curl_posts(root: Path, arguments: tuple[str, ...]) -> None:
    """A MiB that nobody wants: curl reads its 405, whether it waits for 100, does not, or sends chunks."""
    async with running(root, LARGE) as server:
        said = await curl(
            *arguments, "--data-binary", "@-", "--write-out", "%{http_code}", url(server), data=b"x" * 2**20
        )
    assert said.endswith(b"405")
    assert b"<h1>405 " in said


async def test_a_body_is_sent_in_spite_of_the_answer(root: Path) -> None:
    """A client that does not look until it has sent its whole MiB reads its 405 whole: no reset takes it."""
    async with running(root, LARGE) as server, await trio.open_tcp_stream(*address(server)) as client:
        await client.send_all(request("/", f"Content-Length: {2**20}", method="POST"))
        await client.send_all(b"x" * 2**20)
        answer = read_answer(await hear_all(client))
    assert answer.status == 405
    assert b"<h1>405 " in answer.body


async def test_http_client_keeps_alive(root: Path) -> None:
    """Requests of all kinds over one connection of http.client, bodies among them."""

    def visit() -> list[tuple[int, int]]:
        host, port = address(server)
        connection = http.client.HTTPConnection(host, port, timeout=30)
        seen = []
        for method, target, body, chunked in (
            ("GET", "/ten.txt", None, False),
            ("HEAD", "/big.bin", None, False),
            ("GET", "/big.bin", b"body", False),
            ("OPTIONS", "/", [b"chunk", b"ed"], True),
            ("GET", "/nothing", None, False),
            ("DELETE", "/ten.txt", None, False),
            ("GET", "/", None, False),
        ):
            connection.request(method, target, body, encode_chunked=chunked,
                               headers={"Transfer-Encoding": "chunked"} if chunked else {})  # fmt: skip
            response = connection.getresponse()
            seen.append((response.status, len(response.read())))
            assert connection.sock is not None
        connection.close()
        return seen

    async with running(root) as server:
        seen = await trio.to_thread.run_sync(visit)
        assert server.statistics().accepted == 1
    assert [status for status, _ in seen] == [200, 200, 200, 204, 404, 405, 200]
    assert [size for _, size in seen][:4] == [10, 0, len(BIG), 0]


class Heard:
    """What llhttp tells about a response."""

    def __init__(self) -> None:
        self.status = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.complete = False

    def on_status(self, status: bytes) -> None:
        self.status += status

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [("/ten.txt", 200, TEN), ("/big.bin", 200, BIG), ("/empty.txt", 200, b""), ("/nothing", 404, None)],
)
async def test_llhttp_reads_us(root: Path, target: str, status: int, body: bytes | None) -> None:
    """llhttp, strict, reads each answer as one whole message."""
    async with running(root) as server, await trio.open_tcp_stream(*address(server)) as client:
        await client.send_all(request(target, "Connection: close"))
        heard = Heard()
        parser = httptools.HttpResponseParser(heard)
        parser.feed_data(await hear_all(client))
    assert heard.complete
    assert parser.get_status_code() == status
    assert not parser.should_keep_alive()
    assert body is None or heard.body == body


async def test_the_date(root: Path) -> None:
    """Date is now, as an IMF-fixdate, on every answer."""
    async with running(root) as server:
        for target in ("/ten.txt", "/nothing", "/docs"):
            before = int(time.time())
            date = (await ask(server, target)).fields["Date"]
            parsed = email.utils.parsedate_to_datetime(date)
            assert before <= parsed.timestamp() <= time.time()
            assert email.utils.format_datetime(parsed, usegmt=True) == date


async def test_many_at_once(root: Path) -> None:
    """A hundred clients at a time get what they asked for, each."""
    async with running(root) as server, trio.open_nursery() as nursery:

        async def visit(number: int) -> None:
            target, content = (("/ten.txt", TEN), ("/big.bin", BIG), ("/", INDEX))[number % 3]
            async with await trio.open_tcp_stream(*address(server)) as client:
                await client.send_all(request(target, "Connection: close"))
                assert (await hear_all(client)).partition(b"\r\n\r\n")[2] == content

        for number in range(100):
            nursery.start_soon(visit, number)


async def test_redirects_stay_here(root: Path) -> None:
    """No target makes a Location that a browser could take for another host."""
    targets = ["//evil.example/..", "/\\evil.example", "//evil.example", "/docs/..//evil.example", "///docs",
               "/%2f/docs", "//docs", "/.//docs", "/%5c/docs", "http://evil.example//docs"]  # fmt: skip
    async with running(root, LOOPBACK) as server:
        for target in targets:
            reply = await ask(server, target)
            assert "Location" not in reply.fields, target
            assert reply.status == 404, target
