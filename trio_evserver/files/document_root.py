"""From a resource path to an open file inside the root, with whatever is read of it at once.

What is checked is what is opened: names are resolved by the kernel, beneath the root, and everything after
that is asked of the descriptor. The path of the root itself is resolved anew for every opening, so that
swapping a symbolic link to it (an atomic deploy) shows at once.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from typing import Final

from trio_evserver.files.disk import Disk
from trio_evserver.files.failures import refusal_for
from trio_evserver.files.first_read import FirstRead
from trio_evserver.files.identity import is_directory, is_regular
from trio_evserver.files.opened import Opened, Unread, Way
from trio_evserver.files.options import Symlinks
from trio_evserver.semantics.message import Refusal
from trio_evserver.semantics.resource_path import ResourcePath


class DocumentRoot:
    """A directory of files, or one file, which is served at "/" and under its name."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        disk: Disk,
        *,
        index: tuple[str, ...],
        symlinks: Symlinks,
        first_read: FirstRead,
    ) -> None:
        """Raises OSError where `path` cannot be looked at. May wait for the disk."""
        self.path = os.fsencode(os.path.abspath(path))
        self._disk = disk
        self._index = tuple(os.fsencode(name) for name in index)
        self._symlinks = symlinks
        self._first_read = first_read
        # All mount points, and the root's if no other is below it. In one, as threads look at it, too.
        self._mount: tuple[tuple[bytes, ...] | None, bytes | None] = None, None
        self._identity: tuple[int, int] | None = None
        # The descriptor of the root, for the event loop alone, which need not open it each time, and when its
        # path last led there.
        self._root: int | None = None
        self._root_identity: tuple[int, int] | None = None
        self._root_moment = 0
        self._closed = False
        self._local = False
        status = disk.status_of(self.path)
        self.is_single_file = is_regular(status)
        with suppress(OSError):  # whatever it is, the first opening meets it, too
            self._learn(status)

    def __repr__(self) -> str:
        return f"<DocumentRoot {os.fsdecode(self.path)!r}>"

    def load(self, path: ResourcePath) -> Opened | Refusal:
        """The file at `path`, or why there is none."""
        try:
            found = self._look(path, Way.WORKER)
        except OSError as error:
            return refusal_for(error)
        assert not isinstance(found, Unread)
        return found

    def load_cached(
        self, path: ResourcePath, *, ask: bool = True, moment: int = 0
    ) -> Opened | Unread | Refusal:
        """As `load`, from memory alone, as far as that goes. Raises BlockingIOError instead of waiting for a
        name. What can be sent from the page cache is not read; nor is anything else, unless it may `ask`.
        `moment` as of `FileCache.find_nowait`: where the root's path leads is looked up once for all of it.
        """
        try:
            return self._look(path, Way.MEMORY if ask else Way.NAMES, moment)
        except BlockingIOError:
            raise
        except OSError as error:
            return refusal_for(error)

    def read(self, unread: Unread, path: ResourcePath) -> Opened | Refusal:
        """What `load_cached` opened at `path`, or why it is none; takes it over."""
        try:
            found = self._read(unread.descriptor, unread.name, unread.probe, path, Way.WORKER)
        except OSError as error:
            return refusal_for(error)
        assert not isinstance(found, Unread)
        return found

    def close(self, unread: Unread) -> None:
        """Leave unread what `load_cached` opened."""
        self._disk.close(unread.descriptor)

    def _look(self, path: ResourcePath, way: Way, moment: int = 0) -> Opened | Unread | Refusal:
        if self.is_single_file:
            return self._load_single(path, way)
        if way is not Way.WORKER:
            return self._load_beneath(self._root_nowait(moment), path, way)
        root = self._open_root()
        try:
            return self._load_beneath(root, path, way)
        finally:
            self._disk.close(root)

    def shutdown(self) -> None:
        """Let go of what it has open itself, and open no more of that."""
        self._closed = True
        self._drop_root()

    def mount_of(self, path: ResourcePath) -> bytes:
        """The mount point that `path` lies under, by its name."""
        return self._mount_of(path.relative)

    def _mount_of(self, name: bytes) -> bytes:
        mounts, (points, mount) = self._disk.mounts, self._mount
        if points is not mounts.points:
            points, below = mounts.points, self.path.rstrip(b"/") + b"/"
            is_one = not any(point.startswith(below) for point in points)
            mount = mounts.point_of(self.path) if is_one else None
            self._mount = points, mount
        return mounts.point_of(b"%b/%b" % (self.path, name)) if mount is None else mount

    def _root_nowait(self, moment: int) -> int:
        """The root's descriptor, as long as its path leads to the same directory."""
        if not self._local or self._closed:
            raise BlockingIOError
        if self._root is not None:
            if moment and moment == self._root_moment:
                return self._root
            # That it is open keeps what this call looks up in memory.
            status = self._disk.status_of(self.path)
            if (status.st_dev, status.st_ino) == self._root_identity:
                self._root_moment = moment
                return self._root
            self._drop_root()
        self._root = self._disk.open_directory_cached(self.path)
        status = self._disk.status(self._root)
        self._root_identity = status.st_dev, status.st_ino
        self._root_moment = moment
        return self._root

    def _drop_root(self) -> None:
        root, self._root, self._root_identity = self._root, None, None
        if root is not None:
            self._disk.close(root)

    def _open_root(self) -> int:
        root = self._disk.open_directory(self.path)
        try:
            self._learn(self._disk.status(root))
        except BaseException:
            self._disk.close(root)
            raise
        return root

    def _learn(self, status: os.stat_result) -> None:
        """Whether the root is local, if it is another than before."""
        identity = (status.st_dev, status.st_ino)
        if identity != self._identity:
            self._local = all(map(self._is_local_path, _ancestors(self.path)))
            self._identity = identity

    def _is_local_path(self, path: bytes) -> bool:
        return self._disk.mounts.is_local(self._disk.status_of(path).st_dev)

    def _load_single(self, path: ResourcePath, way: Way) -> Opened | Unread | Refusal:
        name = os.path.basename(self.path)
        if path.relative not in (b"", name) or (path.segments and path.directory):
            return Refusal(HTTPStatus.NOT_FOUND, "a single file is served")
        if way is not Way.WORKER:
            raise BlockingIOError
        self._local = all(map(self._is_local_path, _ancestors(self.path)))
        return self._read(self._disk.open_file(self.path), name, self.path, path, way)

    def _load_beneath(self, root: int, path: ResourcePath, way: Way) -> Opened | Unread | Refusal:
        answer: Opened | Unread | Refusal = Refusal(HTTPStatus.NOT_FOUND, "no index file")
        for position, name in enumerate(self._candidates(path)):
            # The first candidate is found again by its name; a later one also by the absence of those
            # before it.
            probe = b"" if position else b"%b/%b" % (self.path, name)
            try:
                answer = self._read(self._open(root, name, way), name, probe, path, way)
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

    def _open(self, root: int, name: bytes, way: Way) -> int:
        if self._symlinks is Symlinks.ALL:
            if way is not Way.WORKER:
                raise BlockingIOError
            return self._disk.open_anywhere(root, name)
        follow = self._symlinks is Symlinks.INSIDE
        if way is not Way.WORKER:
            return self._disk.open_beneath_cached(root, name, follow=follow)
        return self._disk.open_beneath(root, name, follow=follow)

    def _read(
        self, descriptor: int, name: bytes, probe: bytes, path: ResourcePath, way: Way
    ) -> Opened | Unread | Refusal:
        """What is to be known of the open `descriptor`, which is closed again unless the answer holds it."""
        kept = False
        try:
            status = self._disk.status(descriptor)
            if not is_regular(status):
                return _not_a_file(path) if is_directory(status) else _NO_FILE
            local = way is not Way.WORKER or (self._local and self._disk.mounts.is_local(status.st_dev))
            found = self._first_read.read(
                descriptor,
                status,
                name=name,
                probe=probe,
                mount=self._mount_of(name),
                local=local,
                way=way,
            )
            kept = True
            return found
        finally:
            if not kept:
                self._disk.close(descriptor)


_NO_FILE: Final = Refusal(HTTPStatus.NOT_FOUND, "not a regular file")


def _not_a_file(path: ResourcePath) -> Refusal:
    """The redirect from a directory's name without its slash (RFC 9110 §15.4.2), always to a path of our
    own making.
    """
    if path.directory:
        return _NO_FILE
    location = ResourcePath(path.segments, True, path.relative).url()
    return Refusal(HTTPStatus.MOVED_PERMANENTLY, "a directory", ((b"Location", location),))


def _ancestors(path: bytes) -> Iterator[bytes]:
    """Every directory that is passed on the way to `path`, by name and after links are followed."""
    for way in {path, os.path.realpath(path)}:
        yield way
        while (parent := os.path.dirname(way)) != way:
            yield (way := parent)
