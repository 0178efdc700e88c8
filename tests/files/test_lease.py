"""A lease is one use of an open file."""

import pytest

from tests.files.making import describe
from trio_evserver.files.identity import Identity
from trio_evserver.files.lease import Lease
from trio_evserver.files.open_file import OpenFile
from trio_evserver.files.opened import Opened


def make(closed: list[int]) -> Lease:
    file = OpenFile(7, Identity(1, 2, 3, 4, 5), mount=b"/", local=True, close=closed.append)
    representation, _ = describe(Opened(file, b"a", b"", None, b"", "", 0))
    return Lease(representation, file, b"first")


def test_leaving_the_block_releases() -> None:
    """Also by an exception."""
    closed: list[int] = []
    with pytest.raises(RuntimeError), make(closed):
        raise RuntimeError
    assert closed == [7]


def test_a_share_is_a_use_of_its_own() -> None:
    """It has what the first lease has, and the file stays open until both are given back."""
    closed: list[int] = []
    lease = make(closed)
    with lease.share() as other:
        lease.release()
        assert (other.file, other.representation, other.first) == (lease.file, lease.representation, b"first")
        assert closed == []
    assert closed == [7]
