"""The files that are served can be made again piece by piece: the gate relies on it."""

from pathlib import Path

import pytest

from benchmarks.documents import MIB, Document, make


@pytest.mark.parametrize("size", [1, 1024, MIB, MIB + 1, 3 * MIB], ids=str)
def test_written_and_made_again_are_the_same(tmp_path: Path, size: int) -> None:
    """What lies on the disk is what the pieces say, to the byte, and of the size that was asked for."""
    document = Document("/deep/file.bin", size)
    make(tmp_path, (document,))
    written = (tmp_path / "deep" / "file.bin").read_bytes()
    assert len(written) == size
    assert written == b"".join(document.pieces())


def test_no_two_pieces_are_alike() -> None:
    """A server that sent one part twice would be found out."""
    pieces = list(Document("/file.bin", 3 * MIB).pieces())
    assert len(set(pieces)) == 3


def test_part_is_a_part() -> None:
    """A part lies where a range asks for it."""
    document = Document("/file.bin", 2 * MIB)
    whole = b"".join(document.pieces())
    assert document.part(MIB, 1000) == whole[MIB : MIB + 1000]
