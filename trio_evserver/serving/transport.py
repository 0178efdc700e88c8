"""How bytes reach the peer: two transports behind one small interface.

`SocketTransport` (serving/socket_transport.py) works on the socket itself, for speed. `StreamTransport`
(serving/stream_transport.py) works on any `trio.abc.Stream`, memory streams and TLS included. Neither offers
readability: TLS buffers, so a readable socket means nothing there.
"""

from collections.abc import Callable
from typing import Protocol

from trio_evserver.files.disk import Buffer
from trio_evserver.files.span import Span

RECEIVE = 16 * 1024
"""The most bytes of one receive."""


class ConnectionLost(Exception):  # noqa: N818 - an event, as the RFC's own words have it, not an error of ours
    """The peer is gone, or the network between."""


class Transport(Protocol):
    """A byte stream to a peer."""

    on_stall: Callable[[bool], None]
    """Called with True before each wait for the peer to take more of what is being sent, with False when it
    has.
    """

    moment: int
    """What was received last had begun to arrive before this moment (see `Readiness`); 0 where that is not
    known.
    """

    taken: int
    """Bytes that were handed to the operating system, or to the stream, so far."""

    def notice_loss(self, lost: Callable[[], None]) -> None:
        """Have `lost` called if the peer turns out to be gone, both ways, while nothing waits for it; where
        that can be told.
        """

    def undelivered(self) -> int:
        """Those of them that have not reached the peer, as far as can be told."""

    async def receive(self) -> bytes:
        """The next bytes, b"" once the peer has ended its side. Raises ConnectionLost. Cancellation:
        prompt, nothing is lost.
        """

    def receive_nowait(self) -> bytes | None:
        """What has arrived, as `receive`; None if nothing has, as far as can be told at once."""

    may_have_more: bool
    """Whether there was more than the last receive brought, or may have been."""

    has_received: bool
    """Whether something was received already that `receive_nowait` is yet to hand over."""

    def watch(self) -> None:
        """Learn of what changes from now on; before anything is waited for. Raises OSError."""

    def attend(self, ready: Callable[[], None]) -> bool:
        """Have `ready` called each time that something may have arrived, until `attend_no_more` or `receive`
        is called. False: not now, or not here: call `receive`.
        """

    def attend_no_more(self) -> None:
        """Have nobody called."""

    async def send(self, head: Buffer, body: Buffer = b"") -> None:
        """Send both, in order. Raises ConnectionLost. Cancellation: prompt; how much was sent is
        then unknown.
        """

    def send_nowait(self, head: Buffer, body: Buffer = b"") -> int:
        """Send what fits at once of both, in order; how many bytes that was. Raises ConnectionLost."""

    async def send_rest(self, head: Buffer, body: Buffer, sent: int) -> None:
        """Send what `send_nowait` left of both after `sent` bytes; raises and is cancelled as `send`."""

    def send_span_nowait(self, head: bytes, span: Span) -> int:
        """Send what fits at once of `head` and a span of a file in memory; how many bytes that was. Raises
        ConnectionLost.
        """

    longest_in_place: int
    """Bodies of up to so many bytes are better sent in place, by `send_from`; 0 where there is none."""

    async def send_from(self, head: bytes, span: Span, left_of: Callable[[Span, int], int]) -> int:
        """Send `head`, whatever comes of the rest, and then what can be of `span`; how many bytes of that.

        `left_of` is asked after each wait for the peer how many bytes of the span, behind the first so many,
        may still be sent. Raises OSError where none can be sent in place, ConnectionLost; is cancelled as
        `send`.
        """

    async def wait_writable(self) -> None:
        """Until the peer takes some bytes."""

    async def end(self) -> None:
        """Send the end of our side."""

    def close_nowait(self) -> bool:
        """Close both sides, where that needs no waiting; False: `close` it."""

    async def close(self) -> None:
        """Close both sides, soon. Cancellation: is not noticed; the wait for a farewell has a deadline of
        its own.
        """

    def abort(self) -> None:
        """Let the coming `close` tell the peer that what it has is not whole, where the protocol below can
        say so.
        """


def nobody(stalled: bool) -> None:
    """No one is interested."""
