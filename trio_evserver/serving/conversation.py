"""One HTTP/1.1 conversation: requests are read and answered, one after the other, until either side ends it.

What can be done without waiting is done where the octets arrive, in `take`: nearly all of a hot file's
requests. What has to wait, for a disk or for the peer, `take` returns as work, and a task of the connection's
own awaits it. So `take` may be called from anywhere, and a connection that asks for hot files wakes no task.
"""

import logging
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Final

import trio

from trio_evserver.files.region_reader import FileChangedError
from trio_evserver.files.warming import Warming
from trio_evserver.http1.connection import Connection, Event
from trio_evserver.http1.errors import RemoteProtocolError
from trio_evserver.semantics.message import Refusal, Request, Response
from trio_evserver.serving.answer import Answer, FileAnswer, Looking
from trio_evserver.serving.deadlines import Deadline, Phase
from trio_evserver.serving.delivery import Delivery
from trio_evserver.serving.request_body import discard_body, refusal_before_body
from trio_evserver.serving.responder import CLOSE, BodyCutError, Responder, connection_field
from trio_evserver.serving.site import Site
from trio_evserver.serving.steps import End, Next, Pause, Work, farewell, last_end
from trio_evserver.serving.transport import ConnectionLost, Transport

logger = logging.getLogger("trio_evserver")

# Pipelined requests that are answered from memory never wait; after so many of them, or so much of their
# replies, the others have a turn: each counts as one, and as one more for so many bytes.
_BURST: Final = 16
_WEIGHT: Final = 64 * 1024


