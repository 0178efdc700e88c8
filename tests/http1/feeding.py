"""Feeds octets to a connection in pieces, and says what it made of them."""

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import TypeAlias

from trio_evserver.http1.connection import Connection, Event
from trio_evserver.http1.errors import RemoteProtocolError
from trio_evserver.http1.limits import Limits
from trio_evserver.semantics.message import Request

Outcome: TypeAlias = Request | HTTPStatus | Event
"""A request whose body has ended, the status of a refusal, or CLOSED."""

TAIL = b"GET /tail HTTP/1.1\r\nHost: tail\r\n\r\n"


def outcomes(pieces: Iterable[bytes], limits: Limits) -> list[Outcome]:
    """What a connection says to these pieces and the end of input after them; the last one is no request.

    It says the same whether it is handed a piece and then asked, or both at once.
    """
    pieces = list(pieces)
    connection, at_once = Connection(limits), Connection(limits)
    found: list[Outcome] = []
    try:
        for piece in (*pieces, b""):
            connection.receive_data(piece)
            _take(connection, found)
    except RemoteProtocolError as refused:
        found.append(refused.status)
    assert _at_once(at_once, pieces) == found
    return found


def _at_once(connection: Connection, pieces: list[bytes]) -> list[Outcome]:
    found: list[Outcome] = []
    try:
        for piece in (*pieces, b""):
            if connection.has_body or Event.CLOSED in found:
                connection.receive_data(piece)
            elif (answer := connection.receive(piece)) is not Event.NEED_DATA:
                found.append(answer)
            _take(connection, found)
    except RemoteProtocolError as refused:
        found.append(refused.status)
    return found


def _take(connection: Connection, found: list[Outcome]) -> None:
    """Take what can be had without receiving more."""
    while not (found and found[-1] is Event.CLOSED):
        if connection.has_body and not connection.discard_body():
            return
        answer = connection.next_request()
        if answer is Event.NEED_DATA:
            return
        found.append(answer)


def ways(data: bytes) -> Iterator[list[bytes]]:
    """The same octets whole, octet by octet, and in two pieces at every place."""
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    for i in range(1, len(data)):
        yield [data[:i], data[i:]]
