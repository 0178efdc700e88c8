"""What the cache keeps of one name."""

from typing import Final

from trio_evserver.files.lease import Lease
from trio_evserver.files.memory_file import open_memory_file
from trio_evserver.files.open_file import OpenFile
from trio_evserver.semantics.message import Refusal
from trio_evserver.semantics.representation import Representation

ENTRY_COST: Final = 4096
"""Bytes that an entry costs beside its content: the objects that describe it, measured with tracemalloc."""
USUAL_NAME: Final = 256
"""Included in it is a name of so many bytes; a client can ask for longer ones."""


class Entry:
    """A file, or the lack of one, as it was when it was last looked at: `checked`, in Trio's seconds, if it
    has no `probe`, by which it is looked at for every use.

    `is_apart`: its content has a file of its own in memory.
    """

    __slots__ = (
        "checked", "cost", "file", "is_apart", "moment", "probe", "refusal", "representation",
    )  # fmt: skip

    def __init__(self, found: Lease | Refusal, probe: bytes, checked: float) -> None:
        self.checked = checked
        self.probe = probe
        self.moment = 0
        self.is_apart = False
        self.cost = ENTRY_COST
        self.file: OpenFile | None = None
        self.representation: Representation | None = None
        self.refusal: Refusal | None = None
        if isinstance(found, Refusal):
            self.refusal = found
        else:
            self.file = found.file
            self.representation = found.representation
            self.cost += len(found.representation.content or b"")

    def set_apart(self) -> bool:
        """Put the content, which is held, into a file in memory; whether that could be done."""
        file, representation = self.file, self.representation
        if file is None or representation is None or representation.content is None:
            return False
        file.copy = open_memory_file(representation.content)
        if file.copy is None:
            return False
        self.representation = representation.without_content()
        self.is_apart = True
        return True

    def lease(self) -> Lease | Refusal:
        """A lease on the file, for its taker to release, or why there is none."""
        if self.refusal is not None:
            return self.refusal
        assert self.file is not None
        assert self.representation is not None
        self.file.acquire()
        return Lease(self.representation, self.file, b"")
