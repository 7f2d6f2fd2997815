"""Sync the documents of a source: list changes, delete missing documents, and fetch new content."""

from django.db import transaction

from cairn.errors import NotFound
from ingestion.documents.services import document_delete
from ingestion.failpoints import Fault, fault_point
from ingestion.models import Source, SourceItem, SourceItemQuerySet
from ingestion.sources.sync.access import pages_of, sync_pending_access
from ingestion.sources.sync.context import RunContext
from ingestion.sources.sync.fetching import Fetcher
from ingestion.sources.sync.listing import Listing


def sync_content(context: RunContext) -> str:
    """Bring the documents up to date, and return a warning if a part of the source could not be listed.

    The listing is stored before anything is fetched, so an interrupted run continues where it stopped.
    """
    listing, fetcher = Listing(context), Fetcher(context)
    try:
        complete = listing.run()
        for rows in listing.vanished_pages(full=complete.full):
            _remove(rows, context, fetcher)
        fault_point(Fault.SOURCE_BEFORE_CURSOR)
        context.lease.require()
        Source.objects.filter(pk=context.source.pk).update(cursor=complete.cursor, removal_confirmed=False)
        context.counts["items"] = SourceItem.objects.filter(source=context.source).count()
        context.counts["unlisted"] = len(listing.unlisted)
        sync_pending_access(context)
        fetcher.run()
    finally:
        fetcher.close()
    return listing.warning()


def _remove(rows: SourceItemQuerySet, context: RunContext, fetcher: Fetcher) -> None:
    for page in pages_of(rows.select_related("document")):
        for row in page:
            context.lease.require()
            _remove_item(row, context, fetcher)
            fault_point(Fault.SOURCE_WHILE_DELETING)


def _remove_item(row: SourceItem, context: RunContext, fetcher: Fetcher) -> None:
    with transaction.atomic():
        if row.document is not None and row.document.deleted_at is None:
            try:
                document_delete(document=row.document, principal=context.principal, batch=fetcher.batch())
                context.counts["removed"] += 1
            except NotFound:  # another run was faster
                pass
        row.delete()
