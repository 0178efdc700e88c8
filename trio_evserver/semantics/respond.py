"""From a request and the representation it selected to the response (RFC 9110 §13.2.2, §14).

HEAD is answered as GET without its Range (§14.2 defines Range for GET alone); the responder leaves the
content out. An answer that needs a page for people, an error or a redirect, is a `Refusal`, and becomes a
response by `page`.
"""

from http import HTTPStatus
from typing import Final, assert_never

from trio_evserver.semantics.byte_range import ByteRange
from trio_evserver.semantics.byte_ranges import Unranged, select
from trio_evserver.semantics.fields import FieldLines
from trio_evserver.semantics.message import EMPTY, Body, Content, Parts, Refusal, Region, Request, Response
from trio_evserver.semantics.multipart import byteranges, content_range, content_type
from trio_evserver.semantics.policy import Policy
from trio_evserver.semantics.preconditions import Decision, evaluate, if_range_holds
from trio_evserver.semantics.representation import NOSNIFF, Representation, content_length

ALLOW: Final = b"GET, HEAD, OPTIONS"

_PRECONDITIONS: Final = frozenset(
    (b"if-match", b"if-unmodified-since", b"if-none-match", b"if-modified-since")
)
_CONDITIONAL: Final = _PRECONDITIONS | {b"if-range", b"range"}
_PARTIAL_CONTENT: Final = HTTPStatus.PARTIAL_CONTENT
_SERVED: Final = frozenset((b"GET", b"HEAD", b"OPTIONS"))
_KNOWN: Final = frozenset((b"POST", b"PUT", b"DELETE", b"PATCH", b"CONNECT", b"TRACE"))


def answer(request: Request, representation: Representation, policy: Policy) -> Response | Refusal:
    """The response to a GET or HEAD: 200, 206, 304, or a refusal with 412 or 416."""
    fields = request.fields
    if _CONDITIONAL.isdisjoint(fields):
        return representation.complete
    # What a cache that is up to date asks; steps 1 and 2 of §13.2.2 come first, where there are any.
    asked = fields.get(b"if-none-match")
    if (
        asked is not None
        and asked == representation.etag
        and b"if-match" not in fields
        and b"if-unmodified-since" not in fields
    ):
        return representation.not_modified
    if _PRECONDITIONS.isdisjoint(fields):
        return _content(request, representation, policy)
    decision = evaluate(
        fields,
        entity_tag=representation.entity_tag,
        modified=representation.modified,
        is_get_or_head=True,
        now=policy.now(),
    )
    match decision:
        case Decision.NOT_MODIFIED:
            return representation.not_modified
        case Decision.PRECONDITION_FAILED:
            return Refusal(HTTPStatus.PRECONDITION_FAILED, "a precondition of the request fails")
        case Decision.PROCEED:
            return _content(request, representation, policy)
        case unreachable:
            assert_never(unreachable)


def _content(request: Request, representation: Representation, policy: Policy) -> Response | Refusal:
    """Step 5 of §13.2.2: the ranges asked for, where Range applies and If-Range allows it, or the whole."""
    value = request.fields.get(b"range")
    if value is None or request.method != b"GET" or not _range_applies(request, representation, policy):
        return representation.complete
    selected = select(value, representation.size, policy.max_ranges)
    if isinstance(selected, tuple):
        if len(selected) == 1:
            return _single(representation, selected[0])
        return _multiple(representation, selected, policy.boundary())
    if selected is Unranged.WHOLE:
        return representation.complete
    unmet = (b"Content-Range", b"bytes */%d" % representation.size)
    return Refusal(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "no range can be satisfied", (unmet,))


def _range_applies(request: Request, representation: Representation, policy: Policy) -> bool:
    value = request.fields.get(b"if-range")
    return value is None or if_range_holds(
        value,
        representation.entity_tag,
        representation.modified,
        representation.modified_is_strong,
        policy.now(),
    )


def _single(representation: Representation, found: ByteRange) -> Response:
    """§15.3.7.1: one part, described in the head."""
    first, size = found.first, representation.size
    length = found.last - first + 1
    fields: FieldLines = (
        content_length(length),
        (b"Content-Range", content_range(found, size)),
    )
    head = representation.render(fields) + representation.head
    body = _body(Parts((Region(first, length),), length), representation.content)
    return Response(_PARTIAL_CONTENT, fields + representation.metadata, body, head)


def _multiple(representation: Representation, ranges: tuple[ByteRange, ...], boundary: bytes) -> Response:
    """§15.3.7.2: many parts, each described by itself; "MUST NOT" have a Content-Range in the head."""
    parts = byteranges(ranges, representation.size, representation.media_type, boundary)
    metadata = ((b"Content-Type", content_type(boundary)), *representation.metadata[1:])
    fields = (content_length(parts.length), *metadata)
    return Response(_PARTIAL_CONTENT, fields, _body(parts, representation.content))


def _body(parts: Parts, content: bytes | None) -> Body:
    """The parts as they are, or cut from content that is held."""
    if content is None:
        return parts
    return Content(
        b"".join(
            part if isinstance(part, bytes) else content[part.offset : part.offset + part.length]
            for part in parts.parts
        )
    )


def check_method(method: bytes) -> Refusal | None:
    """None for a method that is served; 405 for one that is known (§15.5.6), 501 for any other (§15.6.2)."""
    if method in _SERVED:
        return None
    if method in _KNOWN:
        return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "the method is not allowed", ((b"Allow", ALLOW),))
    return Refusal(HTTPStatus.NOT_IMPLEMENTED, "the method is not known")


def options() -> Response:
    """The answer to OPTIONS (§9.3.7). A 204 has no Content-Length (§8.6)."""
    return Response(HTTPStatus.NO_CONTENT, ((b"Allow", ALLOW),), EMPTY)


def redirect(location: bytes) -> Refusal:
    """301 to `location`, an absolute path as `ResourcePath.url` writes it."""
    return Refusal(HTTPStatus.MOVED_PERMANENTLY, "moved permanently", ((b"Location", location),))


def page(refusal: Refusal, content: bytes, media_type: bytes) -> Response:
    """The response to a refused request, with a page that no cache may keep: it may be served soon."""
    fields = (
        *refusal.fields,
        (b"Content-Type", media_type),
        content_length(len(content)),
        (b"Cache-Control", b"no-store"),
        NOSNIFF,
    )
    return Response(refusal.status, fields, Content(content) if content else EMPTY)
