"""What comes next in a conversation, and how it ends, so that what was said last is heard."""

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import TypeAlias, Union

from trio_evserver.files.lease import Lease
from trio_evserver.files.warming import Warming
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


class Pause:
    """A wait that needs no task: once `warming` has ended, `go_on` says what is next. Whoever does not go on
    releases `lease`.
    """

    __slots__ = ("go_on", "lease", "warming")

    def __init__(self, warming: Warming, lease: Lease, go_on: "Callable[[], Next]") -> None:
        self.warming = warming
        self.lease = lease
        self.go_on = go_on


Work: TypeAlias = Callable[[], Awaitable["Next"]]
Next: TypeAlias = Union[Work, Pause, End, None]  # noqa: UP007 - a forward reference is no operand of "|"
"""What comes next: work that has to wait, a wait for pages, the end, or None: the peer is to send more."""


def last_end(*, draining: bool) -> End:
    """How a conversation ends with an answer that says so."""
    # A request that is on its way would turn a plain close into a reset, and the answer be lost to it.
    return End.LINGER if draining else End.CLOSE


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
