"""How many bytes of the replies are in memory: a bound for the whole server, not only for each of them."""


class ReadMemory:
    """Bytes that were read, or are being read, and not yet sent; `peak` is the most of them at a time so
    far.
    """

    __slots__ = ("held", "limit", "peak")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = self.peak = 0

    def __repr__(self) -> str:
        return f"<ReadMemory {self.held}/{self.limit}>"

    def has_room_for(self, size: int) -> bool:
        """Whether `size` more bytes stay within the limit."""
        return self.held + size <= self.limit

    def hold(self, size: int) -> None:
        """Count `size` bytes, room or not."""
        self.held += size
        self.peak = max(self.peak, self.held)

    def give_back(self, size: int) -> None:
        """Count them no more."""
        self.held -= size
