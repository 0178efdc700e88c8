"""One table says what an error of the disk means to a client."""

import errno
import os
from http import HTTPStatus

import pytest

from trio_evserver.files.failures import RETRY_AFTER, refusal_for

NOT_FOUND, FORBIDDEN = HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN
UNAVAILABLE, OURS = HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INTERNAL_SERVER_ERROR


@pytest.mark.parametrize(
    ("code", "status", "why"),
    [
        (errno.ENOENT, NOT_FOUND, "not there"),
        (errno.ENOTDIR, NOT_FOUND, "/file.txt/more"),
        (errno.ELOOP, NOT_FOUND, "a link that is not followed, or a loop of them"),
        (errno.ENAMETOOLONG, NOT_FOUND, "no such name can exist"),
        (errno.EXDEV, NOT_FOUND, "outside the root: the same answer as for what is not there"),
        (errno.ENXIO, NOT_FOUND, "a socket"),
        (errno.ENODEV, NOT_FOUND, "a device without its driver"),
        (errno.EACCES, FORBIDDEN, "the server's user may not read it"),
        (errno.EPERM, FORBIDDEN, "nor by policy"),
        (errno.EMFILE, UNAVAILABLE, "our descriptors are used up"),
        (errno.ENFILE, UNAVAILABLE, "the machine's are"),
        (errno.ENOMEM, UNAVAILABLE, "no memory"),
        (errno.ENOBUFS, UNAVAILABLE, "no buffers"),
        (errno.EAGAIN, UNAVAILABLE, "a lease on the file, or a rename under way for too long"),
        (errno.EIO, OURS, "a broken disk"),
        (errno.ESTALE, OURS, "an NFS handle that is none any more"),
        (errno.EBADF, OURS, "a bug"),
    ],
)
def test_an_error_has_a_status(code: int, status: HTTPStatus, why: str) -> None:
    """The status tells the client whose fault it is and whether to come again; only 503 has Retry-After."""
    refusal = refusal_for(OSError(code, os.strerror(code), "/secret/path"))
    assert refusal.status is status, why
    assert refusal.fields == ((RETRY_AFTER,) if status is UNAVAILABLE else ())


def test_an_error_without_a_number_is_ours() -> None:
    """OSError need not carry an errno."""
    assert refusal_for(OSError("no number")).status is OURS


def test_the_reason_is_for_the_log() -> None:
    """The detail names the file for whoever reads the log; no field carries it to the peer."""
    refusal = refusal_for(OSError(errno.EMFILE, "many", "/secret/path"))
    assert "/secret/path" in refusal.detail
    assert not any(b"secret" in value for _, value in refusal.fields)
