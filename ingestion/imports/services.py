"""Imports of many files, with a summary of their progress."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Count, F, Max, Min, Q, Sum
from django.utils import timezone
from django.utils.translation import gettext_noop

from cairn.access.models import Role
from cairn.access.permissions import documents_for, roles_in
from cairn.access.scope import Principal
from cairn.access.selectors import require_role
from cairn.audit.services import record
from cairn.errors import CairnError, Conflict
from cairn.library.models import MAX_NESTING_DEPTH, Document, DocumentVersion, KnowledgeBase
from cairn.messages import CodedMessage
from ingestion.imports.progress import Progress, RunningJob, measure_progress, running_jobs, weight_sums
from ingestion.jobs.lifecycle import cancel_all
from ingestion.models import (
    ENDED,
    RUNNING,
    Import,
    ImportItem,
    ImportKind,
    Job,
    Lane,
    Outcome,
    PartialUpload,
    Stage,
)

IDLE_TIMEOUT: Final = timedelta(minutes=10)
"""An import that receives no files for this long counts as complete."""


class ImportState(StrEnum):
    RECEIVING = "receiving"
    PROCESSING = "processing"
    DONE = "done"
    CANCELLED = "cancelled"


_OVER: Final = frozenset({ImportState.DONE, ImportState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Summary:
    """Progress of an import.

    `files` is the sum of the counts from `queued` on; `chunks` counts those of ready documents. `rate` is in
    files per second, `eta` in seconds; both are None if not known (yet). `progress` is between 0 and 1, by
    passages.
    """

    state: ImportState
    files: int
    queued: int
    processing: int
    ready: int
    failed: int
    cancelled: int
    unchanged: int
    refused: int
    removed: int
    chunks: int
    rate: float | None
    eta: float | None
    progress: float
    updated_at: datetime

    @property
    def over(self) -> bool:
        return self.state in _OVER


def import_open(
    *,
    knowledge_base: KnowledgeBase,
    label: str,
    user: UUID | None,
    kind: ImportKind = ImportKind.FOLDER,
    expected: int | None = None,
    container: DocumentVersion | None = None,
) -> Import:
    """Open an import. `expected` is the number of files to come, if known."""
    with transaction.atomic():
        batch = Import.objects.create(
            knowledge_base=knowledge_base,
            label=label[:255],
            user_id=user,
            kind=kind,
            expected=expected,
            container=container,
        )
        record("import.opened", actor=user, subject=f"import:{batch.id}", kind=kind.value)
    return batch


def import_close(*, batch: Import, unchanged: int = 0) -> Import:
    """Close the import to further files, adding `unchanged` files that the client did not send."""
    closed = Import.objects.filter(pk=batch.pk, closed_at=None)
    closed.update(closed_at=timezone.now(), unchanged=F("unchanged") + unchanged)
    batch.refresh_from_db()
    return batch


def import_cancel(*, batch: Import, principal: Principal) -> Import:
    """Cancel an import, including jobs for files embedded in its mails and archives.

    Queued jobs end immediately, running ones at their next check. Raises Conflict if the import is over.
    """
    require_role(principal, batch.knowledge_base, Role.EDITOR)
    with transaction.atomic():
        # A worker that unpacks locks its job while it refers to this row: with no_key, neither waits for the
        # other.
        batch = Import.objects.select_for_update(of=("self",), no_key=True).get(pk=batch.pk)
        if summary(batch).over:
            raise Conflict(gettext_noop("This import has already finished."))
        batch.cancelled_at = batch.closed_at = timezone.now()
        batch.save(update_fields=["cancelled_at", "closed_at"])
        _cancel_jobs(batch)
        record("import.cancelled", actor=principal.actor, subject=f"import:{batch.id}")
    return batch


def _cancel_jobs(batch: Import) -> None:
    """Cancel jobs from the outermost container inwards, so that none created meanwhile is missed.

    Embedded files of a newer version that is not part of this import are left alone. See `levels_in`.
    """
    if batch.container_id:  # its next attempt would take the files out again
        cancel_all(Job.objects.filter(version=batch.container_id))
    cancel_all(Job.objects.filter(items__batch=batch))
    came = batch.items.filter(outcome=Outcome.ACCEPTED, document__latest_version=F("job__version"))
    for depth in range(1, MAX_NESTING_DEPTH + 1):
        inside = {f"version__document{'__parent' * depth}__in": came.values("document")}
        cancel_all(Job.objects.filter(**inside))


def require_takes_files(batch: Import) -> None:
    if Import.objects.filter(pk=batch.pk).exclude(cancelled_at=None).exists():
        raise Conflict(CodedMessage("import_cancelled"))


def item_record(
    *,
    batch: Import,
    source_uri: str,
    outcome: Outcome,
    document: Document | None = None,
    job: Job | None = None,
    code: str = "",
    message: str = "",
) -> None:
    ImportItem.objects.create(
        batch=batch,
        source_uri=source_uri[:1000],
        outcome=outcome,
        document=document,
        job=job,
        code=code[:30],
        message=message,
    )


def item_record_again(*, batch: Import, source_uri: str, document: Document, job: Job) -> None:
    """Record a file whose bytes were already stored: unchanged if ready, otherwise followed by its job.

    A file that was sent twice, because the first response got lost, is one item.
    """
    if batch.items.filter(job=job).exists():
        return
    outcome = Outcome.UNCHANGED if job.stage == Stage.READY else Outcome.ACCEPTED
    item_record(batch=batch, source_uri=source_uri, outcome=outcome, document=document, job=job)


def item_refused(*, batch: Import, source_uri: str, error: CairnError) -> None:
    item_record(
        batch=batch, source_uri=source_uri, outcome=Outcome.REFUSED, code=error.code, message=error.message
    )


def imports_of(jobs: Sequence[Job]) -> dict[UUID, UUID]:
    """Return the latest import of each job, by job id."""
    many = [job.pk for job in jobs if job.lane == Lane.BULK]
    if not many:
        return {}
    rows = ImportItem.objects.filter(job__in=many).order_by("id")
    return {job: batch for job, batch in rows.values_list("job", "batch") if job}


def summary(batch: Import) -> Summary:
    return summaries([batch])[batch.id]


_ACCEPTED: Final = Q(outcome=Outcome.ACCEPTED)
# A job that had ended before says nothing of how fast this import goes.
_WORKED_ON: Final = _ACCEPTED & Q(
    job__stage__in=(Stage.READY, Stage.FAILED), job__started_at__gte=F("batch__created_at")
)


def _count(*conditions: Q, **fields: Any) -> Count:
    return Count("id", filter=Q(*conditions, **fields))


def summaries(batches: Iterable[Import], principal: Principal | None = None) -> dict[UUID, Summary]:
    """Return summaries by import id, in a fixed number of queries.

    For imports of other users, counts are limited to documents the principal may read, unless they manage the
    knowledge base. Without a principal everything is counted. The state is always that of the whole import.
    """
    by_id = {batch.id: batch for batch in batches}
    counting = _visible_items(list(by_id.values()), principal) if principal else Q()
    counted = _count_items(by_id, counting)
    whole = _count_items(by_id, Q()) if counting else counted
    arriving, running = _last_part_times(by_id), running_jobs(counting, by_id)
    return {
        identity: _summary(
            batch,
            counted.get(identity, {}),
            whole.get(identity, {}),
            arriving.get(identity),
            running.get(identity, []),
        )
        for identity, batch in by_id.items()
    }


def _count_items(batch_ids: Iterable[UUID], counting: Q) -> dict[UUID, Mapping[str, Any]]:
    rows = (
        ImportItem.objects.filter(counting, batch__in=list(batch_ids))
        .order_by()
        .values("batch")
        .annotate(
            files=Count("id"),
            accepted=_count(_ACCEPTED),
            queued=_count(_ACCEPTED, job__stage=Stage.QUEUED),
            processing=_count(_ACCEPTED, job__stage__in=RUNNING),
            ready=_count(_ACCEPTED, job__stage=Stage.READY),
            failed=_count(_ACCEPTED, job__stage=Stage.FAILED),
            cancelled=_count(_ACCEPTED, job__stage=Stage.CANCELLED),
            unchanged=_count(outcome=Outcome.UNCHANGED),
            refused=_count(outcome=Outcome.REFUSED),
            chunks=Sum("job__version__chunk_count", filter=_ACCEPTED & Q(job__stage=Stage.READY)),
            came=Max("created_at"),
            worked_on=_count(_WORKED_ON),
            began=Min("job__started_at", filter=_WORKED_ON),
            ended=Max("job__updated_at", filter=Q(job__stage__in=ENDED)),
            **weight_sums(_ACCEPTED, _WORKED_ON),
        )
    )
    return {row["batch"]: row for row in rows}


def _last_part_times(batches: Iterable[UUID]) -> dict[UUID, datetime]:
    """Return when the last part of a resumable upload arrived, by import."""
    rows = PartialUpload.objects.open().filter(batch__in=list(batches)).order_by()
    return {row["batch"]: row["at"] for row in rows.values("batch").annotate(at=Max("updated_at"))}


def _visible_items(batches: Sequence[Import], principal: Principal) -> Q:
    """Build the filter for items the principal may count: all for managers and the import's own user."""
    roles = roles_in(principal)

    def whole(batch: Import) -> bool:
        return batch.user_id == principal.user or roles.get(batch.knowledge_base_id) == Role.MANAGER

    in_part = [batch for batch in batches if not whole(batch)]
    if not in_part:
        return Q()
    bases = {batch.knowledge_base_id for batch in in_part}
    return ~Q(batch__in=in_part) | Q(document__in=documents_for(principal).filter(knowledge_base__in=bases))


