"""What an exchange hands to the connection."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec

from trio_evserver.files.lease import Lease
from trio_evserver.semantics.message import Parts, Response


class FileAnswer(msgspec.Struct, frozen=True):
    """A response whose body is read from the file of a lease, which whoever takes the answer releases."""

    response: Response
    body: Parts
    lease: Lease


Answer: TypeAlias = Response | FileAnswer
Looking: TypeAlias = Callable[[], Awaitable[Answer]]
"""What has to wait before there is an answer."""
