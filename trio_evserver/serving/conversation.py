"""One HTTP/1.1 conversation: requests are read and answered, one after the other, until either side ends it.

What can be done without waiting is done where the octets arrive, in `take`: nearly all of a hot file's
requests. What has to wait, for a disk or for the peer, `take` returns as work, and a task of the connection's
own awaits it. So `take` may be called from anywhere, and a connection that asks for hot files wakes no task.
"""

import logging
from contextlib import suppress
from functools import partial
from http import HTTPStatus

import trio

from trio_evserver.files.region_reader import FileChangedError
from trio_evserver.http1.connection import Connection, Event
from trio_evserver.http1.errors import RemoteProtocolError
from trio_evserver.http1.response_head import CONTINUE
from trio_evserver.semantics.message import Refusal, Request, Response
from trio_evserver.semantics.respond import check_method
from trio_evserver.serving.answer import Answer, FileAnswer, Looking
from trio_evserver.serving.deadlines import Deadline, Phase
from trio_evserver.serving.delivery import Delivery
from trio_evserver.serving.exchange import CROWDED
from trio_evserver.serving.responder import CLOSE, KEEP_ALIVE, KEEP_ALIVE_SAID, BodyCutError, Responder
from trio_evserver.serving.site import Site
from trio_evserver.serving.steps import End, Next, farewell
from trio_evserver.serving.transport import ConnectionLost, Transport

logger = logging.getLogger("trio_evserver")

# Pipelined requests that are answered from memory never wait; after so many of them, or so much of their
# replies, the others have a turn: each counts as one, and as one more for so many bytes.
_BURST = 16
_WEIGHT = 64 * 1024


