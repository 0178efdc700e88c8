"""A part of a file that is sent from where it is."""

import msgspec


class Span(msgspec.Struct, frozen=True, gc=False):
    """Bytes of an open file that a moment ago were all in the page cache, to be sent from there."""

    descriptor: int
    offset: int
    length: int
