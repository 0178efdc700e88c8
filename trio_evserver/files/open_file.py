"""A descriptor that several may use, and that is closed by the last of them."""

import os
from collections.abc import Callable
from typing import Final

from trio_evserver.files.identity import Identity

_LAST: Final = True
_ONE_MORE: Final = False


class OpenFile:
    """An open file. Made with one user, whoever made it; thread-safe, because a read left behind is a user,
    too.

    `mount` is the mount point its path lies under. `local` is whether its stat(2) and close(2) do not wait
    for anything but this machine. `close` is what the last user calls with the descriptor; on other file
    systems it must not block, as the last user may be the event loop.

    `resident` says what of it was lately found in the page cache: by the offset that a part ends at, where it
    begins, and until when that is taken for granted; for the event loop alone.

    `copy` is the descriptor of a file in memory with the same content, None if there is none. It is for the
    event loop alone, between two checkpoints, as the cache takes it away when it lets go of the file.
    """

    __slots__ = ("_close", "_users", "copy", "descriptor", "identity", "local", "mount", "resident")

    def __init__(
        self, descriptor: int, identity: Identity, *, mount: bytes, local: bool, close: Callable[[int], None]
    ) -> None:
        self.descriptor = descriptor
        self.identity = identity
        self.local = local
        self.mount = mount
        self.copy: int | None = None
        self.resident: dict[int, tuple[int, float]] = {}
        self._close = close
        # One for each user, the last to be taken at the bottom: to append to a list and to pop from it are
        # atomic, and cost a quarter of what a lock does.
        self._users = [_LAST]

    def __repr__(self) -> str:
        return f"<OpenFile {self.descriptor} users={len(self._users)}>"

    def acquire(self) -> None:
        """Become a user, too; only ever called by, or on behalf of, somebody who is one already."""
        if not self._users:
            raise ValueError("the file is closed")
        self._users.append(_ONE_MORE)

    def drop_copy(self) -> None:
        """Let go of the copy, if there is one."""
        if self.copy is not None:
            os.close(self.copy)
            self.copy = None

    def release(self) -> None:
        """Stop being a user."""
        if self._users.pop() is _LAST:
            self._close(self.descriptor)
