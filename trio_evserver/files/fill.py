"""One visit to the disk for all who ask for the same file at the same time."""

import trio

from trio_evserver.files.lease import Lease
from trio_evserver.semantics.message import Refusal


class Fill:
    """One visit to the disk and those who wait for it; holds a lease of its own until each of them has
    theirs.
    """

    def __init__(self, *, begun: bool) -> None:
        self._done = trio.Event()
        self._waiting = 0
        self._outcome: Lease | Refusal | None = None
        self.begun = begun
        """Whether the disk has been asked: what is found may be older than whoever comes now."""

    async def wait(self) -> Lease | Refusal:
        self._waiting += 1
        try:
            await self._done.wait()
            assert self._outcome is not None
            return self._outcome.share() if isinstance(self._outcome, Lease) else self._outcome
        finally:
            self._waiting -= 1
            self._end()

    def finish(self, outcome: Lease | Refusal) -> None:
        self._outcome = outcome
        self._done.set()
        self._end()

    def _end(self) -> None:
        if not self._waiting and self._done.is_set() and isinstance(self._outcome, Lease):
            self._outcome.release()
