"""Documents as the library shows them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.template.defaultfilters import filesizeformat

from cairn.library.models import Document, DocumentVersion, VersionState
from ingestion.models import Job, Stage

STATUSES = (
    ("ready", "Ready"),
    ("queued", "Waiting"),
    ("processing", "Being read"),
    ("failed", "Failed"),
)
LABELS = dict(STATUSES)
TYPES = {
    "application/pdf": "PDF",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "Word",
    "text/markdown": "Markdown",
    "text/html": "HTML",
    "text/plain": "Text",
    "text/csv": "CSV",
}


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

    @property
    def status_label(self) -> str:
        return LABELS.get(self.status, self.status)

    @property
    def cancellable(self) -> bool:
        return self.moving and self.job is not None


@dataclass(frozen=True, slots=True)
class Fact:
    label: str
    value: str


def document_rows(documents: Iterable[Document], jobs: dict[UUID, Job]) -> list[DocumentRow]:
    """`jobs` by version."""
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
        error_message=failed.error_message if failed else "",
        pending_line=_pending_line(pending),
        job=job.id if job else None,
        moving=job is not None and not job.ended,
        retryable=job is not None and job.stage in {Stage.FAILED, Stage.CANCELLED},
        narrowed=document.narrowed,
    )


def jobs_of(documents: Sequence[Document]) -> dict[UUID, Job]:
    """The job of each document's latest version, by version."""
    jobs = Job.objects.filter(version__in=[_latest_id(document) for document in documents])
    return {job.version_id: job for job in jobs}


def _latest_id(document: Document) -> Any:
    return document.latest_version_id


def _pending_line(pending: DocumentVersion | None) -> str:
    if pending is None:
        return ""
    if pending.state == VersionState.FAILED:
        return f"Version {pending.number} failed; the one before it still answers. {pending.error_message}"
    return f"Version {pending.number} is on its way; the one before it answers until then."


def document_facts(document: Document) -> list[Fact]:
    version = document.shown_version
    facts = [
        ("Type", TYPES.get(version.media_type, version.media_type) if version else ""),
        ("Size", str(filesizeformat(version.size)).replace("\xa0", " ") if version else ""),
        ("Pages", str(version.pages or "") if version else ""),
        ("Passages", str(version.chunk_count or "") if version else ""),
        ("Version", str(version.number) if version else ""),
        ("Language", (version.language or "") if version else ""),
        ("Added", f"{document.created_at:%-d %b %Y}"),
        ("Owner", document.owner.username if document.owner else ""),
        ("To be reviewed by", f"{document.review_by:%-d %b %Y}" if document.review_by else ""),
        ("Source", document.source_uri),
    ]
    return [Fact(label, value) for label, value in facts if value]


def document_warnings(document: Document) -> list[str]:
    """What the parser could not do, in sentences."""
    version = document.shown_version
    report: dict[str, Any] = version.report if version else {}
    warnings = [str(item) for item in report.get("warnings", ())]
    if pages := report.get("pages_without_text"):
        warnings.append(f"No text was found on {_pages(pages)}. Scanned pages need text recognition first.")
    if report.get("truncated"):
        warnings.append("The document is longer than is read; its end cannot be found.")
    return warnings


def _pages(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:12])
    more = f" and {len(numbers) - 12} more" if len(numbers) > 12 else ""
    return f"page{'' if len(numbers) == 1 else 's'} {shown}{more}"
