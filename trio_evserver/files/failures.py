"""What an error of the disk means to a client: one table. And the error that is our own."""

import errno
from http import HTTPStatus

from trio_evserver.semantics.message import Refusal

# Not there, or not for this client to know that it is: one answer for all of them, so that nothing can be
# probed.
_ABSENT = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.EXDEV,  # would leave the root
    errno.ENXIO,  # a socket, or a device without its driver
    errno.ENODEV,
)
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN)

_STATUS = (
    dict.fromkeys(_ABSENT, HTTPStatus.NOT_FOUND)
    | dict.fromkeys((errno.EACCES, errno.EPERM), HTTPStatus.FORBIDDEN)
    | dict.fromkeys(_EXHAUSTED, HTTPStatus.SERVICE_UNAVAILABLE)
)

RETRY_AFTER = (b"Retry-After", b"1")
"""What is exhausted here is freed within moments, by replies that end."""


class DiskBusyError(OSError):
    """Too many calls wait for this disk already."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EAGAIN, f"the disk is busy: {reason}")
        self.reason = reason


def refusal_for(error: OSError) -> Refusal:
    """The refusal that `error` deserves; its text is for the log and never for the peer."""
    status = _STATUS.get(error.errno or 0, HTTPStatus.INTERNAL_SERVER_ERROR)
    fields = (RETRY_AFTER,) if status is HTTPStatus.SERVICE_UNAVAILABLE else ()
    return Refusal(status, str(error), fields)
