"""Starts the answer to a request and streams it: limits, revoked access, and disconnects."""

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from asgiref.sync import sync_to_async
from django.utils import timezone
from django.utils.translation import gettext_noop

from cairn.access.revocation import DocumentAccessMonitor
from cairn.access.scope import Principal
from cairn.db_connections import connections_release
from cairn.errors import Forbidden, NotSignedIn, Unavailable
from cairn.limits.concurrency import SlotLease, slot_take
from cairn.limits.rate_limits import question_charge, tokens_charge
from cairn.limits.rules import Allowance, allowance_of
from retrieval.conversations import ask
from retrieval.conversations.answer_recorder import AnswerRecorder, Heartbeat
from retrieval.conversations.ask import PendingAnswer
from retrieval.conversations.services import INTERRUPTED, ShownMessage, load_shown_message
from retrieval.conversations.small_talk import SmallTalkReply, small_talk_in
from retrieval.models import Message
from web.http.authentication import principal_again
from web.http.shutdown import ending
from web.http.sse import PING, PING_SECONDS, from_thread

log = logging.getLogger(__name__)

T = TypeVar("T")
CHECK_SECONDS = 0.6
"""How often the asker's access to Cairn, and to the documents of the answer, is checked."""
IDLE_SECONDS = 0.2
"""How long a stream waits for an event before it looks at the clock. Together with CHECK_SECONDS it is less
than the second within which a stream ends after a revocation."""
ACCESS_CHANGED = gettext_noop("Your access changed while this was being answered. Ask again.")
GRACE = timedelta(seconds=60)
"""How long a detached answer continues while nobody follows it."""


class _SourceAccess:
    """Checks whether the asker may still read the documents that an answer uses."""

    def __init__(self, principal: Principal, recorder: AnswerRecorder | SmallTalkReply) -> None:
        self._principal = principal
        self._recorder = recorder
        self._monitor: DocumentAccessMonitor | None = None

    def is_open(self) -> bool:
        documents = self._recorder.documents
        if not documents:
            return True
        if self._monitor is None:
            self._monitor = DocumentAccessMonitor(self._principal, documents)
        return self._monitor.is_open()


@dataclass(frozen=True, slots=True)
class RunningAnswer:
    """A running answer. `lease`: its slot in the principal's limit of concurrent answers. `detached`: it
    continues for a while after a disconnect.
    """

    principal: Principal
    allowance: Allowance
    lease: SlotLease
    pending: PendingAnswer
    heartbeat: Heartbeat
    sources: _SourceAccess
    detached: bool = False

    @property
    def message(self) -> Message:
        return self.pending.message

    @property
    def events(self) -> AnswerRecorder | SmallTalkReply:
        """The events, which block. Raises the error of a failed answer."""
        return self.pending.events

    def load_message(self) -> ShownMessage:
        """Return the stored message as the principal may see it now."""
        return load_shown_message(self.message, principal_again(self.principal))

    def handle_disconnect(self) -> None:
        if self.detached:
            self._wait_for_followers()
        ask.stop(self.message)

    def _wait_for_followers(self) -> None:
        """Continue until the answer is complete, access is revoked, or nobody has followed it for too
        long.
        """
        followed, running = timezone.now(), True
        try:
            while running and timezone.now() - followed < GRACE:
                self.recheck_access()  # which gives the connection back
                time.sleep(CHECK_SECONDS)
                row = Message.objects.running().filter(pk=self.message.pk)
                seen = row.values_list("followed_at", flat=True).first()
                running, followed = row.exists(), max(followed, seen or followed)
        except (NotSignedIn, Forbidden, Unavailable):
            return

    def recheck_access(self) -> None:
        """Recheck access while the answer is written, and renew its heartbeat and lease.

        Raises NotSignedIn if the asker lost access, Forbidden if they may read less than at the start, and
        Unavailable if this process is shutting down, which interrupts the answer.
        """
        try:
            self._recheck_access()
        finally:
            connections_release()

    def _recheck_access(self) -> None:
        if ending.is_set():
            ask.answer_interrupt(self.message)
            raise Unavailable(INTERRUPTED)
        current = principal_again(self.principal)  # raises NotSignedIn
        lost_admin = self.principal.is_admin and not current.is_admin
        if lost_admin or not self.sources.is_open():
            raise Forbidden(ACCESS_CHANGED)
        self.heartbeat.beat()
        if self.lease.due:
            self.lease.renew()

    def close(self) -> None:
        """Release everything, however the answer ended."""
        try:
            self.events.close()
            tokens_charge(self.principal, self.allowance, _tokens(self.message))
        finally:
            self.lease.release()


