"""Media types come from our own table, by the extension of the name."""

import re

import pytest

from trio_evserver.semantics import media_types
from trio_evserver.semantics.media_types import media_type


@pytest.mark.parametrize(
    ("name", "expected", "why"),
    [
        (b"index.html", b"text/html; charset=utf-8", "text has its charset"),
        (b"INDEX.HTM", b"text/html; charset=utf-8", "case does not matter"),
        (b"style.css", b"text/css; charset=utf-8", "text"),
        (b"app.js", b"text/javascript; charset=utf-8", "RFC 9239"),
        (b"app.mjs", b"text/javascript; charset=utf-8", "modules need a script type"),
        (b"app.js.map", b"application/json", "a source map"),
        (b"data.json", b"application/json", "JSON has no charset, RFC 8259 §11"),
        (b"site.webmanifest", b"application/manifest+json", "a web app's manifest"),
        (b"logo.svg", b"image/svg+xml", "XML says its own encoding"),
        (b"a.wasm", b"application/wasm", "streaming compilation asks for it"),
        (b"a.avif", b"image/avif", "images"),
        (b"a.webp", b"image/webp", "images"),
        (b"a.jxl", b"image/jxl", "images"),
        (b"favicon.ico", b"image/vnd.microsoft.icon", "IANA's name"),
        (b"a.woff2", b"font/woff2", "RFC 8081"),
        (b"a.mp4", b"video/mp4", "video"),
        (b"a.opus", b"audio/ogg", "audio"),
        (b"a.m3u8", b"application/vnd.apple.mpegurl", "RFC 8216"),
        (b"README.md", b"text/markdown; charset=utf-8", "RFC 7763"),
        (b"a.pdf", b"application/pdf", "documents"),
        (b"archive.tar.gz", b"application/gzip", "the last extension decides, with no Content-Encoding"),
        (b"archive.tgz", b"application/gzip", "the same thing"),
        (b"a.b.c.zip", b"application/zip", "many dots"),
        (b".well-known.txt", b"text/plain; charset=utf-8", "a leading dot and an extension"),
        (b"apple-app-site-association", b"application/json", "its specification gives it no extension"),
        (b"Makefile", b"application/octet-stream", "no extension"),
        (b".html", b"application/octet-stream", "a dot file has no extension"),
        (b"a.", b"application/octet-stream", "an empty extension"),
        (b"a.unheard-of", b"application/octet-stream", "unknown"),
        (b"a.html ", b"application/octet-stream", "a blank makes another name"),
        (b"\xff.\xff", b"application/octet-stream", "not UTF-8"),
        (b"", b"application/octet-stream", "the root of a single file"),
    ],
)
def test_a_name_has_this_type(name: bytes, expected: bytes, why: str) -> None:
    """The type is the table's; what the table does not know is a stream of octets, never guessed."""
    assert media_type(name) == expected, why


def test_the_table_is_well_formed() -> None:
    """Types are of RFC 6838's form, extensions lower case and there once, and all text has a charset."""
    extensions = [one for row in media_types._TABLE.values() for one in row.split()]
    assert len(extensions) == len(set(extensions)) >= 120
    assert all(re.fullmatch(r"[a-z0-9]+", extension) for extension in extensions)
    for name in extensions:
        found = media_type(b"x." + name.encode())
        assert re.fullmatch(rb"[a-z]+/[a-z0-9][a-z0-9.+-]*(; charset=utf-8)?", found), name
        assert found.startswith(b"text/") == found.endswith(b"; charset=utf-8"), name
