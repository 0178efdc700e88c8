"""What is read of a file when it is opened: the whole of a small one, the beginning of a large one."""

import hashlib
import os
from collections.abc import Callable, Iterator
from typing import Final

from trio_evserver.files.aligned import page_aligned
from trio_evserver.files.disk import Disk
from trio_evserver.files.identity import Identity, identity_of
from trio_evserver.files.open_file import OpenFile
from trio_evserver.files.opened import Opened, Unread, Way
from trio_evserver.files.options import ETagSource
from trio_evserver.files.validators import wants_digest

_STEADY_TRIES: Final = 3  # a file that changes while it is read is read again so often, then streamed
_DIGEST_STEP: Final = 256 * 1024


class FirstRead:
    """Reads what is open. One per document root."""

    def __init__(
        self,
        disk: Disk,
        *,
        etag: ETagSource,
        content_limit: int,
        in_place: int,
        first_read: int,
        close: Callable[[int], None],
        clock: Callable[[], int],
    ) -> None:
        """`content_limit`, `in_place` (beyond which a file is better sent from the page cache) and
        `first_read` in bytes; `close` ends a descriptor that is not local; `clock` in ns since the epoch.
        """
        self._disk = disk
        self._etag = etag
        self._content_limit = content_limit
        self._in_place = in_place
        self._buffer = page_aligned(content_limit)  # for reading on the event loop
        self._first_read = first_read
        self._close = close
        self._clock = clock

    def __repr__(self) -> str:
        return f"<FirstRead up to {self._content_limit} bytes>"

    def read(
        self,
        descriptor: int,
        status: os.stat_result,
        *,
        name: bytes,
        probe: bytes,
        mount: bytes,
        local: bool,
        way: Way,
    ) -> Opened | Unread:
        """What is to be known of a regular file that is open, whose `status` was just asked; takes it over,
        unless it raises OSError. `Unread` only where it may not wait.
        """
        identity = identity_of(status)
        if local and self._stays(descriptor, identity, way):
            read_at = self._clock()
            if way is Way.WORKER:
                self._disk.make_resident(descriptor, identity.size, 0)
            file = self._file(descriptor, identity, mount, local)
            return Opened(file, name, probe, None, b"", "", read_at)
        for _ in range(_STEADY_TRIES):
            read_at = self._clock()
            try:
                content, first, digest = self._content(descriptor, identity, way)
            except BlockingIOError:
                if way is Way.WORKER:
                    raise
                return Unread(descriptor, name, probe)
            before, identity = identity, identity_of(self._disk.status(descriptor))
            if identity == before and (content is None or len(content) == identity.size):
                break
        else:  # it does not hold still: it is streamed, and checked while it is read
            content, first, digest, read_at = None, b"", "", self._clock()
        file = self._file(descriptor, identity, mount, local)
        return Opened(file, name, probe, content, first, digest, read_at)

    def _file(self, descriptor: int, identity: Identity, mount: bytes, local: bool) -> OpenFile:
        close = self._disk.close if local else self._close
        return OpenFile(descriptor, identity, mount=mount, local=local, close=close)

    def _content(self, descriptor: int, identity: Identity, way: Way) -> tuple[bytes | None, bytes, str]:
        size = identity.size
        content, first, digest = None, b"", ""
        if size <= self._content_limit:
            content = self._small(descriptor, identity, way)
        elif way is Way.WORKER:
            first = self._disk.read(descriptor, min(size, self._first_read), 0)
        if wants_digest(identity, self._etag):
            if content is None and way is not Way.WORKER:
                raise BlockingIOError
            digest = _digest(self._pieces(descriptor, size) if content is None else iter((content,)))
        return content, first, digest

    def _stays(self, descriptor: int, identity: Identity, way: Way) -> bool:
        """Whether it is sent from the page cache, where a worker can bring it in one go."""
        return (
            identity.size > self._in_place
            and (way is not Way.WORKER or identity.size <= self._first_read)
            and self._disk.tells_residency(descriptor, identity.device)
            and not wants_digest(identity, self._etag)
        )

    def _small(self, descriptor: int, identity: Identity, way: Way) -> bytes:
        if not identity.size:
            return b""
        if way is Way.WORKER:
            return self._disk.read(descriptor, identity.size, 0)
        buffer = self._buffer[: identity.size]
        if way is Way.NAMES or self._disk.read_cached(descriptor, identity.device, buffer, 0) < identity.size:
            raise BlockingIOError
        return bytes(buffer)

    def _pieces(self, descriptor: int, size: int) -> Iterator[bytes]:
        for offset in range(0, size, _DIGEST_STEP):
            yield self._disk.read(descriptor, min(_DIGEST_STEP, size - offset), offset)


def _digest(pieces: Iterator[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()
