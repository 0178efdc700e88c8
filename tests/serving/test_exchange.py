"""One request becomes one response: what each resource is answered with, and what the log says about it."""

import errno
import logging
import os
from pathlib import Path

import pytest
from trio.testing import MockClock

from tests.conftest import BIG, INDEX, LONG_AGO, SECRET, TEN
from tests.serving.answers import read_answer
from tests.serving.conversations import DATE, NOW, opened, request, run_inline, talk
from trio_evserver.files.capabilities import Capabilities
from trio_evserver.files.disk import Disk
from trio_evserver.files.options import ETagSource, FileOptions
from trio_evserver.serving.open_site import open_site
from trio_evserver.serving.options import Options

MODIFIED = "Tue, 14 Nov 2023 22:13:20 GMT"  # LONG_AGO

TARGETS = [
    ("/ten.txt", 200, TEN, "a file"),
    ("/empty.txt", 200, b"", "a file without content"),
    ("/big.bin", 200, BIG, "a file larger than what is kept in memory"),
    ("/", 200, INDEX, "the index file of the root"),
    ("/docs/", 200, INDEX, "and of a directory"),
    ("/a%20b/%c3%a9%20.txt", 200, TEN, "a name that needs escapes"),
    ("/%74en.txt", 200, TEN, "an escape that nothing needs"),
    ("/ten.txt?v=1", 200, TEN, "a query changes nothing"),
    ("http://other:1/ten.txt", 200, TEN, "the absolute-form"),
    ("/link.txt", 200, TEN, "a link that stays inside"),
    ("/.well-known/security.txt", 200, TEN, "the one hidden name that is not, RFC 8615"),
    ("/nothing", 404, None, "what is not there"),
    ("/bare/", 404, None, "a directory without an index"),
    ("/ten.txt/", 404, None, "a file is no directory"),
    ("/ten.txt/x", 404, None, "and has nothing below it"),
    ("/" + "a" * 300, 404, None, "a name longer than any"),
    ("/" + "a/" * 2000, 404, None, "a path longer than any"),
    ("/.secret", 404, None, "a hidden file"),
    ("/%2esecret", 404, None, "under an escape"),
    ("/.git/config", 404, None, "a hidden directory"),
    ("/docs/.hidden", 404, None, "a hidden file further down"),
    ("/docs/.well-known/x", 404, None, "a well-known name elsewhere is a hidden one"),
    ("/out.txt", 404, None, "a link that leads out"),
    ("/absolute.txt", 404, None, "an absolute link"),
    ("/../outside.txt", 404, None, "dot segments"),
    ("/docs/../ten.txt", 404, None, "also those that stay inside"),
    ("/./ten.txt", 404, None, "one dot"),
    ("/%2e%2e/outside.txt", 404, None, "as escapes"),
    ("/.%2e/outside.txt", 404, None, "as half an escape"),
    ("/..%2foutside.txt", 404, None, "an encoded slash"),
    ("/docs%2findex.html", 404, None, "also one that would stay inside"),
    ("/..%5coutside.txt", 404, None, "an encoded backslash"),
    ("/..\\outside.txt", 404, None, "a backslash"),
    ("/%252e%252e/outside.txt", 404, None, "an escaped escape is not undone twice"),
    ("//ten.txt", 404, None, "an empty segment"),
    ("/docs//index.html", 404, None, "in the middle"),
    ("//evil.example/..", 404, None, "what another server has sent a client to"),
    ("/\\evil.example", 404, None, "the same, for browsers that turn the slash"),
    ("/%c0%ae%c0%ae/outside.txt", 404, None, "overlong UTF-8"),
    ("/%e0%80%af", 404, None, "an overlong slash"),
    ("/%ff%fe", 404, None, "no UTF-8 at all"),
    ("/%1b", 404, None, "a control character"),
    ("/%00", 400, None, "NUL"),
    ("/ten.txt%00.html", 400, None, "NUL after a name"),
    ("/%", 400, None, "half an escape"),
    ("/%zz", 400, None, "no escape"),
    ("/%2", 400, None, "an escape cut short"),
]


