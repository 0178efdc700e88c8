"""The Cache-Control that a file gets unless its owner says otherwise (RFC 9111 §5.2, RFC 8246).

The default hides no edit: a cache may keep the content but asks before each use, which costs a 304. Only a
name that changes with its content is promised never to change.
"""

import re
from typing import Final

REVALIDATE: Final = b"no-cache"
IMMUTABLE: Final = b"public, max-age=31536000, immutable"

# name.HASH.ext and name-HASH.ext as bundlers write them, and the source map of such a file. A letter and a
# digit must both be in the hash, so that neither a date (20240131) nor a word (defaced, facade) is taken for
# one.
_HASHED: Final = re.compile(
    rb".[.-](?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{8,64}\.[a-z0-9]+(?:\.map)?\Z", re.IGNORECASE | re.DOTALL
)
# The last group of a UUID looks like a hash, but says nothing about the content.
_UUID: Final = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.", re.IGNORECASE)

_HTML: Final = (b"text/html", b"application/xhtml+xml")


def cache_control(name: bytes, media_type: bytes) -> bytes:
    """The field value for a file of this last path segment and media type; HTML is never immutable."""
    if media_type.startswith(_HTML) or _HASHED.search(name) is None or _UUID.search(name) is not None:
        return REVALIDATE
    return IMMUTABLE
