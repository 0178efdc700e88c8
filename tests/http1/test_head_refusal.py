"""The slow reading finds a reason whenever the quick one refuses, and only then."""

from http import HTTPStatus

from hypothesis import example, given
from hypothesis import strategies as st

from trio_evserver.http1.grammar import REQUEST_HEAD
from trio_evserver.http1.head_refusal import early_refusal, refusal
from trio_evserver.http1.limits import Limits

LIMITS = Limits()

PIECES = st.sampled_from(
    b"GET| |/|*|http://a|HTTP/1.1|HTTP/1.0|HTTP/2.0|HTTP/|1.1|Host|:|a|#".split(b"|")
    + b"\r\n|\r|\n|\t|\x00|\x7f|\xff|\r\n\r\n".split(b"|")
)
HEADS = st.lists(PIECES | st.binary(max_size=3), max_size=16).map(b"".join)


@given(HEADS, st.booleans())
@example(b"", True)
@example(b"GET / HTTP/1.1\r\nHost: a", True)
def test_a_refused_head_has_a_reason(head: bytes, ended: bool) -> None:
    """Whatever the one expression does not match has a refusal: 400 or 505 (limits aside)."""
    head += b"\r\n\r\n" if ended else b""
    if REQUEST_HEAD.fullmatch(head) is None:
        assert refusal(head, LIMITS).status in (
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
        )


@given(HEADS, st.integers(0, 40))
def test_no_good_head_is_refused_early(head: bytes, size: int) -> None:
    """No beginning of a good head is refused before the rest of it is there."""
    head = b"GET / HTTP/1.1\r\nHost: " + head + b"\r\n\r\n"
    if REQUEST_HEAD.fullmatch(head) is not None:
        assert early_refusal(head[:size], 0, 0, LIMITS) is None or head[:size] == b""


def test_the_first_offence_counts() -> None:
    """Of several offences the one that shows first is named, however much of the head is there."""
    limits = Limits(line=10, head=20)
    over_then_bare = b"x" * 12 + b"\n" + b"x" * 20
    bare_then_over = b"x" * 5 + b"\n" + b"x" * 20
    over_twice = b"GET /\r\n" + b"x" * 40
    for data, status in (
        (over_then_bare, HTTPStatus.REQUEST_URI_TOO_LONG),
        (bare_then_over, HTTPStatus.BAD_REQUEST),
        (over_twice, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE),
    ):
        error = early_refusal(data, 0, 0, limits)
        assert error is not None
        assert error.status is status
