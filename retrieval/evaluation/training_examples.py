"""Training examples for language models: verified answers, gold questions, and approved answers.

Each consists of a prompt as Cairn writes it and an answer that somebody stands for. Whoever exports them gets
only what they may read at that moment.
"""

import re
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from uuid import UUID

from django.db.models import F, QuerySet
from django.utils import timezone

from cairn.access.permissions import documents_for
from cairn.access.scope import Principal, Scope
from cairn.access.selectors import chunks_for, scope_for
from cairn.answers import AnswerMode, Verdict
from cairn.library.models import Chunk, Document
from retrieval.answering.prompts.evidence import Passage
from retrieval.answering.query.same_question import question_key
from retrieval.conversations.services import conversations_for, load_shown_message, messages_open
from retrieval.evaluation.gold_questions import gold_questions_for
from retrieval.evaluation.models import GoldQuestion
from retrieval.evaluation.quote_match import any_overlaps
from retrieval.gaps.models import VerifiedAnswer
from retrieval.gaps.verified_documents import is_as_published
from retrieval.models import Citation, Message, MessageState
from retrieval.search.hybrid_search import hit_of
from retrieval.types import Scores

_SCORES: Final = Scores(None, None, 1.0)
_MARKERS: Final = re.compile(r"\[(\d+)\]")


class Origin(StrEnum):
    VERIFIED_ANSWER = "verified_answer"
    GOLD_QUESTION = "gold_question"
    APPROVED_ANSWER = "approved_answer"


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """Provenance of an example. `licence` is empty if the document's metadata doesn't name one."""

    id: UUID
    version: UUID
    title: str
    source_uri: str
    licence: str


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """`rejected`: the user's own answers to the same question that were refused or rated down."""

    origin: Origin
    id: UUID
    knowledge_base: str
    question: str
    passages: tuple[Passage, ...]
    answer: str
    documents: tuple[SourceDocument, ...]
    rejected: tuple[str, ...] = ()

    @property
    def group_keys(self) -> Iterable[Hashable]:
        yield question_key(self.question) or self.question
        yield from (document.id for document in self.documents)


class Exclusion(StrEnum):
    """Reason for which an example was left out."""

    NOT_READABLE = "passages that changed or that you may not read"
    NO_QUOTES = "gold questions without quotes from their documents"


@dataclass(slots=True)
class CollectedExamples:
    examples: list[TrainingExample] = field(default_factory=list)
    excluded: Counter[Exclusion] = field(default_factory=Counter)

    def add(self, example: TrainingExample | Exclusion) -> None:
        if isinstance(example, Exclusion):
            self.excluded[example] += 1
        else:
            self.examples.append(example)


def collect_examples(
    principal: Principal, knowledge_bases: Collection[UUID] | None = None
) -> CollectedExamples:
    """Collect the examples that the principal may read, limited to knowledge bases if some are named."""
    scope = scope_for(principal, knowledge_bases)
    found = CollectedExamples()
    for verified in _verified_answers(principal, scope):
        for question in (verified.title, *verified.wordings):
            found.add(_from_verified_answer(verified, question, principal, scope))
    for gold in gold_questions_for(principal).filter(knowledge_base__in=scope.readable):
        if not gold.history:
            found.add(_from_gold_question(gold, scope))
    for message in _approved_messages(principal):
        found.add(_from_approved_answer(message, principal, scope))
    return found


def _verified_answers(principal: Principal, scope: Scope) -> Iterable[VerifiedAnswer]:
    rows = VerifiedAnswer.objects.filter(
        document__in=documents_for(principal).filter(knowledge_base__in=scope.readable),
        document__active_version__sha256=F("sha256"),
        until__gte=timezone.localdate(),
        withdrawn_at=None,
    )
    return filter(is_as_published, rows.select_related("knowledge_base", "gap").order_by("created_at", "id"))


def _from_verified_answer(
    row: VerifiedAnswer, question: str, principal: Principal, scope: Scope
) -> TrainingExample | Exclusion:
    chunks = Chunk.objects.active().filter(version__document=row.document_id).order_by("ordinal")
    passages = _build_passages([chunk.id for chunk in chunks][:1], scope)
    asked = _own_messages(principal).filter(gap_question__gap=row.gap).select_related("conversation")
    rejected = [
        message.answer
        for message in messages_open(asked.prefetch_related("citations"), principal)
        if message.answer and (message.rating == "down" or message.verdict == Verdict.REFUSED)
    ]
    answer = f"{row.text.strip()} [1]"
    return _build(
        Origin.VERIFIED_ANSWER, row.id, row.knowledge_base.slug, question, passages, answer, rejected
    )


