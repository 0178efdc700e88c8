"""A part of a file that is sent from where it is."""

from typing import Final, final

from trio_evserver.semantics.value import Value


@final
class Span(Value):
    """Bytes of an open file that a moment ago were all in the page cache, to be sent from there."""

    __slots__ = ("descriptor", "length", "offset")

    def __init__(self, descriptor: int, offset: int, length: int) -> None:
        self.descriptor: Final = descriptor
        self.offset: Final = offset
        self.length: Final = length

    def _key(self) -> tuple[object, ...]:
        return self.descriptor, self.offset, self.length
