"""One connection of a load: the answer that it waits for, taken apart as it comes."""

import hashlib
import re
import socket

from benchmarks.drivers.load_plan import Target

RECEIVE = 64 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)")
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked")
_CLOSES = re.compile(rb"\r\nconnection:[ \t]*close")


class Asked:
    """A target as it is asked for: the request's bytes, prepared once, and the body that is right.

    The body is known by its hash until one has come that has it; from then on bodies are compared with that
    one, which is quicker and says the same.
    """

    __slots__ = ("body", "request", "sha256", "size")

    def __init__(self, target: Target, keep: bool) -> None:
        close = "" if keep else "Connection: close\r\n"
        self.request = f"GET {target.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{close}\r\n".encode()
        self.size = target.size
        self.sha256 = target.sha256
        self.body = b""

    def is_right(self, body: bytes) -> bool:
        """Whether these bytes are the file's."""
        if len(body) != self.size:
            return False
        if self.body:
            return body == self.body
        right = hashlib.sha256(body).hexdigest() == self.sha256
        if right and self.size <= RECEIVE:
            self.body = body
        return right


class Lane:
    """A connection and the request on it. `scheduled` is when that was due, `since` when its latency began;
    `counts` is whether it was due in the time that counts.
    """

    __slots__ = (
        "asked",
        "chunked",
        "closes",
        "counts",
        "fd",
        "is_open",
        "is_probe",
        "length",
        "need",
        "received",
        "scheduled",
        "since",
        "sock",
        "status",
    )

    def __init__(
        self, sock: socket.SocketType, scheduled: float, counts: bool, is_probe: bool = False
    ) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.is_open = False
        self.is_probe = is_probe
        self.ask(None, scheduled, counts)
        self.since = scheduled

    def ask(self, asked: Asked | None, scheduled: float, counts: bool) -> None:
        """A new request is about to be sent; None: the lane is free."""
        self.asked = asked
        self.scheduled = self.since = scheduled
        self.counts = counts
        self.received = b""
        self.status = 0
        self.length: int | None = None
        self.need = 0
        self.closes = self.chunked = False

    def take(self) -> bool:
        """Read what is there; True once the answer is whole, or its connection has ended.

        `status` stays 0 for an answer that is not whole. Raises OSError, BlockingIOError among them.
        """
        data = self.sock.recv(RECEIVE)
        if not data:
            self.closes = True
            if self.need and self.length is None and not self.chunked:
                return True  # a body that its connection's end delimits
            self.status = 0
            return True
        self.received = self.received + data if self.received else data
        if not self.need and not self._take_head():
            return False
        if self.chunked:
            return unchunked(self.received, self.need) is not None
        return self.length is not None and len(self.received) >= self.need + self.length

    def body(self) -> bytes:
        """What followed the head, without chunked coding."""
        return (unchunked(self.received, self.need) or b"") if self.chunked else self.received[self.need :]

    def _take_head(self) -> bool:
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self.received[:end].lower()
        self.need = end + 4
        self.status = int(head[9:12]) if head[9:12].isdigit() else 599
        length = _LENGTH.search(head)
        self.length = int(length[1]) if length else None
        self.chunked = _CHUNKED.search(head) is not None
        self.closes = _CLOSES.search(head) is not None
        return True


def unchunked(received: bytes, start: int) -> bytes | None:
    """The body that chunked coding carries from `start` on (RFC 9112 §7.1), b"" where it is none; None while
    its end has not come.
    """
    body = b""
    while (line := received.find(b"\r\n", start)) >= 0:
        try:
            size = int(received[start:line].partition(b";")[0], 16)
        except ValueError:
            return b""
        start = line + 2
        if not size:
            return body if received.find(b"\r\n", start) >= 0 else None
        body += received[start : start + size]
        start += size + 2
    return None
