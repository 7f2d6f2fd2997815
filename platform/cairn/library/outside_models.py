"""Rules on what language models outside the organisation may read."""

from collections.abc import Collection
from uuid import UUID

from django.db.models import Q

from cairn.library.models import MAX_NESTING_DEPTH, Document, KnowledgeBase, OutsideModels
from cairn.settings import environment


def find_forbidden_outside(documents: Collection[UUID]) -> frozenset[UUID]:
    """Return those of the documents that no outside model may read: their knowledge base forbids it, or they
    or a document that contains them do. Documents that no longer exist are among them, because their rule is
    unknown."""
    if not documents:
        return frozenset()
    rows = Document.objects.filter(pk__in=documents).exclude(_forbidding())
    return frozenset(documents) - set(rows.values_list("pk", flat=True))


def is_anything_forbidden_outside() -> bool:
    """Return whether any knowledge base or document forbids outside models."""
    return (
        _is_forbidden_by_default()
        or KnowledgeBase.objects.filter(outside_models=OutsideModels.FORBID).exists()
        or Document.objects.filter(forbids_outside_models=True).exists()
    )


def is_anything_forbidden_outside_in(knowledge_bases: Collection[UUID]) -> bool:
    """Return whether one of these knowledge bases, or a document in them, forbids outside models."""
    bases = KnowledgeBase.objects.filter(pk__in=knowledge_bases, outside_models__in=_forbidding_rules())
    documents = Document.objects.filter(knowledge_base__in=knowledge_bases, forbids_outside_models=True)
    return bases.exists() or documents.exists()


def _forbidding() -> Q:
    """Return the condition of documents that an outside model may not read."""
    found = Q(knowledge_base__outside_models__in=_forbidding_rules()) | Q(forbids_outside_models=True)
    for depth in range(1, MAX_NESTING_DEPTH + 1):
        container = "__".join(["parent"] * depth)
        found |= Q(**{f"{container}__forbids_outside_models": True})
    return found


def _forbidding_rules() -> set[str]:
    rules = {OutsideModels.FORBID.value}
    return rules | {OutsideModels.DEFAULT.value} if _is_forbidden_by_default() else rules


def _is_forbidden_by_default() -> bool:
    return environment().outside_models == "forbid"
