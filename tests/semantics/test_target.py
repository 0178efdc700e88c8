"""A target's path becomes a resource below the root, or the refusal that RFC 3986 and caution give it."""

from http import HTTPStatus

import pytest

from trio_evserver.semantics import target
from trio_evserver.semantics.message import Refusal
from trio_evserver.semantics.resource_path import ResourcePath
from trio_evserver.semantics.target import resolve

ACCEPTED = [
    (b"/", (), True, "the root"),
    (b"/a", (b"a",), False, "a file"),
    (b"/a/", (b"a",), True, "a directory"),
    (b"/a/b.c/d", (b"a", b"b.c", b"d"), False, "nested"),
    (b"/%61", (b"a",), False, "an escaped letter is that letter, RFC 3986 §6.2.2.2"),
    (b"/a%2ehtml", (b"a.html",), False, "an escaped dot within a name"),
    (b"/%2Ewell-known/x", (b".well-known", b"x"), False, "an escaped leading dot is a leading dot"),
    (b"/caf%c3%a9", ("café".encode(),), False, "UTF-8, lower-case hexadecimal"),
    (b"/%F0%9F%90%8D", ("🐍".encode(),), False, "four octets of UTF-8"),
    (b"/a%20b", (b"a b",), False, "a space"),
    (b"/%252e%252e", (b"%2e%2e",), False, "decoded once, so this is a name with percent signs"),
    (b"/%252f", (b"%2f",), False, "decoded once, so this is no slash"),
    (b"/...", (b"...",), False, "three dots are a name"),
    (b"/..a", (b"..a",), False, "so is a name that starts with two"),
    (b"/a..", (b"a..",), False, "or ends in two"),
    (b"/~!$&'()*+,;=:@-_", (b"~!$&'()*+,;=:@-_",), False, "every pchar, RFC 3986 §3.3"),
    (b"/a|b[c]", (b"a|b[c]",), False, "no pchar, but browsers send them bare"),
    (b"/a%3Fb%23c", (b"a?b#c",), False, "delimiters that were escaped are part of a name"),
    (b"/" + b"a" * 9000, (b"a" * 9000,), False, "a long name: the file system judges its length"),
]


@pytest.mark.parametrize(("path", "segments", "directory", "why"), ACCEPTED)
def test_a_canonical_path_is_cut_into_its_segments(
    path: bytes, segments: tuple[bytes, ...], directory: bool, why: str
) -> None:
    """What names a resource is decoded once and cut at its slashes."""
    assert resolve(path) == ResourcePath(segments, directory, b"/".join(segments)), why


REFUSED = [
    (b"/%", 400, "a percent sign alone, RFC 3986 §2.1"),
    (b"/%4", 400, "half an escape"),
    (b"/%zz", 400, "not hexadecimal"),
    (b"/%%41", 400, "the first percent sign escapes nothing"),
    (b"/%+1", 400, "int() would read a sign"),
    (b"/a%00", 400, "NUL"),
    (b"/a%00.html", 400, "NUL that would cut a name short"),
    (b"/%2f%00", 400, "malformed goes before not found"),
    (b"/a b", 400, "a bare space is no part of a target"),
    (b"/\x00", 400, "a bare NUL"),
    (b"/a\r\nb", 400, "bare line ends"),
    (b"/caf\xc3\xa9", 400, "octets above ASCII must be escaped, RFC 3986 §2.5"),
    (b"/a?b", 400, "a query is no part of a path"),
    (b"/a#b", 400, "nor is a fragment, which is never sent, RFC 9110 §4.2.5"),
    (b"", 400, "the authority-form has no path"),
    (b"*", 400, "the asterisk-form has no path"),
    (b"a", 400, "not absolute"),
    (b"/..", 404, "a dot segment"),
    (b"/.", 404, "a dot segment"),
    (b"/./a", 404, "a dot segment in front"),
    (b"/a/../b", 404, "a dot segment that would stay inside: refused, not repaired"),
    (b"/a/..", 404, "a dot segment at the end"),
    (b"/a/../", 404, "a dot segment before the last slash"),
    (b"/%2e%2e", 404, "escaped dots, RFC 3986 §6.2.2.2"),
    (b"/%2E./a", 404, "one escaped, one bare"),
    (b"/.%2e/a", 404, "one bare, one escaped"),
    (b"/%2e", 404, "an escaped single dot"),
    (b"/a%2fb", 404, "an encoded slash is one segment to a guard and two to the disk"),
    (b"/a%2F", 404, "an encoded slash at the end"),
    (b"/..%2fetc/passwd", 404, "CVE-2017-16762"),
    (b"/..%5c..%5c", 404, "escaped backslashes"),
    (b"/a\\b", 404, "a backslash"),
    (b"/a%5Cb", 404, "an escaped backslash"),
    (b"//", 404, "an empty segment"),
    (b"//evil.example/..", 404, "CVE-2021-28861: never a Location of another host"),
    (b"/a//b", 404, "an empty segment within"),
    (b"/a//", 404, "an empty segment at the end"),
    (b"/%ff%fe", 404, "not UTF-8"),
    (b"/%c0%ae%c0%ae/", 404, "overlong dots, CVE-2000-0884"),
    (b"/%c0%af", 404, "an overlong slash"),
    (b"/%e0%80%af", 404, "an overlong slash in three octets"),
    (b"/%ed%a0%80", 404, "a surrogate is not UTF-8, RFC 3629 §3"),
    (b"/%f4%90%80%80", 404, "beyond the last code point"),
    (b"/%c3", 404, "UTF-8 cut short"),
    (b"/a%0d%0aSet-Cookie:x", 404, "a line end that survives decoding"),
    (b"/%1b%5b2J", 404, "a terminal's escape"),
    (b"/%7f", 404, "DEL"),
    (b"/%c2%9b2J", 404, "the same escape as a C1 control"),
]


