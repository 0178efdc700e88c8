"""The two ways in which a conversation in HTTP/1 goes wrong."""

from http import HTTPStatus


class RemoteProtocolError(Exception):
    """The peer broke the protocol or a limit; the connection ends after an answer with `status`.

    `detail` is for our log and never sent. It quotes nothing that the peer sent.
    """

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(f"{status.value} {status.phrase}: {detail}")
        self.status = status
        self.detail = detail


class LocalProtocolError(Exception):
    """We were about to break the protocol ourselves: a bug on this side."""
