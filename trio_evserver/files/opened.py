"""What one visit to the disk learns, and how far it goes."""

from enum import Enum
from typing import Final, final

from trio_evserver.files.open_file import OpenFile
from trio_evserver.semantics.value import Value


class Way(Enum):
    """How a file is looked for: in a worker, which may wait; on the event loop, from what is in memory; or
    there, but without asking for content, by which the kernel would begin to read it.
    """

    WORKER = "worker"
    MEMORY = "memory"
    NAMES = "names"


@final
class Opened(Value):
    """An open file and what one visit to the disk learned about it.

    `name` is its path below the root; `probe` the path by which stat(2) finds it again, empty where that
    would not tell whether another file has come before it. `content` is the whole of a small file, `first`
    the beginning of a large one, where it was read, `digest` a hash of its content in hexadecimal, where
    the entity tag wants one. `read_at` is when the reading began, in nanoseconds since the epoch: what
    had changed shortly before may have changed while it was read, without a trace.
    """

    __slots__ = ("content", "digest", "file", "first", "name", "probe", "read_at")

    def __init__(
        self,
        file: OpenFile,
        name: bytes,
        probe: bytes,
        content: bytes | None,
        first: bytes,
        digest: str,
        read_at: int,
    ) -> None:
        self.file: Final = file
        self.name: Final = name
        self.probe: Final = probe
        self.content: Final = content
        self.first: Final = first
        self.digest: Final = digest
        self.read_at: Final = read_at

    def _key(self) -> tuple[object, ...]:
        return self.file, self.name, self.probe, self.content, self.first, self.digest, self.read_at


@final
class Unread(Value):
    """A file that was opened without waiting, when its content was not in memory; whoever has it reads it, or
    closes it. `name` and `probe` as of `Opened`.
    """

    __slots__ = ("descriptor", "name", "probe")

    def __init__(self, descriptor: int, name: bytes, probe: bytes) -> None:
        self.descriptor: Final = descriptor
        self.name: Final = name
        self.probe: Final = probe

    def _key(self) -> tuple[object, ...]:
        return self.descriptor, self.name, self.probe
