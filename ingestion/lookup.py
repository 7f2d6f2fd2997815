"""Jobs and receipts, for someone."""

from django.db.models import QuerySet

from cairn.access.lookup import one_of
from cairn.access.rules import documents_for
from cairn.access.scope import Principal
from ingestion.models import Job, JobQuerySet, Receipt


def jobs_for(principal: Principal) -> JobQuerySet:
    """Jobs of the documents that the principal may read."""
    return Job.objects.filter(version__document__in=documents_for(principal)).select_related(
        "version__document"
    )


def job_for(principal: Principal, value: object) -> Job:
    return one_of(jobs_for(principal), value)


def receipts_for(principal: Principal) -> "QuerySet[Receipt]":
    if principal.is_admin:
        return Receipt.objects.all()
    return Receipt.objects.filter(requested_by=principal.user)


def receipt_for(principal: Principal, value: object) -> Receipt:
    return one_of(receipts_for(principal), value)
