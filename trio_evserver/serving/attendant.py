"""The task in a connection's nursery, which does what the connection has to wait for.

An attendant serves one connection at a time, all of it in its own nursery: the reads ahead of a reply are the
nursery's tasks, and the connection's deadline is its scope. While a connection waits for its peer its task
sleeps. Of what arrives the hub tells `receive` right away, and the task wakes only for what has to wait
itself.
"""

import logging
from collections.abc import Callable
from functools import partial

import trio

from trio_evserver.serving.conversation import Conversation
from trio_evserver.serving.deadlines import Deadline
from trio_evserver.serving.readiness import Receiver
from trio_evserver.serving.site import Site
from trio_evserver.serving.steps import End, Next, Pause
from trio_evserver.serving.transport import ConnectionLost, Transport

logger = logging.getLogger("trio_evserver")


class Attendant(Receiver):
    """One nursery, for one connection at a time."""

    __slots__ = (
        "_conversation", "_deadline", "_dismissed", "_error", "_keep", "_next", "_nursery", "_pause", "_site",
        "_task", "_transport",
    )  # fmt: skip

    def __init__(self, site: Site, keep: Callable[["Attendant"], bool]) -> None:
        """`keep` tells whether it is to wait for another connection after one that has ended well."""
        self._transport: Transport | None = None
        self._conversation: Conversation | None = None
        self._site = site
        self._keep = keep
        self._task: trio.lowlevel.Task | None = None
        self._next: Next = None
        self._pause: Pause | None = None
        self._error: Exception | None = None
        self._dismissed = False

    def __repr__(self) -> str:
        return f"<Attendant of {self._transport!r}>"

    async def serve(self, nursery: trio.Nursery, transport: Transport, peer: object) -> None:
        """Serve this connection, and then those that it is to `take_over`, for as long as it is kept.

        Raises ConnectionLost, and whatever goes wrong; then, as after a cancellation, the connection is to
        `leave` and to be closed.
        """
        self._nursery = nursery
        self._deadline = Deadline(self._site.deadlines, nursery.cancel_scope)
        self._begin(transport, peer)
        after: Next = None
        while not self._dismissed:
            if after is None:
                after = await self._attend()
            elif isinstance(after, Pause):
                self._wait_for(after)
                after = None
            elif not isinstance(after, End):
                after = await after()
            else:
                assert self._conversation is not None
                await self._conversation.finish(after)
                if self._is_reading():
                    nursery.cancel_scope.cancel()
                    return
                self.leave()
                await self.close()
                if not self._is_kept():
                    return
                after = None

    def _begin(self, transport: Transport, peer: object) -> None:
        """A connection, which the site counts already, is ours now."""
        self._transport = transport
        self._site.deadlines.add(self._deadline)
        self._conversation = Conversation(transport, self._site, peer, self._nursery, self._deadline)
        if transport.has_received:
            self.receive()
            if not self._has_ended():
                self._watch(transport)

    def _watch(self, transport: Transport) -> None:
        try:
            transport.watch()
        except OSError as error:  # the system has no room for that: as if it had not been accepted
            self._site.watch_failed(error)
            self._deadline.cancel()

    def prefetch(self) -> bool:
        transport, conversation = self._transport, self._conversation
        if transport is None or conversation is None:
            return False
        return transport.prefetch() | conversation.prefetch()

    def take_over(self, transport: Transport, peer: object) -> None:
        """Serve another connection, while the task waits for one."""
        self._begin(transport, peer)
        if self._has_ended() or self._task is None or self._pause is not None:
            return  # its first request was all of it, or has to wait
        if not transport.attend(self):
            self._wake()

    def receive(self) -> None:
        """Something may have arrived: do what can be done at once, and wake the task for the rest.

        Called by the hub, while the task waits in `_attend`; what goes wrong is the connection's affair.
        """
        transport, conversation = self._transport, self._conversation
        assert transport is not None
        assert conversation is not None
        try:
            data = transport.receive_nowait()
            after = None if data is None else conversation.take(data)
        except ConnectionLost:
            conversation.lost = True
            self._follow(transport, End.CLOSE)
            return
        except Exception as error:
            self._error = error
        else:
            if after is not None or transport.may_have_more:
                self._follow(transport, after)
            return
        transport.attend_no_more()
        self._wake()

    def _follow(self, transport: Transport, after: Next) -> None:
        """Do at once what is next, if that can be, and have the task do it otherwise."""
        if after is End.CLOSE and not self._is_reading() and self._close_nowait(transport):
            self.leave()
            self._ended()
            if not self._is_kept():
                self.dismiss()
            return
        transport.attend_no_more()
        if isinstance(after, Pause):
            self._wait_for(after)
        else:
            self._next = after
            self._wake()

    def _wait_for(self, pause: Pause) -> None:
        """The task may sleep on, and the peer is not listened to until that is over."""
        self._pause = pause
        pause.warming.then(partial(self._resume, pause))

    def _resume(self, pause: Pause) -> None:
        """What was waited for has come, or cannot; what goes wrong is the connection's affair."""
        transport = self._transport
        if self._pause is not pause or transport is None:
            return  # nobody waits for it any more
        self._pause = None
        try:
            after = pause.go_on()
        except Exception as error:
            self._error = error
            self._wake()
        else:
            if after is not None or not transport.attend(self):
                self._follow(transport, after)

    def _wake(self) -> None:
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)
            self._task = None

    def dismiss(self) -> None:
        """End, having no connection."""
        self._dismissed = True
        self._wake()

    async def _attend(self) -> Next:
        """What is next for our connection, or, if we have none, for one that begins."""
        transport, conversation = self._transport, self._conversation
        if self._next is None and self._error is None:
            if self._pause is None and transport is not None and not transport.attend(self):
                assert conversation is not None
                return conversation.take(await transport.receive())
            self._task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort)
        after, error = self._next, self._error
        self._next = self._error = None
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback holds this frame: no cycle is to stay
        return after

    def _abort(self, raise_cancel: object) -> trio.lowlevel.Abort:
        self._task = None
        if self._transport is not None:
            self._transport.attend_no_more()
        return trio.lowlevel.Abort.SUCCEEDED

    def _is_kept(self) -> bool:
        # What was cancelled too late for the connection it was meant for must not end the next one.
        return not self._deadline.cancelled and self._keep(self)

    def _has_ended(self) -> bool:
        return self._conversation is None

    def _is_reading(self) -> bool:
        """Whether reads are under way, of a reply that was given up."""
        conversation = self._conversation
        return conversation is not None and conversation.reads_ahead and bool(self._nursery.child_tasks)

    def lose(self) -> None:
        """The peer is gone, and what was begun for it ends."""
        if self._conversation is not None:
            self._conversation.lose()

    def leave(self) -> None:
        """The conversation, if there is one, is over, and counted if its peer was lost."""
        pause, self._pause = self._pause, None
        if pause is not None:
            pause.lease.release()
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            self._site.deadlines.remove(self._deadline)
            conversation.leave()
            self._site.lost += conversation.lost

    async def close(self) -> None:
        if self._transport is None:
            return
        try:
            await self._transport.close()
        except Exception:  # a stream that was handed in may do anything
            logger.exception("a connection could not be closed")
        finally:
            self._ended()

    def _close_nowait(self, transport: Transport) -> bool:
        try:
            return transport.close_nowait()
        except Exception:
            logger.exception("a connection could not be closed")
            return True

    def _ended(self) -> None:
        """The connection is closed."""
        self._transport = None
        self._site.connection_ended()