def _from_gold_question(row: GoldQuestion, scope: Scope) -> TrainingExample | Exclusion:
    """Build an example whose answer quotes the documents, unless a quote is no longer in its document."""
    quotes = [(source.document_id, quote) for source in row.sources.all() for quote in source.quotes if quote]
    places = [_find_quote(document, quote) for document, quote in quotes]
    ids = list(dict.fromkeys(place for place in places if place))
    passages = _build_passages(ids, scope)
    if not quotes:
        return Exclusion.NO_QUOTES
    if None in places:
        return Exclusion.NOT_READABLE
    answer = " ".join(
        f"{quote.strip()} [{ids.index(place) + 1}]"
        for (_, quote), place in zip(quotes, places, strict=True)
        if place
    )
    return _build(Origin.GOLD_QUESTION, row.id, row.knowledge_base.slug, row.question, passages, answer)


def _find_quote(document: UUID, quote: str) -> UUID | None:
    chunks = Chunk.objects.active().filter(version__document=document).order_by("ordinal")
    exact = chunks.filter(text__contains=quote).first()
    found = exact or next((chunk for chunk in chunks if any_overlaps([chunk.text], quote)), None)
    return found.id if found else None


def _own_messages(principal: Principal) -> QuerySet[Message]:
    """Return the finished answers to the principal: conversations are nobody else's to read."""
    return Message.objects.filter(
        conversation__in=conversations_for(principal),
        conversation__temporary=False,
        state=MessageState.DONE,
    )


def _approved_messages(principal: Principal) -> Iterable[Message]:
    """Return the principal's own answers that they rated up."""
    rows = _own_messages(principal).filter(rating="up", verdict=Verdict.SUPPORTED, parts=[])
    written = rows.exclude(mode__in=[AnswerMode.SMALL_TALK, AnswerMode.VERIFIED])
    return written.select_related("conversation").order_by("created_at", "id")


def _from_approved_answer(
    message: Message, principal: Principal, scope: Scope
) -> TrainingExample | Exclusion:
    shown = load_shown_message(message, principal)
    citations = sorted(shown.citations, key=lambda citation: citation.marker)
    if shown.withheld or not citations:
        return Exclusion.NOT_READABLE
    passages = _build_passages([citation.chunk for citation in citations], scope)
    answer = _renumber(shown.answer, citations)
    question = message.standalone_question or message.question
    versions = Message.objects.filter(
        conversation=message.conversation_id,
        parent=message.parent_id,
        question=message.question,
        rating="down",
    )
    rejected = [other.answer for other in messages_open(versions.prefetch_related("citations"), principal)]
    slug = citations[0].document.knowledge_base.slug
    return _build(Origin.APPROVED_ANSWER, message.id, slug, question, passages, answer, rejected)


def _renumber(answer: str, citations: Sequence[Citation]) -> str:
    numbers = {str(citation.marker): number for number, citation in enumerate(citations, 1)}
    return _MARKERS.sub(lambda found: f"[{numbers.get(found[1], found[1])}]", answer)


def _build_passages(chunks: Sequence[UUID], scope: Scope) -> tuple[Passage, ...] | None:
    """Return numbered passages in this order, or None unless all of them may be read now."""
    found = {chunk.id: chunk for chunk in chunks_for(scope, chunks)}
    if not chunks or set(chunks) - found.keys():
        return None
    hits = (hit_of(found[chunk], _SCORES) for chunk in chunks)
    return tuple(Passage(number, (hit,), hit.text) for number, hit in enumerate(hits, 1))


def _build(
    origin: Origin,
    id_: UUID,
    knowledge_base: str,
    question: str,
    passages: tuple[Passage, ...] | None,
    answer: str,
    rejected: Iterable[str] = (),
) -> TrainingExample | Exclusion:
    if passages is None:
        return Exclusion.NOT_READABLE
    others = tuple(dict.fromkeys(text for text in rejected if text.strip() and text != answer))
    documents = tuple(_describe_documents(passages))
    return TrainingExample(origin, id_, knowledge_base, question, passages, answer, documents, others)


def _describe_documents(passages: Iterable[Passage]) -> Iterator[SourceDocument]:
    versions = {hit.document: hit.version for passage in passages for hit in passage.hits}
    for document in Document.objects.filter(pk__in=versions).order_by("pk"):
        licence = str(document.metadata.get("license") or document.metadata.get("licence") or "")
        yield SourceDocument(document.id, versions[document.id], document.title, document.source_uri, licence)
