"""Getters for sources, the state of their schedules, and their items."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Q
from django.db.models.functions import Now

from cairn.access.models import Role
from cairn.access.permissions import knowledge_bases_for
from cairn.access.scope import Principal
from cairn.access.selectors import get_or_not_found
from cairn.library.models import Document, DocumentQuerySet
from ingestion.models import (
    ITEM_STATES,
    Source,
    SourceItem,
    SourceItemQuerySet,
    SourceItemState,
    SourceQuerySet,
    SourceSchedule,
    SourceTask,
)
from ingestion.sources.lease import is_running, next_run


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """A task of a source. `age` is how many seconds ago it last succeeded, None if it never did.

    `next_at` is None if the task runs as soon as a worker is free, or the source is paused. `error` is the
    problem of the last run if `failures` isn't 0, and a warning otherwise.
    """

    task: SourceTask
    every_seconds: int
    running: bool
    requested: bool
    started_at: datetime | None
    finished_at: datetime | None
    succeeded_at: datetime | None
    age: float | None
    next_at: datetime | None
    failures: int
    result: dict[str, Any]
    error: str


@dataclass(frozen=True, slots=True)
class ItemCounts:
    synced: int
    pending: int
    failed: int
    excluded: int

    @property
    def all(self) -> int:
        return self.synced + self.pending + self.failed + self.excluded


def sources_for(principal: Principal) -> SourceQuerySet:
    """Sources of the knowledge bases that the principal manages."""
    managed = knowledge_bases_for(principal, role=Role.MANAGER)
    return (
        Source.objects.present().filter(knowledge_base__in=managed).select_related("knowledge_base", "user")
    )


def source_for(principal: Principal, value: object) -> Source:
    return get_or_not_found(sources_for(principal), value)


def schedules_of(source: Source) -> list[ScheduleState]:
    rows = SourceSchedule.objects.filter(source=source).annotate(now=Now())
    found = {row.task: _schedule_state(row, source) for row in rows}
    return [found[task] for task in SourceTask if task in found]


def _schedule_state(row: SourceSchedule, source: Source) -> ScheduleState:
    now: datetime = row.now  # type: ignore[attr-defined]
    succeeded = row.succeeded_at
    return ScheduleState(
        task=SourceTask(row.task),
        every_seconds=row.every_seconds,
        running=is_running(row, now),
        requested=row.requested_at is not None,
        started_at=row.started_at,
        finished_at=row.finished_at,
        succeeded_at=succeeded,
        age=max(0.0, (now - succeeded).total_seconds()) if succeeded else None,
        next_at=next_run(row, now) if source.enabled else None,
        failures=row.failures,
        result=row.result,
        error=row.error,
    )


def item_counts(source: Source) -> ItemCounts:
    counts = {state.value: Count("pk", filter=ITEM_STATES[state]) for state in SourceItemState}
    return ItemCounts(**SourceItem.objects.filter(source=source).aggregate(**counts))


def list_source_documents(source: Source) -> DocumentQuerySet:
    items = SourceItem.objects.filter(source=source, document__isnull=False)
    return Document.objects.filter(pk__in=items.values("document"))


def items_of(
    source: Source, *, state: SourceItemState | None = None, containing: str = ""
) -> SourceItemQuerySet:
    """Items of a source, such as the failed ones with their reasons."""
    rows = SourceItem.objects.filter(source=source).select_related("document")
    rows = rows.with_state(state) if state else rows
    matches = Q(name__icontains=containing) | Q(uri__icontains=containing)
    return rows.filter(matches) if containing else rows
