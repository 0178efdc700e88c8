"""A client that reads answers as strictly as it can, on a connection of its own."""

import random
import select
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from tests.serving.answers import Answer, read_answer
from tests.serving.conversations import request

_RESET = struct.pack("ii", 1, 0)


class RefusedError(Exception):
    """503 with Retry-After: come again."""


class Wire:
    """A connection to the server, and what has been heard on it and not yet read."""

    def __init__(self, connected: trio.socket.SocketType) -> None:
        self.socket = connected
        self._heard = bytearray()

    async def say(self, data: bytes) -> None:
        """Send all of it; what the server does not want any more is lost."""
        view = memoryview(data)
        try:
            while view:
                view = view[await self.socket.send(view) :]
        except ConnectionError:
            return

    async def end(self) -> None:
        """End our side."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            return

    async def answer(self, method: str = "GET", step: int = 65536, pause: float = 0.0) -> Answer:
        """The next final answer; raises EOFError where it is missing or cut, RefusedError for a refusal that
        asks to come again. `step` is how much is read at a time, with a `pause` before each.
        """
        while True:
            head = await self._until_head(step, pause)
            length = 0 if method == "HEAD" else _length(head)
            while len(self._heard) < len(head) + length:
                await self._hear(step, pause)
            data = bytes(self._heard[: len(head) + length])
            del self._heard[: len(data)]
            found = read_answer(data, method)
            if found.status == 503 and "Retry-After" in found.fields:
                raise RefusedError
            if found.status >= 200:
                return found

    async def _until_head(self, step: int, pause: float) -> bytes:
        while (end := self._heard.find(b"\r\n\r\n")) < 0:
            await self._hear(step, pause)
        return bytes(self._heard[: end + 4])

    async def _hear(self, step: int, pause: float) -> None:
        if pause:
            await trio.sleep(pause)
        try:
            data = await self.socket.recv(step)
        except ConnectionError:
            data = b""
        if not data:
            raise EOFError(f"the answer ends after {len(self._heard)} octets")
        self._heard += data

    async def rest(self, most: int = 1 << 40) -> bytes:
        """All that is heard until the server closes, or `most` octets of it have been."""
        try:
            while len(self._heard) < most and (data := await self.socket.recv(65536)):
                self._heard += data
        except ConnectionError:
            pass
        heard, self._heard = bytes(self._heard), bytearray()
        return heard

    async def get(self, target: str, *fields: str, method: str = "GET", version: str = "1.1") -> Answer:
        """The answer to one request."""
        await self.say(request(target, *fields, method=method, version=version))
        return await self.answer(method)

    def is_over(self) -> bool:
        """Whether the server has ended or broken the connection; asked without reading from it."""
        state = select.poll()
        state.register(self.socket.fileno(), select.POLLRDHUP)
        return bool(state.poll(0))

    def reset(self) -> None:
        """Let the coming close be a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name == b"Content-Length":
            return int(value)
    return 0


@asynccontextmanager
async def wire(address: tuple[str, int], *, buffer: int = 0) -> AsyncIterator[Wire]:
    """A connection; `buffer` is the size of its receive buffer, the system's own where it is 0."""
    with trio.socket.socket() as connected:
        if buffer:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        await connected.connect(address)
        yield Wire(connected)


def pieces(data: bytes, chance: random.Random) -> list[bytes]:
    """The data, in a few pieces that end anywhere."""
    cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(1, 6)))
    return [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
