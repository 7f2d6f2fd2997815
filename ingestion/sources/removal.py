"""Remove deleted sources, and delete their documents or leave these to the managers."""

from contextlib import suppress

from cairn.access.principals import principal_for_background_work
from cairn.access.scope import Principal
from cairn.access.source_services import forget_source
from cairn.errors import NotFound
from ingestion.documents.services import document_delete
from ingestion.jobs.lifecycle import stopping
from ingestion.models import Source, SourceItem, SourceSchedule
from ingestion.sources.lease import free_schedules
from ingestion.sources.sync.access import pages_of


def remove_deleted_sources() -> int:
    """Remove all deleted sources that no worker is still running, and return how many."""
    running = SourceSchedule.objects.exclude(pk__in=free_schedules().values("pk"))
    rows = Source.objects.exclude(deleted_at=None).exclude(pk__in=running.values("source"))
    return sum(map(_remove, rows.select_related("user")))


def _remove(source: Source) -> bool:
    """Remove a source. Returns False if this process is shutting down before everything is removed."""
    if source.delete_documents:
        principal = principal_for_background_work(source.user) if source.user else None
        rows = SourceItem.objects.filter(source=source, document__isnull=False)
        for page in pages_of(rows.select_related("document")):
            for row in page:
                if stopping.is_set():
                    return False
                _delete_document(row, principal)
    forget_source(source.id)
    source.delete()
    return True


def _delete_document(row: SourceItem, principal: Principal | None) -> None:
    if row.document is not None and row.document.deleted_at is None:
        with suppress(NotFound):  # another process was faster
            document_delete(document=row.document, principal=principal)