@pytest.mark.parametrize("openat2", [True, False])
@pytest.mark.parametrize(("target", "status", "body", "why"), TARGETS, ids=[row[3] for row in TARGETS])
async def test_targets(
    root: Path, target: str, status: int, body: bytes | None, why: str, openat2: bool
) -> None:
    """What each target is answered with, by openat2 as without it; nothing from outside is ever in it."""
    disk = Disk(Capabilities(openat2=openat2))
    async with open_site(root, disk=disk, run_sync=run_inline) as site:
        heard = await talk(site, request(target))
    disk.shutdown()
    answer = read_answer(heard)
    assert answer.status == status, why
    assert body is None or answer.body == body
    assert SECRET not in heard


async def test_nobody_learns_why(root: Path) -> None:
    """Every 404 is the same, octet for octet: what is refused cannot be told from what is not there."""
    async with opened(root) as site:
        said = {await talk(site, request(target)) for target, status, _, _ in TARGETS if status == 404}
    assert len(said) == 1


async def test_hidden_names_on_request(root: Path) -> None:
    """With `hidden` they are names like any others."""
    async with opened(root, Options(hidden=True)) as site:
        assert read_answer(await talk(site, request("/.secret"))).status == 200


REDIRECTS = [
    ("/docs", "/docs/", "a directory without its slash"),
    ("/docs?q=1&r=//x", "/docs/?q=1&r=//x", "the query stays"),
    ("/docs?", "/docs/?", "even an empty one"),
    ("/a%20b", "/a%20b/", "a name that needs escapes gets them"),
    ("/%64ocs", "/docs/", "and one that needs none does not"),
    ("http://evil.example/docs", "/docs/", "the host of the target is no part of it"),
    ("/%0d%0aX:y", None, "a line end is not there to be redirected to"),
]


@pytest.mark.parametrize(("target", "location", "why"), REDIRECTS)
async def test_redirects(root: Path, target: str, location: str | None, why: str) -> None:
    """301 to a path of this server, written by ourselves; never to another host."""
    async with opened(root) as site:
        answer = read_answer(await talk(site, request(target)))
    assert answer.status == (301 if location else 404), why
    assert answer.fields.get("Location") == location, why


async def test_the_head(root: Path) -> None:
    """All fields of an answer with content, in canonical case and in their order."""
    async with opened(root) as site:
        answer = read_answer(await talk(site, request()))
    assert answer.head.decode().split("\r\n") == [
        "HTTP/1.1 200 OK",
        f"Date: {DATE}",
        "Server: trio_evserver",
        "Content-Length: 10",
        "Content-Type: text/plain; charset=utf-8",
        "Accept-Ranges: bytes",
        f"Last-Modified: {MODIFIED}",
        f'ETag: "{LONG_AGO * 10**9:x}-a"',
        "Cache-Control: no-cache",
        "X-Content-Type-Options: nosniff",
        "",
        "",
    ]


async def test_without_a_name(root: Path) -> None:
    """The Server field can be turned off."""
    async with opened(root, Options(server_header=False)) as site:
        for data in (request(), request("/nothing"), b"nonsense\r\n\r\n"):
            assert "Server" not in read_answer(await talk(site, data)).fields


@pytest.mark.parametrize("target", ["/nothing", "/docs", "/%00", "/<script>alert(1)</script>", '/"onload=x'])
async def test_error_pages(root: Path, target: str) -> None:
    """They are short, say nothing of what was asked for, are kept by no cache and taken for nothing else."""
    async with opened(root) as site:
        answer = read_answer(await talk(site, request(target, "Referer: http://<script>")))
    assert answer.fields["Cache-Control"] == "no-store"
    assert answer.fields["X-Content-Type-Options"] == "nosniff"
    assert answer.fields["Content-Type"] == "text/html; charset=utf-8"
    assert len(answer.body) < 1500
    assert b"script" not in answer.body
    assert b"onload" not in answer.body
    assert "ETag" not in answer.fields
    assert "Last-Modified" not in answer.fields


