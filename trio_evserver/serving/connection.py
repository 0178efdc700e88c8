"""A nursery per connection: the request is read, answered, and the next one awaited, until either side ends
it.
"""

import logging
import time
from enum import Enum
from http import HTTPStatus

import trio

from trio_evserver.files.read_ahead import FileChangedError
from trio_evserver.http1.connection import Connection as Http1Connection
from trio_evserver.http1.connection import Event
from trio_evserver.http1.errors import RemoteProtocolError
from trio_evserver.http1.response_head import CONTINUE
from trio_evserver.semantics.message import Refusal, Request, Response
from trio_evserver.semantics.respond import check_method
from trio_evserver.serving.deadlines import Deadline, Phase
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
                await Connection(transport, site, peer, nursery, deadline).run()
                if nursery.child_tasks:  # reads ahead of a reply that was given up
                    nursery.cancel_scope.cancel()
            finally:
                site.deadlines.remove(deadline)
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
        "_delivered",
        "_http",
        "_patience",
        "_peer",
        "_request",
        "_responder",
        "_site",
        "_transport",
    )

    def __init__(
        self, transport: Transport, site: Site, peer: object, nursery: trio.Nursery, deadline: Deadline
    ) -> None:
        self._transport = transport
        self._site = site
        self._peer = peer
        self._deadline = deadline
        self._http = Http1Connection(site.options.limits)
        self._responder = Responder(transport, site.heads, site.read_ahead, nursery)
        self._request: Request | None = None
        self._burst = 0
        self._patience = site.options.timeouts.head
        self._delivered = 0
        transport.on_stall = self._stalled
        deadline.reprieve = self._reprieve

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
            # No cycle is left behind for the collector, which hardly ever comes by.
            del self._transport.on_stall, self._deadline.reprieve

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
        http, timeouts = self._http, self._site.options.timeouts
        event: Request | Event = Event.NEED_DATA
        if http.buffered:
            await self._take_turns()
            event = http.next_request()
        if event is Event.NEED_DATA:
            if http.buffered:
                self._deadline.start(Phase.HEAD, timeouts.head)
            elif self._site.draining:
                return None
            else:
                self._deadline.start(Phase.IDLE, self._patience)
                self._patience = timeouts.idle
        while event is Event.NEED_DATA:
            http.receive_data(await self._transport.receive())
            event = http.next_request()
            if event is Event.NEED_DATA and http.buffered and self._deadline.phase is not Phase.HEAD:
                self._deadline.start(Phase.HEAD, timeouts.head)
        return event if isinstance(event, Request) else None

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
        answer = exchange.answer_nowait(request)
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
        self._deadline.start(Phase.BODY, self._site.options.timeouts.body)
        if self._http.expects_continue:
            await self._transport.send(CONTINUE)
        while not self._http.discard_body():
            self._http.receive_data(await self._transport.receive())
        self._deadline.stop()

    async def _send(self, response: Response, connection: bytes) -> None:
        request = self._request
        with_body = request is None or request.method != b"HEAD"
        try:
            await self._responder.send(response, connection, with_body=with_body)
        finally:
            self._log(response)

    async def _send_file(self, answer: FileAnswer) -> End | None:
        """Send a file, or the answer that takes its place while nothing of it has been sent."""
        connection = self._persistence()
        try:
            await self._responder.send_file(answer.response, answer.body, answer.lease, connection)
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
        self._deadline.start(Phase.LINGER, self._site.options.timeouts.linger)
        await self._transport.end()
        received = 0
        while received < _LINGER_BYTES and (data := await self._transport.receive()):
            received += len(data)

    def _stalled(self, stalled: bool) -> None:
        """The peer takes no more of a reply for now; or has taken what was to be sent, and waits for us."""
        if not stalled:
            self._deadline.stop()
        elif self._deadline.phase is not Phase.WRITE:
            self._delivered = self._transport.taken - self._transport.undelivered()
            self._deadline.start(Phase.WRITE, self._site.options.timeouts.write)

    def _reprieve(self) -> float:
        """A slow reader has more time for as long as enough reaches it: what the kernel still holds back
        moves in steps that may be minutes apart, so it is the peer's own acknowledgements that count.
        """
        if self._deadline.phase is not Phase.WRITE:
            return 0.0
        timeouts = self._site.options.timeouts
        before, self._delivered = self._delivered, self._transport.taken - self._transport.undelivered()
        return timeouts.write if self._delivered - before >= timeouts.write_rate * timeouts.write else 0.0

    def _give_up(self) -> None:
        """The peer has taken too long: tell it, where it may still be listening."""
        if self._deadline.phase in (Phase.HEAD, Phase.BODY):
            late = Refusal(HTTPStatus.REQUEST_TIMEOUT, f"{self._deadline.phase.value} timeout")
            response = self._site.exchange.refuse(late)
            self._responder.send_nowait(response)
            self._log(response)
        elif self._deadline.phase is Phase.WRITE:
            self._transport.abort()

    def _log(self, response: Response) -> None:
        self._site.count(response.status, self._responder.sent)
        log = self._site.access_log
        if log is not None:
            log.record(self._peer, time.time(), self._request, response.status, self._responder.sent)
