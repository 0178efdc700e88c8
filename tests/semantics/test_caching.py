"""The default Cache-Control hides no edit; only a name with its content's hash is promised forever."""

import pytest

from trio_evserver.semantics.caching import IMMUTABLE, REVALIDATE, cache_control

SCRIPT = b"text/javascript; charset=utf-8"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (b"app.3f2a9c1b.js", "name.HASH.ext, eight digits"),
        (b"app-3f2a9c1b.js", "name-HASH.ext"),
        (b"app.3F2A9C1B.js", "upper case"),
        (b"a.b.c-1a2b3c4d5e6f.css", "a name with dots"),
        (b"app." + b"0a" * 32 + b".js", "64 digits, SHA-256"),
        (b"app.3f2a9c1b.js.map", "the source map of such a file"),
        (b"font.00000001a.woff2", "one letter is enough"),
        (b"font.aaaaaaa1.woff2", "one digit is enough"),
    ],
)
def test_a_name_with_a_hash_never_changes(name: bytes, why: str) -> None:
    """Such a name gets a year and `immutable` (RFC 8246)."""
    assert cache_control(name, SCRIPT) == b"public, max-age=31536000, immutable" == IMMUTABLE, why


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (b"app.js", "no hash"),
        (b"app.3f2a9c1.js", "seven digits"),
        (b"app." + b"0a" * 32 + b"0.js", "65 digits"),
        (b"app.20240131.js", "a date has no letter"),
        (b"app-20240131120000.js", "nor has a time"),
        (b"app.deadbeef.js", "a word has no digit"),
        (b"face-defaced.css", "a word of seven letters"),
        (b"app.3f2a9c1g.js", "g is no hexadecimal digit"),
        (b"app_3f2a9c1b.js", "set off by neither dot nor hyphen"),
        (b"app3f2a9c1b.js", "not set off at all"),
        (b"3f2a9c1b.js", "nothing before the hash"),
        (b".3f2a9c1b.js", "nothing before the dot"),
        (b"app.3f2a9c1b", "no extension: this is one"),
        (b"app.3f2a9c1b.", "an empty extension"),
        (b"app.3f2a9c1b.old.js", "something between the hash and the extension"),
        (b"app.3f2a9c1b.js\n", "a line end: `$` would match before it"),
        (b"photo-550e8400-e29b-41d4-a716-44665544000a.jpg", "a UUID says nothing about the content"),
        (b"", "no name"),
    ],
)
def test_any_other_name_is_asked_about(name: bytes, why: str) -> None:
    """Such a name may be kept, but not used without asking (RFC 9111 §5.2.2.4)."""
    assert cache_control(name, SCRIPT) == b"no-cache" == REVALIDATE, why


@pytest.mark.parametrize("media_type", [b"text/html; charset=utf-8", b"text/html", b"application/xhtml+xml"])
def test_html_is_never_immutable(media_type: bytes) -> None:
    """A page is the way in, by which all else is renewed; were it kept for a year, nothing could be."""
    assert cache_control(b"page.3f2a9c1b.html", media_type) == REVALIDATE
