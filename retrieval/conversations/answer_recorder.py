"""Records an answer while it streams: checkpoints, heartbeat and the final state."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from cairn.access.rules import documents_for
from cairn.access.scope import Scope
from cairn.db_connections import connections_release
from cairn.telemetry.context import close_iterator
from cairn.telemetry.metrics import ANSWER_SECONDS, FIRST_TOKEN_SECONDS, answer_ended
from retrieval.conversations.redaction import cited_sentences, has_uncited_text
from retrieval.conversations.services import ERASED
from retrieval.engine import Engine
from retrieval.gaps.recorder import refusal_record
from retrieval.index.generations import active_generation
from retrieval.models import Citation as CitationRow
from retrieval.models import Message, MessageState
from retrieval.statistics.services import documents_cited, question_count
from retrieval.types import Answer, AnswerEvent, Citation, Cited, Delta, Done, Failed, Hit, Prompted, Sources

CHECKPOINT_SECONDS = 0.5
HEARTBEAT_SECONDS = 5


class Heartbeat:
    """Heartbeat of a running message, for readers in other processes."""

    def __init__(self, message: Message) -> None:
        self._row = Message.objects.filter(pk=message.pk, state=MessageState.RUNNING)
        self._beaten_at = time.monotonic()

    def beat(self) -> None:
        if time.monotonic() - self._beaten_at > HEARTBEAT_SECONDS:
            self._beaten_at = time.monotonic()
            self._row.update(alive_at=timezone.now())


class _AnswerRecord:
    """The answer so far. Which hits it quotes is only known at the end, so all of them must still be readable
    at each save."""

    def __init__(self, message: Message, scope: Scope) -> None:
        self._message = message
        self._scope = scope
        self._text: list[str] = []
        self._citations: list[Citation] = []
        self._cited = frozenset[int]()  # markers of the rows that are kept
        self._saved_at = time.monotonic()
        self.hits: Sequence[Hit] = ()

    def take(self, event: AnswerEvent) -> None:
        match event:
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
        self._saved_at = time.monotonic()
        self.save(alive_at=timezone.now())
        connections_release()

    def save(self, **fields: object) -> None:
        """Save the answer. A message that was ended meanwhile is left alone, unless `fields` end it."""
        rows = Message.objects.filter(pk=self._message.pk)
        with transaction.atomic():
            text = "".join(self._text)
            readable = self._readable()
            shown = text if readable or not text else ERASED
            trace = {"hits": _build_hit_traces(self.hits)} if readable else {}
            rows = rows if "state" in fields else rows.filter(state=MessageState.RUNNING)
            if not rows.update(answer=shown, trace=trace, **fields):
                return
            citations = self._citations if readable else []
            self._cite(citations)
            if "state" in fields:
                question_count(message=self._message.pk, bases=_find_question_bases(self._scope, self.hits))
        self._cited = frozenset(citation.marker for citation in citations)

    def _readable(self) -> bool:
        used = {hit.document for hit in self.hits}
        return documents_for(self._scope.principal).filter(pk__in=used).count() == len(used)

    def _cite(self, citations: Sequence[Citation]) -> None:
        if self._cited and not citations:
            CitationRow.objects.filter(message=self._message).delete()
        new = [each for each in citations if each.marker not in self._cited]
        CitationRow.objects.bulk_create(_row(self._message, citation) for citation in new)


def record_answer(
    message: Message, scope: Scope, events: Iterator[AnswerEvent], parts: Engine, *, passes_on: bool
) -> Iterator[AnswerEvent]:
    """Pass events on and record them; an answer that was cut off keeps the text shown so far."""
    record, ended = _AnswerRecord(message, scope), False
    try:
        for event in events:
            record.take(event)
            match event:
                case Done():
                    _save(message, event.answer, scope, record.hits, parts, passes_on=passes_on)
                    _measure(event.answer)
                    ended = True
                case Failed():
                    record.save(state=MessageState.FAILED, reason=event.message)
                    answer_ended("failed")
                    ended = True
            connections_release()  # the model may take long for what comes next
            yield event
            record.checkpoint_after(event)
    finally:
        close_iterator(events)
        if not ended:
            ending = _external_ending(message) or {"state": MessageState.STOPPED}
            record.save(**ending)
            answer_ended(ending["state"])


def _external_ending(message: Message) -> dict[str, Any] | None:
    """Return the end state that another process has set, if any."""
    ended = Message.objects.filter(pk=message.pk, state__in=(MessageState.STOPPED, MessageState.FAILED))
    row = ended.first()
    return {"state": row.state, "reason": row.reason} if row else None


def _measure(answer: Answer) -> None:
    answer_ended(answer.verdict)
    ANSWER_SECONDS.observe(answer.timings.total_ms / 1000)
    if answer.timings.first_token_ms is not None:
        FIRST_TOKEN_SECONDS.observe(answer.timings.first_token_ms / 1000)


def _save(
    message: Message,
    answer: Answer,
    scope: Scope,
    hits: Sequence[Hit],
    parts: Engine,
    *,
    passes_on: bool,
) -> None:
    """Save the finished answer, without content of documents that were deleted or closed meanwhile. An ending
    set by another process takes precedence."""
    with transaction.atomic():
        rows = Message.objects.filter(pk=message.pk)
        # Nothing is waited for between the look at documents and the commit.
        rows.select_for_update().values_list("pk").first()
        readable = _readable(scope, answer, hits)
        cited = {citation.document for citation in answer.citations}
        trace = {**_trace(answer, scope, hits, parts), "passes_on": passes_on}
        columns = {**_answer_columns(answer, hits, readable), "trace": trace}
        running = rows.filter(state=MessageState.RUNNING)
        if not running.update(state=MessageState.DONE, reason=answer.reason, **columns):
            rows.update(**columns)
        elif passes_on:
            refusal_record(message, answer, scope)
        # Anew, whatever checkpoints kept: an erasure may have taken their quotes away meanwhile.
        CitationRow.objects.filter(message=message).delete()
        if columns["answer"] != ERASED:
            CitationRow.objects.bulk_create(_row(message, citation) for citation in answer.citations)
            documents_cited(cited)
        question_count(message=message.pk, bases=_find_question_bases(scope, hits, answer))


def _readable(scope: Scope, answer: Answer, hits: Sequence[Hit]) -> set[UUID]:
    """Return the readable documents among those that the answer uses or names."""
    named = {hit.document for hit in (*hits, *answer.nearest)} | {each.document for each in answer.citations}
    return set(documents_for(scope.principal).filter(pk__in=named).values_list("pk", flat=True))


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
        "nearest": _nearest(hit for hit in answer.nearest if hit.document in readable),
        "parts": [asdict(part) for part in answer.parts],
        "model": answer.model,
        "usage": asdict(answer.usage),
        "timings": asdict(answer.timings),
    }


def _find_question_bases(scope: Scope, hits: Sequence[Hit], answer: Answer | None = None) -> frozenset[UUID]:
    """Return the knowledge bases of a question: those cited, else those nearest, else those asked."""
    nearest = answer.nearest if answer else ()
    homes = {hit.document: hit.knowledge_base for hit in (*hits, *nearest)}
    cited = {homes[each.document] for each in answer.citations if each.document in homes} if answer else set()
    return frozenset(cited or {hit.knowledge_base for hit in nearest or hits} or scope.readable)


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
    )


def _nearest(hits: Iterable[Hit]) -> list[dict[str, str]]:
    seen = {str(hit.document): hit.title for hit in hits}
    return [{"document": document, "title": title} for document, title in seen.items()]


def _trace(answer: Answer, scope: Scope, hits: Sequence[Hit], parts: Engine) -> dict[str, Any]:
    """Return ids, scores and settings: with the chunks themselves, enough to replay the answer."""
    return {
        "knowledge_bases": sorted(str(base) for base in scope.readable),
        "whole": scope.whole,
        "generation": (parts.generation or active_generation()).name,
        "hits": _build_hit_traces(hits),
        "prompt_version": answer.prompt_version,
        "rewrite_version": answer.rewrite_version,
        "signals": dict(answer.signals),
        "broken_off": answer.broken_off,
        "verdicts": [sentence.supported for sentence in answer.sentences],
    }


def _build_hit_traces(hits: Sequence[Hit]) -> list[dict[str, Any]]:
    return [{"chunk": str(hit.chunk), "document": str(hit.document), "score": hit.score} for hit in hits]
