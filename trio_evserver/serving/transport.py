"""How bytes reach the peer: two transports behind one small interface, which is a class, and compiled with
them, so that nothing of it is looked up by name.

`SocketTransport` (serving/socket_transport.py) works on the socket itself, for speed. `StreamTransport`
(serving/stream_transport.py) works on any `trio.abc.Stream`, memory streams and TLS included. Neither offers
readability: TLS buffers, so a readable socket means nothing there.
"""

from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from typing import Final

from trio_evserver.files.disk import Buffer
from trio_evserver.files.span import Span
from trio_evserver.serving.readiness import Receiver

RECEIVE: Final = 16 * 1024
"""The most bytes of one receive."""


class ConnectionLost(Exception):  # noqa: N818 - an event, as the RFC's own words have it, not an error of ours
    """The peer is gone, or the network between."""


class Transport(metaclass=ABCMeta):  # why not ABC, `Receiver` says
    """A byte stream to a peer."""

    __slots__ = ("has_received", "may_have_more", "moment", "taken")

    has_received: bool
    """Whether something was received already that `receive_nowait` is yet to hand over."""

    may_have_more: bool
    """Whether there was more than the last receive brought, or may have been."""

    moment: int
    """What was received last had begun to arrive before this moment (see `Readiness`); 0 where that is not
    known.
    """

    taken: int
    """Bytes that were handed to the operating system, or to the stream, so far."""

    @property
    @abstractmethod
    def sends_in_place(self) -> bool:
        """Whether a span of a file can be sent, by `send_from`."""

    @abstractmethod
    def notice_stall(self, stalled: Callable[[bool], None]) -> None:
        """Have `stalled` called with True before each wait for the peer to take more of what is being sent,
        with False when it has.
        """

    @abstractmethod
    def notice_loss(self, lost: Callable[[], None]) -> None:
        """Have `lost` called if the peer turns out to be gone, both ways, while nothing waits for it; where
        that can be told.
        """

    @abstractmethod
    def undelivered(self) -> int:
        """Those of the bytes taken that have not reached the peer, as far as can be told."""

    @abstractmethod
    async def receive(self) -> bytes:
        """The next bytes, b"" once the peer has ended its side. Raises ConnectionLost. Cancellation:
        prompt, nothing is lost.
        """

    @abstractmethod
    def receive_nowait(self) -> bytes | None:
        """What has arrived, as `receive`; None if nothing has, as far as can be told at once."""

    @abstractmethod
    def watch(self) -> None:
        """Learn of what changes from now on; before anything is waited for. Raises OSError."""

    def prefetch(self) -> bool:
        """See `Receiver.prefetch`."""
        return self.has_received

    @abstractmethod
    def attend(self, receiver: Receiver) -> bool:
        """Have `receiver` called each time that something may have arrived, until `attend_no_more` or
        `receive` is called. False: not now, or not here: call `receive`.
        """

    @abstractmethod
    def attend_no_more(self) -> None:
        """Have nobody called."""

    @abstractmethod
    async def send(self, head: Buffer, body: Buffer = b"") -> None:
        """Send both, in order. Raises ConnectionLost. Cancellation: prompt; how much was sent is
        then unknown.
        """

    @abstractmethod
    def send_nowait(self, head: Buffer, body: Buffer = b"", *, last: bool = False) -> int:
        """Send what fits at once of both, in order; how many bytes that was. Raises ConnectionLost.

        After the `last` of all the end of our side follows right away, and may travel in the same packet.
        """

    @abstractmethod
    async def send_rest(self, head: Buffer, body: Buffer, sent: int) -> None:
        """Send what `send_nowait` left of both after `sent` bytes; raises and is cancelled as `send`."""

    @abstractmethod
    def send_span_nowait(self, head: bytes, span: Span) -> int:
        """Send what fits at once of `head` and a span of a file in memory; how many bytes that was. Raises
        ConnectionLost.
        """

    @abstractmethod
    async def send_from(self, head: bytes, span: Span, left_of: Callable[[Span, int], int]) -> int:
        """Send `head`, whatever comes of the rest, and then what can be of `span`; how many bytes of that.

        `left_of` is asked after each wait for the peer how many bytes of the span, behind the first so many,
        may still be sent. Raises OSError where none can be sent in place, ConnectionLost; is cancelled as
        `send`.
        """

    @abstractmethod
    async def wait_writable(self) -> None:
        """Until the peer takes some bytes."""

    @abstractmethod
    async def end(self) -> None:
        """Send the end of our side."""

    @abstractmethod
    def close_nowait(self) -> bool:
        """Close both sides, where that needs no waiting; False: `close` it."""

    @abstractmethod
    async def close(self) -> None:
        """Close both sides, soon. Cancellation: is not noticed; the wait for a farewell has a deadline of
        its own.
        """

    @abstractmethod
    def abort(self) -> None:
        """Let the coming `close` tell the peer that what it has is not whole, where the protocol below can
        say so.
        """


def nobody(stalled: bool) -> None:
    """No one is interested."""
