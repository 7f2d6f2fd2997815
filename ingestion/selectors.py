"""Getters for the jobs, imports and receipts that a principal may see."""

from django.db.models import Q, QuerySet

from cairn.access.models import Role
from cairn.access.permissions import documents_for, knowledge_bases_for, role_in
from cairn.access.scope import Principal
from cairn.access.selectors import get_or_not_found
from cairn.errors import NotFound
from cairn.library.models import KnowledgeBase
from ingestion.models import Import, ImportItem, Job, JobQuerySet, Receipt


def jobs_for(principal: Principal) -> JobQuerySet:
    """Jobs of documents the principal may read."""
    return Job.objects.filter(version__document__in=documents_for(principal)).select_related(
        "version__document"
    )


def job_for(principal: Principal, value: object) -> Job:
    return get_or_not_found(jobs_for(principal), value)


def imports_for(principal: Principal) -> "QuerySet[Import]":
    """The principal's own imports, and those into knowledge bases they edit.

    Imports of archives are hidden from people who may not read the archive.
    """
    edited = Q(knowledge_base__in=knowledge_bases_for(principal, role=Role.EDITOR))
    own = Q(user=principal.user, knowledge_base__in=knowledge_bases_for(principal))
    readable = Q(container=None) | Q(container__document__in=documents_for(principal))
    rows = Import.objects.filter(edited | own, readable)
    return rows.select_related("knowledge_base", "user", "container")


def import_for(principal: Principal, value: object) -> Import:
    return get_or_not_found(imports_for(principal), value)


def import_into(principal: Principal, base: KnowledgeBase, value: object) -> Import:
    """Return an import of this knowledge base, with fewer queries than `import_for`.

    The caller has checked that the principal is an editor there. Raises NotFound.
    """
    batch = get_or_not_found(Import.objects.filter(knowledge_base=base).select_related("container"), value)
    inside = batch.container
    if inside is not None and not documents_for(principal).filter(pk=inside.document_id).exists():
        raise NotFound
    return batch


def items_for(principal: Principal, batch: Import) -> "QuerySet[ImportItem]":
    """Items of documents the principal may read.

    Items without a document are visible to managers and to the user who opened the import.
    """
    rows = ImportItem.objects.filter(batch=batch).select_related("job__version")
    if role_in(principal, batch.knowledge_base) == Role.MANAGER:
        return rows
    mine = Q(document=None) if batch.user_id == principal.user else Q(pk__in=())
    return rows.filter(Q(document__in=documents_for(principal)) | mine)


def receipts_for(principal: Principal) -> "QuerySet[Receipt]":
    """All receipts for admins, the principal's own otherwise.

    API keys limited to some knowledge bases only see receipts from these.
    """
    if principal.administers:
        return Receipt.objects.all()
    mine = Receipt.objects.filter(requested_by=principal.user)
    return mine if principal.key_bases is None else mine.filter(knowledge_base__in=principal.key_bases)


def receipt_for(principal: Principal, value: object) -> Receipt:
    return get_or_not_found(receipts_for(principal), value)
