"""Law: whatever the path, a `ResourcePath` names only what is below the root; its `url` names it again."""

from http import HTTPStatus

from hypothesis import example, given
from hypothesis import strategies as st

from trio_evserver.semantics.message import Refusal
from trio_evserver.semantics.resource_path import ResourcePath
from trio_evserver.semantics.target import resolve

TRICKS = st.sampled_from(
    [b"/", b".", b"..", b"%2e", b"%2E", b"%2f", b"%5c", b"\\", b"%00", b"%", b"%25", b"%c0%ae", b"%c3%a9",
     b"%ff", b"a", b"~", b" ", b"%20", b"%0a", b"%7f", b"%c2%80", b".well-known", b"?", b"#", b":", b"\xff"]
)  # fmt: skip
PATHS = st.lists(TRICKS, max_size=12).map(lambda pieces: b"/" + b"".join(pieces)) | st.binary(max_size=40)
NAMES = (
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=8)
    .filter(lambda name: name not in (".", ".."))
    .map(str.encode)
)


@given(PATHS)
@example(b"/..%2f..")
@example(b"//evil/..")
def test_no_path_leads_out(path: bytes) -> None:
    """Either a refusal with 400 or 404, or segments that any walk from the root stays inside with."""
    found = resolve(path)
    if isinstance(found, Refusal):
        assert found.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
        return
    for segment in found.segments:
        assert segment not in (b"", b".", b"..")
        assert not set(segment) & set(b"/\\\0\x7f")
        assert min(segment) >= 0x20
        segment.decode("utf-8")  # raises unless it is UTF-8
    assert found.relative == b"/".join(found.segments)
    assert not found.relative.startswith(b"/")
    assert found.directory or found.segments


@given(PATHS)
def test_a_url_resolves_to_the_same_resource(path: bytes) -> None:
    """`url` is canonical: it resolves to the resource it was made from, and is its own `url`."""
    found = resolve(path)
    if isinstance(found, ResourcePath):
        url = found.url()
        assert resolve(url) == found
        assert url.startswith(b"/")
        assert not url.startswith(b"//")
        assert url.endswith(b"/") == found.directory
        assert set(url) <= set(range(0x21, 0x7F)) - set(b'"<>\\^`{|}?#')


@given(st.lists(NAMES, min_size=1, max_size=5), st.booleans())
def test_every_honest_name_can_be_asked_for(names: list[bytes], directory: bool) -> None:
    """No name that a file may have, apart from the forbidden ones, is out of reach, however it is escaped."""
    everything = b"/".join(b"".join(b"%%%02x" % octet for octet in name) for name in names)
    found = resolve(b"/" + everything + (b"/" if directory else b""))
    assert found == ResourcePath(tuple(names), directory, b"/".join(names))


@given(PATHS)
def test_the_answer_does_not_depend_on_what_was_asked_before(path: bytes) -> None:
    """A second answer, from memory or not, equals the first."""
    assert resolve(path) == resolve(bytes(bytearray(path)))
