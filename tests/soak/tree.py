"""The files that are served in a soak: most of them stand still, some are changed all the time."""

import os
import random
from pathlib import Path

from tests.conftest import LONG_AGO

STILL = {
    f"/still/{size}.bin": random.Random(size).randbytes(size)
    for size in (0, 1, 10, 1000, 16_384, 16_385, 100_000, 262_144, 262_145, 1_000_003, 3_000_000)
}
"""Files that nobody touches, by target: empty, joined to the head, kept in memory, read ahead."""

SMALL = {target: content for target, content in STILL.items() if 0 < len(content) <= 100_000}
LARGE = {target: content for target, content in STILL.items() if len(content) > 262_144}
LONGEST = max(STILL, key=lambda target: len(STILL[target]))

HUGE = "/still/huge.bin"
"""32 MiB of nothing."""

REPLACED = ("/moving/replaced-small", "/moving/replaced-large")
"""Names that always lead to a whole version: renamed over, as a deploy does it."""
GONE = ("/moving/gone-small", "/moving/gone-large")
"""Names that lead to a whole version, or to nothing."""
REWRITTEN = ("/moving/rewritten-small", "/moving/rewritten-large")
"""Files that are written over, cut and appended to in place."""
MOVING = REPLACED + GONE + REWRITTEN
_SIZES = {"small": 20_000, "large": 600_000}


def version(target: str, number: int) -> bytes:
    """The content of a moving file in one of its versions: its number, over and over."""
    return b"%08d" % number * (_SIZES[target.rpartition("-")[2]] // 8)


def make(site: Path) -> None:
    """The tree, every moving file in its version 0."""
    moving = {target: version(target, 0) for target in MOVING}
    for target, content in (STILL | moving).items():
        path = site / target[1:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (LONG_AGO, LONG_AGO))
    (site / HUGE[1:]).touch()
    os.truncate(site / HUGE[1:], 32 * 2**20)
    (site / "still" / "index.html").write_bytes(b"index")
    (site / ".secret").write_bytes(b"secret")


class Editor:
    """Changes the moving files. `made` is the number of the last version of each, on disk or about to be."""

    def __init__(self, site: Path, chance: random.Random) -> None:
        self._site = site
        self._chance = chance
        self.made = dict.fromkeys(MOVING, 0)
        self.seen = dict(self.made)
        """The number of the last version that is surely on disk."""

    def edit(self) -> None:
        """One change to one file."""
        target = self._chance.choice(list(self.made))
        path = self._site / target[1:]
        self.made[target] += 1
        content = version(target, self.made[target])
        if target in REWRITTEN:
            self._rewrite(path, content)
        elif target in GONE and self._chance.random() < 0.5:
            path.unlink(missing_ok=True)
        else:
            _replace(path, content)
        self.seen[target] = self.made[target]

    def restore(self) -> None:
        """Each of them is there again, and whole."""
        for target, number in self.made.items():
            _replace(self._site / target[1:], version(target, number))

    def _rewrite(self, path: Path, content: bytes) -> None:
        with path.open("r+b") as file:
            match self._chance.randrange(3):
                case 0:
                    file.write(content)
                    file.truncate()
                case 1:
                    file.truncate(self._chance.randrange(len(content)))
                case _:
                    file.seek(0, os.SEEK_END)
                    if file.tell() < 2 * len(content):
                        file.write(content[: len(content) // 2])


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_name("beside")
    beside.write_bytes(content)
    beside.replace(path)
