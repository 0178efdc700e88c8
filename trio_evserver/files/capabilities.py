"""Which of the faster ways a disk may try."""

import msgspec


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the faster ways are tried."""

    openat2: bool = True
    nowait: bool = True
    sendfile: bool = True
