"""The law: a usual line is the line, only sooner."""

import hypothesis.strategies as st
from hypothesis import given

from trio_evserver.observe.log_line import NO_REQUEST, LineFormatter
from trio_evserver.semantics.message import Request

# Visible ASCII, and what has to be escaped.
VALUES = st.binary(max_size=600) | st.text(st.characters(min_codepoint=32, max_codepoint=126)).map(str.encode)


@given(
    st.sampled_from([("127.0.0.1", 1), ("::1", 1, 0, 0), "unix", None]),
    st.floats(0, 4e9),
    st.sampled_from([b"GET", b"HEAD", b"M-SEARCH", None]),
    VALUES,
    VALUES,
    VALUES,
    st.sampled_from([200, 304, 404]),
    st.integers(0, 2**40),
    st.booleans(),
)
def test_a_usual_line_is_the_line(
    peer: object, when: float, method: bytes | None, target: bytes, referer: bytes, agent: bytes, status: int,
    sent: int, combined: bool,
) -> None:  # fmt: skip
    """Octet for octet; and it is made for whatever is short and plain."""
    fields = {b"referer": referer, b"user-agent": agent}
    request = None if method is None else Request(method, target, target, None, b"h", b"HTTP/1.1", fields)
    entry = LineFormatter(combined=combined).line_or_entry(peer, when, request, status, sent)
    said = NO_REQUEST if method is None else (method, target, b"HTTP/1.1", referer, agent)
    whole = (peer, when, *said, status, sent)
    line = LineFormatter(combined=combined).line(whole)
    assert entry in (whole, line)
    if method is not None and len(target + referer + agent) < 500 and b"\\" not in line:
        assert entry == line
