"""A selected representation (RFC 9110 §3.2, §8): what is known of a file once it has been opened.

It is made once per file and asked many times, so the two answers that nearly every request gets, the 200 and
the 304, lie ready in it with their heads rendered, and for a part of it all but what it says of itself.
`render` makes field lines ready for the wire, so that those of one head can be put together from pieces;
which version of HTTP, and which fields a site adds, is its affair, so a representation belongs to the pair of
a file and that callable.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final, TypeAlias, final

from trio_evserver.semantics.entity_tag import EntityTag
from trio_evserver.semantics.fields import FieldLine, FieldLines
from trio_evserver.semantics.http_date import format_http_date
from trio_evserver.semantics.message import EMPTY, Body, Content, Parts, Region, Response

Render: TypeAlias = Callable[[FieldLines], bytes]

_OK: Final = HTTPStatus.OK
_NOT_MODIFIED: Final = HTTPStatus.NOT_MODIFIED
_ACCEPT_RANGES: Final[FieldLine] = (b"Accept-Ranges", b"bytes")
NOSNIFF: Final[FieldLine] = (b"X-Content-Type-Options", b"nosniff")


@final
class Representation:
    """Content of `size` bytes with its metadata, and its ready-made answers.

    `modified` is in whole seconds since the epoch, None where no Last-Modified is sent;
    `modified_is_strong` as in §8.8.2.2. `content` is all of it where it is held in memory, None where it is
    read from the file. `metadata` is what a response with content says of it besides its length, the
    Content-Type first; `head` is the same made ready by `render`. `complete` is the 200, `not_modified` the
    304.
    """

    __slots__ = (
        "cache_control", "complete", "content", "entity_tag", "etag", "head", "media_type", "metadata",
        "modified", "modified_is_strong", "not_modified", "render", "size",
    )  # fmt: skip

    def __init__(
        self,
        *,
        size: int,
        modified: int | None,
        modified_is_strong: bool,
        entity_tag: EntityTag | None,
        media_type: bytes,
        cache_control: bytes,
        content: bytes | None = None,
        render: Render,
    ) -> None:
        """Raises ValueError where `content` is not `size` bytes long, or `modified` is not in the years 1 to
        9999.
        """
        if content is not None and len(content) != size:
            raise ValueError(f"{len(content)} bytes of content for a representation of {size}")
        tag = None if entity_tag is None else entity_tag.render()
        dated: FieldLines = () if modified is None else ((b"Last-Modified", format_http_date(modified)),)
        tagged: FieldLines = () if tag is None else ((b"ETag", tag),)
        # §15.4.5: of the metadata only what guides the cache; Last-Modified only for want of an entity tag.
        # Of a full answer it is the end, so that no field is made ready twice.
        not_modified: FieldLines = (*(tagged or dated), (b"Cache-Control", cache_control), NOSNIFF)
        beginning: FieldLines = ((b"Content-Type", media_type), _ACCEPT_RANGES, *(dated if tagged else ()))
        end = render(not_modified)
        head = render(beginning) + end
        metadata = beginning + not_modified
        length: FieldLines = (content_length(size),)
        self.size: Final = size
        self.modified: Final = modified
        self.modified_is_strong: Final = modified_is_strong
        self.entity_tag: Final = entity_tag
        self.etag: Final = tag
        self.media_type: Final = media_type
        self.cache_control: Final = cache_control
        self.content: Final = content
        self.metadata: Final = metadata
        self.head: Final = head
        self.render: Final = render
        self.complete: Final = Response(_OK, length + metadata, _whole(size, content), render(length) + head)
        self.not_modified: Final = Response(_NOT_MODIFIED, not_modified, EMPTY, end)

    def __repr__(self) -> str:
        return f"<Representation of {self.size} bytes of {self.media_type.decode()}>"

    def without_content(self) -> "Representation":
        """The same, its content to be read from the file."""
        return Representation(
            size=self.size,
            modified=self.modified,
            modified_is_strong=self.modified_is_strong,
            entity_tag=self.entity_tag,
            media_type=self.media_type,
            cache_control=self.cache_control,
            render=self.render,
        )


def content_length(length: int) -> FieldLine:
    return (b"Content-Length", b"%d" % length)


def _whole(size: int, content: bytes | None) -> Body:
    if size == 0:
        return EMPTY
    return Parts((Region(0, size),), size) if content is None else Content(content)