@pytest.mark.parametrize(("path", "status", "why"), REFUSED)
def test_what_is_not_canonical_is_refused(path: bytes, status: int, why: str) -> None:
    """Malformed is 400; what can name nothing is 404, as where nothing is there. Nothing is repaired."""
    answer = resolve(path)
    assert isinstance(answer, Refusal), why
    assert answer.status == HTTPStatus(status), why


@pytest.mark.parametrize(
    ("path", "hidden", "why"),
    [
        (b"/", False, "the root"),
        (b"/a/b.c", False, "a dot within a name"),
        (b"/.git", True, "a dot file"),
        (b"/.git/", True, "a dot directory"),
        (b"/a/.env", True, "below"),
        (b"/.a/b", True, "what a hidden directory holds"),
        (b"/%2egit", True, "an escaped dot"),
        (b"/.well-known", False, "RFC 8615 §3"),
        (b"/.well-known/", False, "with its slash"),
        (b"/.well-known/security.txt", False, "what is in it"),
        (b"/.well-known/.git", True, "a dot file in it is hidden all the same"),
        (b"/.well-known2/x", True, "only this very name"),
        (b"/.WELL-KNOWN/x", True, "paths are case-sensitive, RFC 3986 §6.2.2.1"),
        (b"/a/.well-known/x", True, "only at the root"),
    ],
)
def test_dot_names_are_hidden(path: bytes, hidden: bool, why: str) -> None:
    """A segment that starts with a dot hides the resource, except a first segment `.well-known`."""
    found = resolve(path)
    assert isinstance(found, ResourcePath)
    assert found.hidden is hidden, why


@pytest.mark.parametrize(
    ("path", "url", "why"),
    [
        (b"/", b"/", "the root is one slash, not two"),
        (b"/a/b", b"/a/b", "nothing to escape"),
        (b"/a/", b"/a/", "a directory keeps its slash"),
        (b"/%61%2e", b"/a.", "what needs no escape loses it"),
        (b"/caf%c3%a9/", b"/caf%C3%A9/", "upper-case hexadecimal, RFC 3986 §6.2.2.1"),
        (b"/a%3Fb%23c%25", b"/a%3Fb%23c%25", "delimiters stay escaped"),
        (b"/a%22%3Cb%3E", b"/a%22%3Cb%3E", "nothing that HTML gives a meaning"),
        (b"/!$&'()*+,;=:@~", b"/!$&'()*+,;=:@~", "every pchar stays bare, RFC 3986 §3.3"),
    ],
)
def test_a_url_is_canonical(path: bytes, url: bytes, why: str) -> None:
    """`url` writes the one form of the path that redirects and listings use."""
    found = resolve(path)
    assert isinstance(found, ResourcePath)
    assert found.url() == url, why


def test_a_repeated_path_is_remembered() -> None:
    """The second request for a path gets the very same object, without work."""
    assert resolve(b"/remembered.html") is resolve(b"/remembered.html")


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither refusals nor long paths are kept, and never more than the count of the others."""
    memo: dict[bytes, ResourcePath] = {}
    monkeypatch.setattr(target, "_memo", memo)
    resolve(b"/" + b"a" * 128)
    resolve(b"/..")
    resolve(b"/%zz")
    assert memo == {}
    for number in range(5000):
        resolve(b"/%d" % number)
        assert len(memo) <= 4096
    assert resolve(b"/4999") is memo[b"/4999"]
