"""An open file is closed once, by its last user, whichever thread that is in."""

import threading

import pytest

from trio_evserver.files.identity import Identity
from trio_evserver.files.open_file import OpenFile

IDENTITY = Identity(1, 2, 3, 4, 5)


def test_the_last_user_closes() -> None:
    """Neither the first of two users nor anybody twice."""
    closed: list[int] = []
    file = OpenFile(7, IDENTITY, mount=b"/", local=True, close=closed.append)
    file.acquire()
    file.release()
    assert closed == []
    file.release()
    assert closed == [7]


def test_a_closed_file_has_no_new_users() -> None:
    """Its number may be another file's by now."""
    file = OpenFile(7, IDENTITY, mount=b"/", local=True, close=lambda descriptor: None)
    file.release()
    with pytest.raises(ValueError, match="closed"):
        file.acquire()


def test_any_thread_may_be_last() -> None:
    """Users that come and go in many threads at once leave exactly one close behind."""
    closed: list[int] = []
    file = OpenFile(7, IDENTITY, mount=b"/", local=True, close=closed.append)
    start = threading.Barrier(8)

    def use() -> None:
        start.wait()
        for _ in range(500):
            file.acquire()
            file.release()
        file.release()

    for _ in range(8):
        file.acquire()
    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    file.release()
    for thread in threads:
        thread.join()
    assert closed == [7]


def test_a_repr_tells_the_users() -> None:
    """What a debugger shows of it."""
    assert repr(OpenFile(7, IDENTITY, mount=b"/", local=True, close=print)) == "<OpenFile 7 users=1>"
