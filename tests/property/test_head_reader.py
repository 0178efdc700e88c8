"""The law: what a head means does not depend on the heads before it, on the same connection or another."""

import hypothesis.strategies as st
from hypothesis import given

from trio_evserver.http1.errors import RemoteProtocolError
from trio_evserver.http1.framing import Framing
from trio_evserver.http1.head_reader import HeaderSection, HeadReader
from trio_evserver.http1.limits import Limits
from trio_evserver.semantics.message import Request

LIMITS = Limits(line=60, head=200, fields=4)
LINES = st.sampled_from(
    [
        *(
            b"%b %b HTTP/%b" % (method, target, version)
            for method in (b"GET", b"HEAD", b"POST", b"CONNECT", b"get")
            for target in (b"/", b"/a?q", b"/" + b"a" * 60, b"http://b/", b"*", b"a b", b"")
            for version in (b"1.1", b"1.0", b"1.2", b"2.0")
        ),
    ]
)
FIELD_LINES = st.lists(
    st.sampled_from(
        [
            b"Host: h",
            b"Host: other",
            b"Host: ",
            b"Connection: close",
            b"Connection: keep-alive",
            b"Content-Length: 3",
            b"Content-Length: 0",
            b"Transfer-Encoding: chunked",
            b"X: " + b"x" * 150,
            b"If-None-Match: *",
            b"no field line",
            b" folded",
        ]
    ),
    max_size=5,
)


def outcome(
    reader: HeadReader, head: bytes, before: HeaderSection | None = None
) -> tuple[Request, Framing, bool, HeaderSection | None] | RemoteProtocolError:
    try:
        return reader.read(head, before)
    except RemoteProtocolError as refused:
        return refused


@given(st.lists(LINES, min_size=1, max_size=6), st.lists(FIELD_LINES, min_size=1, max_size=2), st.data())
def test_no_head_depends_on_the_one_before(
    lines: list[bytes], several: list[list[bytes]], data: st.DataObject
) -> None:
    """The same request, framing and persistence, or the same refusal, as of a reader that has read nothing
    else; the field lines mostly repeat, as they do on connections.
    """
    reader = HeadReader(LIMITS)
    before: list[HeaderSection | None] = [None, None]  # on two connections
    for line in lines:
        field_lines = data.draw(st.sampled_from(several))
        head = b"\r\n".join((line, *field_lines, b"", b""))
        connection = data.draw(st.sampled_from((0, 1)))
        found, alone = outcome(reader, head, before[connection]), outcome(HeadReader(LIMITS), head)
        if isinstance(alone, RemoteProtocolError):
            assert isinstance(found, RemoteProtocolError)
            assert (found.status, found.detail) == (alone.status, alone.detail)
        else:
            assert not isinstance(found, RemoteProtocolError)
            assert found[:3] == alone[:3]
            before[connection] = found[3]