_COUNTS: Final = ("queued", "processing", "ready", "failed", "cancelled", "unchanged", "refused")


def _summary(
    batch: Import,
    row: Mapping[str, Any],
    whole: Mapping[str, Any],
    arriving: datetime | None,
    running: Sequence[RunningJob],
) -> Summary:
    counts = {name: row.get(name, 0) for name in _COUNTS}
    # Documents without a job were deleted after they had been submitted.
    removed = row.get("files", 0) - sum(counts.values())
    counts["unchanged"] += batch.unchanged
    came = _last_arrival(batch, row, arriving)
    files, state = (
        row.get("files", 0) + batch.unchanged,
        _state(batch, whole, _last_arrival(batch, whole, arriving)),
    )
    progress = _progress(batch, row, running, state, files)
    return Summary(
        state=state,
        files=files,
        removed=removed,
        chunks=row.get("chunks") or 0,
        rate=_rate(row),
        eta=progress.eta,
        progress=progress.done,
        updated_at=max(came, row.get("ended") or came),
        **counts,
    )


def _progress(
    batch: Import, row: Mapping[str, Any], running: Sequence[RunningJob], state: ImportState, files: int
) -> Progress:
    if state in _OVER:
        return Progress(1.0, None)
    missing = max((batch.expected or 0) - files, 0) if state == ImportState.RECEIVING else 0
    return measure_progress(row, running, files=row.get("accepted", 0), missing=missing)


def _last_arrival(batch: Import, row: Mapping[str, Any], arriving: datetime | None) -> datetime:
    last: datetime | None = row.get("came")
    return max(filter(None, (batch.created_at, last, arriving)))


def _rate(row: Mapping[str, Any]) -> float | None:
    began, ended = row.get("began"), row.get("ended")
    if not began or not ended or ended <= began:
        return None
    return round(row["worked_on"] / (ended - began).total_seconds(), 3) or None


def _state(batch: Import, whole: Mapping[str, Any], came: datetime) -> ImportState:
    files = whole.get("files", 0) + batch.unchanged
    complete = batch.expected is not None and files >= batch.expected
    quiet = abs(timezone.now() - came) > IDLE_TIMEOUT  # a file from tomorrow came by a clock that is wrong
    if not (batch.closed_at or complete or quiet):
        return ImportState.RECEIVING
    if whole.get("queued") or whole.get("processing"):
        return ImportState.PROCESSING
    return ImportState.CANCELLED if batch.cancelled_at else ImportState.DONE
