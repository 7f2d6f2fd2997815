"""Records an answer while it streams: checkpoints, heartbeat and the final state."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.db import DatabaseError, transaction
from django.utils import timezone

from cairn.access.permissions import documents_for
from cairn.access.scope import Scope
from cairn.access.selectors import documents_in
from cairn.answers import Intent, Verdict
from cairn.db_connections import connections_release
from cairn.errors import error_coded
from cairn.telemetry.context import bind_ids, close_iterator
from cairn.telemetry.metrics import ANSWER_SECONDS, FIRST_TOKEN_SECONDS, count_answer
from cairn.telemetry.tracing import PausableStep
from retrieval.assistants.models import Assistant
from retrieval.conversations.ab_tests.services import ABTestEntry, ab_test_count
from retrieval.conversations.redaction import cited_sentences, has_uncited_text
from retrieval.conversations.services import ERASED
from retrieval.conversations.usage_policy.services import declined_record
from retrieval.engine import Engine
from retrieval.gaps.recorder import refusal_record
from retrieval.index.generations import active_generation
from retrieval.models import Citation as CitationRow
from retrieval.models import Message, MessageQuerySet, MessageState
from retrieval.statistics.services import documents_cited, question_statistics_update
from retrieval.types import (
    Answer,
    AnswerEvent,
    Citation,
    Cited,
    Delta,
    Done,
    Failed,
    Hit,
    Prompted,
    Sources,
    Started,
)

log = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 0.5
HEARTBEAT_SECONDS = 5


class Heartbeat:
    """Heartbeat of a running message, for readers in other processes."""

    def __init__(self, message: Message) -> None:
        self._row = Message.objects.running().filter(pk=message.pk)
        self._beaten_at = time.monotonic()

    def beat(self) -> None:
        if time.monotonic() - self._beaten_at > HEARTBEAT_SECONDS:
            self._beaten_at = time.monotonic()
            self._row.update(alive_at=timezone.now())


class _AnswerRecord:
    """The answer so far. Which hits it quotes is only known at the end, so all of them must still be readable
    at each save."""

    def __init__(self, message: Message, scope: Scope, *, passes_on: bool) -> None:
        self._message = message
        self._scope = scope
        self._passes_on = passes_on
        self._text: list[str] = []
        self._citations: list[Citation] = []
        self._saved_markers = frozenset[int]()
        self._saved_at = time.monotonic()
        self._intent = Intent.ASK
        self.hits: Sequence[Hit] = ()

    def take(self, event: AnswerEvent) -> None:
        match event:
            case Started():
                self._intent = event.intent
            case Sources():
                self.hits = event.hits
            case Cited():
                self._citations.append(event.citation)
            case Delta():
                self._text.append(event.text)

    def checkpoint_after(self, event: AnswerEvent) -> None:
        """Save from time to time after an event was passed on, which must not wait for the table."""
        match event:
            case Prompted():
                self._checkpoint()
            case Delta() if len(self._text) == 1 or time.monotonic() - self._saved_at > CHECKPOINT_SECONDS:
                self._checkpoint()

    def _checkpoint(self) -> None:
        """Save a running answer. One that has ended in the meantime is unchanged."""
        self._saved_at = time.monotonic()
        with transaction.atomic():
            saved = self._save(Message.objects.running(), alive_at=timezone.now())
        if saved is not None:
            self._saved_markers = saved  # only once they are committed
        connections_release()

    def end(self, **fields: str) -> None:
        """Save what was shown as the answer, in its last state. `fields`: `state` and perhaps `reason`."""
        with transaction.atomic():
            if self._save(Message.objects.all(), **fields) is not None:
                bases = _find_question_bases(self._scope, self.hits)
                question_statistics_update(message=self._message.pk, bases=bases)

    def _save(self, rows: MessageQuerySet, **fields: object) -> frozenset[int] | None:
        """Save the answer if its row is among these. Returns the markers of its citations, else None."""
        text, readable = "".join(self._text), self._are_all_readable()
        shown = text if readable or not text else ERASED
        used = {"hits": _build_hit_traces(self.hits), "intent": self._intent} if readable else {}
        trace = {**used, "passes_on": self._passes_on}
        if not rows.filter(pk=self._message.pk).update(answer=shown, trace=trace, **fields):
            return None
        return self._save_citations(self._citations if readable else [])

    def _are_all_readable(self) -> bool:
        used = {hit.document for hit in self.hits}
        readable = documents_for(self._scope.principal, attached=True)
        return readable.filter(pk__in=used).count() == len(used)

    def _save_citations(self, citations: Sequence[Citation]) -> frozenset[int]:
        if self._saved_markers and not citations:
            CitationRow.objects.filter(message=self._message).delete()
        new = [each for each in citations if each.marker not in self._saved_markers]
        CitationRow.objects.bulk_create(_row(self._message, citation) for citation in new)
        return frozenset(citation.marker for citation in citations)


class AnswerRecorder(Iterator[AnswerEvent]):
    """Passes the events of an answer on and records them. Raises the error of an answer that failed.

    An answer that is cut off keeps the text shown so far. While the next event is computed, in any thread,
    `ids` are bound for logs and `step` is the current span, but not in between. `passes_on`: a refusal may be
    reported to the owners of the documents.
    """

    def __init__(
        self,
        message: Message,
        scope: Scope,
        events: Iterator[AnswerEvent],
        engine: Engine,
        *,
        step: PausableStep,
        passes_on: bool,
        ids: Mapping[str, object],
        assistant: Assistant | None = None,
        ab_test: ABTestEntry | None = None,
    ) -> None:
        self._message = message
        self._scope = scope
        self._events = events
        self._engine = engine
        self._step = step
        self._passes_on = passes_on and not (message.conversation.temporary or scope.attached)
        self._ids = ids
        self._assistant = assistant
        self._ab_test = ab_test
        self._record = _AnswerRecord(message, scope, passes_on=self._passes_on)
        self._last_event: AnswerEvent | None = None
        self._ended = self._closed = False

    @property
    def documents(self) -> frozenset[UUID]:
        """The documents that the answer uses; empty before they were found."""
        return frozenset(hit.document for hit in self._record.hits)

    def __next__(self) -> AnswerEvent:
        with bind_ids(**self._ids):
            try:
                return self._advance()
            except BaseException:
                self._close()
                raise

    def close(self) -> None:
        with bind_ids(**self._ids):
            self._close()

    def _advance(self) -> AnswerEvent:
        if self._last_event is not None:
            self._record.checkpoint_after(self._last_event)
        with self._step.resume():
            self._last_event = event = next(self._events)
        self._record.take(event)
        match event:
            case Done():
                _save_finished_answer(
                    self._message,
                    event.answer,
                    self._scope,
                    self._record.hits,
                    self._engine,
                    passes_on=self._passes_on,
                    assistant=self._assistant,
                )
                self._ended = True
                _measure(event.answer)
                self._count_in_ab_test(event.answer)
            case Failed():
                self._record.end(state=MessageState.FAILED, reason=event.message)
                count_answer("failed")
                self._ended = True
                raise error_coded(event.code, event.message)
        connections_release()  # the model may take long for what comes next
        return event

    def _count_in_ab_test(self, answer: Answer) -> None:
        if self._ab_test is None:
            return
        try:
            ab_test_count(entry=self._ab_test, message=self._message, answer=answer)
        except DatabaseError:  # the answer has been saved, and its asker waits for it
            log.exception("answer could not be counted in the A/B test")

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            with self._step.resume():
                close_iterator(self._events)
        finally:
            self._step.end()
        if not self._ended:
            ending = _external_ending(self._message) or {"state": MessageState.STOPPED}
            self._record.end(**ending)
            count_answer(ending["state"])


def _external_ending(message: Message) -> dict[str, Any] | None:
    """Return the end state that another process has set, if any."""
    ended = Message.objects.filter(pk=message.pk, state__in=(MessageState.STOPPED, MessageState.FAILED))
    row = ended.first()
    return {"state": row.state, "reason": row.reason} if row else None


def _measure(answer: Answer) -> None:
    count_answer(answer.verdict)
    ANSWER_SECONDS.observe(answer.timings.total_ms / 1000)
    if answer.timings.first_token_ms is not None:
        FIRST_TOKEN_SECONDS.observe(answer.timings.first_token_ms / 1000)


def _save_finished_answer(
    message: Message,
    answer: Answer,
    scope: Scope,
    hits: Sequence[Hit],
    engine: Engine,
    *,
    passes_on: bool,
    assistant: Assistant | None,
) -> None:
    """Save the finished answer, without content of documents that were deleted or closed meanwhile. An ending
    set by another process takes precedence."""
    with transaction.atomic():
        rows = Message.objects.filter(pk=message.pk)
        # Lock the row first: nothing may block between the access check and the commit.
        rows.select_for_update().values_list("pk").first()
        readable = _find_readable_documents(scope, answer, hits)
        own = {hit.document for hit in hits if hit.knowledge_base in scope.attached}
        cited = {citation.document for citation in answer.citations} - own
        trace = {
            **_trace(answer, scope, hits, engine, assistant),
            "passes_on": passes_on,
            "documents_being_read": answer.verdict == Verdict.REFUSED
            and documents_in(scope).being_read().exists(),
        }
        columns = {**_answer_columns(answer, hits, readable), "trace": trace}
        running = rows.running()
        if not running.update(state=MessageState.DONE, reason=answer.reason, **columns):
            rows.update(**columns)
        elif passes_on:
            refusal_record(message, answer, scope)
        if answer.declined:
            declined_record(declined=answer.declined, message=message.pk, principal=scope.principal)
        # Rewrite all citations: an erasure may have removed some since the last checkpoint.
        CitationRow.objects.filter(message=message).delete()
        if columns["answer"] != ERASED:
            CitationRow.objects.bulk_create(_row(message, citation) for citation in answer.citations)
            documents_cited(cited)
        question_statistics_update(message=message.pk, bases=_find_question_bases(scope, hits, answer))


def _find_readable_documents(scope: Scope, answer: Answer, hits: Sequence[Hit]) -> set[UUID]:
    """Return the readable documents among those that the answer uses or names."""
    named = {hit.document for hit in (*hits, *answer.nearest)} | {each.document for each in answer.citations}
    readable = documents_for(scope.principal, attached=True).filter(pk__in=named)
    return set(readable.values_list("pk", flat=True))


def _answer_columns(answer: Answer, hits: Sequence[Hit], readable: set[UUID]) -> dict[str, Any]:
    """Return the columns of the row, without content that comes, or may come, from unreadable documents."""
    sentences = [asdict(sentence) for sentence in answer.sentences]
    shown = readable.issuperset(citation.document for citation in answer.citations)
    if not readable.issuperset(hit.document for hit in hits):
        shown = shown and not has_uncited_text(answer.text, sentences)
        sentences = cited_sentences(sentences)
    return {
        "standalone_question": answer.standalone_question,
        "answer": answer.text if shown else ERASED,
        "verdict": answer.verdict,
        "mode": answer.mode,
        "sentences": sentences if shown else [],
        "nearest": _closest_documents(hit for hit in answer.nearest if hit.document in readable),
        "parts": [asdict(part) for part in answer.parts],
        "model": answer.model,
        "usage": asdict(answer.usage),
        "timings": asdict(answer.timings),
    }


def _find_question_bases(scope: Scope, hits: Sequence[Hit], answer: Answer | None = None) -> frozenset[UUID]:
    """Return the knowledge bases of a question: those cited, else those nearest, else those asked. Files of a
    conversation do not count."""
    nearest = answer.nearest if answer else ()
    homes = {hit.document: hit.knowledge_base for hit in (*hits, *nearest)}
    cited = {homes[each.document] for each in answer.citations if each.document in homes} if answer else set()
    return (
        frozenset(cited or {hit.knowledge_base for hit in nearest or hits} or scope.readable) - scope.attached
    )


def _row(message: Message, citation: Citation) -> CitationRow:
    return CitationRow(
        message=message,
        marker=citation.marker,
        document_id=citation.document,
        version=citation.version,
        chunk=citation.chunk,
        title=citation.title,
        page=citation.page,
        location=citation.location,
        section=list(citation.section),
        quote=citation.quote,
        boxes=[list(box) for box in citation.boxes],
        links=list(citation.links) or None,
    )


def _closest_documents(hits: Iterable[Hit]) -> list[dict[str, str]]:
    seen = {str(hit.document): hit.title for hit in hits}
    return [{"document": document, "title": title} for document, title in seen.items()]


def _trace(
    answer: Answer, scope: Scope, hits: Sequence[Hit], engine: Engine, assistant: Assistant | None
) -> dict[str, Any]:
    """Return ids, scores and settings: with the chunks themselves, enough to replay the answer."""
    return {
        "knowledge_bases": sorted(str(base) for base in scope.readable),
        "whole": scope.whole,
        "assistant": {"id": str(assistant.id), "version": assistant.version} if assistant else None,
        "generation": (engine.generation or active_generation()).name,
        "hits": _build_hit_traces(hits),
        "prompt_version": answer.prompt_version,
        "rewrite_version": answer.rewrite_version,
        "signals": dict(answer.signals),
        "broken_off": answer.broken_off,
        "intent": answer.intent,
        "library_query": answer.library_query,
        "route": asdict(answer.route),
        "spelling": [asdict(each) for each in answer.spelling],
        "declined": asdict(answer.declined) if answer.declined else None,
        "verdicts": [sentence.supported for sentence in answer.sentences],
    }


def _build_hit_traces(hits: Sequence[Hit]) -> list[dict[str, Any]]:
    return [{"chunk": str(hit.chunk), "document": str(hit.document), "score": hit.score} for hit in hits]
