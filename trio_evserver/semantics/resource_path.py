"""The name of a resource below the root, and the way back from it to a path."""

from typing import Final, final
from urllib.parse import quote_from_bytes

from trio_evserver.semantics.value import Value

_PCHAR: Final = "!$&'()*+,;=:@"  # beyond the unreserved characters, RFC 3986 §3.3


@final
class ResourcePath(Value):
    """The decoded segments of a path; made by `resolve` alone, and therefore safe to walk from the root.

    `directory` says that the path ended in "/"; the root is `((), True, b"")`. `relative` is the segments
    joined by "/", without a slash at either end.
    """

    __slots__ = ("directory", "relative", "segments")

    def __init__(self, segments: tuple[bytes, ...], directory: bool, relative: bytes) -> None:
        self.segments: Final = segments
        self.directory: Final = directory
        self.relative: Final = relative

    def _key(self) -> tuple[object, ...]:
        return self.segments, self.directory, self.relative

    @property
    def hidden(self) -> bool:
        """A segment starts with "."; only a first segment `.well-known` (RFC 8615 §3) does not count."""
        relative = self.relative
        return b"/." in relative or (relative.startswith(b".") and self.segments[0] != b".well-known")

    def url(self) -> bytes:
        """The canonical absolute path, percent-encoded: `resolve` gives this very resource for it.

        It starts with exactly one "/", so that in a Location it can never be read as another host's address.
        """
        slash = "/" if self.directory and self.segments else ""
        return f"/{quote_from_bytes(self.relative, safe='/' + _PCHAR)}{slash}".encode("ascii")
