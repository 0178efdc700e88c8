"""One request becomes one response: the room where semantics, files and pages meet.

An exchange does not know the connection, nor the version of HTTP. It decides what to answer, and what has
to be held (a lease) while the answer is sent.
"""

import logging
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Final

from trio_evserver.files.failures import RETRY_AFTER, refusal_for
from trio_evserver.files.file_cache import FileCache
from trio_evserver.files.lease import Lease
from trio_evserver.files.opened import Opened, Unread
from trio_evserver.files.options import ETagSource
from trio_evserver.files.read_memory import ReadMemory
from trio_evserver.files.validators import validators
from trio_evserver.pages.errors import MEDIA_TYPE, error_page
from trio_evserver.semantics.caching import cache_control
from trio_evserver.semantics.fields import FieldLines
from trio_evserver.semantics.media_types import media_type
from trio_evserver.semantics.message import Content, Parts, Refusal, Request, Response
from trio_evserver.semantics.policy import Policy
from trio_evserver.semantics.representation import Representation
from trio_evserver.semantics.resource_path import ResourcePath
from trio_evserver.semantics.respond import answer, check_method, options, page
from trio_evserver.semantics.target import resolve
from trio_evserver.serving.answer import Answer, FileAnswer, Looking

UNCOUNTED: Final = 16 * 1024
"""Content of so many bytes is not counted as read and not yet sent: a socket takes it at once."""


logger = logging.getLogger("trio_evserver")

_LOG_EVERY: Final = 1.0  # seconds between two lines about the same status: a failing disk fails every request


class Exchange:
    """Answers requests. One per site."""

    def __init__(self, cache: FileCache, memory: ReadMemory, policy: Policy, *, hidden: bool) -> None:
        """`hidden`: names that start with a dot are served, too."""
        self._cache = cache
        self._memory = memory
        self._policy = policy
        self._hidden = hidden
        self._options = options()
        self._logged: dict[HTTPStatus, float] = {}

    def __repr__(self) -> str:
        return f"<Exchange {self._cache!r}>"

    def answer_nowait(self, request: Request, moment: int = 0) -> Answer | Looking:
        """The answer to `request`, where that can be had without waiting, or what looks for it, to be called
        and awaited: it may hold a file.

        The request had begun to arrive before `moment`, if that is not 0.
        """
        if request.method != b"GET" and request.method != b"HEAD":
            return self._without_resource(request)
        path = resolve(request.path)
        if isinstance(path, Refusal):
            return self.refuse(path)
        entry = self._cache.find_nowait(path, moment)
        if entry is None or entry.representation is None:
            # Nothing hidden is ever looked for where it is not served, so that what was found is not hidden.
            if path.hidden and not self._hidden:
                return self.refuse(_HIDDEN)
            found = self._cache.look(path, moment)
            if found is None or isinstance(found, Unread):
                return partial(self._look_for, request, path, found)
            return self._answer_with(request, found)
        response = answer(request, entry.representation, self._policy)
        if isinstance(response, Refusal):
            return self.refuse(response)
        body = response.body
        if isinstance(body, Content):
            if len(body.data) <= UNCOUNTED:
                return response
            if self._cache.set_apart(entry):  # it is asked for again, and from now on sent without a copy
                return self.answer_nowait(request, moment)
        elif not isinstance(body, Parts):
            return response
        lease = entry.lease()
        assert isinstance(lease, Lease)
        lease.current = True
        return self._settle(request, response, lease)

    async def _look_for(self, request: Request, path: ResourcePath, unread: Unread | None) -> Answer:
        """The answer to a GET or HEAD of a resource that has to be waited for; takes over what is `unread`.

        Cancellation: prompt, and nothing is held.
        """
        return self._answer_with(request, await self._cache.fetch(path, unread))

    def _answer_with(self, request: Request, found: Lease | Refusal) -> Answer:
        """The answer with what the cache has found, which is taken over."""
        if isinstance(found, Lease):
            return self._settle(request, answer(request, found.representation, self._policy), found)
        if found.status is HTTPStatus.MOVED_PERMANENTLY:
            found = _with_query(found, request.query)
        return self.refuse(found)

    def _settle(self, request: Request, response: Response | Refusal, lease: Lease) -> Answer:
        """The answer, which takes over the lease if its body is read from the file."""
        if isinstance(response, Response) and self._is_too_much(response):
            response = answer(request, lease.representation.without_content(), self._policy)
        if isinstance(response, Response) and isinstance(response.body, Parts) and request.method == b"GET":
            return FileAnswer(response, response.body, lease)
        lease.release()
        return self.refuse(response) if isinstance(response, Refusal) else response

    def _is_too_much(self, response: Response) -> bool:
        """Whether a body in memory, if its client is slow, would exceed the bound on what is read and not
        yet sent.
        """
        body = response.body
        return (
            isinstance(body, Content)
            and len(body.data) > UNCOUNTED
            and not self._memory.has_room_for(len(body.data))
        )

    def fail(self, error: Exception) -> Response:
        """The answer where the body could not be read, before anything was sent."""
        if isinstance(error, OSError):
            return self.refuse(refusal_for(error))
        return self.refuse(Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, f"the file changed: {error}"))

    def refuse(self, refusal: Refusal) -> Response:
        """The page for a refusal. What is our fault goes to the log, not more than once a second."""
        if refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR and refusal.status not in _CLIENTS_DOING:
            now = time.monotonic()
            if now - self._logged.get(refusal.status, -_LOG_EVERY) >= _LOG_EVERY:
                self._logged[refusal.status] = now
                logger.error("%d %s: %s", refusal.status, refusal.status.phrase, refusal.detail)
        return page(refusal, error_page(refusal.status), MEDIA_TYPE)

    def _without_resource(self, request: Request) -> Response:
        """The answer to a method that needs no resource: OPTIONS, and whatever is refused."""
        refusal = check_method(request.method)
        if refusal is not None:
            return self.refuse(refusal)
        if request.path != b"*":
            path = resolve(request.path)
            if isinstance(path, Refusal):
                return self.refuse(path)
        return self._options


STALE: Final = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the connection had waited too long", (RETRY_AFTER,))
CROWDED: Final = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE, "more connections than can be served in time", (RETRY_AFTER,)
)
_HIDDEN: Final = Refusal(HTTPStatus.NOT_FOUND, "a hidden name")
# A 5xx by their number, the client's doing by their nature.
_CLIENTS_DOING: Final = (HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)


def describe(
    opened: Opened, source: ETagSource, render: Callable[[FieldLines], bytes]
) -> tuple[Representation, bool]:
    """What an open file is in HTTP's terms, and whether that may be kept for the next request."""
    identity = opened.file.identity
    found = validators(identity, source, opened.digest, opened.read_at)
    name = opened.name.rpartition(b"/")[2]
    kind = media_type(name)
    representation = Representation(
        size=identity.size,
        modified=found.modified,
        modified_is_strong=found.modified_is_strong,
        entity_tag=found.entity_tag,
        media_type=kind,
        cache_control=cache_control(name, kind),
        content=opened.content,
        render=render,
    )
    return representation, found.settled


def _with_query(redirect: Refusal, query: bytes | None) -> Refusal:
    """The redirect, with the query of the request that is redirected: the target kept its characters to
    VCHAR.
    """
    if query is None:
        return redirect
    fields = tuple(
        (name, b"%b?%b" % (value, query) if name == b"Location" else value) for name, value in redirect.fields
    )
    return Refusal(redirect.status, redirect.detail, fields)
