"""Strategies for streams of HTTP/1 that are nearly valid: that is where parsers disagree."""

from hypothesis import strategies as st

TAIL = b"GET /tail HTTP/1.1\r\nHost: tail\r\n\r\n"
"""Behind a body it witnesses where the reader saw that body end."""

_METHODS = b"GET HEAD POST PUT DELETE OPTIONS CONNECT PATCH PRI SOURCE M-SEARCH get FOO ! G(T".split()
_TARGETS = (
    b'/ /x?y=z //e/../ /% /%00 /a\\b /"<>^`{|} * *? http://b/x http://b HTTPS://b:1?q http://u@b/ http:/// '
    b"ftp://b/ b:80 [::1]:80 b: ?x /#f /\xff /\x7f"
).split(b" ")
_VERSIONS = [
    *[b"HTTP/1.1"] * 5,
    *b"HTTP/1.0 HTTP/1.2 HTTP/2.0 HTTP/0.9 HTTP/1.10 http/1.1 HTTP/1.".split(),
]
_FIELDS = [
    *(b"Host: b", b"Host:", b"Host : a", b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: 05"),
    *(b"Content-Length: +5", b"Content-Length: 5, 5", b"Content-Length : 5", b"Content-Length: 5 "),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: ChunkeD ", b"Transfer-Encoding:\x0bchunked"),
    *(b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: x"),
    *(
        b"Transfer-Encoding : chunked",
        b"Transfer_Encoding: chunked",
        b" folded",
        b"\tfolded: x",
        b"X",
        b": x",
    ),
    *(
        b"Connection: close",
        b"Connection: keep-alive",
        b"Connection: close, keep-alive",
        b"Connection: close,",
        b"Connection: Upgrade",
        b"Upgrade: h2c",
        b"X:",
        b"X: \t ",
    ),
    *(b"Expect: 100-continue", b"Trailer: A", b"X: \xe9", b"X: \x00", b"X: a\x7fb", b"x: 1", b"X: 2 \t"),
    *(
        b"Cookie: a=b; c",
        b"Keep-Alive: 5",
        b"Proxy-Connection: close",
        b"Content-Type: multipart/x; boundary=a",
    ),
]
_CHUNKS = [
    *(b"5\r\nhello\r\n", b"0\r\n", b"0\r\n\r\n", b"00\r\n\r\n", b"1;a=b\r\nx\r\n", b'1;a="\\";"\r\nx\r\n'),
    *(
        b"0x1\r\nx\r\n",
        b"1 \r\nx\r\n",
        b"1;\r\nx\r\n",
        b"1\nx\r\n",
        b"1\r\nxy\r\n",
        b"1\r\nx\n",
        b"1 ;a\r\nx\r\n",
    ),
    *(
        b"0\r\nA: b\r\n\r\n",
        b"0\r\nHost: b\r\n\r\n",
        b"0\r\nContent-Length: 3\r\n\r\n",
        b"0;a\r\n\r\n",
        b"-1\r\n",
    ),
]

# Most line ends are right, or every stream would be refused for that alone.
_LINE_ENDS = st.sampled_from([b"\r\n"] * 30 + [b"\n", b"\r", b"\r\r\n"])
_JUNK = st.binary(max_size=4)
_TOKENS = st.text("abcXYZ019-_.!~", min_size=1, max_size=8).map(str.encode)
_VALUES = st.binary(max_size=12)

methods = st.sampled_from(_METHODS) | _TOKENS
targets = st.sampled_from(_TARGETS) | st.binary(max_size=8).map(lambda rest: b"/" + rest)
fields = st.sampled_from(_FIELDS) | st.tuples(_TOKENS, _VALUES).map(b": ".join)
chunked_bodies = st.lists(st.sampled_from(_CHUNKS) | _JUNK, max_size=5).map(b"".join)
bodies = chunked_bodies | st.sampled_from([b"", b"hello", b"hell", b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n"])

_GOOD_CHUNKS = st.lists(st.sampled_from([b"5\r\nhello\r\n", b'1;a="\\"";b;c=d\r\nx\r\n']), max_size=2).map(
    b"".join
)
_LAST_CHUNKS = st.sampled_from([b"0\r\n", b"00\r\n", b"0;a\r\n"])
_TRAILERS = st.lists(fields.map(lambda line: line + b"\r\n"), max_size=3).map(b"".join)
ended_bodies = st.tuples(_GOOD_CHUNKS, _LAST_CHUNKS, _TRAILERS, st.just(b"\r\n")).map(b"".join)
"""Chunked bodies that are good but, perhaps, for their trailer fields."""


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """One request: a head in which something may be wrong, and a body that may not be what it says."""
    line = b" ".join((draw(methods), draw(targets), draw(st.sampled_from(_VERSIONS))))
    lines = [
        line,
        *draw(st.sampled_from([[b"Host: a"]] * 9 + [[]])),
        *draw(st.lists(fields, max_size=4)),
        b"",
    ]
    return b"".join(line + draw(_LINE_ENDS) for line in lines) + draw(bodies)


streams = st.lists(requests() | st.sampled_from([TAIL, b"\r\n"]) | _JUNK, max_size=4).map(b"".join)
