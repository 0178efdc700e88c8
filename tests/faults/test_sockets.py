"""The n-th call on a socket fails, for every n: what a client hears is the beginning of the honest answers,
and if it is not all of them the connection has ended; nothing is lost, and the next client hears all.
"""

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
import trio

from tests.faults.failing_sockets import SHORT, Calls, Listening, failing_sockets, name_of
from tests.files.making import descriptors
from tests.serving.answers import read_answer, read_answers
from tests.serving.conversations import NOW, connect_small, request
from trio_evserver.files.options import FileOptions
from trio_evserver.serving import hub as hub_module
from trio_evserver.serving import listener as listener_module
from trio_evserver.serving.admission import AcceptQueue
from trio_evserver.serving.listener import accept_sockets
from trio_evserver.serving.open_site import open_site
from trio_evserver.serving.options import Options
from trio_evserver.serving.site import Site


class Fault(NamedTuple):
    """The call that fails, and how; whether nobody notices; what the log says of it; why it is so."""

    call: str
    code: int
    unnoticed: bool
    logged: str
    why: str


PAUSE = "cannot accept connections for now"
FAULTS = [
    Fault("accept", errno.ECONNABORTED, True, "", "somebody else was gone before he was accepted"),
    Fault("accept", errno.EPROTO, True, "", "the same, on other systems"),
    Fault("accept", errno.EPERM, True, "", "a firewall did not like somebody else"),
    Fault("accept", errno.EINTR, True, PAUSE, "Python tries again by itself (PEP 475): it cannot come"),
    Fault("accept", errno.EMFILE, True, PAUSE, "it stays in the kernel's queue until there is room"),
    Fault("accept", errno.ENFILE, True, PAUSE, "the same"),
    Fault("accept", errno.ENOBUFS, True, PAUSE, "the same"),
    Fault("accept", errno.ENOMEM, True, PAUSE, "the same"),
    Fault("accept", errno.EAGAIN, True, "", "somebody else was faster: the next one is waited for"),
    Fault("accept", errno.EIO, True, PAUSE, "what no manual page knows is waited for, too, and not span on"),
    Fault("setblocking", errno.EINVAL, False, PAUSE, "a connection that would block everybody is not taken"),
    Fault("setblocking", errno.ENOMEM, False, PAUSE, "the same"),
    Fault("epoll_ctl", errno.ENOMEM, False, PAUSE, "one that cannot be watched would never wake"),
    Fault("epoll_ctl", errno.ENOSPC, False, PAUSE, "the same, by fs.epoll.max_user_watches"),
    Fault("epoll_wait", errno.EIO, True, "cannot ask", "what has changed is told the next time"),
    Fault("epoll_wait", errno.EINTR, True, "cannot ask", "Python tries again by itself: it cannot come"),
    Fault("recv", errno.ECONNRESET, False, "", "the client is gone"),
    Fault("recv", errno.ETIMEDOUT, False, "", "the way to it is"),
    Fault("recv", errno.ENOMEM, False, "", "what was sent is lost to us: the conversation cannot go on"),
    Fault("recv", errno.EIO, False, "", "the same"),
    Fault("recv", errno.EINTR, False, "", "Python tries again by itself: it cannot come"),
    Fault("recv", errno.EAGAIN, True, "", "told readable, and was not: it is waited for"),
    Fault("recv", SHORT, True, "", "the rest comes with the next"),
    *(
        Fault(call, code, False, "", "how much was sent is not known: nothing may follow")
        for call in ("send", "sendmsg")
        for code in (errno.EPIPE, errno.ECONNRESET, errno.ENOBUFS, errno.ENOMEM, errno.EACCES, errno.EINTR)
    ),
    *(
        Fault(call, code, True, "", "the rest follows when there is room")
        for call in ("send", "sendmsg")
        for code in (SHORT, errno.EAGAIN)
    ),
    Fault("poll of the listener", errno.ENOMEM, True, "", "nobody waits, as far as is known"),
    Fault("poll", errno.ENOMEM, False, "", "whether there is room is not known: refused, or cut"),
    Fault(
        "ioctl", errno.EIO, True, "", "what has reached the client is then guessed by what the kernel took"
    ),
    Fault("shutdown", errno.ENOTCONN, True, "", "the client was gone: nothing is lingered for"),
    Fault("close", errno.EIO, True, "a connection could not be closed", "closed it is, whatever it says"),
]
"""setsockopt and getsockopt are asked in places of their own: see the end of this module."""
HUB_ONLY = ("epoll_ctl", "epoll_wait")
ROWS = [
    pytest.param(fault, use_hub, id=f"{fault.call} {name_of(fault.code)}, {'hub' if use_hub else 'no hub'}")
    for fault in FAULTS
    for use_hub in (True, False)
    if use_hub or fault.call not in HUB_ONLY
]
TIMES = 25  # enough for all calls but those of a client that happens to read in very small pieces

