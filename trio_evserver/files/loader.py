"""Has workers open and read the files that are not at hand."""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus

from trio_evserver.files.document_root import DocumentRoot
from trio_evserver.files.failures import DiskBusyError, refusal_for
from trio_evserver.files.fill import Fill
from trio_evserver.files.opened import Opened, Unread
from trio_evserver.files.workers import Workers
from trio_evserver.semantics.message import Refusal
from trio_evserver.semantics.resource_path import ResourcePath


class Loader:
    """Loads from one document root."""

    def __init__(self, root: DocumentRoot, workers: Workers, make_room: Callable[[], bool]) -> None:
        """`make_room` frees descriptors, if it can, and tells whether it did."""
        self._root = root
        self._workers = workers
        self._make_room = make_room
        self.count = 0

    def __repr__(self) -> str:
        return f"<Loader of {self._root!r}>"

    async def load(self, path: ResourcePath, unread: Unread | None, fill: Fill) -> Opened | Refusal:
        """What is at `path`, or why there is nothing; takes over what is `unread` of it.

        Cancellation: prompt; nothing is held.
        """
        try:
            opened = await self._ask_worker(path, unread, fill)
            # Out of descriptors, most likely: those of the cache are the ones that can be had back.
            if _is_exhausted(opened) and self._make_room():
                opened = await self._ask_worker(path, None, fill)
        except DiskBusyError as error:
            return refusal_for(error)
        return opened

    def close(self, unread: Unread | None) -> None:
        """Leave it unread."""
        if unread is not None:
            self._root.close(unread)

    async def _ask_worker(self, path: ResourcePath, unread: Unread | None, fill: Fill) -> Opened | Refusal:
        def load() -> Opened | Refusal:
            fill.begun = True
            return self._root.load(path) if unread is None else self._root.read(unread, path)

        self.count += 1
        return await self._workers.run(
            load,
            mount=self._root.mount_of(path),
            refusable=True,
            never_ran=partial(self.close, unread),
            unwanted=_discard,
        )


def _is_exhausted(opened: Opened | Refusal) -> bool:
    return isinstance(opened, Refusal) and opened.status is HTTPStatus.SERVICE_UNAVAILABLE


def _discard(opened: Opened | Refusal) -> None:
    if isinstance(opened, Opened):
        opened.file.release()
