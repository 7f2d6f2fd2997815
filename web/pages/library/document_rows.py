"""Documents as shown in the library."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext, gettext_lazy

from cairn.library.models import Document, DocumentVersion, VersionState
from ingestion.models import Job, Stage
from web.i18n.localize import localize

STATUSES = (
    ("ready", gettext_lazy("Ready")),
    ("queued", gettext_lazy("Waiting")),
    ("processing", gettext_lazy("Processing")),
    ("failed", gettext_lazy("Failed")),
)
LABELS = dict(STATUSES)


@dataclass(frozen=True, slots=True)
class DocumentRow:
    id: UUID
    title: str
    status: str
    source_uri: str
    filename: str
    pages: int | None
    chunks: int
    updated_at: datetime
    error_code: str
    error_message: str
    pending_line: str
    job: UUID | None
    moving: bool
    retryable: bool
    narrowed: bool
    suspicious: int

    @property
    def status_label(self) -> str:
        return str(LABELS.get(self.status, self.status))

    @property
    def cancellable(self) -> bool:
        return self.moving and self.job is not None


def document_rows(documents: Iterable[Document], jobs: dict[UUID, Job]) -> list[DocumentRow]:
    """Build rows. `jobs` are by version."""
    return [document_row(document, jobs.get(_latest_id(document))) for document in documents]


def document_row(document: Document, job: Job | None) -> DocumentRow:
    version, pending = document.shown_version, document.pending_version
    failed = version if version and document.status == VersionState.FAILED else None
    return DocumentRow(
        id=document.id,
        title=document.title,
        status=document.status,
        source_uri=document.source_uri,
        filename=version.filename if version else "",
        pages=version.pages if version else None,
        chunks=version.chunk_count if version else 0,
        updated_at=version.created_at if version else document.updated_at,
        error_code=failed.error_code if failed else "",
        error_message=localize(failed.error_message) if failed else "",
        pending_line=_pending_line(pending),
        job=job.id if job else None,
        moving=job is not None and not job.ended,
        retryable=job is not None and job.stage in {Stage.FAILED, Stage.CANCELLED},
        narrowed=document.narrowed,
        suspicious=len(version.report.get("suspicious", ())) if version else 0,
    )


def jobs_of(documents: Sequence[Document]) -> dict[UUID, Job]:
    """Return jobs of the documents' latest versions, by version."""
    jobs = Job.objects.filter(version__in=[_latest_id(document) for document in documents])
    return {job.version_id: job for job in jobs}


def _latest_id(document: Document) -> Any:
    return document.latest_version_id


def _pending_line(pending: DocumentVersion | None) -> str:
    if pending is None:
        return ""
    if pending.state == VersionState.FAILED:
        line = gettext("Version {number} failed; the previous version is still used. {why}")
        return line.format(number=pending.number, why=localize(pending.error_message))
    line = gettext("Version {number} is being processed; the previous version is used until then.")
    return line.format(number=pending.number)
