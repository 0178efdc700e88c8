"""A nursery per connection: the request is read, answered, and the next one awaited, until either side ends
it.
"""

import logging
import time
from contextlib import suppress
from enum import Enum
from http import HTTPStatus

import trio

from trio_evserver.files.region_reader import FileChangedError
from trio_evserver.http1.connection import Connection as Http1Connection
from trio_evserver.http1.connection import Event
from trio_evserver.http1.errors import RemoteProtocolError
from trio_evserver.http1.response_head import CONTINUE
from trio_evserver.semantics.message import Refusal, Request, Response
from trio_evserver.semantics.respond import check_method
from trio_evserver.serving.deadlines import Deadline, Phase
from trio_evserver.serving.delivery import Delivery
from trio_evserver.serving.exchange import CROWDED, FileAnswer
from trio_evserver.serving.responder import CLOSE, KEEP_ALIVE, KEEP_ALIVE_SAID, BodyCutError, Responder
from trio_evserver.serving.site import Site
from trio_evserver.serving.transport import ConnectionLost, Transport

logger = logging.getLogger("trio_evserver")

# Pipelined requests that are answered from memory never wait; after so many of them the others have a turn.
_BURST = 16
# After a final answer this much of what the peer is still sending is read, so that the answer is not lost
# to a reset (RFC 9112 §9.6).
_LINGER_BYTES = 1024 * 1024


async def converse(transport: Transport, site: Site, peer: object = None) -> None:
    """Serve one connection, which the site counts already, until it ends, and close it.

    Nothing that happens in it leaves it: what goes wrong is logged and ends the connection. Cancellation: the
    connection is closed at once, without a farewell.
    """
    try:
        async with trio.open_nursery() as nursery:
            deadline = site.deadlines.add(nursery.cancel_scope)
            try:
                connection = Connection(transport, site, peer, nursery, deadline)
                await connection.run()
                if nursery.child_tasks:  # reads ahead of a reply that was given up
                    nursery.cancel_scope.cancel()
            finally:
                site.deadlines.remove(deadline)
        if connection.lost:
            raise ConnectionLost
    except* ConnectionLost:
        site.lost += 1
    except* Exception:
        logger.exception("a connection failed")
    finally:
        await _close(transport)
        site.connection_ended()


async def _close(transport: Transport) -> None:
    try:
        await transport.close()
    except Exception:  # a stream that was handed in may do anything
        logger.exception("a connection could not be closed")


class End(Enum):
    """How a conversation ends: closed, closed after what the peer is still sending has been read, or broken
    off.
    """

    CLOSE = "close"
    LINGER = "linger"
    ABORT = "abort"


