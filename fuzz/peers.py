"""The same stream of octets as we, h11 and llhttp read it."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import h11
import httptools

from tests.http1.feeding import outcomes
from trio_evserver.http1.connection import Event
from trio_evserver.http1.limits import Limits
from trio_evserver.semantics.message import Request


class Reading(NamedTuple):
    """What a parser makes of one head; values without the blanks around them, repeats combined."""

    method: bytes
    target: bytes
    fields: dict[bytes, bytes]


def ours(stream: bytes) -> tuple[list[Request], bool]:
    """The requests whose heads we accept, and whether the stream ended without a refusal."""
    found = outcomes([stream], Limits())
    return [request for request in found if isinstance(request, Request)], found[-1] is Event.CLOSED


def read_by_h11(stream: bytes) -> list[Reading]:
    """The requests that h11 sees until it stops, each answered with 405 at once."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=2**20)
    connection.receive_data(stream)
    connection.receive_data(b"")
    readings: list[Reading] = []
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                readings.append(Reading(event.method, event.target, _combined(event.headers)))
            elif isinstance(event, h11.EndOfMessage):
                connection.send(h11.Response(status_code=405, headers=[(b"Content-Length", b"0")]))
                connection.send(h11.EndOfMessage())
                connection.start_next_cycle()
            elif not isinstance(event, h11.Data):
                return readings
    except (h11.RemoteProtocolError, h11.LocalProtocolError):
        return readings


class _Callbacks:
    """Collects what llhttp calls back with; trailer fields, which come after the head, are left out."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.parser = httptools.HttpRequestParser(self)
        self._in_head = True
        self._target = b""
        self._lines: list[tuple[bytes, bytes]] = []

    def on_message_begin(self) -> None:
        self._in_head = True
        self._target = b""
        self._lines = []

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            self._lines.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        self.readings.append(Reading(self.parser.get_method(), self._target, _combined(self._lines)))


def read_by_llhttp(stream: bytes) -> list[Reading]:
    """The requests that llhttp sees until it stops."""
    callbacks = _Callbacks()
    try:
        callbacks.parser.feed_data(stream)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return callbacks.readings
    return callbacks.readings


def _combined(lines: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for raw, value in lines:
        name, stripped = raw.lower(), value.strip(b" \t")
        fields[name] = fields[name] + b", " + stripped if name in fields else stripped
    return fields


PEERS: dict[str, Callable[[bytes], list[Reading]]] = {"h11": read_by_h11, "llhttp": read_by_llhttp}
