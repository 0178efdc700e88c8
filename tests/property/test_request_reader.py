"""Law: a request that is written is read back as the same request, and its body as ended."""

from hypothesis import given
from hypothesis import strategies as st

from tests.http1.feeding import TAIL, outcomes
from trio_evserver.http1.connection import Event
from trio_evserver.http1.limits import Limits
from trio_evserver.http1.response_head import render_fields
from trio_evserver.semantics.fields import FieldLine
from trio_evserver.semantics.message import Request

LIMITS = Limits()

TOKEN_CHARACTERS = "!#$%&'*+-.^_`|~0123456789ABCXYZabcxyz"
FRAMING_FIELDS = {"host", "content-length", "transfer-encoding", "connection"}

tokens = st.text(TOKEN_CHARACTERS, min_size=1, max_size=12)
methods = tokens.filter(lambda token: token != "CONNECT").map(str.encode)
names = tokens.filter(lambda token: token.lower() not in FRAMING_FIELDS).map(str.encode)
field_octets = [9, *range(32, 127), *range(128, 256)]
values = st.lists(st.sampled_from(field_octets), max_size=20).map(lambda octets: bytes(octets).strip(b" \t"))
target_octets = [octet for octet in range(33, 127) if octet not in b"#?"]
paths = st.lists(st.sampled_from(target_octets), max_size=20).map(lambda octets: b"/" + bytes(octets))
queries = st.none() | st.lists(st.sampled_from([*target_octets, ord("?")]), max_size=20).map(bytes)
hosts = st.sampled_from([b"a", b"localhost:8000", b"[::1]", b"[1:2::3.4.5.6]:80", b"%41.b-c"])
blanks = st.sampled_from([b"", b" ", b"\t", b" \t "])


@st.composite
def bodies(draw: st.DrawFn) -> tuple[tuple[FieldLine, ...], bytes]:
    """The framing field of a body, and its octets on the wire."""
    chunks = draw(st.lists(st.binary(min_size=1, max_size=20), max_size=4))
    match draw(st.sampled_from(["none", "length", "chunked"])):
        case "length":
            body = b"".join(chunks)
            return ((b"Content-Length", b"%d" % len(body)),), body
        case "chunked":
            written = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
            # None of these names is one of FRAMING_FIELDS, which no trailer may have.
            trailers = render_fields(tuple(draw(st.lists(st.tuples(names, values), max_size=2))))
            return ((b"Transfer-Encoding", b"chunked"),), written + b"0\r\n" + trailers + b"\r\n"
        case _:
            return (), b""


def combined(lines: list[FieldLine]) -> dict[bytes, bytes]:
    """RFC 9110 §5.3, written as simply as can be."""
    found: dict[bytes, bytes] = {}
    for name, value in lines:
        key = name.lower()
        found[key] = found[key] + b", " + value if key in found else value
    return found


@given(methods, paths, queries, hosts, st.lists(st.tuples(names, values), max_size=8), bodies(), st.data())
def test_written_then_read(
    method: bytes,
    path: bytes,
    query: bytes | None,
    host: bytes,
    fields: list[FieldLine],
    body: tuple[tuple[FieldLine, ...], bytes],
    data: st.DataObject,
) -> None:
    """The reader gives back what was written, OWS aside, and finds the next request right behind the body."""
    lines = data.draw(st.permutations([(b"Host", host), *body[0], *fields]))
    target = path if query is None else path + b"?" + query
    written = b"".join(
        name + b":" + data.draw(blanks) + value + data.draw(blanks) + b"\r\n" for name, value in lines
    )
    stream = method + b" " + target + b" HTTP/1.1\r\n" + written + b"\r\n" + body[1]
    expected = Request(method, target, path, query, host, b"HTTP/1.1", combined(lines))
    first, second, last = outcomes([stream + TAIL], LIMITS)
    assert first == expected
    assert isinstance(second, Request)
    assert (second.target, last) == (b"/tail", Event.CLOSED)


@given(st.lists(st.tuples(names, values), max_size=8))
def test_rendered_fields_are_read_back(fields: list[FieldLine]) -> None:
    """What the writer of responses renders, the reader takes apart into the same names and values."""
    head = b"GET / HTTP/1.0\r\n" + render_fields(tuple(fields)) + b"\r\n"
    first, last = outcomes([head], LIMITS)
    assert isinstance(first, Request)
    assert first.fields == combined(fields)
    assert last is Event.CLOSED
