"""Groups questions of the same meaning, outside of requests. It can run at any time and any number of times.

A question joins the gap of the same knowledge bases whose questions are, in the mean, nearest to it. Where
the embedding model is away, or is another one by now, the same words count.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import numpy as np
from django.db import transaction
from django.db.models import QuerySet

from cairn.errors import CairnError
from cairn.inference.protocols import Embedder, Vectors
from cairn.library.models import KnowledgeBase
from retrieval.engine import get_engine
from retrieval.gaps.models import UNANSWERED, Gap, GapQuestion, GapState
from retrieval.models import IndexGeneration

MIN_GROUPING_COSINE: Final = 0.65
"""Minimum cosine to the mean of a gap's questions, explained in docs/decisions/gaps.md."""
MAX_QUESTIONS_PER_RUN: Final = 200
QUESTIONS_PER_BATCH: Final = 20
"""Questions placed under one lock: the questions to compare with are read once for all of them."""
MAX_COMPARED_QUESTIONS: Final = 5000
MAX_QUESTION_CHARACTERS: Final = 2000
_TINY: Final = 1e-9
_COMPARED_BY: Final = (
    "gap", "message__standalone_question", "message__question", "embedding", "embedding_model",
)  # fmt: skip
GROUPABLE_STATES: Final = (*UNANSWERED, GapState.DISMISSED)
"""Gaps that similar questions join. Dismissed ones are included, so that a question need not be dismissed
twice."""


def questions_group(*, at_once: int = MAX_QUESTIONS_PER_RUN) -> int:
    """Put waiting questions into gaps; return how many."""
    waiting = list(_waiting().values_list("id", flat=True)[:at_once])
    if not waiting:
        return 0
    embedder = _embedder()
    if embedder:
        _embed_anew(embedder, waiting)
    return sum(
        _place_batch(waiting[at : at + QUESTIONS_PER_BATCH])
        for at in range(0, len(waiting), QUESTIONS_PER_BATCH)
    )


def _waiting() -> "QuerySet[GapQuestion]":
    return GapQuestion.objects.filter(gap=None, taken_back=False)


def _embedder() -> Embedder | None:
    try:
        return get_engine().embedder
    except CairnError:
        return None


def _embed_anew(embedder: Embedder, waiting: Sequence[UUID]) -> None:
    """Embed waiting questions, and those to compare them with that another model embedded."""
    stale = GapQuestion.objects.filter(gap__state__in=GROUPABLE_STATES).exclude(
        embedding_model=embedder.model
    )
    new = GapQuestion.objects.filter(pk__in=waiting).exclude(embedding_model=embedder.model)
    for question in (new | stale).select_related("message")[:MAX_COMPARED_QUESTIONS]:
        try:
            vector = embedder.embed_query(question.text[:MAX_QUESTION_CHARACTERS])
        except CairnError:
            return
        _rows(question).update(
            embedding=np.asarray(vector, dtype="<f4").tobytes(), embedding_model=embedder.model
        )


def _rows(question: GapQuestion) -> "QuerySet[GapQuestion]":
    return GapQuestion.objects.filter(pk=question.pk, taken_back=False)


def _place_batch(questions: Sequence[UUID]) -> int:
    """Place questions, one process at a time: two of the same meaning must not open a gap each."""
    with transaction.atomic():
        list(IndexGeneration.objects.active().select_for_update())
        known: dict[tuple[str, str], _Known] = {}
        return sum(_place(question, known) for question in questions)


def _place(question_id: UUID, known: "dict[tuple[str, str], _Known]") -> bool:
    question = _waiting().select_related("message").filter(pk=question_id).first()
    if question is None:
        return False
    bases = list(KnowledgeBase.objects.present().filter(pk__in=question.bases))
    if (question.bases and not bases) or _is_repeated(question):
        question.delete()
        return False
    key = base_key(base.id for base in bases)
    space = (key, question.embedding_model)
    if space not in known:
        known[space] = _Known(*space)
    others = known[space]
    closest = others.find_closest(question)
    question.gap = (closest and Gap.objects.filter(pk=closest).first()) or _open_gap(bases, key)
    question.save(update_fields=["gap"])
    others.add(question.gap.pk, question.text, question.embedding)
    return True


def _is_repeated(question: GapQuestion) -> bool:
    """The same words in the same conversation are one question, however often it was tried."""
    others = GapQuestion.objects.filter(message__conversation=question.message.conversation_id)
    others = others.filter(taken_back=False).exclude(gap=None).exclude(pk=question.pk)
    return any(_words(other.text) == _words(question.text) for other in others.select_related("message"))


def base_key(bases: Iterable[UUID]) -> str:
    names = sorted(map(str, bases))
    return sha256(" ".join(names).encode()).hexdigest() if names else ""


def _open_gap(bases: Sequence[KnowledgeBase], key: str) -> Gap:
    gap = Gap.objects.create(base_key=key)
    gap.knowledge_bases.set(bases)
    return gap


class _Known:
    """The latest questions of the gaps of the same knowledge bases, as one embedding model sees them. Of the
    embeddings of a gap's questions the sum is kept, which points where their mean does."""

    def __init__(self, key: str, model: str) -> None:
        self._sums: dict[UUID, Vectors] = {}
        self._gaps: dict[str, UUID] = {}  # by the words of their questions
        rows = GapQuestion.objects.filter(gap__base_key=key, gap__state__in=GROUPABLE_STATES).order_by(
            "-created_at"
        )
        for gap, standalone, typed, embedding, seen_by in rows.values_list(*_COMPARED_BY)[
            :MAX_COMPARED_QUESTIONS
        ]:
            self.add(gap, standalone or typed, embedding if seen_by == model else None)

    def add(self, gap: UUID, text: str, embedding: Any) -> None:
        self._gaps.setdefault(_words(text), gap)
        if embedding:
            self._sums[gap] = self._sums.get(gap, 0) + _vector(embedding)

    def find_closest(self, question: GapQuestion) -> UUID | None:
        by_meaning = self._by_meaning(_vector(question.embedding)) if question.embedding else None
        return by_meaning or self._gaps.get(_words(question.text))

    def _by_meaning(self, vector: Vectors) -> UUID | None:
        if not self._sums:
            return None
        gaps, sums = list(self._sums), np.stack(list(self._sums.values()))
        likeness = (sums @ vector) / np.maximum(np.linalg.norm(sums, axis=1), _TINY)
        best = int(likeness.argmax())
        return gaps[best] if likeness[best] >= MIN_GROUPING_COSINE else None


def _vector(data: Any) -> Vectors:
    return np.frombuffer(bytes(data), dtype="<f4")


def _words(text: str) -> str:
    return " ".join(text.casefold().split())
