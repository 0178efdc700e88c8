"""One range of bytes."""

import msgspec


class ByteRange(msgspec.Struct, frozen=True, gc=False):
    """The bytes `first` to `last`, both included: 0 <= first <= last < size of the representation."""

    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1
