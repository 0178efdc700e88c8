"""What becomes of the body of a request, which means nothing to any method served (RFC 9110 §9.3.1)."""

from http import HTTPStatus

from trio_evserver.http1.connection import Connection
from trio_evserver.http1.response_head import CONTINUE
from trio_evserver.semantics.message import Refusal, Request
from trio_evserver.semantics.respond import check_method
from trio_evserver.serving.transport import Transport


def refusal_before_body(http: Connection, request: Request) -> Refusal | None:
    """Why the body is not waited for, or None: it is."""
    if http.expectation_failed:
        return Refusal(HTTPStatus.EXPECTATION_FAILED, "an unknown expectation")
    return check_method(request.method)


async def discard_body(http: Connection, transport: Transport) -> None:
    """Read it to its end. Raises RemoteProtocolError; ConnectionLost. Cancellation: prompt."""
    if http.expects_continue:
        await transport.send(CONTINUE)
    while not http.discard_body():
        http.receive_data(await transport.receive())