class Conversation:
    """One HTTP/1.1 conversation. `lost`: the peer turned out to be gone. `reads_ahead`: a reply was read in
    tasks of the nursery, which may outlive it.
    """

    __slots__ = (
        "_burst", "_deadline", "_delivery", "_http", "_peer", "_responder", "_site", "_transport",
        "_unfinished", "lost", "reads_ahead",
    )  # fmt: skip

    def __init__(
        self, transport: Transport, site: Site, peer: object, nursery: trio.Nursery, deadline: Deadline
    ) -> None:
        self._transport = transport
        self._http = Connection(site.options.limits, site.head_reader)
        self._site = site
        self._responder = Responder(transport, site.heads, site.read_ahead, nursery)
        self._deadline = deadline
        self._burst = 0
        self._peer = peer
        self._unfinished: Request | None = None  # whose body is being read
        self._delivery = Delivery(transport, deadline, site.timeouts)
        self.lost = self.reads_ahead = False
        transport.notice_loss(self.lose)
        deadline.start(Phase.FIRST, site.timeouts.head)

    def __repr__(self) -> str:
        return f"<Conversation {self._transport!r}>"

    def prefetch(self) -> bool:
        """See `Receiver.prefetch`."""
        return self._http.has_body | (self._responder.sent > 0) | (self._deadline.phase is Phase.IDLE)

    # What needs no waiting

    def take(self, data: bytes) -> Next:
        """Do what can be done at once now that the peer has sent `data`, b"" for its end; what is next. Work
        is to be awaited before anything else: it may hold a lease. Raises ConnectionLost.
        """
        after = self._proceed(data, self._transport.moment)
        if after is not None:
            self._deadline.stop()  # it is not idle, though its task has not woken yet
        return after

    def _proceed(self, data: bytes | None = None, moment: int = 0) -> Next:
        """Answer what has arrived, with `data` or before; the first request before `moment`, if not 0."""
        http = self._http
        after: Next = None
        while after is None:
            try:
                event = http.next_request() if data is None else http.receive(data)
            except RemoteProtocolError as error:
                return self._refuse(error)
            data = None
            if isinstance(event, Event):
                return self._wait_for_head() if event is Event.NEED_DATA else End.CLOSE
            after = self._answer_nowait(event, moment)
            moment = 0
            if after is None and not http.buffered:
                return self._expect()
            after = after or self._take_turns()
        return after

    def _wait_for_head(self) -> End | None:
        """There is no request yet, or only a part of its head."""
        phase = self._deadline.phase
        if not self._http.buffered:
            return self._expect() if phase is Phase.ANSWER else None
        if phase is not Phase.HEAD:
            self._deadline.start(Phase.HEAD, self._site.timeouts.head)
        return None

    def _expect(self) -> End | None:
        """Between two requests."""
        if self._site.draining:
            return End.CLOSE
        self._deadline.start(Phase.IDLE, self._site.timeouts.idle)
        return None

    def _take_turns(self) -> Next:
        """Between two requests that came together: let the other connections run after a burst of them."""
        self._deadline.stop()
        self._burst += 1 + self._responder.sent // _WEIGHT
        if self._burst >= _BURST:
            self._burst = 0
            return self._yield
        return None

    def _answer_nowait(self, request: Request, moment: int) -> Next:
        """Answer one request; None if that is done and the conversation goes on."""
        http, site = self._http, self._site
        if site.connections > site.admission.limit:
            return self._reply(request, site.crowded(), CLOSE, End.LINGER if http.has_body else End.CLOSE)
        if http.has_body or b"expect" in request.fields:
            refusal = refusal_before_body(http, request)
            if refusal is None:
                return partial(self._discard_body, request)
            return self._reply(request, site.exchange.refuse(refusal), CLOSE, End.LINGER)
        return self._give(request, site.exchange.answer_nowait(request, moment))

    def _give(self, request: Request, answer: Answer | Looking) -> Next:
        """Send the answer that the exchange has, or look for it."""
        if isinstance(answer, Response):
            return self._respond(request, answer)
        if isinstance(answer, FileAnswer):
            return self._send_file_nowait(request, answer, warm=True)
        return partial(self._look, request, answer)

    def _respond(self, request: Request, response: Response) -> Next:
        """Send the answer to a request that is in order."""
        connection = self._persistence(request)
        return self._reply(request, response, connection, self._end_after(connection))

    def _reply(self, request: Request | None, response: Response, connection: bytes, end: End | None) -> Next:
        """Send a response that is held in memory, after which the conversation ends like this, or goes on."""
        with_body = request is None or request.method != b"HEAD"
        try:
            sent = self._responder.send_nowait(response, connection, with_body=with_body)
        except ConnectionLost:
            self._log(request, response)
            raise
        if not sent:
            return partial(self._send_rest, request, response, end)
        self._log(request, response)
        return end

    def _send_file_nowait(self, request: Request, answer: FileAnswer, *, warm: bool) -> Next:
        connection = self._persistence(request)
        sent: bool | None = False
        try:
            sent = self._responder.send_file_nowait(answer.response, answer.body, answer.lease, connection)
        except ConnectionLost:
            self._log(request, answer.response)
            raise
        finally:
            if sent is not None:
                answer.lease.release()
        if sent is None:
            send = partial(self._send_file, request, answer, connection)
            return self._warm(request, answer, send) if warm else send
        if not sent:
            return partial(self._send_rest, request, answer.response, self._end_after(connection))
        self._log(request, answer.response)
        return self._end_after(connection)

    def _warm(self, request: Request, answer: FileAnswer, send: Work) -> Next:
        """Wait for the pages of a short body; a longer one is read as it is sent."""
        warming = self._responder.warm(answer.body, answer.lease)
        if warming is None:
            return send
        if warming.is_over:
            return self._send_warmed(request, answer, warming)
        return Pause(warming, answer.lease, lambda: self._go_on(self._send_warmed(request, answer, warming)))

    def _send_warmed(self, request: Request, answer: FileAnswer, warming: Warming) -> Next:
        if warming.refused is not None:
            answer.lease.release()
            return self._respond(request, self._site.exchange.fail(warming.refused))
        return self._send_file_nowait(request, answer, warm=False)

    def _end_after(self, connection: bytes) -> End | None:
        return last_end(draining=self._site.draining) if connection is CLOSE else None

    def _persistence(self, request: Request) -> bytes:
        return connection_field(request, self._http.keep_alive and not self._site.draining)

    def _refuse(self, error: RemoteProtocolError) -> Next:
        response = self._site.exchange.refuse(Refusal(error.status, error.detail))
        return self._reply(self._unfinished, response, CLOSE, End.LINGER)

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
        self._unfinished = request
        self._deadline.start(Phase.BODY, self._site.timeouts.body)
        try:
            await discard_body(self._http, self._transport)
        except RemoteProtocolError as error:
            return self._refuse(error)
        self._deadline.stop()
        self._unfinished = None
        # Without its moment: by the end of a long body that is long ago.
        return self._go_on(self._give(request, self._site.exchange.answer_nowait(request)))

    async def _send_rest(self, request: Request | None, response: Response, end: End | None) -> Next:
        """Send what the peer did not take at once."""
        self._deadline.stop()
        try:
            await self._responder.send_rest()
        finally:
            self._log(request, response)
        return self._go_on(end)

    async def _send_file(self, request: Request, answer: FileAnswer, connection: bytes) -> Next:
        """Send a file, or the answer that takes its place while nothing of it has been sent."""
        self._deadline.stop()
        self.reads_ahead = True
        response = answer.response
        try:
            with answer.lease:
                await self._responder.send_file(response, answer.body, answer.lease, connection)
        except (OSError, FileChangedError) as error:
            return self._go_on(self._respond(request, self._site.exchange.fail(error)))
        except BodyCutError as error:
            logger.warning("a reply was broken off: %s", error)
            self._log(request, response)
            return End.ABORT
        except BaseException:
            self._log(request, response)
            raise
        self._log(request, response)
        return self._go_on(self._end_after(connection))

    # The end

    async def finish(self, end: End) -> None:
        """Bring it to its end. Cancellation: prompt."""
        if end is End.LINGER:
            self._deadline.start(Phase.LINGER, self._site.timeouts.linger)
        await farewell(self._transport, end)

    def leave(self) -> None:
        """It has ended, or is cancelled: say goodbye, and leave no cycle behind."""
        if self._deadline.expired:
            self._give_up()
        self._delivery.end()

    def lose(self) -> None:
        """The peer is gone: nobody needs what we are waiting for."""
        self.lost = True
        self._deadline.cancel()

    def _give_up(self) -> None:
        """The peer has taken too long: tell it, where it may still be listening."""
        if self._deadline.phase in (Phase.HEAD, Phase.BODY):
            late = f"{self._deadline.phase.value} timeout"
            response = self._site.exchange.refuse(Refusal(HTTPStatus.REQUEST_TIMEOUT, late))
            with suppress(ConnectionLost):
                self._responder.send_nowait(response, CLOSE)
            self._log(self._unfinished, response)
        elif self._delivery.is_under_way():
            self._transport.abort()

    def _log(self, request: Request | None, response: Response) -> None:
        sent = self._responder.sent
        if self._site.answered(response.status, sent):
            self._site.log(self._peer, request, response.status, sent)