def _tokens(message: Message) -> int:
    """Return used tokens; 0 for answers that were stopped or failed."""
    usage = Message.objects.values_list("usage", flat=True).filter(pk=message.pk).first() or {}
    return int(usage.get("prompt_tokens", 0)) + int(usage.get("completion_tokens", 0))


def start_answer(
    principal: Principal, question: str, create: Callable[[], PendingAnswer], *, detached: bool = False
) -> RunningAnswer:
    """Start an answer. Raises RateLimited or QuotaExceeded before any model is called; small talk is not
    charged."""
    allowance = allowance_of(principal)
    lease = slot_take(principal, allowance)
    try:
        if not small_talk_in(question):
            question_charge(principal, allowance)
        pending = create()
        heartbeat, sources = Heartbeat(pending.message), _SourceAccess(principal, pending.events)
        return RunningAnswer(principal, allowance, lease, pending, heartbeat, sources, detached)
    except BaseException:
        lease.release()
        raise
    finally:
        connections_release()


async def _iterate_with_access(
    answer: RunningAnswer, items: Generator[T, None, None]
) -> AsyncGenerator[T | None, None]:
    """Yield items that a thread builds from the events, and None regularly while there are none. Closes the
    answer when the items end.

    Within a second, raises NotSignedIn after the asker was signed out and Forbidden after they lost access to
    a document used in the answer. Both stop the model, as a disconnect does unless the answer is detached.
    Raises Unavailable soon after shutdown began.
    """
    checked = time.monotonic()
    thread = from_thread(
        items,
        left=answer.handle_disconnect,
        finish=answer.close,
        idle_seconds=IDLE_SECONDS,
        drains=answer.detached,
    )
    async with aclosing(thread) as coming:
        async for item in coming:
            if time.monotonic() - checked >= CHECK_SECONDS:
                await sync_to_async(answer.recheck_access)()
                checked = time.monotonic()
            yield item


async def wait_for_answer(answer: RunningAnswer, build: Callable[[], T]) -> T:
    """Return what `build` makes from the stored answer. A disconnect stops the model."""
    async with aclosing(_iterate_with_access(answer, _wait_for_events(answer, build))) as coming:
        found = [item async for item in coming if item is not None]  # to its end: who leaves stops the model
    return found[0]


def _wait_for_events(answer: RunningAnswer, build: Callable[[], T]) -> Generator[T | None, None, None]:
    """Yield None at each event, so that a disconnect is noticed."""
    for _ in answer.events:
        yield None
    yield build()


async def stream_frames(
    answer: RunningAnswer,
    frames: Generator[bytes, None, None],
    render_error: Callable[[Exception], bytes],
) -> AsyncIterator[bytes]:
    """Yield frames that a thread builds from the events, and a ping when there was none for long.

    `render_error` builds the frame of an error, which ends the stream.
    """
    last_sent = time.monotonic()
    try:
        async with aclosing(_iterate_with_access(answer, frames)) as coming:
            async for each in coming:
                if each is not None or time.monotonic() - last_sent >= PING_SECONDS:
                    last_sent = time.monotonic()
                    yield PING if each is None else each
    except Exception as error:  # noqa: BLE001 the stream is the request's outermost boundary
        yield render_error(error)
