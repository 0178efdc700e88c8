"""The head of a request: bytes to a `Request`, or the exact refusal it deserves (RFC 9112 §2 to §5).

One strict regular expression recognises the whole of a valid head; its field lines are then cut at their CRLF
and their first colon. Only when it refuses does `head_refusal` read the head again, slowly, to find out what
is wrong with it.
"""

from http import HTTPStatus
from typing import Final

from trio_evserver.http1.errors import RemoteProtocolError
from trio_evserver.http1.framing import NO_BODY, Framing, request_framing
from trio_evserver.http1.grammar import ABSOLUTE_FORM, AUTHORITY_FORM, HOST, REQUEST_HEAD
from trio_evserver.http1.head_refusal import limit_refusal, refusal
from trio_evserver.http1.limits import Limits
from trio_evserver.semantics.message import Request

_CRLFS: Final = 4  # octets: the CRLF of the request line and the last one
_LARGE: Final = 2048  # octets; in a head up to this size the field lines may as well be counted afterwards


def parse_head(head: bytes, limits: Limits) -> tuple[Request, Framing]:
    """Read a head that begins with the request line and ends with the first CRLFCRLF.

    Raises RemoteProtocolError with the status that RFC 9112 names for what is wrong: mostly 400; 505 for
    another major version; 414, 431, 413 beyond a limit; 501 for an unknown transfer coding.
    """
    # This function is the hot path of the server: hence the length, and what looks unrolled.
    match = REQUEST_HEAD.fullmatch(head)
    if match is None:
        raise refusal(head, limits)
    method, target, path, query, minor, field_lines = match.groups()
    size = len(head)
    if size > limits.head or size - len(field_lines) - _CRLFS > limits.line:
        raise limit_refusal(head, limits)
    # Before they are taken apart: 8,000 empty ones, which fit into a head, would cost 40 times its size.
    if size > _LARGE and field_lines.count(b"\n") > limits.fields:
        raise _too_many()
    lines = field_lines.split(b"\r\n")
    lines.pop()  # what follows the last CRLF: nothing
    if len(lines) > limits.fields:
        raise _too_many()
    fields = _fields(lines)

    # RFC 9110 §2.5: a recipient of a higher minor version "SHOULD process the message as if it was the
    # highest minor version within that major version to which the recipient is conformant".
    version = b"HTTP/1.0" if minor == b"0" else b"HTTP/1.1"
    # RFC 9112 §3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request
    # message that lacks a Host header field and to any request message that contains more than one Host
    # header field line or a Host header field with an invalid field value." More than one are combined with
    # ", ", which no host contains.
    host = fields.get(b"host")
    if host is None:
        if version == b"HTTP/1.1":
            raise RemoteProtocolError(HTTPStatus.BAD_REQUEST, "no Host")
        host = b""
    elif host not in _hosts and not _is_host(host):
        raise RemoteProtocolError(HTTPStatus.BAD_REQUEST, "Host is empty, repeated or malformed")
    if path is None or method == b"CONNECT":
        path, query, host = _other_form(method, target, host)
    request = Request(method, target, path, query, host, version, fields)
    if b"content-length" in fields or b"transfer-encoding" in fields:
        return request, request_framing(version, fields, limits)
    return request, NO_BODY


# Hosts that were asked for and are well-formed: of one site there are few.
_hosts: set[bytes] = set()
_MOST_HOSTS: Final = 64
_LONGEST_HOST: Final = 64  # octets


def _is_host(host: bytes) -> bool:
    if HOST.fullmatch(host) is None:
        return False
    if len(host) <= _LONGEST_HOST:
        if len(_hosts) >= _MOST_HOSTS:
            _hosts.clear()
        _hosts.add(host)
    return True


def _too_many() -> RemoteProtocolError:
    return RemoteProtocolError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too many field lines")


def _fields(lines: list[bytes]) -> dict[bytes, bytes]:
    """Field values by name, of lines that are known to be valid."""
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        fields[name.lower()] = value.strip(b" \t")
    return fields if len(fields) == len(lines) else _combined(lines)


def _combined(lines: list[bytes]) -> dict[bytes, bytes]:
    """Field values by name, several of one name joined by ", " (RFC 9110 §5.3)."""
    values: dict[bytes, list[bytes]] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        values.setdefault(name.lower(), []).append(value.strip(b" \t"))
    return {name: b", ".join(several) for name, several in values.items()}


def _other_form(method: bytes, target: bytes, host: bytes) -> tuple[bytes, bytes | None, bytes]:
    """Path, query and host of a target that is not in origin-form (RFC 9112 §3.2.2 to §3.2.4)."""
    if method == b"CONNECT":
        # §3.2.3: "The authority-form of request-target is only used for CONNECT requests", and they use no
        # other.
        if AUTHORITY_FORM.fullmatch(target) is None:
            raise RemoteProtocolError(HTTPStatus.BAD_REQUEST, "CONNECT without the authority-form")
        return b"", None, target
    # §3.2.4: "The asterisk-form of request-target is only used for a server-wide OPTIONS request".
    if target == b"*" and method == b"OPTIONS":
        return b"*", None, host
    match = ABSOLUTE_FORM.fullmatch(target)
    if match is None:
        raise RemoteProtocolError(HTTPStatus.BAD_REQUEST, "no form of request-target")
    # §3.2.2: "When an origin server receives a request with an absolute-form of request-target, the origin
    # server MUST ignore the received Host header field (if any) and instead use the host information of the
    # request-target." User information, which RFC 9110 §4.2.4 calls an error when it comes from outside, is
    # no part of a host.
    authority, path, query = match.groups()
    if HOST.fullmatch(authority) is None:
        raise RemoteProtocolError(HTTPStatus.BAD_REQUEST, "malformed authority in the absolute-form")
    return path or b"/", query, authority
