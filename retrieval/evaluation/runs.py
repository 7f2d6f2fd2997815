"""Evaluation runs, for those who manage the knowledge base that was asked."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from cairn.access.models import Role
from cairn.access.permissions import documents_for, knowledge_bases_for
from cairn.access.scope import Principal
from cairn.access.selectors import get_or_not_found
from cairn.audit.services import record
from cairn.inference.reranking import reranker_name, reranks
from cairn.library.models import Document, KnowledgeBase
from cairn.settings import environment
from retrieval.conversations.answer_models import answer_profile
from retrieval.conversations.services import ERASED
from retrieval.engine import get_engine
from retrieval.evaluation.models import EvaluationRun
from retrieval.evaluation.question_results import Asked
from retrieval.index.generations import active_generation

DELETED = "(deleted)"


def runs_for(principal: Principal) -> "QuerySet[EvaluationRun]":
    """Outcomes hold answers, so they are for those who may read every document there: its managers."""
    managed = knowledge_bases_for(principal, role=Role.MANAGER)
    return EvaluationRun.objects.filter(knowledge_base__in=managed).select_related(
        "knowledge_base", "created_by"
    )


def run_for(principal: Principal, value: object) -> EvaluationRun:
    return get_or_not_found(runs_for(principal), value)


def load_outcomes(run: EvaluationRun) -> list[Asked]:
    return [Asked.model_validate(outcome) for outcome in run.outcomes]


def run_store(
    *, principal: Principal, knowledge_base: KnowledgeBase, outcomes: Sequence[Asked], **fields: Any
) -> EvaluationRun:
    """Store a run with the current settings, without answers from documents deleted meanwhile."""
    with transaction.atomic():
        stored = _without_erased(principal, outcomes)
        return EvaluationRun.objects.create(
            knowledge_base=knowledge_base,
            outcomes=[outcome.model_dump(mode="json") for outcome in stored],
            questions=len(stored),
            right=sum(outcome.right for outcome in stored),
            settings=settings_now(knowledge_base),
            created_by_id=principal.user,
            **fields,
        )


def run_delete(*, run: EvaluationRun, actor: UUID | None) -> None:
    with transaction.atomic():
        record("evaluation.deleted", actor=actor, subject=f"evaluation:{run.id}")
        run.delete()


def settings_now(knowledge_base: KnowledgeBase) -> dict[str, str | int]:
    """Whatever makes two runs on the same questions differ, but for the documents."""
    generation = active_generation()
    settings, engine = environment(), get_engine()
    profile = answer_profile(writes=engine.writes_answers)
    named = {
        "evidence_tokens": profile.evidence_tokens,
        "reranker": reranker_name(settings) or (reranks(settings) and settings.reranker_base_url),
        "answerability_model": settings.answerability_model,
        "grounding_model": settings.grounding_model,
        "judge_model": settings.judge_model,
    }
    return {
        "embedding_model": generation.embedding_model,
        "index_generation": generation.name,
        "chat_model": engine.chat.name,
        "prompt_version": profile.prompt_version,
        "answer_style": "written" if profile.writes else "quoted",
        "grounding": knowledge_base.grounding,
        **{name: value for name, value in named.items() if value},
    }


def _without_erased(principal: Principal, outcomes: Sequence[Asked]) -> list[Asked]:
    named = {document for outcome in outcomes for document in outcome.documents}
    # Locked, so that a document cannot be erased between this look and the commit.
    readable = documents_for(principal).select_for_update(of=("self",))
    readable = readable.filter(pk__in=list(filter(None, map(_as_uuid, named))))
    present = {str(pk) for pk in readable.values_list("pk", flat=True)}
    return [each if present.issuperset(each.documents) else _erase_outcome(each) for each in outcomes]


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _erase_outcome(outcome: Asked) -> Asked:
    return outcome.model_copy(update={"answer": ERASED, "documents": (), "standalone_question": ""})


def forget_document(document: Document) -> int:
    """Removes from all runs the answers that quote a document, and its name; how many answers."""
    count, named = 0, str(document.id)
    for run in EvaluationRun.objects.select_for_update().filter(_mentions(document)):
        asked = load_outcomes(run)
        count += sum(named in each.documents for each in asked)
        stored = [_erase_outcome(each) if named in each.documents else each for each in asked]
        if run.knowledge_base_id == document.knowledge_base_id:
            stored = [_erase_document_name(each, document.source_uri) for each in stored]
        run.outcomes = [each.model_dump(mode="json") for each in stored]
        run.save(update_fields=["outcomes"])
    return count


def _mentions(document: Document) -> Q:
    """SQLite keeps JSON as ASCII, PostgreSQL as text."""
    uri = document.source_uri
    texts = {json.dumps(uri)[1:-1], json.dumps(uri, ensure_ascii=False)[1:-1]} - {""}
    here = Q(knowledge_base=document.knowledge_base_id)
    found = Q(outcomes__icontains=str(document.id))
    for text in texts:
        found |= here & Q(outcomes__icontains=text)
    return found


def _erase_document_name(outcome: Asked, source_uri: str) -> Asked:
    def without(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(DELETED if name == source_uri else name for name in names)

    return outcome.model_copy(update={"cited": without(outcome.cited), "relevant": without(outcome.relevant)})
