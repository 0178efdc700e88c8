"""Requests smuggled in the body or behind the framing of another: each conversation has exactly the answers
that one reading of RFC 9112 gives it, and no second reading.
"""

from pathlib import Path

import pytest

from tests.amplification.counting import SMALL, counted_site, make, talk
from tests.serving.answers import read_answers
from tests.serving.conversations import request

HIDDEN = request("/small")
"""What the attacker wants to be answered as a request of its own."""

CL, TE = "Content-Length", "Transfer-Encoding: chunked"
ROWS = [
    (request("/", f"{CL}: {len(HIDDEN)}", body=HIDDEN), [404], "in a body of exactly its length"),
    (request("/", f"{CL}: 0", TE, body=b"0\r\n\r\n" + HIDDEN), [400], "CL.TE"),
    (request("/", TE, f"{CL}: 5", body=b"0\r\n\r\n" + HIDDEN), [400], "TE.CL"),
    (request("/", TE, TE, body=b"0\r\n\r\n" + HIDDEN), [400], "TE.TE"),
    (request("/", "Transfer-Encoding: xchunked", body=b"0\r\n\r\n" + HIDDEN), [501], "a coding that is none"),
    (
        request("/", "Transfer-Encoding : chunked", body=b"0\r\n\r\n" + HIDDEN),
        [400],
        "a blank before the colon",
    ),
    (request("/", "Transfer-Encoding:\x0bchunked", body=b"0\r\n\r\n" + HIDDEN), [400], "a vertical tab"),
    (request("/", "X: y", " " + TE, body=b"0\r\n\r\n" + HIDDEN), [400], "in a folded line"),
    (request("/", f"{CL}: 5", f"{CL}: 0", body=HIDDEN), [400], "two lengths"),
    (request("/", f"{CL}: 0, 0", body=HIDDEN), [400], "a list of lengths"),
    (request("/", f"{CL}: 0x0", body=HIDDEN), [400], "a length that is no number"),
    (request("/", f"{CL}: 00", body=HIDDEN), [404, 200], "zeros before it: nothing is hidden"),
    (request("/", TE, version="1.0", body=b"0\r\n\r\n" + HIDDEN), [400], "coded in HTTP/1.0"),
    (request("/", TE, body=b"0;" + b"a" * 20 + b"\n\r\n" + HIDDEN), [400], "a bare LF ends the chunk line"),
    (request("/", TE, body=b"1\r\naXX0\r\n\r\n" + HIDDEN), [400], "anything after the chunk's data"),
    (request("/", TE, body=b"0\r\nContent-Length: 5\r\n\r\n" + HIDDEN), [400], "framing in the trailers"),
    (request("/", TE, body=b"fffffffffffffffff\r\n" + HIDDEN), [400], "a size that overflows"),
    (b"GET / HTTP/1.1\r\nHost: h\r\n\rX: y\r\n\r\n" + HIDDEN, [400], "a bare CR in the head"),
    (b"GET / HTTP/1.1\nHost: h\n\n" + HIDDEN, [400], "bare LF"),
    (request("/", "Connection: close") + HIDDEN, [404], "behind the last request"),
    (request("/", f"{CL}: 5", method="POST", body=b"abc") + HIDDEN, [405], "behind a refused request"),
    (
        request("/", "Upgrade: h2c", "Connection: upgrade") + HIDDEN,
        [404, 200],
        "no upgrade: it is plain to see",
    ),
    (request("/", "Expect: 100-continue", f"{CL}: {len(HIDDEN)}", body=HIDDEN), [404], "in an expected body"),
]


@pytest.mark.parametrize(("said", "statuses", "why"), ROWS, ids=[row[2] for row in ROWS])
async def test_smuggling(tmp_path: Path, said: bytes, statuses: list[int], why: str) -> None:
    """These answers in this order, and the hidden request's content only where the request is not hidden."""
    async with counted_site(make(tmp_path / "site")) as (site, _):
        answers = read_answers(await talk(site, said))
    found = [answer.status for answer in answers if answer.status >= 200]
    assert found == statuses, why
    assert [answer.body for answer in answers].count(SMALL) == statuses.count(200), why
