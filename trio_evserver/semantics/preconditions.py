"""Conditional requests (RFC 9110 §13): one function per field, and the order in which they are asked.

Every function answers in three ways: the field is absent (or to be ignored, which is the same), its condition
holds, or it fails. A field that is there but malformed is told apart by what is at stake: a date that is
none is ignored, as §13.1.3 and §13.1.4 demand; a list of entity tags that is none matches nothing, so that
If-Match stops the request and If-None-Match lets it through to the full answer.
"""

import enum
from typing import assert_never

from trio_evserver.semantics.entity_tag import AnyTag, EntityTag, parse_entity_tag, parse_entity_tags
from trio_evserver.semantics.fields import RequestFields
from trio_evserver.semantics.http_date import parse_http_date


class Verdict(enum.Enum):
    ABSENT = "absent"
    HOLDS = "holds"
    FAILS = "fails"


class Decision(enum.Enum):
    PROCEED = "proceed"
    NOT_MODIFIED = "not modified"
    PRECONDITION_FAILED = "precondition failed"


def if_match(fields: RequestFields, entity_tag: EntityTag | None) -> Verdict:
    """§13.1.1, by strong comparison. "*" holds: a representation is at hand when this is asked."""
    value = fields.get(b"if-match")
    if value is None:
        return Verdict.ABSENT
    match parse_entity_tags(value):
        case None:
            return Verdict.FAILS
        case AnyTag.ANY:
            return Verdict.HOLDS
        case tuple(tags):
            found = entity_tag is not None and any(map(entity_tag.matches_strongly, tags))
            return Verdict.HOLDS if found else Verdict.FAILS
        case unreachable:
            assert_never(unreachable)


def if_unmodified_since(fields: RequestFields, modified: int | None, now: float) -> Verdict:
    """§13.1.4; ignored where there is no modification date to compare."""
    since = _date(fields.get(b"if-unmodified-since"), now)
    if since is None or modified is None:
        return Verdict.ABSENT
    return Verdict.HOLDS if modified <= since else Verdict.FAILS


def if_none_match(fields: RequestFields, entity_tag: EntityTag | None) -> Verdict:
    """§13.1.2, by weak comparison. "*" fails: a representation is at hand when this is asked."""
    value = fields.get(b"if-none-match")
    if value is None:
        return Verdict.ABSENT
    if entity_tag is not None and value == entity_tag.render():  # what a cache that is up to date sends
        return Verdict.FAILS
    match parse_entity_tags(value):
        case None:
            return Verdict.HOLDS
        case AnyTag.ANY:
            return Verdict.FAILS
        case tuple(tags):
            found = entity_tag is not None and any(map(entity_tag.matches_weakly, tags))
            return Verdict.FAILS if found else Verdict.HOLDS
        case unreachable:
            assert_never(unreachable)


def if_modified_since(fields: RequestFields, modified: int | None, now: float) -> Verdict:
    """§13.1.3; for GET and HEAD only, and ignored where there is no modification date to compare."""
    since = _date(fields.get(b"if-modified-since"), now)
    if since is None or modified is None:
        return Verdict.ABSENT
    return Verdict.HOLDS if modified > since else Verdict.FAILS


def if_range_holds(
    value: bytes, entity_tag: EntityTag | None, modified: int | None, modified_is_strong: bool, now: float
) -> bool:
    """§13.1.5: the exact validator of the representation, and a strong one; then the Range is answered.

    An entity tag is told from a date by the quote among its first three octets.
    """
    if b'"' in value[:3]:
        asked = parse_entity_tag(value)
        return asked is not None and entity_tag is not None and entity_tag.matches_strongly(asked)
    return modified_is_strong and modified is not None and _date(value, now) == modified


def evaluate(
    fields: RequestFields,
    *,
    entity_tag: EntityTag | None,
    modified: int | None,
    is_get_or_head: bool,
    now: float,
) -> Decision:
    """Steps 1 to 4 of §13.2.2; `modified` and `now` are seconds since the epoch.

    To be asked only where the answer without conditions would be 2xx (§13.2.1). Step 5, If-Range, belongs to
    the Range that it guards.
    """
    verdict = if_match(fields, entity_tag)
    if verdict is Verdict.ABSENT:
        verdict = if_unmodified_since(fields, modified, now)
    if verdict is Verdict.FAILS:
        return Decision.PRECONDITION_FAILED
    verdict = if_none_match(fields, entity_tag)
    if verdict is Verdict.ABSENT and is_get_or_head:
        verdict = if_modified_since(fields, modified, now)
    if verdict is Verdict.FAILS:
        return Decision.NOT_MODIFIED if is_get_or_head else Decision.PRECONDITION_FAILED
    return Decision.PROCEED


def _date(value: bytes | None, now: float) -> int | None:
    return None if value is None else parse_http_date(value, now)
