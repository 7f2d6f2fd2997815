"""Sync who may read the documents of a source, without reading their content."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from django.db.models import F, Q

from cairn.access.services import EVERYONE, readers_replace
from cairn.access.source_access import SourceAccess
from cairn.access.source_services import set_source_access
from cairn.library.models import Document
from cairn.messages import CodedMessage
from ingestion.failpoints import Fault, fault_point
from ingestion.models import SourceItem, SourceItemQuerySet, SourceReaders
from ingestion.sources.sync.context import RunContext
from ingestion.sources.sync.items import item_of

BATCH_SIZE: Final = 500
SYNCED: Final = "*"
"""The `synced_access_version` of an item without an `access_version`."""
_NEVER: Final = Q(synced_access_version="")
_PENDING: Final = _NEVER | ~Q(access_version="") & ~Q(access_version=F("synced_access_version"))


def sync_access(context: RunContext) -> str:
    """Set the access of all documents of the source, as it is now."""
    for rows in pages_of(_with_documents(context)):
        _fetch_and_store_access(context, rows)
    return ""


def sync_pending_access(context: RunContext, among: Collection[int] | None = None) -> None:
    """Set the access of documents that are new, or whose access changed according to the listing.

    `among`: ids of the rows to look at, None for all.
    """
    rows = _with_documents(context)
    rows = rows if among is None else rows.filter(pk__in=among)
    match context.source.readers:
        case SourceReaders.SOURCE:
            for page in pages_of(rows.filter(_PENDING)):
                fault_point(Fault.SOURCE_BEFORE_ACCESS)
                _fetch_and_store_access(context, page)
        case SourceReaders.EVERYONE:
            for page in pages_of(rows.filter(_NEVER)):
                _set_readers(context, page, [EVERYONE])
        case SourceReaders.MANAGERS:
            for page in pages_of(rows.filter(_NEVER)):
                _set_readers(context, page, [])


def sync_access_of(context: RunContext, among: Collection[int]) -> None:
    """Set the access of the documents of these rows before they get new content, if their source decides.

    Raises the source's errors: content with unknown readers must not be fetched.
    """
    if context.source.readers == SourceReaders.SOURCE:
        for page in pages_of(_with_documents(context).filter(pk__in=among)):
            _fetch_and_store_access(context, page)


def pages_of(rows: SourceItemQuerySet, size: int = BATCH_SIZE) -> Iterator[list[SourceItem]]:
    """Yield the rows in batches. Each is loaded after the previous one was processed."""
    last = 0
    while page := list(rows.filter(pk__gt=last).order_by("pk")[:size]):
        last = page[-1].pk
        yield page


def _with_documents(context: RunContext) -> SourceItemQuerySet:
    rows = SourceItem.objects.filter(source=context.source, document__isnull=False, excluded=False)
    return rows.filter(document__deleted_at=None)


def _fetch_and_store_access(context: RunContext, rows: Sequence[SourceItem]) -> None:
    """Fetch who may read these items from the source, and store it.

    Items that the source doesn't return are restricted to managers.

    A document whose content isn't the listed version is opened to nobody new: the earlier content may have
    been meant for fewer people.
    """
    outdated = find_outdated(rows)
    by_id: dict[str, UUID] = {row.external_id: row.document_id for row in rows if row.document_id}
    missing = SourceAccess(unknown=CodedMessage("source_item_missing"))
    accesses = dict.fromkeys(by_id.values(), missing)
    listed = context.connection.list_access([item_of(row) for row in rows])
    for external_id, access in context.renewing(listed):
        if external_id in by_id:
            is_outdated = access.outdated or by_id[external_id] in outdated
            accesses[by_id[external_id]] = replace(access, outdated=is_outdated)
    with context.unchanged_readers():
        context.counts["access_changed"] += set_source_access(context.source.id, accesses)
        outdated = {document for document, access in accesses.items() if access.outdated}
        _mark_synced([row for row in rows if row.document_id not in outdated])
        SourceItem.objects.filter(source=context.source, document__in=outdated).update(
            synced_access_version=""
        )
    context.counts["access_checked"] += len(rows)


def find_outdated(rows: Sequence[SourceItem]) -> set[UUID]:
    """Return the documents whose searchable content isn't that of the listed item."""
    documents = Document.objects.filter(pk__in=[row.document_id for row in rows]).exclude(active_version=None)
    processing = set(documents.exclude(latest_version=F("active_version")).values_list("pk", flat=True))
    return {
        row.document_id
        for row in rows
        if row.document_id
        and (row.error or row.synced_version != row.version or row.document_id in processing)
    }


def _set_readers(context: RunContext, rows: Sequence[SourceItem], readers: Sequence[str]) -> None:
    """Open documents to everyone, or restrict them to managers."""
    for row in rows:
        context.renew()
        if row.document and row.document.narrowed == bool(readers):
            with context.unchanged_readers():
                readers_replace(document=row.document, readers=readers, actor=context.principal.actor)
                _mark_synced([row])
    with context.unchanged_readers():
        _mark_synced(rows)


def _mark_synced(rows: Sequence[SourceItem]) -> None:
    """Record that the access of these rows is up to date with the listing."""
    stale = [row for row in rows if row.synced_access_version != (row.access_version or SYNCED)]
    for row in stale:
        row.synced_access_version = row.access_version or SYNCED
    SourceItem.objects.bulk_update(stale, ["synced_access_version"])
