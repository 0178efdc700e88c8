"""Entity tags (RFC 9110 §8.8.3): comparison, and the lists of If-Match and If-None-Match."""

import enum
import re
from typing import Final, TypeAlias, final

from trio_evserver.semantics.value import Value

# etagc = %x21 / %x23-7E / obs-text: no blank, no quote, no control character. A comma may stand inside a tag.
_TAG: Final = re.compile(rb'(W/)?"([!#-~\x80-\xff]*+)"')

# 1#entity-tag as a recipient must read it (§5.6.1.2): empty elements count for nothing. Possessive,
# so that a hostile list costs one pass, but for one "?": in Python 3.11.2 (Debian 12) "?+" within "*+" keeps
# what an attempt that failed has matched.
_ONE: Final = rb'(?:W/)?+"[!#-~\x80-\xff]*+"'
_LIST: Final = re.compile(
    rb"(?:[ \t]*+,)*+[ \t]*+" + _ONE + rb"(?:[ \t]*+,(?:[ \t]*+" + _ONE + rb")?)*+[ \t]*+"
)


@final
class EntityTag(Value):
    """One entity tag: `opaque` is what stands between the quotes, `weak` says that W/ stood before them."""

    __slots__ = ("opaque", "weak")

    def __init__(self, opaque: bytes, weak: bool) -> None:
        self.opaque: Final = opaque
        self.weak: Final = weak

    def _key(self) -> tuple[object, ...]:
        return self.opaque, self.weak

    def render(self) -> bytes:
        return b'W/"%b"' % self.opaque if self.weak else b'"%b"' % self.opaque

    def matches_strongly(self, other: "EntityTag") -> bool:
        """Strong comparison (§8.8.3.2): the same octets, and neither is weak."""
        return not self.weak and not other.weak and self.opaque == other.opaque

    def matches_weakly(self, other: "EntityTag") -> bool:
        """Weak comparison (§8.8.3.2): the same octets."""
        return self.opaque == other.opaque


class AnyTag(enum.Enum):
    """The field value "*": any current representation."""

    ANY = "*"


EntityTags: TypeAlias = AnyTag | tuple[EntityTag, ...]


def parse_entity_tag(value: bytes) -> EntityTag | None:
    """The one entity tag that `value` is, or None."""
    found = _TAG.fullmatch(value)
    return None if found is None else _made(found)


def parse_entity_tags(value: bytes) -> EntityTags | None:
    """The value of If-Match or If-None-Match: "*", or a list of at least one tag; None for anything else."""
    if one := parse_entity_tag(value):  # what browsers send
        return (one,)
    if value == b"*":
        return AnyTag.ANY
    if _LIST.fullmatch(value) is None:
        return None
    return tuple(_made(found) for found in _TAG.finditer(value))


def _made(found: re.Match[bytes]) -> EntityTag:
    weak, opaque = found.groups()
    return EntityTag(opaque, weak is not None)
