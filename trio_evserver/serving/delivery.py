"""Whether a peer takes what it is sent, or holds its connection and what the kernel keeps for it."""

from trio_evserver.serving.deadlines import Deadline, Phase, no_reprieve
from trio_evserver.serving.options import Timeouts
from trio_evserver.serving.transport import Transport, nobody


class Delivery:
    """The deadline for the peer of one connection to take its replies.

    What counts is what it acknowledges: what the kernel still holds back moves in steps that may be minutes
    apart. `end` it when the conversation has ended.
    """

    __slots__ = ("_deadline", "_delivered", "_timeouts", "_transport")

    def __init__(self, transport: Transport, deadline: Deadline, timeouts: Timeouts) -> None:
        self._transport = transport
        self._deadline = deadline
        self._timeouts = timeouts
        self._delivered = 0
        transport.notice_stall(self._stalled)
        deadline.reprieve = self._reprieve

    def __repr__(self) -> str:
        return f"<Delivery {self._delivered}>"

    def is_under_way(self) -> bool:
        """Whether the connection waits for its peer to take a reply; or for the next request, when the end of
        a reply has not reached the peer yet: after a plain close the kernel would hold that for minutes.
        """
        phase = self._deadline.phase
        return phase is Phase.WRITE or (phase is Phase.IDLE and self._transport.undelivered() > 0)

    def end(self) -> None:
        """Leave no cycle behind for the collector, which hardly ever comes by."""
        self._transport.notice_stall(nobody)
        self._deadline.reprieve = no_reprieve

    def _stalled(self, stalled: bool) -> None:
        """The peer takes no more of a reply for now; or has taken what was to be sent, and waits for us."""
        if not stalled:
            self._deadline.stop()
        elif self._deadline.phase is not Phase.WRITE:
            self._delivered = self._transport.taken - self._transport.undelivered()
            self._deadline.start(Phase.WRITE, self._timeouts.write)

    def _reprieve(self) -> float:
        """A slow reader has more time for as long as enough reaches it."""
        if not self.is_under_way():
            return 0.0
        write, rate = self._timeouts.write, self._timeouts.write_rate
        before, self._delivered = self._delivered, self._transport.taken - self._transport.undelivered()
        return write if self._delivered - before >= rate * write else 0.0
