"""Why a head is refused: the slow, careful reading of one that `request_head` did not recognise.

A head may arrive in any pieces, and its fate must not depend on them. What can be seen before a head is
complete (a bare CR or LF, an empty line, a request line or a head beyond its limit) is therefore decided by
position: the offence that a reader of single octets would notice first is the one that is reported. All else
waits for the complete head.
"""

from http import HTTPStatus

from trio_evserver.http1.errors import RemoteProtocolError
from trio_evserver.http1.grammar import BARE_LINE_END, FIELD_LINE, HTTP_VERSION, REQUEST_TARGET, TOKEN
from trio_evserver.http1.limits import Limits

_Octets = bytes | bytearray


def early_refusal(data: _Octets, start: int, scanned: int, limits: Limits) -> RemoteProtocolError | None:
    """The first offence in the head, complete or not, that begins at `start`; None if there is none so far.

    No bare line end lies before `scanned`.
    """
    # RFC 9112 §2.2 asks to ignore "at least one empty line" before a request line: one it was, and this is
    # another.
    if data.startswith((b"\r\n", b"\n"), start):
        return _bad("an empty line, or LF, where a request line is due")
    offences: list[tuple[int, HTTPStatus, str]] = []
    if bare := BARE_LINE_END.search(data, scanned):
        noticed = bare.end() - start + (bare[0] == b"\r")
        offences.append((noticed, HTTPStatus.BAD_REQUEST, "bare CR or LF"))
    if _lacks(b"\r\n", data, start, limits.line + 2):
        offences.append((limits.line + 2, HTTPStatus.REQUEST_URI_TOO_LONG, "request line beyond the limit"))
    if _lacks(b"\r\n\r\n", data, start, limits.head):
        offences.append((limits.head, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head beyond the limit"))
    if not offences:
        return None
    _, status, detail = min(offences)
    return RemoteProtocolError(status, detail)


def _lacks(end: bytes, data: _Octets, start: int, size: int) -> bool:
    """Are `size` octets there, and no `end` within them?"""
    return len(data) - start >= size and data.find(end, start, start + size) < 0


def limit_refusal(head: bytes, limits: Limits) -> RemoteProtocolError:
    """Which limit a complete head is beyond, if it is well-formed and beyond one."""
    error = early_refusal(head, 0, 0, limits)
    assert error is not None
    return error


def refusal(head: bytes, limits: Limits) -> RemoteProtocolError:
    """The refusal that a head not matched by REQUEST_HEAD deserves: there always is one."""
    error = early_refusal(head, 0, 0, limits)
    if error is not None:
        return error
    if not head.endswith(b"\r\n\r\n"):
        return _bad("the head does not end with an empty line")
    request_line, *field_lines = head[:-4].split(b"\r\n")
    error = _request_line_refusal(request_line)
    if error is not None:
        return error
    for line in field_lines:
        if FIELD_LINE.fullmatch(line) is None:
            return _field_line_refusal(line)
    raise AssertionError("a head was not recognised although none of its parts is wrong")


def _request_line_refusal(line: bytes) -> RemoteProtocolError | None:
    """What is wrong with method SP request-target SP HTTP-version (RFC 9112 §3), if anything."""
    parts = line.split(b" ")
    # §3: lenient parsing on any whitespace "can result in request smuggling"; ours is not.
    if len(parts) != 3:
        return _bad("a request line that is not three parts and two single blanks")
    method, target, version = parts
    if TOKEN.fullmatch(method) is None:
        return _bad("the method is no token")
    if REQUEST_TARGET.fullmatch(target) is None:
        return _bad("the request-target is empty or has a character that no target has")
    match = HTTP_VERSION.fullmatch(version)
    if match is None:
        return _bad("malformed HTTP version")
    if match[1] != b"1":
        return RemoteProtocolError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "another major version of HTTP")
    return None


def _field_line_refusal(line: bytes) -> RemoteProtocolError:
    """What is wrong with a line that is no field line (RFC 9112 §5)."""
    # §5.2: "A server that receives an obs-fold in a request message [...] MUST either reject the message by
    # sending a 400 (Bad Request) [...] or replace".
    if line.startswith((b" ", b"\t")):
        return _bad("a folded field line, or a blank before the first field line")
    name, colon, _ = line.partition(b":")
    if not colon:
        return _bad("a field line without a colon")
    # §5.1: "A server MUST reject, with a response status code of 400 (Bad Request), any received request
    # message that contains whitespace between a header field name and colon."
    if name.endswith((b" ", b"\t")):
        return _bad("a blank between field name and colon")
    if TOKEN.fullmatch(name) is None:
        return _bad("a field name that is no token")
    # RFC 9110 §5.5: "CTL characters [...] are also invalid"; CR, LF and NUL are dangerous.
    return _bad("a control character in a field value")


def _bad(detail: str) -> RemoteProtocolError:
    return RemoteProtocolError(HTTPStatus.BAD_REQUEST, detail)
