"""What heads are read as, and which refusal each bad one deserves; however they arrive."""

from http import HTTPStatus

import pytest

from tests.http1.feeding import TAIL, outcomes, ways
from trio_evserver.http1 import request_head
from trio_evserver.http1.connection import Event
from trio_evserver.http1.errors import RemoteProtocolError
from trio_evserver.http1.framing import NO_BODY
from trio_evserver.http1.limits import Limits
from trio_evserver.http1.request_head import parse_head
from trio_evserver.semantics.message import Request

LIMITS = Limits()

BAD, TOO_LONG, TOO_LARGE, VERSION = (HTTPStatus(status) for status in (400, 414, 431, 505))

REFUSED = [
    # head, status, reason, section
    (b"GET / HTTP/1.1\nHost: a\n\n", BAD, "LF alone ends lines", "9112 §2.2"),
    (b"GET / HTTP/1.1\r\nHost: a\n\r\n", BAD, "LF alone ends a field line", "9112 §2.2"),
    (b"GET / HTTP/1.1\r\nHost: a\r\n\n", BAD, "LF alone ends the head", "9112 §2.2"),
    (b"GET / HTTP/1.1\rHost: a\r\n\r\n", BAD, "bare CR", "9112 §2.2"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", BAD, "bare CR in a field value", "9112 §2.2"),
    (b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", BAD, "CR CR LF", "9112 §2.2"),
    (b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, "LF before the request line", "9112 §2.2"),
    (b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, "two empty lines first", "9112 §2.2"),
    (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, "blank before the method", "9112 §3"),
    (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, "two blanks", "9112 §3"),
    (b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", BAD, "tab for a blank", "9112 §3"),
    (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", BAD, "blank after the version", "9112 §3"),
    (b"GET /\r\n\r\n", BAD, "no version (HTTP/0.9)", "9112 §3"),
    (b"GET\r\n\r\n", BAD, "method only", "9112 §3"),
    (b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, "method no token", "9110 §9.1"),
    (b"G\x80T / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, "obs-text in the method", "9110 §9.1"),
    (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", BAD, "blank in the target", "9112 §3.2"),
    (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", BAD, "fragment", "9112 §3.2"),
    (b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", BAD, "NUL in the target", "9112 §3.2"),
    (b"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", BAD, "DEL in the target", "9112 §3.2"),
    (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", BAD, "obs-text in the target", "9112 §3.2"),
    (b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", BAD, "none of the forms", "9112 §3.2"),
    (b"GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", BAD, "query without a path", "9112 §3.2.1"),
    (b"GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n", BAD, "user information", "9110 §4.2.4"),
    (b"GET http:///x HTTP/1.1\r\nHost: b\r\n\r\n", BAD, "empty host", "9110 §4.2.1"),
    (b"GET http:/x HTTP/1.1\r\nHost: b\r\n\r\n", BAD, "no authority", "9112 §3.2.2"),
    (b"GET ftp://b/x HTTP/1.1\r\nHost: b\r\n\r\n", BAD, "another scheme", "9112 §3.2.2"),
    (b"GET http://b/ HTTP/1.1\r\n\r\n", BAD, "absolute-form without Host", "9112 §3.2"),
    (b"GET http://b/ HTTP/1.1\r\nHost: \r\n\r\n", BAD, "absolute-form, empty Host", "9112 §3.2"),
    (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", BAD, "asterisk without OPTIONS", "9112 §3.2.4"),
    (b"OPTIONS *?a HTTP/1.1\r\nHost: a\r\n\r\n", BAD, "asterisk and query", "9112 §3.2.4"),
    (b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", BAD, "authority without CONNECT", "9112 §3.2.3"),
    (b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, "CONNECT with origin-form", "9112 §3.2.3"),
    (b"CONNECT http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", BAD, "CONNECT with absolute-form", "9112 §3.2.3"),
    (b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", BAD, "CONNECT without a port", "9110 §9.3.6"),
    (b"CONNECT a: HTTP/1.1\r\nHost: a\r\n\r\n", BAD, "CONNECT with an empty port", "9110 §9.3.6"),
    (b"GET / http/1.1\r\nHost: a\r\n\r\n", BAD, "version in lower case", "9112 §2.3"),
    (b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", BAD, "two minor digits", "9112 §2.3"),
    (b"GET / HTTP/11.1\r\nHost: a\r\n\r\n", BAD, "two major digits", "9112 §2.3"),
    (b"GET / HTTP/1\r\nHost: a\r\n\r\n", BAD, "no minor version", "9112 §2.3"),
    (b"GET / HTTP/1,1\r\nHost: a\r\n\r\n", BAD, "comma for a dot", "9112 §2.3"),
    (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", VERSION, "major version 2", "9110 §15.6.6"),
    (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", VERSION, "major version 0", "9110 §15.6.6"),
    (b"PRI * HTTP/2.0\r\n\r\n", VERSION, "the preface of HTTP/2", "9113 §3.4"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", BAD, "obs-fold", "9112 §5.2"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\t\r\n\r\n", BAD, "obs-fold of a tab", "9112 §5.2"),
    (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", BAD, "blank before the first field", "9112 §2.2"),
    (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", BAD, "blank before the colon", "9112 §5.1"),
    (b"GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", BAD, "tab before the colon", "9112 §5.1"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", BAD, "no colon", "9112 §5"),
    (b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", BAD, "empty field name", "9110 §5.1"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX(: b\r\n\r\n", BAD, "field name no token", "9110 §5.1"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX\x00: b\r\n\r\n", BAD, "NUL in a field name", "9110 §5.1"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX\xe9: b\r\n\r\n", BAD, "obs-text in a field name", "9110 §5.1"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", BAD, "NUL in a field value", "9110 §5.5"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[0m\r\n\r\n", BAD, "ESC in a field value", "9110 §5.5"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", BAD, "DEL in a field value", "9110 §5.5"),
    (b"GET / HTTP/1.1\r\n\r\n", BAD, "no Host", "9112 §3.2"),
    (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", BAD, "empty Host", "9110 §4.2.1"),
    (b"GET / HTTP/1.0\r\nHost:\r\n\r\n", BAD, "empty Host in 1.0", "9110 §4.2.1"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", BAD, "two Hosts", "9112 §3.2"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHOST: a\r\n\r\n", BAD, "two equal Hosts", "9112 §3.2"),
    (b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", BAD, "two Hosts in 1.0", "9112 §3.2"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost:\r\n\r\n", BAD, "two Hosts, one empty", "9112 §3.2"),
    (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", BAD, "blank in Host", "9110 §7.2"),
    (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", BAD, "slash in Host", "9110 §7.2"),
    (b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", BAD, "user information in Host", "9110 §7.2"),
    (b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", BAD, "port no number", "9110 §7.2"),
    (b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", BAD, "open bracket", "3986 §3.2.2"),
]


@pytest.mark.parametrize(
    ("head", "status"), [row[:2] for row in REFUSED], ids=[f"{row[3]}: {row[2]}" for row in REFUSED]
)
def test_refused(head: bytes, status: HTTPStatus) -> None:
    """A bad head gets its status however it arrives, and nothing that follows it is read."""
    for pieces in ways(head):
        assert outcomes(pieces, LIMITS) == [status], pieces
    for pieces in ways(head + TAIL):
        assert outcomes(pieces, LIMITS) == [status], pieces


def _request(line: bytes, host: bytes | None = b"a") -> tuple[bytes, dict[bytes, bytes]]:
    """A head of a request line and Host, and the fields it has."""
    if host is None:
        return line + b"\r\n\r\n", {}
    return line + b"\r\nHost: " + host + b"\r\n\r\n", {b"host": host}


V0, V1 = b"HTTP/1.0", b"HTTP/1.1"

ACCEPTED = [
    # request line, Host, (method, target, path, query, host, version), reason
    (b"GET / HTTP/1.1", b"a", (b"GET", b"/", b"/", None, b"a", V1), "9112 §3.2.1"),
    (b"GET /x?y=/?&z HTTP/1.1", b"a", (b"GET", b"/x?y=/?&z", b"/x", b"y=/?&z", b"a", V1), "first ? only"),
    (b"GET /x? HTTP/1.1", b"a", (b"GET", b"/x?", b"/x", b"", b"a", V1), "an empty query is one"),
    (b"GET //e/.. HTTP/1.1", b"a", (b"GET", b"//e/..", b"//e/..", None, b"a", V1), "9112 §3.2.1"),
    (b'GET /"<>[]|%zz HTTP/1.1', b"a", (b"GET", b'/"<>[]|%zz', b'/"<>[]|%zz', None, b"a", V1), "VCHAR"),
    (b"get / HTTP/1.1", b"a", (b"get", b"/", b"/", None, b"a", V1), "methods have case, 9110 §9.1"),
    (b"!#$%&'*+-.^_`|~0aZ / HTTP/1.1", b"a", (b"!#$%&'*+-.^_`|~0aZ", b"/", b"/", None, b"a", V1), "token"),
    (b"GET / HTTP/1.9", b"a", (b"GET", b"/", b"/", None, b"a", V1), "9110 §2.5"),
    (b"GET / HTTP/1.0", None, (b"GET", b"/", b"/", None, b"", V0), "1.0 needs no Host"),
    (b"GET / HTTP/1.0", b"a", (b"GET", b"/", b"/", None, b"a", V0), "1.0 may have one"),
    (b"GET http://b:80/x?y HTTP/1.1", b"a", (b"GET", b"http://b:80/x?y", b"/x", b"y", b"b:80", V1), "§3.2.2"),
    (b"GET HTTPS://b HTTP/1.1", b"a", (b"GET", b"HTTPS://b", b"/", None, b"b", V1), "9110 §4.2.3"),
    (b"GET http://b?q HTTP/1.1", b"a", (b"GET", b"http://b?q", b"/", b"q", b"b", V1), "path empty, query"),
    (b"GET http://b/ HTTP/1.0", None, (b"GET", b"http://b/", b"/", None, b"b", V0), "in 1.0 too"),
    (b"OPTIONS * HTTP/1.1", b"a", (b"OPTIONS", b"*", b"*", None, b"a", V1), "9112 §3.2.4"),
    (b"OPTIONS /x HTTP/1.1", b"a", (b"OPTIONS", b"/x", b"/x", None, b"a", V1), "9112 §3.2.1"),
    (b"CONNECT b:443 HTTP/1.1", b"a", (b"CONNECT", b"b:443", b"", None, b"b:443", V1), "9112 §3.2.3"),
    (b"CONNECT [::1]:1 HTTP/1.1", b"a", (b"CONNECT", b"[::1]:1", b"", None, b"[::1]:1", V1), "9112 §3.2.3"),
]


@pytest.mark.parametrize(
    ("line", "host", "parts"),
    [row[:3] for row in ACCEPTED],
    ids=[f"{row[0]!r}, {row[3]}" for row in ACCEPTED],
)
def test_accepted(
    line: bytes, host: bytes | None, parts: tuple[bytes, bytes, bytes, bytes | None, bytes, bytes]
) -> None:
    """A good head is read as the same request however it arrives, and the one behind it too."""
    head, fields = _request(line, host)
    expected = Request(*parts, fields)
    for pieces in ways(head):
        assert outcomes(pieces, LIMITS) == [expected, Event.CLOSED], pieces
    tail = Request(b"GET", b"/tail", b"/tail", None, b"tail", V1, {b"host": b"tail"})
    followers = [tail] if parts[5] == V1 else []  # HTTP/1.0 does not persist
    for pieces in ways(head + TAIL):
        assert outcomes(pieces, LIMITS) == [expected, *followers, Event.CLOSED], pieces


FIELDS = [
    (b"X: a\r\n", {b"x": b"a"}, "names have no case, 9110 §5.1"),
    (b"X:a\r\n", {b"x": b"a"}, "OWS may be nothing"),
    (b"X: \t a b\tc \t\r\n", {b"x": b"a b\tc"}, "OWS is no part of the value, 9112 §5.1"),
    (b"X:\r\n", {b"x": b""}, "an empty value"),
    (b"X: \t \r\n", {b"x": b""}, "a value of OWS alone is empty"),
    (b"X: a:b: c\r\n", {b"x": b"a:b: c"}, "the first colon ends the name"),
    (b"X: \xe9\xff\r\n", {b"x": b"\xe9\xff"}, "obs-text, 9110 §5.5"),
    (b"X: a\r\nY: b\r\nx:c \r\n", {b"x": b"a, c", b"y": b"b"}, "in order, 9110 §5.3"),
    (b"X: \r\nX: a\r\n", {b"x": b", a"}, "empty members stay"),
]


@pytest.mark.parametrize(("lines", "fields"), [row[:2] for row in FIELDS], ids=[row[2] for row in FIELDS])
def test_fields(lines: bytes, fields: dict[bytes, bytes]) -> None:
    """Field lines become a mapping of lower-case names to values without OWS, repeats combined."""
    request, framing = parse_head(b"GET / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n", LIMITS)
    assert request.fields == {b"host": b"a", **fields}
    assert framing is NO_BODY


SMALL = Limits(line=20, head=60, fields=2, body=10)

OVER = [
    (b"GET /23456 HTTP/1.1\r\nHost: a\r\n\r\n", None, "19 octets of request line"),
    (b"GET /234567 HTTP/1.1\r\nHost: a\r\n\r\n", None, "20: the limit, CRLF not counted"),
    (b"GET /2345678 HTTP/1.1\r\nHost: a\r\n\r\n", TOO_LONG, "21, 9112 §3"),
    (b"GET /" + b"x" * 300, TOO_LONG, "a request line without an end"),
    (b"x" * 15 + b"\n" + b"x" * 300, BAD, "the bare LF comes before the limit"),
    (b"x" * 30 + b"\n" + b"x" * 300, TOO_LONG, "the bare LF comes after the limit"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 28 + b"\r\n\r\n", None, "60 octets of head: the limit"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 29 + b"\r\n\r\n", TOO_LARGE, "61, 6585 §5"),
    (b"GET / HTTP/1.1\r\nX: " + b"x" * 90, TOO_LARGE, "a head without an end"),
    (
        b"\r\nGET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 28 + b"\r\n\r\n",
        None,
        "the empty line does not count",
    ),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40 + b"\n\r\n\r\n", TOO_LARGE, "over before the bare LF"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA:\r\n\r\n", None, "two field lines: the limit"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA:\r\nB:\r\n\r\n", TOO_LARGE, "three, 6585 §5"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA:\r\nA:\r\n\r\n", TOO_LARGE, "of one name too"),
]


@pytest.mark.parametrize(("head", "status"), [row[:2] for row in OVER], ids=[row[2] for row in OVER])
def test_limits(head: bytes, status: HTTPStatus | None) -> None:
    """Each limit holds exactly, and before the head is complete."""
    for pieces in [*ways(head), *ways(head + TAIL)]:
        first = outcomes(pieces, SMALL)[0]
        assert isinstance(first, Request) if status is None else first == status, pieces


def test_head_without_its_end() -> None:
    """Octets that do not end in an empty line are no head, even to a caller that says so."""
    with pytest.raises(RemoteProtocolError) as refused:
        parse_head(b"GET / HTTP/1.1\r\nHost: a\r\n", LIMITS)
    assert refused.value.status == BAD


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: " + b"a%" * 16000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: [" + b"1:" * 16000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b" " * 32000 + b"\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"\t " * 16000 + b"x\r\n\r\n",
        b"A" * 8000 + b" " + b"/?" * 4000 + b" HTTP/1.1\r\n" + b"a:\r\n" * 8000 + b"\r\n",
        b"GET http://" + b"a?" * 4000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    ids=lambda head: repr(head[:24]),
)
def test_adversarial_sizes(head: bytes) -> None:
    """Inputs that make a backtracking matcher quadratic or worse are decided, not hung on."""
    big = Limits(line=10**6, head=10**6, fields=10**5)
    assert len(outcomes([head], big)) in (1, 2)


def test_hosts_that_are_remembered() -> None:
    """A host that was well-formed is again; of hosts that anyone makes up few are kept, and no long ones."""
    for number in range(1000):
        parse_head(b"GET / HTTP/1.1\r\nHost: h%d\r\n\r\n" % number, Limits())
        assert len(request_head._hosts) <= 64
    for host in (b"h999", b"h999", b"h" * 65):
        request, _ = parse_head(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host, Limits())
        assert request.host == host
    assert b"h" * 65 not in request_head._hosts
    assert b"h999" in request_head._hosts
