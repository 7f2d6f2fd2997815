"""Putting questions of the same meaning together. Beside requests, and as often as anybody likes.

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
from retrieval.engine import engine
from retrieval.gaps.models import UNANSWERED, Gap, GapQuestion, GapState
from retrieval.models import GenerationState, IndexGeneration

ALIKE: Final = 0.65
"""Cosine to the mean of a gap's questions: see docs/decisions/gaps.md."""
AT_ONCE: Final = 200
COMPARED: Final = 5000
LONGEST: Final = 2000
JOINED: Final = (*UNANSWERED, GapState.DISMISSED)
"""What was dismissed takes up what is asked again, so that nobody has to dismiss it twice."""


def questions_group(*, at_once: int = AT_ONCE) -> int:
    """How many were put somewhere."""
    waiting = list(_waiting().values_list("id", flat=True)[:at_once])
    if not waiting:
        return 0
    embedder = _embedder()
    if embedder:
        _embed_anew(embedder, waiting)
    return sum(_place(question) for question in waiting)


def _waiting() -> "QuerySet[GapQuestion]":
    return GapQuestion.objects.filter(gap=None, taken_back=False)


def _embedder() -> Embedder | None:
    try:
        return engine().embedder
    except CairnError:
        return None


def _embed_anew(embedder: Embedder, waiting: Sequence[UUID]) -> None:
    """Those that wait, and those to compare them with that another model has seen."""
    stale = GapQuestion.objects.filter(gap__state__in=JOINED).exclude(embedding_model=embedder.model)
    new = GapQuestion.objects.filter(pk__in=waiting).exclude(embedding_model=embedder.model)
    for question in (new | stale).select_related("message")[:COMPARED]:
        try:
            vector = embedder.embed_query(question.text[:LONGEST])
        except CairnError:
            return
        _rows(question).update(
            embedding=np.asarray(vector, dtype="<f4").tobytes(), embedding_model=embedder.model
        )


def _rows(question: GapQuestion) -> "QuerySet[GapQuestion]":
    return GapQuestion.objects.filter(pk=question.pk, taken_back=False)


def _place(question_id: UUID) -> bool:
    """One at a time, in whichever process: two of the same meaning must not open a gap each."""
    with transaction.atomic():
        list(IndexGeneration.objects.select_for_update().filter(state=GenerationState.ACTIVE))
        question = _waiting().select_related("message").filter(pk=question_id).first()
        if question is None:
            return False
        bases = list(KnowledgeBase.objects.filter(pk__in=question.bases, deleted_at=None))
        if (question.bases and not bases) or _asked_before(question):
            question.delete()
            return False
        key = base_key(base.id for base in bases)
        question.gap = _likest(question, key) or _opened(bases, key)
        question.save(update_fields=["gap"])
    return True


def _asked_before(question: GapQuestion) -> bool:
    """The same words in the same conversation are one question, however often it was tried."""
    others = GapQuestion.objects.filter(message__conversation=question.message.conversation_id)
    others = others.filter(taken_back=False).exclude(gap=None).exclude(pk=question.pk)
    return any(_words(other) == _words(question) for other in others.select_related("message"))


def base_key(bases: Iterable[UUID]) -> str:
    names = sorted(map(str, bases))
    return sha256(" ".join(names).encode()).hexdigest() if names else ""


def _opened(bases: Sequence[KnowledgeBase], key: str) -> Gap:
    gap = Gap.objects.create(base_key=key)
    gap.knowledge_bases.set(bases)
    return gap


def _likest(question: GapQuestion, key: str) -> Gap | None:
    rows = GapQuestion.objects.filter(gap__base_key=key, gap__state__in=JOINED).order_by("-created_at")
    likest = _by_meaning(question, rows) if question.embedding else None
    return likest or _by_words(question, rows)


def _by_meaning(question: GapQuestion, rows: "QuerySet[GapQuestion]") -> Gap | None:
    known = rows.filter(embedding_model=question.embedding_model).exclude(embedding=None)
    found = list(known.values_list("gap", "embedding")[:COMPARED])
    if not found:
        return None
    gaps = sorted({gap for gap, _ in found}, key=str)
    means = np.stack([_mean([_vector(data) for gap, data in found if gap == each]) for each in gaps])
    likeness = means @ _vector(question.embedding)
    best = int(likeness.argmax())
    return Gap.objects.get(pk=gaps[best]) if likeness[best] >= ALIKE else None


def _vector(data: Any) -> Vectors:
    return np.frombuffer(bytes(data), dtype="<f4")


def _mean(vectors: Sequence[Vectors]) -> Vectors:
    mean = np.mean(vectors, axis=0)
    return np.asarray(mean / (np.linalg.norm(mean) or 1.0))


def _by_words(question: GapQuestion, rows: "QuerySet[GapQuestion]") -> Gap | None:
    words = _words(question)
    for other in rows.select_related("message", "gap")[:COMPARED]:
        if _words(other) == words:
            return other.gap
    return None


def _words(question: GapQuestion) -> str:
    return " ".join(question.text.casefold().split())
