"""What a worker thread rings to have something called on the event loop.

Trio's own way (`TrioToken.run_sync_soon`) waits for its next turn, and the hub may be at work for others for
some milliseconds until then. The bell is watched by the hub, like the sockets, and answered in its next look.
"""

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Lock

from trio_evserver.serving.hub import Hub


class Bell:
    """An eventfd(2) that the hub watches."""

    def __init__(self, hub: Hub) -> None:
        """Raises OSError."""
        self._due: deque[Callable[[], object]] = deque()
        self._lock = Lock()
        self._is_open = True
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            hub.watch_bell(self._descriptor, self._answer)
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"<Bell {len(self._due)} due>"

    def call_soon(self, what: Callable[[], object]) -> None:
        """Have the hub call `what`, unless the bell is closed before. For threads."""
        with self._lock:  # a number that was closed may be that of a client by now
            if self._is_open:
                self._due.append(what)
                os.eventfd_write(self._descriptor, 1)

    def _answer(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._descriptor)
        for _ in range(len(self._due)):
            self._due.popleft()()

    def close(self) -> None:
        """Nothing is called any more."""
        with self._lock:
            self._is_open = False
            os.close(self._descriptor)


def open_bell(hub: Hub | None) -> Bell | None:
    """One that `hub` answers, where the operating system has any. Raises OSError."""
    return Bell(hub) if hub is not None and hasattr(os, "eventfd") else None
