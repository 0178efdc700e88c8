"""The files that are served: made once, the same in every run, kept in the cache folder.

Each is random-looking, so that a coding or a zero-filled hole cannot flatter anyone, and each can be made
again piece by piece, so that the gate compares bodies byte for byte without a second copy.
"""

import itertools
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
BLOCK = MIB

# sizes of the mixed set: 20 files of 3 to 300 KiB, as a page with its styles, scripts and pictures has them
MIXED = tuple(
    size * KIB for size in (3, 4, 5, 6, 8, 10, 12, 15, 18, 22, 28, 34, 42, 55, 70, 90, 120, 160, 220, 300)
)


@dataclass(frozen=True)
class Document:
    """A file below the served root: its path as a request target ("/1k.txt") and its size in bytes."""

    path: str
    size: int

    def pieces(self) -> Iterator[bytes]:
        """Its bytes in order, in pieces of at most 1 MiB, each marked with its place: no two are alike."""
        source = random.Random(self.path).randbytes(min(self.size, BLOCK))
        for index in range(-(-self.size // BLOCK)):
            piece = index.to_bytes(8, "big") + source[8:] if index else source
            yield piece[: self.size - index * BLOCK]

    def part(self, first: int, length: int) -> bytes:
        """Bytes `first` to `first + length`, where both lie in one piece."""
        piece = next(itertools.islice(self.pieces(), first // BLOCK, None))
        return piece[first % BLOCK : first % BLOCK + length]


SMALL = Document("/1k.txt", KIB)
MEDIUM = Document("/100k.bin", 100 * KIB)
LARGE = Document("/10m.bin", 10 * MIB)
HUGE = Document("/1g.bin", GIB)
MANY = tuple(
    Document(f"/many/{number:04}.txt", size)
    for number, size in enumerate(random.Random("many").choices(range(KIB // 2, 16 * KIB), k=2000))
)
MIX = tuple(Document(f"/mix/{number:02}.bin", size) for number, size in enumerate(MIXED))
COLD = tuple(Document(f"/cold/{number:04}.bin", 256 * KIB) for number in range(1000))


def make(root: Path, documents: tuple[Document, ...]) -> None:
    """Write those that are not there yet; a file is whole once it has its name."""
    for document in documents:
        target = root / document.path.lstrip("/")
        if target.exists() and target.stat().st_size == document.size:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_suffix(".half")
        with half.open("wb") as file:
            file.writelines(document.pieces())
            file.flush()
            os.fsync(file.fileno())  # a dirty page cannot be dropped from the page cache
        half.chmod(0o644)
        half.rename(target)


def warm(root: Path, documents: tuple[Document, ...]) -> None:
    """Read each file once, so that it is in the page cache."""
    for document in documents:
        with (root / document.path.lstrip("/")).open("rb", buffering=0) as file:
            while file.read(BLOCK):
                pass


def chill(root: Path, documents: tuple[Document, ...]) -> None:
    """Drop each file from the page cache; needs no privilege for a file that is clean."""
    for document in documents:
        descriptor = os.open(root / document.path.lstrip("/"), os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