class Connection:
    """One HTTP/1.1 conversation."""

    __slots__ = (
        "_burst",
        "_deadline",
        "_delivery",
        "_http",
        "_is_fresh",
        "_moment",
        "_peer",
        "_request",
        "_responder",
        "_site",
        "_timeouts",
        "_transport",
        "lost",
    )

    def __init__(
        self, transport: Transport, site: Site, peer: object, nursery: trio.Nursery, deadline: Deadline
    ) -> None:
        self._transport = transport
        self._site = site
        self._timeouts = site.options.timeouts
        self._peer = peer
        self._deadline = deadline
        self._http = Http1Connection(site.options.limits)
        self._responder = Responder(transport, site.heads, site.read_ahead, nursery)
        self._request: Request | None = None
        self._moment = 0  # before which the request had begun to arrive, as far as is known
        self._burst = 0
        self._is_fresh = True
        self._delivery = Delivery(transport, deadline, self._timeouts)
        self.lost = False
        """Whether the peer turned out to be gone while neither anything was sent nor received."""
        transport.notice_loss(self._lose)

    def __repr__(self) -> str:
        return f"<Connection {self._transport!r}>"

    async def run(self) -> None:
        """Until the conversation has ended, or its deadline has cancelled it."""
        try:
            end = await self._converse()
            if end is End.LINGER:
                await self._linger()
            elif end is End.ABORT:
                self._transport.abort()
        finally:
            if self._deadline.expired:
                self._give_up()
            self._delivery.end()

    async def _converse(self) -> End:
        try:
            while (request := await self._next_request()) is not None:
                self._request = request
                end = await self._exchange(request)
                if end is not None:
                    return end
                self._request = None
        except RemoteProtocolError as error:
            response = self._site.exchange.refuse(Refusal(error.status, error.detail))
            await self._send(response, CLOSE)
            return End.LINGER
        return End.CLOSE

    async def _next_request(self) -> Request | None:
        """The next request, None where there is no other."""
        http = self._http
        event: Request | Event = Event.NEED_DATA
        if http.buffered:
            await self._take_turns()
            self._moment = 0
            event = http.next_request()
        if event is Event.NEED_DATA:
            if http.buffered:
                self._deadline.start(Phase.HEAD, self._timeouts.head)
            elif self._site.draining:
                return None
            elif self._is_fresh:
                self._is_fresh = False
                self._deadline.start(Phase.FIRST, self._timeouts.head)
            else:
                self._deadline.start(Phase.IDLE, self._timeouts.idle)
        while event is Event.NEED_DATA:
            http.receive_data(await self._transport.receive())
            event = http.next_request()
            if event is Event.NEED_DATA and http.buffered and self._deadline.phase is not Phase.HEAD:
                self._deadline.start(Phase.HEAD, self._timeouts.head)
            self._moment = self._transport.moment
        return None if event is Event.CLOSED else event

    async def _take_turns(self) -> None:
        """Between two requests that came together: let the other connections run after a burst of them."""
        self._burst += 1
        if self._burst >= _BURST:
            self._burst = 0
            self._deadline.stop()
            await trio.lowlevel.checkpoint()

    async def _exchange(self, request: Request) -> End | None:
        """Answer one request; how the conversation ends, if it ends with that."""
        http, site, exchange = self._http, self._site, self._site.exchange
        if site.connections > site.admission.limit:
            site.refused_crowded += 1
            await self._send(exchange.refuse(CROWDED), CLOSE)
            return End.LINGER if http.has_body else End.CLOSE
        if http.has_body or b"expect" in request.fields:
            refusal = self._refusal_before_body(request)
            if refusal is not None:
                await self._send(exchange.refuse(refusal), CLOSE)
                return End.LINGER
            await self._discard_body()
        answer = exchange.answer_nowait(request, self._moment)
        if not isinstance(answer, Response):
            self._deadline.stop()
        if answer is None:
            answer = await exchange.answer(request)
        if isinstance(answer, FileAnswer):
            with answer.lease:
                return await self._send_file(answer)
        connection = self._persistence()
        await self._send(answer, connection)
        return self._end_after(connection)

    def _refusal_before_body(self, request: Request) -> Refusal | None:
        """Why the request's body is not waited for."""
        if self._http.expectation_failed:
            return Refusal(HTTPStatus.EXPECTATION_FAILED, "an unknown expectation")
        return check_method(request.method)

    def _end_after(self, connection: bytes) -> End | None:
        if connection is not CLOSE:
            return None
        # A request that is on its way already would turn a plain close into a reset, and the answer be lost
        # to it.
        return End.LINGER if self._site.draining else End.CLOSE

    def _persistence(self) -> bytes:
        """The Connection field of the answer (RFC 9112 §9.3)."""
        request = self._request
        if request is None or self._site.draining or not self._http.keep_alive:
            return CLOSE
        return KEEP_ALIVE if request.version == b"HTTP/1.1" else KEEP_ALIVE_SAID

    async def _discard_body(self) -> None:
        """Read the request's body, which means nothing to any method that is served (RFC 9110 §9.3.1)."""
        self._moment = 0  # by the end of a long body it is long ago
        self._deadline.start(Phase.BODY, self._timeouts.body)
        if self._http.expects_continue:
            await self._transport.send(CONTINUE)
        while not self._http.discard_body():
            self._http.receive_data(await self._transport.receive())
        self._deadline.stop()

    async def _send(self, response: Response, connection: bytes) -> None:
        request = self._request
        with_body = request is None or request.method != b"HEAD"
        responder = self._responder
        try:
            if not responder.send_nowait(response, connection, with_body=with_body):
                self._deadline.stop()
                await responder.send_rest()
        finally:
            self._log(response)

    async def _send_file(self, answer: FileAnswer) -> End | None:
        """Send a file, or the answer that takes its place while nothing of it has been sent."""
        connection, responder = self._persistence(), self._responder
        try:
            sent = responder.send_file_nowait(answer.response, answer.body, answer.lease, connection)
            if sent is None:
                await responder.send_file(answer.response, answer.body, answer.lease, connection)
            elif not sent:
                await responder.send_rest()
        except (OSError, FileChangedError) as error:
            await self._send(self._site.exchange.fail(error), connection)
            return self._end_after(connection)
        except BodyCutError as error:
            logger.warning("a reply was broken off: %s", error)
            self._log(answer.response)
            return End.ABORT
        except BaseException:
            self._log(answer.response)
            raise
        self._log(answer.response)
        return self._end_after(connection)

    async def _linger(self) -> None:
        """Read for a while what the peer is still sending, so that it reads our answer first (RFC 9112
        §9.6).
        """
        self._deadline.start(Phase.LINGER, self._timeouts.linger)
        await self._transport.end()
        received = 0
        while received < _LINGER_BYTES and (data := await self._transport.receive()):
            received += len(data)

    def _lose(self) -> None:
        """The peer is gone: nobody needs what we are waiting for."""
        self.lost = True
        self._deadline.scope.cancel()

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
        self._site.count(response.status, self._responder.sent)
        log = self._site.access_log
        if log is not None:
            log.record(self._peer, time.time(), self._request, response.status, self._responder.sent)
