"""The right to use a file for as long as one reply takes."""

from types import TracebackType

from trio_evserver.files.open_file import OpenFile
from trio_evserver.semantics.representation import Representation


class Lease:
    """A representation and the open file it describes; `first` is the beginning of the file where it was
    just read. `current` says that stat(2) has found the file as it was described since the last checkpoint:
    whoever waits clears it.

    Resources: whoever is handed one releases it, with `release` or `with`.
    """

    __slots__ = ("current", "file", "first", "representation")

    def __init__(self, representation: Representation, file: OpenFile, first: bytes) -> None:
        """Takes over one use of `file`."""
        self.representation = representation
        self.file = file
        self.first = first
        self.current = False

    def __repr__(self) -> str:
        return f"<Lease {self.file!r}>"

    def share(self) -> "Lease":
        """Another lease on the same file."""
        self.file.acquire()
        return Lease(self.representation, self.file, self.first)

    def release(self) -> None:
        """Give the file back."""
        self.file.release()

    def __enter__(self) -> "Lease":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
