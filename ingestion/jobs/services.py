"""Retry and cancel jobs, one or many."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_noop

from cairn.access.models import Role
from cairn.access.permissions import knowledge_bases_for
from cairn.access.scope import Principal
from cairn.access.selectors import require_role
from cairn.audit.services import record
from cairn.errors import Conflict, Rejection
from cairn.library.models import Document, DocumentVersion, VersionState
from ingestion import broker
from ingestion.jobs.fair_queue import lane_for, next_ticket
from ingestion.jobs.lifecycle import cancel_all, end_cancelled
from ingestion.models import Job, JobQuerySet, Lane, Stage
from ingestion.selectors import jobs_for

_BATCH_SIZE: Final = 500
_MAX_WAKEUPS: Final = 16


@dataclass(frozen=True, slots=True)
class RetryResult:
    """Counts of a bulk retry.

    `skipped` jobs were selected but had not failed, were superseded by a newer version, or may not be edited.
    """

    retried: int
    skipped: int


def job_retry(*, job: Job, principal: Principal, lane: Lane | None = None) -> Job:
    """Retry a job. Raises Conflict unless it failed or was cancelled, and no newer version exists."""
    require_role(principal, job.version.document.knowledge_base, Role.EDITOR)
    with transaction.atomic():
        job = _lock_jobs(Job.objects.filter(pk=job.pk))[0]
        if job.stage not in {Stage.FAILED, Stage.CANCELLED}:
            raise Conflict(gettext_noop("Only failed or cancelled jobs can be retried."))
        if _is_superseded(job):
            raise Conflict(gettext_noop("A newer version of this document has been uploaded."))
        if _container_failed(job):
            raise Conflict(gettext_noop("The containing email or archive failed. Retry that instead."))
        _requeue([job], lane or lane_for(principal.user), principal)
        record("job.retried", actor=principal.actor, subject=f"job:{job.id}")
        job.refresh_from_db(fields=["stage_since", "updated_at"])
        transaction.on_commit(lambda: broker.wake_worker(Lane(job.lane)), robust=True)
    return job


def jobs_retry(
    *,
    principal: Principal,
    code: str | None = None,
    knowledge_base: UUID | None = None,
    batch: UUID | None = None,
    jobs: Sequence[UUID] | None = None,
) -> RetryResult:
    """Retry all failed jobs that match the filters.

    Cancelled jobs are included only if `code` is "cancelled" or `jobs` names them.
    """
    stages = [Stage.FAILED]
    if jobs is not None or code == Rejection.CANCELLED:
        stages.append(Stage.CANCELLED)
    filters = {
        "version__error_code": code,
        "version__document__knowledge_base": knowledge_base,
        "items__batch": batch,
        "pk__in": jobs,
    }
    narrowed = {name: value for name, value in filters.items() if value is not None}
    editable = {"version__document__knowledge_base__in": knowledge_bases_for(principal, role=Role.EDITOR)}
    rows = jobs_for(principal).filter(stage__in=stages, **narrowed).filter(**editable)
    found = list(rows.order_by("created_at", "id").values_list("id", flat=True).distinct())
    lane = Lane.INTERACTIVE if len(found) == 1 else Lane.BULK
    parts = [found[start : start + _BATCH_SIZE] for start in range(0, len(found), _BATCH_SIZE)]
    retried = sum(_retry_batch(part, stages, lane, principal, narrowed) for part in parts)
    return RetryResult(retried, len(found if jobs is None else set(jobs)) - retried)


def _retry_batch(
    ids: Sequence[UUID], stages: Sequence[Stage], lane: Lane, principal: Principal, filters: dict[str, Any]
) -> int:
    with transaction.atomic():
        rows = _lock_jobs(Job.objects.filter(pk__in=ids, stage__in=stages).order_by("created_at", "id"))
        again = [job for job in rows if not (_is_superseded(job) or _container_failed(job))]
        if not again:
            return 0
        _requeue(again, lane, principal)
        record(
            "jobs.retried", actor=principal.actor, jobs=len(again), code=filters.get("version__error_code")
        )
        wake = min(len(again), _MAX_WAKEUPS)
        transaction.on_commit(lambda: _wake(lane, wake), robust=True)
    return len(again)


def _lock_jobs(rows: JobQuerySet) -> list[Job]:
    return list(
        rows.select_for_update(of=("self",)).select_related("version__document__parent__latest_version")
    )


def _is_superseded(job: Job) -> bool:
    return job.version.document.latest_version_id != job.version_id


def _container_failed(job: Job) -> bool:
    """Return whether the job's container has failed; retrying that also restarts its embedded files."""
    container = job.version.document.parent
    latest = container.latest_version if container else None
    if latest is None or latest.state != VersionState.FAILED:
        return False
    return latest.created_at <= job.version.created_at


def _requeue(jobs: Sequence[Job], lane: Lane, principal: Principal) -> None:
    """Requeue jobs as if the principal had just submitted them."""
    first = next_ticket(lane, principal.user)
    for number, job in enumerate(jobs):
        job.user_id, job.lane, job.turn = principal.user, lane, first + number
        job.stage, job.done, job.total, job.attempts = Stage.QUEUED, 0, 0, 0
        job.cancel_requested, job.lease, job.lease_until, job.not_before = False, None, None, None
        job.last_error = ""
        job.version.state = VersionState.QUEUED
        job.version.error_code = job.version.error_message = ""
    Job.objects.bulk_update(jobs, _REQUEUED)
    Job.objects.filter(pk__in=[job.pk for job in jobs]).update(stage_since=Now(), updated_at=Now())
    versions = DocumentVersion.objects.filter(pk__in=[job.version_id for job in jobs])
    versions.update(state=VersionState.QUEUED, error_code="", error_message="")


_REQUEUED: Final = (
    "user", "lane", "turn", "stage", "done", "total", "attempts", "cancel_requested", "lease", "lease_until",
    "not_before", "last_error",
)  # fmt: skip


def _wake(lane: Lane, times: int) -> None:
    for _ in range(times):
        broker.wake_worker(lane, again=True)


def job_cancel(*, job: Job, principal: Principal) -> Job:
    """Cancel a job and those of its embedded files. Raises Conflict if it has ended.

    A queued job ends immediately, a running one at its next check.
    """
    require_role(principal, job.version.document.knowledge_base, Role.EDITOR)
    with transaction.atomic():
        job = _lock_jobs(Job.objects.filter(pk=job.pk))[0]
        if job.ended:
            raise Conflict(gettext_noop("This job has already finished."))
        job.cancel_requested = True
        job.save(update_fields=["cancel_requested", "updated_at"])
        if job.stage == Stage.QUEUED or Job.objects.dropped().filter(pk=job.pk).exists():
            end_cancelled(job)
            job.refresh_from_db(fields=["stage", "stage_since", "lease", "lease_until", "updated_at"])
        for inside in Document.objects.levels_in(job.version.document):
            cancel_all(Job.objects.filter(version__document__in=inside))
        record("job.cancelled", actor=principal.actor, subject=f"job:{job.id}")
    return job
