"""Everything that we accept and another parser does not read as the same request, with the reason.

The table is the contract of the differential fuzzer: what is not in it is a bug, ours or theirs.
"""

from collections.abc import Callable
from typing import NamedTuple

from trio_evserver.semantics.message import Request


class Stop(NamedTuple):
    """`peer` stops at the request for which `applies(request, stream)`, or behind it if `behind`.

    `example` is a stream that shows it.
    """

    peer: str
    applies: Callable[[Request, bytes], bool]
    behind: bool
    reason: str
    example: bytes


LLHTTP_METHODS = frozenset(
    b"DELETE GET HEAD POST PUT CONNECT OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK "
    b"BIND REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PATCH "
    b"PURGE MKCALENDAR LINK UNLINK QUERY".split()
)


def _line(request: Request) -> bytes:
    return request.method + b" " + request.target + b" HTTP/1."


def _behind_empty_line(request: Request, stream: bytes) -> bool:
    """An empty line stands before this request: it follows CRLF and not the end of a head or of chunks."""
    line = b"\r\n" + _line(request)
    if stream.startswith(line) or b"\r\n\r\n" + line in stream:
        return True
    return line in stream and b"\r\n" + line not in stream


def _minor_above_1(request: Request, stream: bytes) -> bool:
    return any(_line(request) + b"%d\r\n" % minor in stream for minor in range(2, 10))


STOPS = [
    Stop(
        "h11",
        _behind_empty_line,
        False,
        "h11 refuses an empty line before a request line; RFC 9112 §2.2: a server SHOULD ignore one.",
        b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    Stop(
        "h11",
        lambda request, _: request.version == b"HTTP/1.0",
        True,
        "h11 closes after every HTTP/1.0 request; RFC 9112 §9.3 lets it persist if asked to.",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" * 2,
    ),
    Stop(
        "llhttp",
        lambda request, _: request.method not in LLHTTP_METHODS,
        False,
        "llhttp knows a list of methods; RFC 9110 §9.1: any token is one, answered with 501 if unknown.",
        b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    Stop(
        "llhttp",
        lambda request, _: request.method == b"CONNECT" or b"upgrade" in request.fields,
        True,
        "llhttp leaves what follows CONNECT or Upgrade to its caller; here neither is ever granted, so that "
        "the next request follows (RFC 9110 §7.8: a server MAY ignore Upgrade).",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    Stop(
        "llhttp",
        lambda _, stream: b"\r\nproxy-connection:" in stream.lower(),  # in a head or among trailers
        True,
        "llhttp takes Proxy-Connection for Connection; it is no field of HTTP (RFC 9112 appendix C.2.2).",
        b"GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\n\r\n" * 2,
    ),
    Stop(
        "llhttp",
        _minor_above_1,
        False,
        "llhttp refuses minor versions above 1; RFC 9110 §2.5: they are processed as the highest one known.",
        b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    ),
]

LOWERED = {"h11": {b"transfer-encoding"}}
"""Fields whose value a peer hands out in lower case: the names of codings have no case (RFC 9112 §7)."""
