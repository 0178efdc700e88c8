"""Any stream as a transport: memory streams, and TLS."""

from collections.abc import Callable

import trio

from trio_evserver.files.disk import Buffer
from trio_evserver.files.span import Span
from trio_evserver.serving.readiness import Receiver
from trio_evserver.serving.transport import RECEIVE, ConnectionLost, Transport, nobody

# A deadline for progress means something only if progress is reported in small steps.
_STEP = 16 * 1024
_FAREWELL = 2.0  # seconds


class StreamTransport(Transport):
    """Any stream; takes it over."""

    __slots__ = ("_aborted", "_on_stall", "_stream")

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.moment = 0
        self.has_received = False
        self.may_have_more = True
        self._on_stall: Callable[[bool], None] = nobody
        self.taken = 0
        self._aborted = False

    def __repr__(self) -> str:
        return f"<StreamTransport {self._stream!r}>"

    async def receive(self) -> bytes:
        try:
            return bytes(await self._stream.receive_some(RECEIVE))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionLost from error

    def receive_nowait(self) -> bytes | None:
        """A stream does not tell without waiting."""
        return None

    def watch(self) -> None:
        """A stream tells when it is asked."""

    def attend(self, receiver: Receiver) -> bool:
        """Nor does it call."""
        return False

    def attend_no_more(self) -> None:
        """It never does."""

    async def send(self, head: Buffer, body: Buffer = b"") -> None:
        await self.send_rest(head, body, 0)

    def send_nowait(self, head: Buffer, body: Buffer = b"", *, last: bool = False) -> int:
        """A stream cannot send without waiting."""
        return 0

    def send_span_nowait(self, head: bytes, span: Span) -> int:
        return 0

    async def send_rest(self, head: Buffer, body: Buffer, sent: int) -> None:
        data = memoryview(b"".join((head, body)))[sent:]
        try:
            for offset in range(0, len(data), _STEP):
                self._on_stall(True)
                await self._stream.send_all(data[offset : offset + _STEP])
                self.taken += min(_STEP, len(data) - offset)
                self._on_stall(False)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionLost from error

    async def send_from(self, head: bytes, span: Span, left_of: Callable[[Span, int], int]) -> int:
        """A stream is handed bytes, nothing else."""
        raise NotImplementedError

    @property
    def sends_in_place(self) -> bool:
        return False

    def notice_stall(self, stalled: Callable[[bool], None]) -> None:
        self._on_stall = stalled

    def notice_loss(self, lost: Callable[[], None]) -> None:
        """A stream does not tell."""

    def undelivered(self) -> int:
        """Nor this."""
        return 0

    async def wait_writable(self) -> None:
        self._on_stall(True)
        try:
            await self._stream.wait_send_all_might_not_block()
            self._on_stall(False)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionLost from error

    async def end(self) -> None:
        if isinstance(self._stream, trio.abc.HalfCloseableStream):
            try:
                await self._stream.send_eof()
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise ConnectionLost from error

    def close_nowait(self) -> bool:
        """A farewell may have to wait."""
        return False

    async def close(self) -> None:
        if self._aborted:
            await trio.aclose_forcefully(self._stream)
            return
        # A farewell (close_notify, in TLS) may have to wait for the peer.
        with trio.move_on_after(_FAREWELL, shield=True):
            await self._stream.aclose()

    def abort(self) -> None:
        """A stream that is closed forcefully sends no farewell (close_notify, in TLS): the peer sees a
        truncation.
        """
        self._aborted = True