LARGE = b"".join(b"%08d" % number for number in range(20_000))
SMALL = b"small"
# One after the other: streamed; in memory; refused, with what the client still says read before the end.
CONVERSATION = (
    request("/large") + request("/small") + request("/small", "Content-Length: 3", method="POST", body=b"abc")
)
CHUNK = 32 * 1024
OPTIONS = {
    "hot": Options(files=FileOptions(chunk_size=CHUNK, cache_size=8 * 1024 * 1024)),
    # Room for one connection; every read in a worker, and none ahead: a chunk when the socket has room.
    "scarce": Options(
        max_connections=1,
        files=FileOptions(chunk_size=CHUNK, cache_size=64 * 1024, cached_reads=False, read_ahead_memory=1),
    ),
}


@asynccontextmanager
async def serving(
    root: Path, listener: Listening, *, use_hub: bool, options: Options = OPTIONS["hot"]
) -> AsyncIterator[Site]:
    """A site behind a real listening socket."""
    for name, content in (("large", LARGE), ("small", SMALL)):
        (root / name).write_bytes(content)
    async with (
        open_site(root, options, use_hub=use_hub, clock=lambda: NOW) as site,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(accept_sockets, listener, site, nursery)
        with trio.fail_after(60):
            yield site
        nursery.cancel_scope.cancel()


async def hear(listener: Listening, said: bytes = CONVERSATION) -> bytes:
    """What a client hears until the connection ends, however that is."""
    async with await connect_small(listener) as client:
        heard = b""
        with suppress(trio.BrokenResourceError):
            await client.send_all(said)
            while data := await client.receive_some():
                heard += data
        return heard


async def at_rest(site: Site) -> None:
    """Until nothing is under way: no connection, no token of a worker, no byte of the read-ahead's memory."""
    with trio.fail_after(10):
        while site.connections or site.statistics().reads.in_flight:
            await trio.lowlevel.checkpoint()
    assert site.statistics().held == 0


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """The calls of the server's sockets; and pauses that take no time worth speaking of."""
    for module in (listener_module, hub_module):
        monkeypatch.setattr(module, "_PAUSE", 0.001)
    return failing_sockets(monkeypatch)


@pytest.mark.parametrize("way", OPTIONS)
@pytest.mark.parametrize(("fault", "use_hub"), ROWS)
async def test_the_nth_call_fails(
    tmp_path: Path, calls: Calls, caplog: pytest.LogCaptureFixture, fault: Fault, way: str, use_hub: bool
) -> None:
    """Never a wrong byte, no descriptor, no token, no memory lost; the server answers the next client."""
    with Listening(calls) as listener:
        async with serving(tmp_path, listener, use_hub=use_hub, options=OPTIONS[way]) as site:
            honest = await hear(listener)
            answers = read_answers(honest)
            assert [(answer.status, answer.body) for answer in answers[:2]] == [(200, LARGE), (200, SMALL)]
            await at_rest(site)
            assert await hear(listener) == honest  # once more: both files are known by now
            await at_rest(site)
            before, ever_fired = descriptors(), False
            for n in range(1, TIMES + 1):
                calls.arm(fault.call, fault.code, n)
                heard = await hear(listener)
                await at_rest(site)
                fired = calls.fired
                ever_fired |= fired
                calls.disarm()
                check(heard, honest, fault, f"call {n}: {fault.why}")
                assert descriptors() == before, f"call {n}"
                assert await hear(listener) == honest, f"after call {n}"
                await at_rest(site)
                if not fired:
                    break
    assert [record for record in caplog.records if not record.getMessage().startswith(ALLOWED)] == []
    told = any(record.getMessage().startswith(fault.logged) for record in caplog.records)
    assert told or not (fault.logged and ever_fired)


async def test_the_faults_have_reached_every_call(tmp_path: Path, calls: Calls) -> None:
    """Between them the two ways make each of the calls, so that no row is about nothing."""
    seen: set[str] = set()
    calls.is_short = lambda call: bool(seen.add(call))  # type: ignore[func-returns-value, method-assign]  # notes it
    for options in OPTIONS.values():
        with Listening(calls) as listener:
            async with serving(tmp_path, listener, use_hub=True, options=options) as site:
                await hear(listener)
                await at_rest(site)
    assert {fault.call for fault in FAULTS} - seen == set()


ALLOWED = (
    PAUSE,
    "accepting again",
    "cannot ask",
    "a connection could not be closed",
    "a reply was broken off",
    "503 Service Unavailable",
)
"""What the log may say; never that something failed which nobody had thought of."""


def check(heard: bytes, honest: bytes, fault: Fault, where: str) -> None:
    if fault.unnoticed:
        assert heard == honest, where
    elif not honest.startswith(heard):  # nothing had been sent, and there was another answer to give
        answers = read_answers(heard)
        assert answers[0].status == 503, where
        assert all(answer.status != 200 or answer.body in (LARGE, SMALL) for answer in answers), where


@pytest.mark.parametrize("use_hub", [True, False], ids=["hub", "no hub"])
async def test_byte_by_byte(tmp_path: Path, calls: Calls, use_hub: bool) -> None:
    """A socket that takes one byte at a time, and brings one at a time, only takes longer."""
    said = request("/small", "Connection: close")
    with Listening(calls) as listener:
        async with serving(tmp_path, listener, use_hub=use_hub) as site:
            calls.is_short = lambda call: call in ("recv", "send", "sendmsg")  # type: ignore[method-assign]  # always
            assert read_answer(await hear(listener, said)).body == SMALL
            await at_rest(site)


TURNED_AWAY = [
    ("getsockopt", errno.EINVAL, 200, "how long it has waited is not known: it is served"),
    ("setblocking", errno.EINVAL, 0, "nothing may block: it is closed without a word"),
    ("recv", errno.ECONNRESET, 503, "what it said does not matter"),
    ("recv", errno.ENOMEM, 503, "the same"),
    ("send", errno.EPIPE, 0, "it does not hear the answer"),
    ("send", errno.ENOBUFS, 0, "the same"),
    ("close", errno.EIO, 503, "closed it is, whatever it says"),
]


@pytest.mark.parametrize(("call", "code", "status", "why"), TURNED_AWAY)
async def test_turning_away(
    tmp_path: Path,
    calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    call: str,
    code: int,
    status: int,
    why: str,
) -> None:
    """A connection that waited too long is refused at the door, and no failure in that goes further."""
    monkeypatch.setattr(AcceptQueue, "is_persistent", property(lambda queue: True))
    if call != "getsockopt":
        monkeypatch.setattr(listener_module, "has_waited_too_long", lambda connected: True)
    said = request("/small", "Connection: close")
    with Listening(calls) as listener:
        async with serving(tmp_path, listener, use_hub=True) as site:
            before = descriptors()
            calls.arm(call, code, 1)
            heard = await hear(listener, said)
            assert calls.fired
            calls.disarm()
            assert (read_answer(heard).status if heard else 0) == status, why
            await at_rest(site)
            if status != 200:  # which has filled the cache
                assert descriptors() == before
            monkeypatch.setattr(listener_module, "has_waited_too_long", lambda connected: False)
            assert read_answer(await hear(listener, said)).body == SMALL


async def test_a_reset_that_fails(tmp_path: Path, calls: Calls, caplog: pytest.LogCaptureFixture) -> None:
    """A reply that is broken off asks for a reset (SO_LINGER); where that fails it is closed, and short."""
    with Listening(calls) as listener:
        async with serving(tmp_path, listener, use_hub=True, options=OPTIONS["scarce"]) as site:
            honest = await hear(listener)
            await at_rest(site)
            before = descriptors()
            calls.arm("setsockopt", errno.EINVAL, 1)
            async with await connect_small(listener) as client:
                await client.send_all(CONVERSATION)
                heard = bytes(await client.receive_some())
                (tmp_path / "large").write_bytes(b"")  # cut short while it is sent
                with suppress(trio.BrokenResourceError):
                    while data := await client.receive_some():
                        heard += data
            assert calls.fired
            assert honest.startswith(heard)
            assert len(heard) < len(LARGE)
            await at_rest(site)
            assert {name for name in descriptors() - before if "large" not in name} == set()
    assert ["a reply was broken off" in record.getMessage() for record in caplog.records] == [True]