async def test_a_single_file(root: Path) -> None:
    """It is served at the root and under its name, and nothing else is."""
    expected = {"/": 200, "/ten.txt": 200, "/ten.txt/": 404, "/index.html": 404, "/..": 404, "/docs/": 404}
    async with open_site(root / "ten.txt", run_sync=run_inline) as site:
        found = {target: read_answer(await talk(site, request(target))).status for target in expected}
    assert found == expected


async def test_etag_off(root: Path) -> None:
    """Without entity tags there is Last-Modified to ask with."""
    options = Options(files=FileOptions(etag=ETagSource.OFF))
    async with opened(root, options) as site:
        assert "ETag" not in read_answer(await talk(site, request())).fields
        conditional = request("/ten.txt", f"If-Modified-Since: {MODIFIED}")
        assert read_answer(await talk(site, conditional)).status == 304


class Failing(Disk):
    """A disk that fails to open, or to read from some offset on, in this way."""

    def __init__(self, code: int, *, reads_from: int | None = None) -> None:
        super().__init__()
        self._code = code
        self._reads_from = reads_from

    def open_beneath(self, root: int, path: bytes, *, follow: bool) -> int:
        if self._reads_from is None:
            raise OSError(self._code, os.strerror(self._code))
        return super().open_beneath(root, path, follow=follow)

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        if self._reads_from is not None and offset + length > self._reads_from:
            raise OSError(self._code, os.strerror(self._code))
        return super().read(descriptor, length, offset)


NO_CACHE = Options(files=FileOptions(cached_reads=False, chunk_size=64 * 1024))
ERRORS = [
    (errno.ENOENT, 404, False, "not there"),
    (errno.ENOTDIR, 404, False, "a file on the way"),
    (errno.ELOOP, 404, False, "links in a circle"),
    (errno.ENAMETOOLONG, 404, False, "no such name"),
    (errno.EXDEV, 404, False, "outside"),
    (errno.EACCES, 403, False, "not ours to read"),
    (errno.EPERM, 403, False, "not ours to read"),
    (errno.EMFILE, 503, True, "out of descriptors"),
    (errno.ENFILE, 503, True, "the machine, too"),
    (errno.ENOMEM, 503, True, "out of memory"),
    (errno.EIO, 500, True, "a broken disk"),
    (errno.ESTALE, 500, True, "a file server that forgot"),
]


@pytest.mark.parametrize(("code", "status", "logged", "why"), ERRORS)
async def test_errors_of_the_disk(
    root: Path, code: int, status: int, logged: bool, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One table from errno to status; what is ours to mend is in the log, not once per request, and nothing
    of it reaches the peer.
    """
    disk = Failing(code)
    async with open_site(root, NO_CACHE, disk=disk, run_sync=run_inline) as site:
        answers = [read_answer(await talk(site, request("/ten.txt"))) for _ in range(3)]
    disk.shutdown()
    assert {answer.status for answer in answers} == {status}, why
    assert answers[0].fields.get("Retry-After") == ("1" if status == 503 else None)
    assert os.strerror(code).encode() not in answers[0].body
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * logged
    assert not logged or os.strerror(code) in caplog.text


async def test_a_disk_that_fails_at_once(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While nothing is sent an honest answer is possible, and the connection goes on."""
    disk = Failing(errno.EIO, reads_from=0)
    async with open_site(root, NO_CACHE, disk=disk, run_sync=run_inline) as site:
        first = read_answer(await talk(site, request("/big.bin")))
    disk.shutdown()
    assert first.status == 500
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_a_disk_that_fails_later(
    root: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """After the head there is none: the reply ends short, and no other follows it."""
    disk = Failing(errno.EIO, reads_from=200_000)
    async with open_site(root, NO_CACHE, disk=disk, run_sync=run_inline, clock=lambda: NOW) as site:
        heard = await talk(site, request("/big.bin") + request())
        assert site.statistics().held == 0
    disk.shutdown()
    head, _, body = heard.partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(BIG) in head
    assert BIG.startswith(body)
    assert 0 < len(body) < 200_000
    assert ["a reply was broken off" in record.getMessage() for record in caplog.records] == [True]
