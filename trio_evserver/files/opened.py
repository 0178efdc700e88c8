"""What one visit to the disk learns, and how far it goes."""

from enum import Enum

import msgspec

from trio_evserver.files.open_file import OpenFile


class Way(Enum):
    """How a file is looked for: in a worker, which may wait; on the event loop, from what is in memory; or
    there, but without asking for content, by which the kernel would begin to read it.
    """

    WORKER = "worker"
    MEMORY = "memory"
    NAMES = "names"


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
