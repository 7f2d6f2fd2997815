"""Store the items that a source lists, in batches, and find those that are gone."""

import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Left

from cairn.messages import CodedMessage
from ingestion.failpoints import Fault, fault_point
from ingestion.models import SourceItem, SourceItemQuerySet
from ingestion.sources.protocol import Complete, Gone, Item, Progress, SourceUnavailable, Unlisted
from ingestion.sources.sync.context import RunContext
from ingestion.sources.sync.items import (
    LISTED_FIELDS,
    fields_of,
    is_storable,
    unstorable_fields,
    unstorable_id,
)
from ingestion.sources.sync.renaming import apply_names

BATCH_SIZE: Final = 500
IDLE_LIMIT: Final = timedelta(hours=6)
"""A listing that yields nothing but progress for so long never ends."""
LISTING_LIMIT: Final = timedelta(hours=24)
MAX_REMOVED: Final = 100
"""More documents are only removed in one run if at least as many stay, or if a manager confirmed it."""
_NAMED: Final = 3
_HAS_DOCUMENT: Final = Q(document__isnull=False, document__deleted_at=None)


@dataclass(slots=True)
class Listing:
    """A listing of a source. `seen` counts the items listed; `gone` are ids; `unlisted` are reasons by
    container."""

    context: RunContext
    token: uuid.UUID = field(default_factory=uuid.uuid4)
    batch: dict[str, Item] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    unlisted: dict[str, str] = field(default_factory=dict)
    seen: int = 0

    def run(self) -> Complete:
        """Store everything that the source lists. Raises SourceUnavailable unless the listing is complete."""
        complete = self._consume()
        self._flush()
        if complete is None:
            raise SourceUnavailable(CodedMessage("source_incomplete"))
        if complete.full:
            self._protect_unlisted()
        self._require_few_vanished(full=complete.full)
        return complete

    def _consume(self) -> Complete | None:
        context = self.context
        began = productive = context.clock()
        for change in context.renewing(context.connection.list_changes(context.source.cursor)):
            now = context.clock()
            if isinstance(change, Complete):
                return change
            if isinstance(change, Progress):
                _require_end_within(now - productive, IDLE_LIMIT)
                continue
            productive = now
            _require_end_within(now - began, LISTING_LIMIT)
            self._add(change)
        return None

    def _add(self, change: Item | Gone | Unlisted) -> None:
        match change:
            case Item():
                self.seen += 1
                self.gone.discard(change.id)
                self.batch.setdefault(change.id, change)
                if len(self.batch) >= BATCH_SIZE:
                    self._flush()
            case Gone():
                self.batch.pop(change.id, None)
                self.gone.add(change.id)
            case Unlisted():
                self.unlisted.setdefault(change.container, change.reason)

    def _flush(self) -> None:
        items, self.batch = self.batch, {}
        storable = {identity: fields_of(item) for identity, item in items.items() if is_storable(item)}
        refused = [item for item in items.values() if not is_storable(item)]
        storable |= {unstorable_id(item): unstorable_fields(item) for item in refused}
        if storable:
            self.context.lease.require()
            with transaction.atomic():
                self._store(storable)
            fault_point(Fault.SOURCE_WHILE_LISTING)

    def _store(self, listed: dict[str, dict[str, object]]) -> None:
        """Insert and update the rows of some items. Of two with the same id, the first one counts."""
        source = self.context.source
        rows = SourceItem.objects.filter(source=source, external_id__in=listed)
        known = {row.external_id: row for row in rows.select_related("document")}
        self._insert({identity: fields for identity, fields in listed.items() if identity not in known})
        changed, same = list[SourceItem](), list[int]()
        for row in known.values():
            if row.listing == self.token:
                continue
            if _differs(row, listed[row.external_id]):
                self._change(row, listed[row.external_id])
                changed.append(row)
            else:
                same.append(row.pk)
        SourceItem.objects.filter(pk__in=same).update(listing=self.token)
        SourceItem.objects.bulk_update(changed, [*LISTED_FIELDS, "synced_version", "error", "listing"])

    def _insert(self, listed: dict[str, dict[str, object]]) -> None:
        source, self.context.counts["new"] = self.context.source, self.context.counts["new"] + len(listed)
        SourceItem.objects.bulk_create(
            SourceItem(source=source, external_id=identity, listing=self.token, **fields)
            for identity, fields in listed.items()
        )

    def _change(self, row: SourceItem, fields: dict[str, object]) -> None:
        if row.version != fields["version"]:
            row.error = ""
            self.context.counts["changed"] += 1
        renamed = (row.name, row.title, row.uri) != (fields["name"], fields["title"], fields["uri"])
        before = row.name
        for name, value in fields.items():
            setattr(row, name, value)
        row.listing = self.token
        if renamed:
            apply_names(row, before=before, principal=self.context.principal)
            self.context.counts["renamed"] += 1

    def vanished_pages(self, *, full: bool) -> Iterator[SourceItemQuerySet]:
        """Rows whose items are gone, in batches: those reported as gone, and those missing from a full
        listing."""
        rows = SourceItem.objects.filter(source=self.context.source)
        if full:
            yield self._missing()
            rows = rows.filter(listing=self.token)
        gone = sorted(self.gone)
        for start in range(0, len(gone), BATCH_SIZE):
            yield rows.filter(external_id__in=gone[start : start + BATCH_SIZE])

    def _missing(self) -> SourceItemQuerySet:
        return SourceItem.objects.filter(source=self.context.source).exclude(listing=self.token)

    def _protect_unlisted(self) -> None:
        """Treat items in containers that could not be listed as listed."""
        for container in self.unlisted:
            self.context.renew()
            inside = _inside(self._missing(), container)
            inside.update(listing=self.token)

    def _require_few_vanished(self, *, full: bool) -> None:
        """Raise SourceUnavailable if nothing would be left, or most would be removed: a disk may be missing.

        Only documents count, since an earlier run that stopped here has stored the rows of new items.
        """
        count = sum(rows.filter(_HAS_DOCUMENT).count() for rows in self.vanished_pages(full=full))
        if not count:
            return
        total = SourceItem.objects.filter(_HAS_DOCUMENT, source=self.context.source).count()
        if not self.seen and (full or count == total):
            raise SourceUnavailable(CodedMessage("source_empty"))
        if count > MAX_REMOVED and 2 * count > total and not self.context.source.removal_confirmed:
            raise SourceUnavailable(CodedMessage("source_shrunk", count=count, total=total))

    def warning(self) -> str:
        return describe_unlisted(self.unlisted)


def describe_unlisted(containers: Collection[str]) -> str:
    """Say which containers could not be listed, "" if all were."""
    if not containers:
        return ""
    named = ", ".join(f"“{name or '/'}”" for name in list(containers)[:_NAMED])
    more = len(containers) - _NAMED
    if more > 0:
        return CodedMessage("source_unlisted_more", folders=named, count=more)
    return CodedMessage("source_unlisted", folders=named)


def _inside(rows: SourceItemQuerySet, container: str) -> SourceItemQuerySet:
    """Return the rows in a container or in one below it, compared case-sensitively."""
    if not container:
        return rows
    prefix = f"{container}/"
    return rows.annotate(head=Left("container", len(prefix))).filter(Q(container=container) | Q(head=prefix))


def _differs(row: SourceItem, fields: dict[str, object]) -> bool:
    return any(getattr(row, name) != value for name, value in fields.items())


def _require_end_within(seconds: float, limit: timedelta) -> None:
    if seconds > limit.total_seconds():
        hours = round(limit.total_seconds() / 3600)
        raise SourceUnavailable(CodedMessage("source_endless", hours=hours))
