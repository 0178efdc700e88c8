"""From a resource path to an open file inside the root, with whatever is read of it at once.

What is checked is what is opened: names are resolved by the kernel, beneath the root, and everything after
that is asked of the descriptor. The root itself is resolved anew for every opening, so that swapping a
symbolic link to it (an atomic deploy) shows at once.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from http import HTTPStatus

import msgspec

from trio_evserver.files.disk import Disk, Identity, identity_of, is_directory, is_regular
from trio_evserver.files.failures import refusal_for
from trio_evserver.files.open_file import OpenFile
from trio_evserver.files.options import ETagSource, Symlinks
from trio_evserver.files.validators import wants_digest
from trio_evserver.semantics.message import Refusal
from trio_evserver.semantics.resource_path import ResourcePath

_STEADY_TRIES = 3  # a file that changes while it is read is read again so often, then streamed
_DIGEST_STEP = 256 * 1024


class Opened(msgspec.Struct, frozen=True):
    """An open file and what one visit to the disk learned about it.

    `name` is its path below the root; `probe` the path by which stat(2) finds it again, empty where that
    would not tell whether another file has come before it. `content` is the whole of a small file, `first`
    the beginning of a large one, where it was read, `digest` a hash of its content in hexadecimal, where
    the entity tag wants one. `read_at` is when the reading began, in nanoseconds since the epoch: what
    had changed shortly before may have changed while it was read, without a trace.
    """

    file: OpenFile
    name: bytes
    probe: bytes
    content: bytes | None
    first: bytes
    digest: str
    read_at: int


class Unread(msgspec.Struct, frozen=True):
    """A file that was opened without waiting, when its content was not in memory; whoever has it reads it, or
    closes it. `name` and `probe` as of `Opened`.
    """

    descriptor: int
    name: bytes
    probe: bytes


class DocumentRoot:
    """A directory of files, or one file, which is served at "/" and under its name."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        disk: Disk,
        *,
        index: tuple[str, ...],
        symlinks: Symlinks,
        etag: ETagSource,
        content_limit: int,
        first_read: int,
        close: Callable[[int], None],
        clock: Callable[[], int],
    ) -> None:
        """`content_limit` and `first_read` in bytes; `close` ends a descriptor that is not local; `clock`
        in ns since the epoch.
        """
        self.path = os.fsencode(os.path.abspath(path))
        self._disk = disk
        self._index = tuple(os.fsencode(name) for name in index)
        self._symlinks = symlinks
        self._etag = etag
        self._content_limit = content_limit
        self._buffer = memoryview(bytearray(content_limit))  # for reading on the event loop
        self._first_read = first_read
        self._close = close
        self._clock = clock
        self._identity: tuple[int, int] | None = None
        self._local = False
        self.is_single_file = is_regular(disk.status_of(self.path))

    def __repr__(self) -> str:
        return f"<DocumentRoot {os.fsdecode(self.path)!r}>"

    def load(self, path: ResourcePath) -> Opened | Refusal:
        """The file at `path`, or why there is none."""
        try:
            found = self._look(path, cached=False)
        except OSError as error:
            return refusal_for(error)
        assert not isinstance(found, Unread)
        return found

    def load_cached(self, path: ResourcePath) -> Opened | Unread | Refusal:
        """As `load`, from memory alone, as far as that goes. Raises BlockingIOError instead of waiting for a
        name.
        """
        try:
            return self._look(path, cached=True)
        except BlockingIOError:
            raise
        except OSError as error:
            return refusal_for(error)

    def read(self, unread: Unread, path: ResourcePath) -> Opened | Refusal:
        """What `load_cached` opened at `path`, or why it is none; takes it over."""
        try:
            found = self._read(unread.descriptor, unread.name, unread.probe, path, cached=False)
        except OSError as error:
            return refusal_for(error)
        assert not isinstance(found, Unread)
        return found

    def close(self, unread: Unread) -> None:
        """Leave unread what `load_cached` opened."""
        self._disk.close(unread.descriptor)

    def _look(self, path: ResourcePath, cached: bool) -> Opened | Unread | Refusal:
        if self.is_single_file:
            return self._load_single(path, cached)
        root = self._open_root(cached)
        try:
            return self._load_beneath(root, path, cached)
        finally:
            self._disk.close(root)

    def mount_of(self, path: ResourcePath) -> bytes:
        """The mount point that `path` lies under, by its name."""
        return self._disk.mounts.point_of(b"%b/%b" % (self.path, path.relative))

    def _open_root(self, cached: bool) -> int:
        if cached:
            if not self._local:
                raise BlockingIOError
            return self._disk.open_directory_cached(self.path)
        root = self._disk.open_directory(self.path)
        try:
            status = self._disk.status(root)
            identity = (status.st_dev, status.st_ino)
            if identity != self._identity:
                self._local = all(map(self._is_local_path, _ancestors(self.path)))
                self._identity = identity
        except BaseException:
            self._disk.close(root)
            raise
        return root

    def _is_local_path(self, path: bytes) -> bool:
        return self._disk.mounts.is_local(self._disk.status_of(path).st_dev)

    def _load_single(self, path: ResourcePath, cached: bool) -> Opened | Unread | Refusal:
        name = os.path.basename(self.path)
        if path.relative not in (b"", name) or (path.segments and path.directory):
            return Refusal(HTTPStatus.NOT_FOUND, "a single file is served")
        if cached:
            raise BlockingIOError
        self._local = all(map(self._is_local_path, _ancestors(self.path)))
        return self._read(self._disk.open_file(self.path), name, self.path, path, cached)

    def _load_beneath(self, root: int, path: ResourcePath, cached: bool) -> Opened | Unread | Refusal:
        answer: Opened | Unread | Refusal = Refusal(HTTPStatus.NOT_FOUND, "no index file")
        for position, name in enumerate(self._candidates(path)):
            # The first candidate is found again by its name; a later one also by the absence of those
            # before it.
            probe = b"" if position else b"%b/%b" % (self.path, name)
            try:
                answer = self._read(self._open(root, name, cached), name, probe, path, cached)
            except (FileNotFoundError, NotADirectoryError) as error:
                answer = refusal_for(error)
            if not isinstance(answer, Refusal):
                break
        return answer

    def _candidates(self, path: ResourcePath) -> Iterator[bytes]:
        if not path.directory:
            yield path.relative
            return
        for name in self._index:
            yield b"%b/%b" % (path.relative, name) if path.relative else name

    def _open(self, root: int, name: bytes, cached: bool) -> int:
        if self._symlinks is Symlinks.ALL:
            if cached:
                raise BlockingIOError
            return self._disk.open_anywhere(root, name)
        follow = self._symlinks is Symlinks.INSIDE
        if cached:
            return self._disk.open_beneath_cached(root, name, follow=follow)
        return self._disk.open_beneath(root, name, follow=follow)

    def _read(
        self, descriptor: int, name: bytes, probe: bytes, path: ResourcePath, cached: bool
    ) -> Opened | Unread | Refusal:
        """What is to be known of the open `descriptor`, which is closed again unless the answer holds it.

        `Unread` only with `cached`.
        """
        kept = False
        try:
            status = self._disk.status(descriptor)
            if not is_regular(status):
                return _not_a_file(path) if is_directory(status) else _NO_FILE
            for _ in range(_STEADY_TRIES):
                identity = identity_of(status)
                read_at = self._clock()
                try:
                    content, first, digest = self._read_content(descriptor, identity, cached)
                except BlockingIOError:
                    kept = cached
                    if cached:
                        return Unread(descriptor, name, probe)
                    raise
                status = self._disk.status(descriptor)
                if identity_of(status) == identity and _is_whole(content, identity):
                    break
            else:  # it does not hold still: it is streamed, and checked while it is read
                identity, read_at = identity_of(status), self._clock()
                content, first, digest = None, b"", ""
            local = cached or (self._local and self._disk.mounts.is_local(identity.device))
            close = self._disk.close if local else self._close
            mount = self._disk.mounts.point_of(b"%b/%b" % (self.path, name))
            file = OpenFile(descriptor, identity, mount=mount, local=local, close=close)
            kept = True
            return Opened(file, name, probe, content, first, digest, read_at)
        finally:
            if not kept:
                self._disk.close(descriptor)

    def _read_content(
        self, descriptor: int, identity: Identity, cached: bool
    ) -> tuple[bytes | None, bytes, str]:
        size = identity.size
        content, first, digest = None, b"", ""
        if size <= self._content_limit:
            content = self._read_small(descriptor, identity, cached)
        elif not cached:
            first = self._disk.read(descriptor, min(size, self._first_read), 0)
        if wants_digest(identity, self._etag):
            if content is None and cached:
                raise BlockingIOError
            digest = _digest(self._pieces(descriptor, size) if content is None else iter((content,)))
        return content, first, digest

    def _read_small(self, descriptor: int, identity: Identity, cached: bool) -> bytes:
        if not identity.size:
            return b""
        if not cached:
            return self._disk.read(descriptor, identity.size, 0)
        buffer = self._buffer[: identity.size]
        if self._disk.read_cached(descriptor, identity.device, buffer, 0) < identity.size:
            raise BlockingIOError
        return bytes(buffer)

    def _pieces(self, descriptor: int, size: int) -> Iterator[bytes]:
        for offset in range(0, size, _DIGEST_STEP):
            yield self._disk.read(descriptor, min(_DIGEST_STEP, size - offset), offset)


_NO_FILE = Refusal(HTTPStatus.NOT_FOUND, "not a regular file")


def _not_a_file(path: ResourcePath) -> Refusal:
    """The redirect from a directory's name without its slash (RFC 9110 §15.4.2), always to a path of our
    own making.
    """
    if path.directory:
        return _NO_FILE
    location = ResourcePath(path.segments, True, path.relative).url()
    return Refusal(HTTPStatus.MOVED_PERMANENTLY, "a directory", ((b"Location", location),))


def _is_whole(content: bytes | None, identity: Identity) -> bool:
    return content is None or len(content) == identity.size


def _digest(pieces: Iterator[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _ancestors(path: bytes) -> Iterator[bytes]:
    """Every directory that is passed on the way to `path`, by name and after links are followed."""
    for way in {path, os.path.realpath(path)}:
        yield way
        while (parent := os.path.dirname(way)) != way:
            yield (way := parent)
