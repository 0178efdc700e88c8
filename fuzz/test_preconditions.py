"""Conditional requests with arbitrary values: one of five answers, each only where it was asked for."""

from hypothesis import given
from hypothesis import strategies as st

from trio_evserver.http1.response_head import render_fields
from trio_evserver.semantics.entity_tag import EntityTag
from trio_evserver.semantics.message import Content, Empty, Request, Response
from trio_evserver.semantics.policy import Policy
from trio_evserver.semantics.representation import Representation
from trio_evserver.semantics.respond import answer

CONTENT = b"0123456789"
NOW = 1_753_920_000
NAMES = (b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range", b"range")
POLICY = Policy(boundary=lambda: b"SEPARATOR", now=lambda: float(NOW))
REPRESENTATIONS = [
    Representation(
        size=len(CONTENT),
        modified=modified,
        modified_is_strong=True,
        entity_tag=tag,
        media_type=b"text/plain",
        cache_control=b"no-cache",
        content=CONTENT,
        render=render_fields,
    )
    for tag in (None, EntityTag(b"x", False), EntityTag(b"x", True))
    for modified in (None, NOW - 86_400)
]
# Which fields have to be there for an answer other than 200.
REASONS: dict[int, tuple[bytes, ...]] = {
    206: (b"range",),
    304: (b"if-none-match", b"if-modified-since"),
    412: (b"if-match", b"if-unmodified-since"),
    416: (b"range",),
}


def check(data: bytes) -> None:
    """A line of `data` for each field, an empty one for none: an answer with a reason, well-formed."""
    fields = {name: line for name, line in zip(NAMES, data.split(b"\n"), strict=False) if line}
    for representation in REPRESENTATIONS:
        for method in (b"GET", b"HEAD"):
            request = Request(method, b"/", b"/", None, b"h", b"HTTP/1.1", fields)
            response = answer(request, representation, POLICY)
            status = int(response.status)
            assert status == 200 or not fields.keys().isdisjoint(REASONS[status])
            assert method == b"GET" or status in (200, 304, 412)
            render_fields(response.fields)  # raises unless they can be written
            if status == 412:
                tagged = b"if-match" in fields and fields[b"if-match"] != b"*"
                assert tagged or (representation.modified is not None and b"if-unmodified-since" in fields)
            if status == 206 and isinstance(response, Response):
                assert isinstance(response.body, Content | Empty)
                size = len(response.body.data) if isinstance(response.body, Content) else 0
                assert (b"Content-Length", b"%d" % size) in response.fields


_VALUES = b'* "x" W/"x" "y" "x","y" "x"\xff , "" x W/x "x bytes=0-0 bytes=99- bytes=0-1,4-5 \x00'.split()
_VALUES += [
    b"",
    b"Thu, 31 Jul 2025 00:00:00 GMT",
    b"Wed, 30 Jul 2025 00:00:00 GMT",
    b"Wednesday, 30-Jul-25 00:00:00 GMT",
    b"Wed Jul 30 00:00:00 2025",
    b"Wed, 30 Feb 2025 00:00:00 GMT",
    b"Thu, 31 Jul 2025 24:00:00 GMT",
    b"Thu, 01 Jan 0000 00:00:00 GMT",
    b'"x" , ,W/"y"',
]
values = st.sampled_from(_VALUES) | st.binary(max_size=20).map(lambda value: value.replace(b"\n", b""))


@given(st.lists(values, min_size=len(NAMES), max_size=len(NAMES)).map(b"\n".join))
def test_nearly_valid(data: bytes) -> None:
    """Values in which a few things are wrong."""
    check(data)


@given(st.binary(max_size=120))
def test_anything(data: bytes) -> None:
    """Any octets at all."""
    check(data)
