"""Our own client, for what load programs cannot do: compare bodies, hold connections, ask for each file once.

HTTP/1.1 in the small: it reads answers with a Content-Length or chunked ones, or to the end of the
connection, and believes nothing else.
"""

import contextlib
import http.client
import selectors
import socket
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.documents import BLOCK, Document
from benchmarks.instruments.load import InstrumentError, Load

TIMEOUT = 30.0


@dataclass
class Answer:
    """One answer whose body was compared with what it must be, piece by piece."""

    status: int
    fields: Mapping[str, str]
    matches: bool


def ask(port: int, target: str, must_be: Iterator[bytes], fields: Mapping[str, str] | None = None) -> Answer:
    """GET a target and compare its body, piece by piece. Raises OSError or http.client.HTTPException."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)) as connection:
        connection.request("GET", target, headers=dict(fields or {}))
        answer = connection.getresponse()
        matches = all(_take(answer, len(piece)) == piece for piece in must_be) and not answer.read(1)
        named = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, named, matches)


def _take(answer: http.client.HTTPResponse, length: int) -> bytes:
    taken = bytearray()
    while len(taken) < length and (piece := answer.read(length - len(taken))):
        taken += piece
    return bytes(taken)


@contextlib.contextmanager
def holding(port: int, target: str, count: int) -> Iterator[int]:
    """Open connections, one answered request on each, and keep them open; how many stayed open.

    Raises OSError where a connection is refused.
    """
    request = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        held = 0
        for _ in range(count):
            peer = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT))
            peer.sendall(request)
            held += _keeps_open(peer)
        yield held


def _keeps_open(peer: socket.socket) -> bool:
    reply = http.client.HTTPResponse(peer, method="GET")
    reply.begin()
    reply.read()
    return not reply.will_close


@dataclass
class _Lane:
    """One connection of `fetch_each`: the document it waits for, and what came so far."""

    peer: socket.socket
    target: str
    size: int
    head: bytes = b""
    in_body: bool = False
    received: int = 0

    def ask(self) -> None:
        """Send the request, now that the connection is made; an error shows when the answer is read."""
        with contextlib.suppress(OSError):
            self.peer.send(f"GET {self.target} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())

    def take(self, buffer: bytearray) -> bool:
        """Read what is there; True once the answer is whole, or can never be."""
        try:
            taken = self.peer.recv_into(buffer)
        except BlockingIOError:
            return False
        except OSError:
            return True
        if self.in_body:
            self.received += taken
        else:
            self.head, self.in_body, body = _split(self.head + buffer[:taken])
            self.received = len(body)
        return taken == 0 or (self.received >= self.size and self._has_length())

    def right(self) -> bool:
        """Whether it was answered 200 with a body of the right length."""
        return self.head.split(b" ", 2)[1:2] == [b"200"] and self.received == self.size

    def _has_length(self) -> bool:
        # hypercorn leaves an HTTP/1.0 connection open after its answer: there the length tells the end
        return f"\r\ncontent-length: {self.size}\r\n".encode() in self.head.lower() + b"\r\n"


def fetch_each(port: int, prefix: str, documents: Sequence[Document], connections: int) -> Load:
    """Ask for each document once, `connections` at a time, a new connection for each.

    In HTTP/1.0, where a body may end with its connection and is never chunked: the client does no framing
    that could slow it down. An answer of another status or length is an error. Raises InstrumentError after
    a minute.
    """
    waiting = deque(documents)
    received = errors = 0
    started = time.monotonic()
    buffer = bytearray(BLOCK)
    with selectors.DefaultSelector() as selector:
        try:
            for _ in range(min(connections, len(waiting))):
                _start(selector, port, prefix, waiting.popleft())
            while selector.get_map():
                if time.monotonic() - started > 2 * TIMEOUT:
                    raise InstrumentError("the files were not served within a minute")
                for lane in _ended(selector, buffer):
                    _stop(selector, lane)
                    received += lane.received
                    errors += not lane.right()
                    if waiting:
                        _start(selector, port, prefix, waiting.popleft())
        finally:
            for key in list(selector.get_map().values()):
                _stop(selector, key.data)
    return Load(len(documents) - errors, received, time.monotonic() - started, errors)


def _ended(selector: selectors.BaseSelector, buffer: bytearray) -> list[_Lane]:
    """Do what each ready connection is ready for; those that are done with."""
    ended = []
    for key, event in selector.select(1.0):
        lane: _Lane = key.data
        if event & selectors.EVENT_WRITE:
            lane.ask()
            selector.modify(lane.peer, selectors.EVENT_READ, lane)
        elif lane.take(buffer):
            ended.append(lane)
    return ended


def _start(selector: selectors.BaseSelector, port: int, prefix: str, document: Document) -> None:
    peer = socket.socket()
    peer.setblocking(False)
    peer.connect_ex(("127.0.0.1", port))
    selector.register(peer, selectors.EVENT_WRITE, _Lane(peer, prefix + document.path, document.size))


def _stop(selector: selectors.BaseSelector, lane: _Lane) -> None:
    selector.unregister(lane.peer)
    lane.peer.close()


def _split(received: bytes) -> tuple[bytes, bool, bytes]:
    head, blank, body = received.partition(b"\r\n\r\n")
    return head, bool(blank), body
