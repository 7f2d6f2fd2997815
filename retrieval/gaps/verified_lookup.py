"""Finds verified answers to a question that is asked in the same words."""

from collections.abc import Iterable, Iterator
from typing import Final

from django.db.models import F, QuerySet
from django.utils import timezone

from cairn.access.permissions import documents_for
from cairn.access.scope import Scope
from cairn.access.selectors import chunks_for
from cairn.library.models import Chunk
from retrieval.answering.query.same_question import QuestionKey, question_key
from retrieval.gaps.models import VerifiedAnswer
from retrieval.gaps.verified_documents import is_as_published
from retrieval.index.protocol import Filters
from retrieval.search.document_rows import narrow_documents
from retrieval.search.hybrid_search import hit_of
from retrieval.types import Scores, VerifiedText

MAX_ANSWERS: Final = 3
_SCORES: Final = Scores(None, None, 1.0)


def find_verified_answers(question: str, *, scope: Scope, filters: Filters) -> list[VerifiedText]:
    """Return the verified answers to this question, the latest first, of those in scope.

    Of unofficial knowledge bases they count only if the asker chose the knowledge base: otherwise, anyone who
    may create one could decide everyone's answers.
    """
    key = question_key(question)
    if not key or not scope:
        return []
    matching = [row for row in _current_answers(scope, filters) if key in _keys(row)]
    found = {row.text: passage for row in matching if (passage := _load_text(row, key, scope))}
    return list(found.values())[:MAX_ANSWERS]


def _current_answers(scope: Scope, filters: Filters) -> "QuerySet[VerifiedAnswer]":
    documents = documents_for(scope.principal)
    if scope.whole:
        documents = documents.filter(knowledge_base__official=True)
    else:
        documents = documents.filter(knowledge_base__in=scope.readable)
    return VerifiedAnswer.objects.filter(
        document__in=narrow_documents(documents, filters),
        document__active_version__sha256=F("sha256"),
        until__gte=timezone.localdate(),
        withdrawn_at=None,
    ).order_by("-document__active_version__created_at", "id")


def _keys(row: VerifiedAnswer) -> Iterator[QuestionKey]:
    return map(question_key, (row.title, *row.wordings))


def _load_text(row: VerifiedAnswer, key: QuestionKey, scope: Scope) -> VerifiedText | None:
    """Return the published text and its passage, None if it is being edited or can no longer be read."""
    if not is_as_published(row):
        return None
    chunks = Chunk.objects.active().filter(version__document=row.document_id).order_by("ordinal")
    passage = _choose_passage(chunks, key)
    readable = chunks_for(scope, [passage.id]).first() if passage else None
    return VerifiedText(row.text, hit_of(readable, _SCORES)) if readable else None


def _choose_passage(chunks: Iterable[Chunk], key: QuestionKey) -> Chunk | None:
    """Return the first passage below this wording of the question, else the first of all."""
    found = list(chunks)
    below = (chunk for chunk in found if any(question_key(heading) == key for heading in chunk.section))
    return next(below, found[0] if found else None)
