"""What comes next in a conversation, and how it ends, so that what was said last is heard."""

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import TypeAlias, Union

from trio_evserver.serving.transport import Transport

# So much of what the peer is still sending is read.
_LINGER_BYTES = 1024 * 1024


class End(Enum):
    """How a conversation ends: closed, closed after what the peer is still sending has been read, or broken
    off.
    """

    CLOSE = "close"
    LINGER = "linger"
    ABORT = "abort"


Work: TypeAlias = Callable[[], Awaitable["Next"]]
Next: TypeAlias = Union[Work, End, None]  # noqa: UP007 - a forward reference is no operand of "|"
"""What comes next: work that has to wait, the end, or None: the peer is to send more."""


async def farewell(transport: Transport, end: End) -> None:
    """What comes before the close. Raises ConnectionLost. Cancellation: prompt."""
    if end is End.ABORT:
        transport.abort()
    elif end is End.LINGER:
        # A close with something unread would be a reset, which the answer may be lost to (RFC 9112 §9.6).
        await transport.end()
        received = 0
        while received < _LINGER_BYTES and (data := await transport.receive()):
            received += len(data)
