"""Ranges and conditional requests where others got them wrong, asked by http.client over a real socket."""

import email.utils
import os
import re
import time
from pathlib import Path

import pytest

from tests.conftest import BIG, LONG_AGO, TEN
from tests.e2e.clients import Reply, ask, running, settled

MODIFIED = email.utils.formatdate(LONG_AGO, usegmt=True)
BEFORE = email.utils.formatdate(LONG_AGO - 1, usegmt=True)
AFTER = email.utils.formatdate(LONG_AGO + 1, usegmt=True)
ETAG = f'"{LONG_AGO * 10**9:x}-a"'

SINGLE = [
    ("bytes=0-0", 206, "0", "one octet, the first"),
    ("bytes=9-9", 206, "9", "one octet, the last"),
    ("bytes=-1", 206, "9", "the last one, counted from the end"),
    ("bytes=-5", 206, "56789", "the last five"),
    ("bytes=-99", 206, "0123456789", "more than there are: the whole"),
    ("bytes=0-", 206, "0123456789", "from the first on"),
    ("bytes=2-4", 206, "234", "some"),
    ("bytes=2-99", 206, "23456789", "an end beyond the end"),
    ("bytes=2-18446744073709551615", 206, "23456789", "the end as some clients write it"),
    ("BYTES=2-4", 206, "234", "the unit in any case"),
    ("bytes=0-1,1-2", 206, "012", "two that overlap are one"),
    ("bytes=0-1,2-3", 206, "0123", "two that touch are one"),
    ("bytes=5-6,20-30", 206, "56", "one satisfiable, one not"),
    ("bytes=-0", 416, None, "none of the last octets"),
    ("bytes=10-", 416, None, "from the end on"),
    ("bytes=10-12,20-", 416, None, "nothing that is there"),
    ("bytes=4-2", 200, None, "an end before its begin is malformed"),
    ("bytes=", 200, None, "no range"),
    ("bytes=a-b", 200, None, "no numbers"),
    ("bytes=1", 200, None, "no hyphen"),
    ("octets=0-1", 200, None, "another unit"),
    ("bytes=0-8,0-8", 200, None, "more octets than there are"),
    ("bytes=" + ",".join(f"{i % 10}-{i % 10}" for i in range(300)), 200, None, "hundreds"),
    ("bytes=" + "9" * 5000 + "-", 200, None, "a number that is an attack"),
]


@pytest.mark.parametrize(("value", "status", "body", "why"), SINGLE, ids=[row[3] for row in SINGLE])
async def test_single_ranges(root: Path, value: str, status: int, body: str | None, why: str) -> None:
    """One part, described in the head; 416 with the size; or the whole, where the field is to be ignored."""
    async with running(root) as server:
        await settled(server, "/ten.txt")
        reply = await ask(server, "/ten.txt", {"Range": value})
    assert reply.status == status, why
    if status == 206 and body is not None:
        assert reply.body == body.encode()
        first = TEN.index(reply.body)
        assert reply.fields["Content-Range"] == f"bytes {first}-{first + len(body) - 1}/10"
        assert reply.fields["ETag"] == ETAG
    elif status == 416:
        assert reply.fields["Content-Range"] == "bytes */10"
    else:
        assert reply.body == TEN
        assert "Content-Range" not in reply.fields


def parts(reply: Reply) -> list[tuple[str, bytes]]:
    """Content-Range and content of each part, read as strictly as they were to be written."""
    boundary = re.fullmatch(r"multipart/byteranges; boundary=(\w+)", reply.fields["Content-Type"])
    assert boundary
    delimiter = b"--" + boundary[1].encode()
    *between, end = (b"\r\n" + reply.body).split(b"\r\n" + delimiter)
    assert between[0] == b""
    assert end == b"--\r\n"
    found = []
    for part in between[1:]:
        match = re.fullmatch(
            rb"\r\nContent-Type: (?:text/plain; charset=utf-8|application/octet-stream)\r\n"
            rb"Content-Range: (bytes \d+-\d+/\d+)\r\n\r\n(.*)",
            part,
            re.DOTALL,
        )
        assert match, part[:200]
        found.append((match[1].decode(), match[2]))
    return found


MULTIPLE = [
    ("/ten.txt", "bytes=0-0,9-9", [("bytes 0-0/10", TEN[:1]), ("bytes 9-9/10", TEN[9:])]),
    ("/ten.txt", "bytes=7-8,1-2,50-", [("bytes 7-8/10", TEN[7:9]), ("bytes 1-2/10", TEN[1:3])]),
    (
        "/big.bin",
        "bytes=300000-300009,5-300000,-1",
        [("bytes 5-300009/400000", BIG[5:300010]), ("bytes 399999-399999/400000", BIG[-1:])],
    ),
]


@pytest.mark.parametrize(("target", "value", "expected"), MULTIPLE)
async def test_multiple_ranges(
    root: Path, target: str, value: str, expected: list[tuple[str, bytes]]
) -> None:
    """A multipart body, CRLF throughout, in the order asked for; exactly as long as the head says, which
    itself has no Content-Range.
    """
    async with running(root) as server:
        reply = await ask(server, target, {"Range": value})
    assert reply.status == 206
    assert "Content-Range" not in reply.fields
    assert int(reply.fields["Content-Length"]) == len(reply.body)
    assert parts(reply) == expected


