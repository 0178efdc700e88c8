"""What has been received and not yet read."""


class Buffer:
    """Octets with an offset where the unread ones start, so that reading a part never moves the rest.

    The unread octets are `data[start:]`. `data` is the very object that was received for as long as it is
    read before more arrives, which is the common case: then nothing is copied. `scanned` is a position,
    `start` or beyond, before which what is being looked for does not begin; it makes the search linear
    however the octets arrive.
    """

    __slots__ = ("data", "scanned", "start")

    def __init__(self, data: bytes = b"") -> None:
        self.data: bytes | bytearray = data
        self.start = 0
        self.scanned = 0

    def __repr__(self) -> str:
        return f"<Buffer of {len(self)} octets>"

    def __len__(self) -> int:
        return len(self.data) - self.start

    def append(self, data: bytes) -> None:
        """Add what has been received."""
        if self.start == len(self.data):
            self.data = data
            self.start = self.scanned = 0
            return
        # A bytearray grows, and loses its front, in amortised constant time per octet.
        if isinstance(self.data, bytes):
            self.data = bytearray(self.data[self.start :])
        else:
            del self.data[: self.start]
        self.scanned -= self.start
        self.start = 0
        self.data += data

    def skip(self, end: int) -> None:
        """Drop everything before the position `end`; once all is read, let go of the memory."""
        if end == len(self.data):
            self.data = b""
            end = 0
        self.start = self.scanned = end

    def take(self, end: int) -> bytes:
        """Read up to the position `end`; what was received in one piece and is taken whole is not copied."""
        data = self.data
        if end == len(data) and not self.start:
            self.data = b""
            self.scanned = 0
            return data if type(data) is bytes else bytes(data)
        taken = bytes(data[self.start : end])
        self.skip(end)
        return taken
