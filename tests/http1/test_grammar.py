"""The rules of the grammar that are more than a character set."""

import ipaddress
from itertools import product

import pytest

from trio_evserver.http1.grammar import CHUNK_LINE, FIELD_VALUE, HOST

HOSTS = [
    (b"a", True, "reg-name"),
    (b"A.example-1.org", True, "reg-name"),
    (b"a_b~c!$&'()*+,;=", True, "unreserved and sub-delims"),
    (b"%41%ff", True, "pct-encoded"),
    (b"localhost:8000", True, "with a port"),
    (b"a:", True, "port = *DIGIT"),
    (b"a:65535", True, "five digits"),
    (b"127.0.0.1", True, "IPv4address"),
    (b"999.0.0.1", True, "no IPv4address, but a reg-name"),
    (b"[::1]:80", True, "IP-literal with a port"),
    (b"[v1.a:b]", True, "IPvFuture"),
    (b"", False, "empty"),
    (b":80", False, "empty host"),
    (b"a:123456", False, "no port has six digits"),
    (b"a:80:80", False, "two ports"),
    (b"a:-1", False, "sign"),
    (b"%4", False, "half an escape"),
    (b"%zz", False, "no hex digits"),
    (b"a b", False, "blank"),
    (b"a\x00", False, "NUL"),
    (b"a@b", False, "user information"),
    (b"a/b", False, "path"),
    (b"a?b", False, "query"),
    (b"a\\b", False, "backslash"),
    (b"\xc3\xa9", False, "not ASCII"),
    (b"::1", False, "IPv6 without brackets"),
    (b"[]", False, "empty brackets"),
    (b"[::1", False, "open bracket"),
    (b"[127.0.0.1]", False, "IPv4 in brackets"),
    (b"[fe80::1%25eth0]", False, "zone (RFC 6874 is for URIs that stay on one machine)"),
    (b"[v.a]", False, "IPvFuture without a version"),
    (b"[v1.]", False, "IPvFuture without an address"),
]


@pytest.mark.parametrize(
    ("host", "valid"), [row[:2] for row in HOSTS], ids=[f"{r[0]!r} {r[2]}" for r in HOSTS]
)
def test_host(host: bytes, valid: bool) -> None:
    """Host is uri-host with an optional port (RFC 3986 §3.2.2, RFC 9110 §7.2)."""
    assert (HOST.fullmatch(host) is not None) is valid


def test_ipv6_against_the_standard_library() -> None:
    """Every arrangement of up to nine groups, "::" and a dotted quad is an address here and there alike."""

    def valid(address: str) -> bool:
        try:
            return ipaddress.IPv6Address(address) is not None
        except ipaddress.AddressValueError:
            return False

    for before, middle, after, last in product(range(10), ("", "::", ":", ":::"), range(10), ("", "1.2.3.4")):
        groups = [":".join(["a"] * before), ":".join(["0f"] * after + ([last] if last else []))]
        address = middle.join(groups)
        assert (HOST.fullmatch(b"[%b]" % address.encode()) is not None) is valid(address), address


CHUNK_LINES = [
    (b"0", True, "last-chunk"),
    (b"000", True, "last-chunk = 1*(0)"),
    (b"aF9", True, "HEXDIG has no case"),
    (b"f" * 16, True, "16 digits"),
    (b"0" + b"f" * 16, False, "17 digits"),
    (b"", False, "no digit"),
    (b"0x1", False, "prefix"),
    (b"+1", False, "sign"),
    (b"-1", False, "sign"),
    (b"1_0", False, "underscore"),
    (b" 1", False, "blank before"),
    (b"1 ", False, "blank after"),
    (b"g", False, "no hex digit"),
    (b"1;a", True, "extension name"),
    (b"1;a=b;c=d", True, "two extensions"),
    (b'1;a="b;\\"\t\xff"', True, "quoted-string"),
    (b"1;", False, "empty extension"),
    (b"1;=b", False, "value without a name"),
    (b"1;a=", False, "empty value"),
    (b'1;a="b', False, "open quote"),
    (b'1;a="b\\"', False, "the quote is escaped"),
    (b"1 ;a", False, "BWS"),
    (b"1; a", False, "BWS"),
    (b"1;a =b", False, "BWS"),
    (b"1;a\x00", False, "NUL"),
]


@pytest.mark.parametrize(
    ("line", "valid"), [row[:2] for row in CHUNK_LINES], ids=[f"{r[0]!r} {r[2]}" for r in CHUNK_LINES]
)
def test_chunk_line(line: bytes, valid: bool) -> None:
    """A chunk line is hex digits and extensions without blanks (RFC 9112 §7.1)."""
    assert (CHUNK_LINE.fullmatch(line) is not None) is valid


@pytest.mark.parametrize(
    ("value", "valid"),
    [(b"", True), (b"a", True), (b"a \t b", True), (b"\xff", True), (b" a", False), (b"a\t", False)]
    + [(b"a%cb" % octet, False) for octet in [*range(9), *range(10, 32), 127]],
)
def test_field_value(value: bytes, valid: bool) -> None:
    """A field value has no control character and no blank at its ends (RFC 9110 §5.5)."""
    assert (FIELD_VALUE.fullmatch(value) is not None) is valid
