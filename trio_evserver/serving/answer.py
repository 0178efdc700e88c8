"""What an exchange hands to the connection."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, final

from trio_evserver.files.lease import Lease
from trio_evserver.semantics.message import Parts, Response
from trio_evserver.semantics.value import Value


@final
class FileAnswer(Value):
    """A response whose body is read from the file of a lease, which whoever takes the answer releases."""

    __slots__ = ("body", "lease", "response")

    def __init__(self, response: Response, body: Parts, lease: Lease) -> None:
        self.response: Final = response
        self.body: Final = body
        self.lease: Final = lease

    def _key(self) -> tuple[object, ...]:
        return self.response, self.body, self.lease


Answer: TypeAlias = Response | FileAnswer
Looking: TypeAlias = Callable[[], Awaitable[Answer]]
"""What has to wait before there is an answer."""