class Conversation:
    """One HTTP/1.1 conversation."""

    __slots__ = (
        "_burst", "_deadline", "_delivery", "_http", "_moment", "_peer", "_request", "_responder", "_site",
        "_timeouts", "_transport", "lost", "reads_ahead",
    )  # fmt: skip

    def __init__(
        self, transport: Transport, site: Site, peer: object, nursery: trio.Nursery, deadline: Deadline
    ) -> None:
        self._transport = transport
        self._site = site
        self._timeouts = timeouts = site.options.timeouts
        self._peer = peer
        self._deadline = deadline
        self._http = Connection(site.options.limits)
        self._responder = Responder(transport, site.heads, site.read_ahead, nursery)
        self._request: Request | None = None
        self._moment = 0  # before which the request had begun to arrive, as far as is known
        self._burst = 0
        self._delivery = Delivery(transport, deadline, timeouts)
        self.lost = False
        """Whether the peer turned out to be gone while neither anything was sent nor received."""
        self.reads_ahead = False
        """Whether a reply was read in tasks of the nursery; they may outlive it."""
        transport.notice_loss(self._lose)
        deadline.start(Phase.FIRST, timeouts.head)

    def __repr__(self) -> str:
        return f"<Conversation {self._transport!r}>"

    # What needs no waiting

    def take(self, data: bytes) -> Next:
        """Do what can be done at once now that the peer has sent `data`, b"" being its end; what is next.

        Whoever is handed work awaits it before anything else: it may hold a lease. Raises ConnectionLost.
        """
        self._moment = self._transport.moment
        after = self._proceed(data)
        if after is not None:
            self._deadline.stop()  # it is not idle, though its task has not woken yet
        return after

    def _proceed(self, data: bytes | None = None) -> Next:
        """Answer the requests that have arrived, with `data` or before."""
        http, deadline = self._http, self._deadline
        after: Next = None
        while after is None:
            try:
                event = http.next_request() if data is None else http.receive(data)
            except RemoteProtocolError as error:
                return self._refuse(error)
            data = None
            if event is Event.NEED_DATA:
                if not http.buffered:
                    return self._expect() if deadline.phase is Phase.ANSWER else None
                if deadline.phase is not Phase.HEAD:
                    deadline.start(Phase.HEAD, self._timeouts.head)
                return None
            if event is Event.CLOSED:
                return End.CLOSE
            self._request = event
            after = self._answer_nowait(event)
            if after is None:
                if not http.buffered:
                    return self._expect()
                after = self._take_turns()
        return after

    def _expect(self) -> End | None:
        """Between two requests."""
        self._request = None
        if self._site.draining:
            return End.CLOSE
        self._deadline.start(Phase.IDLE, self._timeouts.idle)
        return None

    def _take_turns(self) -> Next:
        """Between two requests that came together: let the other connections run after a burst of them."""
        self._request = None
        self._moment = 0
        self._deadline.stop()
        self._burst += 1 + self._responder.sent // _WEIGHT
        if self._burst >= _BURST:
            self._burst = 0
            return self._yield
        return None

    def _answer_nowait(self, request: Request) -> Next:
        """Answer one request; None if that is done and the conversation goes on."""
        http, site = self._http, self._site
        if site.connections > site.admission.limit:
            site.refused_crowded += 1
            end = End.LINGER if http.has_body else End.CLOSE
            return self._reply(site.exchange.refuse(CROWDED), CLOSE, end)
        if http.has_body or b"expect" in request.fields:
            refusal = self._refusal_before_body(request)
            if refusal is None:
                return partial(self._discard_body, request)
            return self._reply(site.exchange.refuse(refusal), CLOSE, End.LINGER)
        return self._give(request, site.exchange.answer_nowait(request, self._moment))

    def _refusal_before_body(self, request: Request) -> Refusal | None:
        """Why the request's body is not waited for."""
        if self._http.expectation_failed:
            return Refusal(HTTPStatus.EXPECTATION_FAILED, "an unknown expectation")
        return check_method(request.method)

    def _give(self, request: Request, answer: Answer | Looking) -> Next:
        """Send the answer that the exchange has, or look for it."""
        if isinstance(answer, Response):
            connection = self._persistence()
            return self._reply(answer, connection, self._end_after(connection))
        if isinstance(answer, FileAnswer):
            return self._send_file_nowait(answer, self._persistence())
        return partial(self._look, request, answer)

    def _reply(self, response: Response, connection: bytes, end: End | None) -> Next:
        """Send a response that is held in memory, after which the conversation ends like this, or goes on."""
        request = self._request
        with_body = request is None or request.method != b"HEAD"
        try:
            sent = self._responder.send_nowait(response, connection, with_body=with_body)
        except ConnectionLost:
            self._log(response)
            raise
        if not sent:
            return partial(self._send_rest, response, end)
        self._log(response)
        return end

    def _send_file_nowait(self, answer: FileAnswer, connection: bytes) -> Next:
        sent: bool | None = False
        try:
            sent = self._responder.send_file_nowait(answer.response, answer.body, answer.lease, connection)
        except ConnectionLost:
            self._log(answer.response)
            raise
        finally:
            if sent is not None:
                answer.lease.release()
        if sent is None:
            return partial(self._send_file, answer, connection)
        if not sent:
            return partial(self._send_rest, answer.response, self._end_after(connection))
        self._log(answer.response)
        return self._end_after(connection)

    def _end_after(self, connection: bytes) -> End | None:
        if connection is not CLOSE:
            return None
        # A request that is on its way would turn a plain close into a reset, and the answer be lost to it.
        return End.LINGER if self._site.draining else End.CLOSE

    def _persistence(self) -> bytes:
        """The Connection field of the answer (RFC 9112 §9.3)."""
        request = self._request
        if request is None or self._site.draining or not self._http.keep_alive:
            return CLOSE
        return KEEP_ALIVE if request.version == b"HTTP/1.1" else KEEP_ALIVE_SAID

    def _refuse(self, error: RemoteProtocolError) -> Next:
        refused = self._site.exchange.refuse(Refusal(error.status, error.detail))
        return self._reply(refused, CLOSE, End.LINGER)

    # What may have to wait

    def _go_on(self, after: Next) -> Next:
        if after is not None:
            return after
        if not self._http.buffered:
            return self._expect()
        return self._take_turns() or self._proceed()

    async def _yield(self) -> Next:
        await trio.lowlevel.checkpoint()
        return self._proceed()

    async def _look(self, request: Request, looking: Looking) -> Next:
        """Answer the request with what the exchange finds."""
        self._deadline.stop()
        return self._go_on(self._give(request, await looking()))

    async def _discard_body(self, request: Request) -> Next:
        """Read the request's body, which means nothing to any method served (RFC 9110 §9.3.1), and answer."""
        http, transport = self._http, self._transport
        self._moment = 0  # by the end of a long body it is long ago
        self._deadline.start(Phase.BODY, self._timeouts.body)
        try:
            if http.expects_continue:
                await transport.send(CONTINUE)
            while not http.discard_body():
                http.receive_data(await transport.receive())
        except RemoteProtocolError as error:
            return self._refuse(error)
        self._deadline.stop()
        return self._go_on(self._give(request, self._site.exchange.answer_nowait(request)))

    async def _send_rest(self, response: Response, end: End | None) -> Next:
        """Send what the peer did not take at once."""
        self._deadline.stop()
        try:
            await self._responder.send_rest()
        finally:
            self._log(response)
        return self._go_on(end)

    async def _send_file(self, answer: FileAnswer, connection: bytes) -> Next:
        """Send a file, or the answer that takes its place while nothing of it has been sent."""
        self._deadline.stop()
        self.reads_ahead = True
        response, failed = answer.response, None
        try:
            with answer.lease:
                await self._responder.send_file(response, answer.body, answer.lease, connection)
        except (OSError, FileChangedError) as error:
            failed = self._site.exchange.fail(error)
        except BodyCutError as error:
            logger.warning("a reply was broken off: %s", error)
            self._log(response)
            return End.ABORT
        except BaseException:
            self._log(response)
            raise
        if failed is not None:
            return self._go_on(self._reply(failed, connection, self._end_after(connection)))
        self._log(response)
        return self._go_on(self._end_after(connection))

    # The end

    async def finish(self, end: End) -> None:
        """Bring it to its end. Cancellation: prompt."""
        if end is End.LINGER:
            self._deadline.start(Phase.LINGER, self._timeouts.linger)
        await farewell(self._transport, end)

    def leave(self) -> None:
        """It has ended, or is cancelled: say goodbye, and leave no cycle behind."""
        if self._deadline.expired:
            self._give_up()
        self._delivery.end()

    def _lose(self) -> None:
        """The peer is gone: nobody needs what we are waiting for."""
        self.lost = True
        self._deadline.cancel()

    def _give_up(self) -> None:
        """The peer has taken too long: tell it, where it may still be listening."""
        if self._deadline.phase in (Phase.HEAD, Phase.BODY):
            late = Refusal(HTTPStatus.REQUEST_TIMEOUT, f"{self._deadline.phase.value} timeout")
            response = self._site.exchange.refuse(late)
            with suppress(ConnectionLost):
                self._responder.send_nowait(response, CLOSE)
            self._log(response)
        elif self._delivery.is_under_way():
            self._transport.abort()

    def _log(self, response: Response) -> None:
        self._site.answered(self._peer, self._request, response.status, self._responder.sent)
