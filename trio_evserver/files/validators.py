"""What a file's status says about its validators (RFC 9110 §8.8). Pure."""

from typing import Final, final

from trio_evserver.files.identity import Identity
from trio_evserver.files.options import ETagSource
from trio_evserver.semantics.entity_tag import EntityTag
from trio_evserver.semantics.value import Value

# Kernels stamp files by the tick, 4 to 10 ms apart: until two ticks have passed a second change could carry
# the same time, so what was read may be half of it.
_TICKS: Final = 20_000_000
_SECOND: Final = 1_000_000_000

MAX_DIGESTED: Final = 64 * 1024 * 1024
"""The largest file, in bytes, that is read through for the sake of its entity tag."""


@final
class Validators(Value):
    """`modified` in seconds since the epoch, None where it means nothing; `settled` is False while the file
    may be changing.
    """

    __slots__ = ("entity_tag", "modified", "modified_is_strong", "settled")

    def __init__(
        self, entity_tag: EntityTag | None, modified: int | None, modified_is_strong: bool, settled: bool
    ) -> None:
        self.entity_tag: Final = entity_tag
        self.modified: Final = modified
        self.modified_is_strong: Final = modified_is_strong
        self.settled: Final = settled

    def _key(self) -> tuple[object, ...]:
        return self.entity_tag, self.modified, self.modified_is_strong, self.settled


def has_meaningless_time(identity: Identity) -> bool:
    """Whether the file is from an image layer or a reproducible build, where every file has the time 0 or
    1.
    """
    return identity.modified < 2 * _SECOND


def wants_digest(identity: Identity, source: ETagSource) -> bool:
    """Whether the entity tag is made from the content."""
    if source is ETagSource.CONTENT:
        return identity.size <= MAX_DIGESTED
    return source is ETagSource.AUTO and has_meaningless_time(identity) and identity.size <= MAX_DIGESTED


def is_settled(identity: Identity, now: int) -> bool:
    """Whether its last change is so long ago, at `now` (nanoseconds since the epoch), that another would
    show.
    """
    return abs(now - identity.modified) >= _TICKS and abs(now - identity.changed) >= _TICKS


def validators(identity: Identity, source: ETagSource, digest: str, now: int) -> Validators:
    """The validators of a file read at `now` (nanoseconds since the epoch); `digest` is empty where none
    was made.

    The tag of a file with a meaningful time is made of time and size, so that replicas of a site agree on
    it. A Last-Modified in the future is not sent (§8.8.2.1); it is strong once its second has passed
    (§8.8.2.2).
    """
    settled = is_settled(identity, now)
    opaque = b""
    if digest:
        opaque = digest.encode()
    elif source is ETagSource.AUTO and not has_meaningless_time(identity):
        opaque = b"%x-%x" % (identity.modified, identity.size)
    seconds = identity.modified // _SECOND
    dated = not has_meaningless_time(identity) and identity.modified <= now
    return Validators(
        entity_tag=EntityTag(opaque, not settled) if opaque else None,
        modified=seconds if dated else None,
        modified_is_strong=dated and now // _SECOND > seconds,
        settled=settled,
    )