CONDITIONS: list[tuple[dict[str, str], int, str]] = [
    ({"If-None-Match": ETAG}, 304, "the tag at hand"),
    ({"If-None-Match": f"W/{ETAG}"}, 304, "compared weakly"),
    ({"If-None-Match": f'"x", {ETAG}'}, 304, "one of several"),
    ({"If-None-Match": "*"}, 304, "any"),
    ({"If-None-Match": '"x"'}, 200, "another"),
    ({"If-None-Match": '"x"', "If-Modified-Since": MODIFIED}, 200, "the tag decides, not the date"),
    ({"If-Modified-Since": MODIFIED}, 304, "not modified since it was"),
    ({"If-Modified-Since": AFTER}, 304, "nor since later"),
    ({"If-Modified-Since": BEFORE}, 200, "but since before"),
    ({"If-Modified-Since": "yesterday"}, 200, "no date is ignored"),
    ({"If-Match": ETAG}, 200, "the tag at hand"),
    ({"If-Match": "*"}, 200, "any"),
    ({"If-Match": '"x"'}, 412, "another"),
    ({"If-Match": f"W/{ETAG}"}, 412, "compared strongly"),
    ({"If-Unmodified-Since": BEFORE}, 412, "modified since"),
    ({"If-Unmodified-Since": MODIFIED}, 200, "not modified since"),
    ({"If-Match": ETAG, "If-Unmodified-Since": BEFORE}, 200, "the tag decides, not the date"),
    ({"If-Match": '"x"', "If-None-Match": ETAG}, 412, "If-Match comes first"),
    ({"Range": "bytes=0-0", "If-Range": ETAG}, 206, "the same still"),
    ({"Range": "bytes=0-0", "If-Range": '"x"'}, 200, "another by now"),
    ({"Range": "bytes=0-0", "If-Range": f"W/{ETAG}"}, 200, "a weak tag proves nothing"),
    ({"Range": "bytes=0-0", "If-Range": MODIFIED}, 206, "the very date"),
    ({"Range": "bytes=0-0", "If-Range": AFTER}, 200, "a later date is another"),
    ({"Range": "bytes=99-", "If-Range": '"x"'}, 200, "without a match the range is not looked at"),
    ({"Range": "bytes=0-0", "If-None-Match": ETAG}, 304, "the condition comes before the range"),
    ({"Range": "bytes=99-", "If-Match": '"x"'}, 412, "also before 416"),
]


@pytest.mark.parametrize(("fields", "status", "why"), CONDITIONS)
async def test_conditions(root: Path, fields: dict[str, str], status: int, why: str) -> None:
    """The order of RFC 9110 §13.2.2, with the validators that the server itself has named."""
    async with running(root) as server:
        named = await settled(server, "/ten.txt")
        assert (named.fields["ETag"], named.fields["Last-Modified"]) == (ETAG, MODIFIED)
        reply = await ask(server, "/ten.txt", fields)
    assert reply.status == status, why
    if status == 304:
        assert (reply.body, reply.fields["ETag"], reply.fields["Cache-Control"]) == (b"", ETAG, "no-cache")
        assert not {"Content-Length", "Content-Type"} & set(reply.fields)


@pytest.mark.parametrize("modified", [0, 1])
async def test_a_time_that_means_nothing(root: Path, modified: int) -> None:
    """Image layers and reproducible builds have the time 0 or 1: the tag comes from the content."""
    os.utime(root / "ten.txt", (modified, modified))
    (root / "other.txt").write_bytes(b"9876543210")
    os.utime(root / "other.txt", (modified, modified))
    async with running(root) as server:
        reply, other = await ask(server, "/ten.txt"), await ask(server, "/other.txt")
        assert "Last-Modified" not in reply.fields
        assert reply.fields["ETag"] != other.fields["ETag"]
        assert (await ask(server, "/ten.txt", {"If-None-Match": reply.fields["ETag"]})).status == 304


async def test_a_time_in_the_future(root: Path) -> None:
    """A Last-Modified must not lie in the future (RFC 9110 §8.8.2.1); the tag does its work alone."""
    later = time.time() + 1_000_000
    os.utime(root / "ten.txt", (later, later))
    async with running(root) as server:
        reply = await ask(server, "/ten.txt")
        assert "Last-Modified" not in reply.fields
        assert (await ask(server, "/ten.txt", {"If-None-Match": reply.fields["ETag"]})).status == 304


async def test_names_with_a_hash(root: Path) -> None:
    """A name that carries a hash of the content is kept for a year; a date is no hash, HTML is never kept."""
    expected = {
        "app.3f9a1c2b.js": "public, max-age=31536000, immutable",
        "app.20240101.js": "no-cache",
        "index.3f9a1c2b.html": "no-cache",
    }
    for name in expected:
        (root / name).write_bytes(b"x")
    async with running(root) as server:
        found = {name: (await ask(server, f"/{name}")).fields["Cache-Control"] for name in expected}
    assert {name: set(value.split(", ")) - {"public"} for name, value in found.items()} == {
        name: set(value.split(", ")) - {"public"} for name, value in expected.items()
    }
