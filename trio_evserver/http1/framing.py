"""Which framing the body of a request has (RFC 9112 §6).

Two parties that disagree about where a request ends let a third one smuggle requests past the first (RFC 9112
§11.2). So this module refuses whatever can be read in two ways, even where the RFC allows a repair.
"""

from http import HTTPStatus
from typing import Final, NoReturn, TypeAlias, final

from trio_evserver.http1.errors import RemoteProtocolError
from trio_evserver.http1.grammar import CONTENT_LENGTH, TOKEN
from trio_evserver.http1.limits import Limits
from trio_evserver.semantics.fields import RequestFields
from trio_evserver.semantics.value import Value


@final
class NoBody(Value):
    """The request ends with its head; Content-Length: 0 says the same."""

    __slots__ = ()

    def _key(self) -> tuple[object, ...]:
        return ()


@final
class Length(Value):
    """Exactly `n` octets follow; `n` is at least 1."""

    __slots__ = ("n",)

    def __init__(self, n: int) -> None:
        self.n: Final = n

    def _key(self) -> tuple[object, ...]:
        return (self.n,)


@final
class Chunked(Value):
    """Chunks follow, the last one empty, then trailer fields (RFC 9112 §7.1)."""

    __slots__ = ()

    def _key(self) -> tuple[object, ...]:
        return ()


Framing: TypeAlias = NoBody | Length | Chunked

NO_BODY: Final = NoBody()
CHUNKED: Final = Chunked()


def request_framing(version: bytes, fields: RequestFields, limits: Limits) -> Framing:
    """Decide how the body that follows this head is delimited (RFC 9112 §6.3).

    Raises RemoteProtocolError: 400 for what is malformed or ambiguous, 501 for a transfer coding that is not
    known here, 413 for a Content-Length beyond `limits.body`.
    """
    content_length = fields.get(b"content-length")
    transfer_encoding = fields.get(b"transfer-encoding")
    if transfer_encoding is not None:
        _check_coded(version, transfer_encoding, content_length)
        return CHUNKED
    if content_length is None:
        return NO_BODY
    return _length(content_length, limits)


def _length(content_length: bytes, limits: Limits) -> Framing:
    # A repeated Content-Length arrives here combined with ", ", and so does not match: RFC 9110 §8.6 lets a
    # recipient collapse equal ones, or reject the message.
    if CONTENT_LENGTH.fullmatch(content_length) is None:
        _refuse(HTTPStatus.BAD_REQUEST, "Content-Length is malformed or repeated")
    n = int(content_length)
    if n > limits.body:
        _refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Content-Length is beyond the limit")
    return Length(n) if n else NO_BODY


def _check_coded(version: bytes, transfer_encoding: bytes, content_length: bytes | None) -> None:
    # RFC 9112 §6.1: "A server or client that receives an HTTP/1.0 message containing a Transfer-Encoding
    # header field MUST treat the message as if the framing is faulty".
    if version == b"HTTP/1.0":
        _refuse(HTTPStatus.BAD_REQUEST, "Transfer-Encoding in HTTP/1.0")
    # RFC 9112 §6.1: "A server MAY reject a request that contains both Content-Length and Transfer-Encoding".
    if content_length is not None:
        _refuse(HTTPStatus.BAD_REQUEST, "Content-Length beside Transfer-Encoding")
    if transfer_encoding.lower() != b"chunked":
        _refuse_codings(transfer_encoding)


def _refuse_codings(transfer_encoding: bytes) -> NoReturn:
    """Say why a Transfer-Encoding other than exactly "chunked" is refused."""
    codings = [coding.strip(b" \t").lower() for coding in transfer_encoding.split(b",")]
    names = [coding.partition(b";")[0].rstrip(b" \t") for coding in codings]
    if any(TOKEN.fullmatch(name) is None for name in names):
        _refuse(HTTPStatus.BAD_REQUEST, "Transfer-Encoding is malformed")
    # RFC 9112 §7.1: "The chunked coding does not define any parameters. Their presence SHOULD be treated as
    # an error."
    if any(name == b"chunked" != coding for name, coding in zip(names, codings, strict=True)):
        _refuse(HTTPStatus.BAD_REQUEST, "parameters on the chunked coding")
    # RFC 9112 §6.1: "A sender MUST NOT apply the chunked transfer coding more than once to a message body";
    # §6.3: if it is not the final one, "the server MUST respond with the 400 (Bad Request) status code".
    if b"chunked" in names[:-1]:
        _refuse(HTTPStatus.BAD_REQUEST, "the chunked coding is repeated or not final")
    # RFC 9112 §6.1: "A server that receives a request message with a transfer coding it does not understand
    # SHOULD respond with 501 (Not Implemented)."
    _refuse(HTTPStatus.NOT_IMPLEMENTED, "unknown transfer coding")


def _refuse(status: HTTPStatus, detail: str) -> NoReturn:
    raise RemoteProtocolError(status, detail)
