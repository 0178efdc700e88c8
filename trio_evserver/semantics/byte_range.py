"""One range of bytes."""

from typing import Final, final

from trio_evserver.semantics.value import Value


@final
class ByteRange(Value):
    """The bytes `first` to `last`, both included: 0 <= first <= last < size of the representation."""

    __slots__ = ("first", "last")

    def __init__(self, first: int, last: int) -> None:
        self.first: Final = first
        self.last: Final = last

    def _key(self) -> tuple[object, ...]:
        return self.first, self.last

    @property
    def length(self) -> int:
        return self.last - self.first + 1
