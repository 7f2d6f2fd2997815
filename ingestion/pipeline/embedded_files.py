"""Embedded files: mail attachments and archive members become documents of their own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Final

from django.core.files.base import ContentFile
from django.db.models import Sum

from cairn.access.principals import principal_for_background_work
from cairn.access.scope import Principal
from cairn.errors import CairnError, DocumentRejected, Forbidden, InvalidInput, NotFound, Rejection
from cairn.library.models import MAX_NESTING_DEPTH, Document, DocumentVersion
from cairn.library.rendition import Rendition
from cairn.messages import CodedMessage
from ingestion import broker
from ingestion.documents.services import document_delete
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import EmbeddedFile, Upload
from ingestion.imports.services import import_close, import_open, item_refused
from ingestion.jobs.lifecycle import Lease
from ingestion.models import Import, ImportKind, Job, Lane, Outcome, Stage
from ingestion.parse.core import failures, formats

Read = Callable[[int], bytes]
"""The content of a part, by its place. Raises DocumentRejected."""

MAX_FILES: Final = 10_000
MAX_BYTES: Final = 2 << 30
"""What may come out of one upload, at whatever depth."""
_MAX_WARNINGS: Final = 50
_MAX_WAKEUPS: Final = 16
_MAX_SOURCE_LENGTH: Final = 1000


@dataclass(frozen=True, slots=True)
class UnpackResult:
    """The outcome of unpacking one container version.

    `sources` are the source URIs of its parts, or None if a newer version has already submitted its own.
    """

    sources: frozenset[str] | None = frozenset()
    warnings: tuple[str, ...] = ()


class Superseded(CairnError):
    """A newer version of the container has been parsed, and its parts replace this version's."""


def submit_parts(lease: Lease, parts: Sequence[str], read: Read) -> UnpackResult:
    """Submit a version with a job for each part that is new or has changed. Idempotent.

    Parts that cannot be read are reported in the warnings. Raises what Lease.check() raises.
    """
    version = lease.version
    if not parts and not _has_earlier_children(version):
        return UnpackResult()
    _mark_read(version)
    uploader = version.created_by or version.document.owner
    if uploader is None:
        return UnpackResult(None, (CodedMessage("skipped_uploader"),))
    unpacking = _Unpacking(
        lease, principal_for_background_work(uploader), read, _open_batch(version, len(parts))
    )
    try:
        unpacking.run(parts)
    except Superseded:
        return UnpackResult(None)
    sources = frozenset(source_uri_for(version.document, name) for name in parts)
    return UnpackResult(sources, _limit_warnings(unpacking.warnings))


def add_warnings(rendition: Rendition, contents: UnpackResult) -> Rendition:
    """Return the rendition with the warnings added to its report."""
    warnings = (*rendition.report.warnings, *contents.warnings)
    return replace(rendition, report=replace(rendition.report, warnings=warnings))


def delete_missing(version: DocumentVersion, contents: UnpackResult) -> None:
    """Delete documents that came out of earlier versions only. Call it in the activating transaction."""
    if contents.sources is None or not _has_earlier_children(version) or _is_newer_version_parsed(version):
        return
    uploader = version.created_by or version.document.owner
    if uploader is None:
        return
    batch = Import.objects.filter(container=version).first()
    for child in version.document.children.filter(deleted_at=None):
        if child.source_key not in contents.sources:
            document_delete(document=child, principal=principal_for_background_work(uploader), batch=batch)


def enqueue_jobs(version: DocumentVersion) -> None:
    """Wake workers for jobs that waited for their container. The sweeper repeats lost messages."""
    waiting = Job.objects.due().filter(version__document__parent=version.document_id)
    for lane in Lane:
        for _ in range(min(waiting.filter(lane=lane)[:_MAX_WAKEUPS].count(), _MAX_WAKEUPS)):
            broker.wake_worker(lane, again=True)


def source_uri_for(container: Document, name: str) -> str:
    """Build the source URI of a part. The middle of a long one is replaced by a digest."""
    whole = f"{container.source_uri}/{name}"
    if len(whole) <= _MAX_SOURCE_LENGTH:
        return whole
    digest, half = sha256(whole.encode()).hexdigest()[:16], _MAX_SOURCE_LENGTH // 2 - 10
    return f"{whole[:half]}…{digest}…{whole[-half:]}"


def _mark_read(version: DocumentVersion) -> None:
    """Record the parsed rendition, so that a worker on an older version notices that it was superseded."""
    row = DocumentVersion.objects.filter(pk=version.pk)
    row.update(media_type=version.media_type, rendition=version.rendition)


