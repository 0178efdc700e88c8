"""How files are found, read and kept."""

from enum import Enum

import msgspec

# The largest file that is kept in memory, and no more than this part of the cache: one file must not empty
# it.
_LARGEST_KEPT = 256 * 1024
_CACHE_SHARE = 8


class Symlinks(Enum):
    """Which symbolic links below the root are followed."""

    NEVER = "never"
    INSIDE = "inside"
    ALL = "all"


class ETagSource(Enum):
    """What an entity tag is made from."""

    AUTO = "auto"
    CONTENT = "content"
    OFF = "off"


class FileOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds and policies of the disk.

    `threads` reads are in flight at a time; `queue` openings wait for their turn on each disk, for
    `patience` seconds at most, and further ones are refused; of one reply `read_ahead` chunks of
    `chunk_size` bytes are read ahead of what is sent, and all replies together hold `read_ahead_memory`
    bytes that were read and not yet sent. `cache_size` bytes of small files are kept in memory (0: nothing
    is kept, not even an open file); `cache_files` files are kept open. Where a check on the disk could
    block it is made once in `revalidate` seconds at most. `cached_reads` tries the page cache on the event
    loop before a worker is asked (off: every file call goes through the workers, the ancestor's case, for
    development).
    """

    symlinks: Symlinks = Symlinks.INSIDE
    etag: ETagSource = ETagSource.AUTO
    threads: int = 16
    queue: int = 1024
    patience: float = 1.0
    read_ahead: int = 4
    read_ahead_memory: int = 64 * 1024 * 1024
    chunk_size: int = 512 * 1024
    cache_size: int = 64 * 1024 * 1024
    cache_files: int = 4096
    revalidate: float = 1.0
    cached_reads: bool = True

    @property
    def content_limit(self) -> int:
        """The largest file, in bytes, that is kept in memory."""
        return min(_LARGEST_KEPT, self.cache_size // _CACHE_SHARE)