def _has_earlier_children(version: DocumentVersion) -> bool:
    return version.number > 1 and version.document.children.exists()


def _is_newer_version_parsed(version: DocumentVersion) -> bool:
    newer = DocumentVersion.objects.filter(document=version.document_id, number__gt=version.number)
    return newer.exclude(rendition="").exists()


def _open_batch(version: DocumentVersion, expected: int) -> Import | None:
    """Open one import for an archive's files, or reopen that of an earlier attempt."""
    if version.media_type != formats.ZIP:
        return None
    earlier = Import.objects.filter(container=version)
    if earlier.update(cancelled_at=None, closed_at=None):
        batch = earlier.get()
        batch.items.filter(outcome=Outcome.REFUSED).delete()
        return batch
    return import_open(
        knowledge_base=version.document.knowledge_base,
        label=version.filename,
        user=version.created_by_id,
        kind=ImportKind.ARCHIVE,
        expected=expected,
        container=version,
    )


def _limit_warnings(warnings: Sequence[str]) -> tuple[str, ...]:
    more = len(warnings) - _MAX_WARNINGS
    return (*warnings[:_MAX_WARNINGS], *([CodedMessage("skipped_files", count=more)] if more > 0 else []))


@dataclass(slots=True)
class _Unpacking:
    lease: Lease
    principal: Principal
    read: Read
    batch: Import | None
    warnings: list[str] = field(default_factory=list)
    files: int = 0
    size: int = 0

    def run(self, parts: Sequence[str]) -> None:
        self.lease.enter(Stage.PARSING, total=len(parts))
        self._count_the_rest()
        deep = _depth(self._document) >= MAX_NESTING_DEPTH
        for place, name in enumerate(parts):
            self.lease.progress(place)
            try:
                if deep:
                    raise failures.nested_too_deep(MAX_NESTING_DEPTH)
                self._add(name, self._content(place))
            except (DocumentRejected, InvalidInput, Forbidden) as error:
                self._refuse(name, error)
        if self.batch:
            import_close(batch=self.batch)

    @property
    def _document(self) -> Document:
        return self.lease.version.document

    def _count_the_rest(self) -> None:
        """Count files and bytes from the same upload that are outside this container."""
        for inside in Document.objects.levels_in(self._document.outermost):
            others = inside.filter(deleted_at=None).exclude(parent=self._document)
            self.files += others.count()
            self.size += others.aggregate(sum=Sum("latest_version__size"))["sum"] or 0

    def _content(self, place: int) -> bytes:
        self.files += 1
        if self.files > MAX_FILES:
            raise failures.unsafe_archive("unsafe_files_in_all", number=MAX_FILES)
        content = self.read(place)
        self.size += len(content)
        if self.size > MAX_BYTES:
            raise failures.unsafe_archive("unsafe_size_in_all", number=MAX_BYTES >> 30)
        return content

    def _add(self, name: str, content: bytes) -> None:
        lane = Lane.BULK if self.batch else self.lease.lane
        try:
            document_submit(
                Upload(
                    ContentFile(content),
                    PurePosixPath(name).name,
                    source_uri=source_uri_for(self._document, name),
                    batch=self.batch,
                    part=EmbeddedFile(self._document, lane, self._check),
                ),
                knowledge_base=self._document.knowledge_base,
                principal=self.principal,
            )
        except NotFound as error:
            raise failures.cancelled() from error

    def _check(self) -> None:
        """Raise, within the transaction that adds a part, if the part may no longer be added."""
        container = Document.objects.select_for_update(of=("self",)).filter(pk=self._document.pk).first()
        if container is None or container.deleted_at or self.lease.lock_job().cancel_requested:
            raise failures.cancelled()
        if self.batch and Import.objects.filter(pk=self.batch.pk).exclude(cancelled_at=None).exists():
            raise failures.cancelled()
        if _is_newer_version_parsed(self.lease.version):
            raise Superseded

    def _refuse(self, name: str, error: CairnError) -> None:
        self.lease.check()
        if error.code == Rejection.CANCELLED:
            raise error
        self.warnings.append(CodedMessage("failed_file", name=name, why=error.message))
        if self.batch and not isinstance(error, InvalidInput):  # those are on record already
            item_refused(batch=self.batch, source_uri=source_uri_for(self._document, name), error=error)


def _depth(document: Document) -> int:
    return 1 + _depth(document.parent) if document.parent else 0
