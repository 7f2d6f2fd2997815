"""What people do to documents. Each is one transaction; the work follows on commit."""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import PurePosixPath
from typing import Any

from django.core.files.base import File
from django.db import transaction
from django.utils import timezone

from cairn.access.lookup import as_id
from cairn.access.models import Role
from cairn.access.rules import role_in
from cairn.access.scope import Principal
from cairn.access.services import readers_replace
from cairn.accounts.models import User
from cairn.audit.services import record
from cairn.errors import Conflict, Forbidden, InvalidInput, NotFound, PayloadTooLarge, Rejection
from cairn.library import storage
from cairn.library.models import Document, DocumentVersion, KnowledgeBase, Tag, VersionState
from cairn.settings import environment
from ingestion import queue
from ingestion.lifecycle import end_cancelled
from ingestion.models import IdempotencyKey, Job, Receipt, Stage

IDEMPOTENCY_WINDOW = timedelta(hours=24)
MAX_TAGS = 50
WORTH_ANOTHER_TRY = {
    Rejection.CANCELLED,
    Rejection.EMBEDDING_FAILED,
    Rejection.INDEX_UNAVAILABLE,
    Rejection.PARSER_CRASHED,
    Rejection.TIME_LIMIT,
    Rejection.MEMORY_LIMIT,
}
"""Failures that are not the file's own fault: the same bytes sent again are tried again."""


@dataclass(frozen=True, slots=True)
class Submission:
    document: Document
    job: Job | None
    created_job: bool


@dataclass(frozen=True, slots=True)
class Upload:
    """What an uploader says of a file. None: not said."""

    file: "File[bytes]"
    filename: str
    sha256: str
    title: str | None = None
    source_uri: str | None = None
    metadata: Mapping[str, Any] | None = None
    readers: Sequence[str] | None = None

    @property
    def source_key(self) -> str:
        return self.source_uri or self.filename

    def fingerprint(self, knowledge_base: KnowledgeBase) -> str:
        said = [
            str(knowledge_base.id), self.filename, self.sha256, self.title, self.source_uri,
            self.metadata, self.readers,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def document_submit(
    *,
    knowledge_base: KnowledgeBase,
    file: "File[bytes]",
    filename: str,
    principal: Principal,
    title: str | None = None,
    source_uri: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    readers: Sequence[str] | None = None,
    idempotency_key: str | None = None,
) -> Submission:
    """A new document, a new version of one, or nothing new if the bytes are the same."""
    _check_size(file)
    upload = Upload(
        file, clean_filename(filename), storage.sha256_of(file), title, source_uri, metadata, readers
    )
    version_id = uuid.uuid4()
    saved: list[str] = []
    try:
        with transaction.atomic():
            base = _locked(knowledge_base)
            earlier = _earlier(base, upload, principal, idempotency_key)
            submission = earlier or _submit(base, upload, principal, version_id, saved)
            if idempotency_key and not earlier:
                _remember(base, upload, principal, idempotency_key, submission)
    except BaseException:
        storage.files_delete(*saved)
        raise
    return submission


def _check_size(file: "File[bytes]") -> None:
    limit = environment().upload_max_mb
    if file.size > limit << 20:
        raise PayloadTooLarge(f"Files may have {limit} MB at most; this one has {file.size >> 20} MB.")


def clean_filename(name: str) -> str:
    """The last part of a path, without control characters, 255 characters at most, extension kept."""
    last = PurePosixPath(name.replace("\\", "/")).name
    printable = "".join(c for c in last if c.isprintable()).strip()
    path = PurePosixPath(printable or "document")
    return path.name if len(path.name) <= 255 else path.stem[: 255 - len(path.suffix)] + path.suffix[:250]


def _locked(knowledge_base: KnowledgeBase) -> KnowledgeBase:
    """Uploads into one knowledge base take turns, so that two of one source make two versions."""
    base = KnowledgeBase.objects.select_for_update().filter(pk=knowledge_base.pk, deleted_at=None).first()
    if base is None:
        raise NotFound
    return base


def _earlier(base: KnowledgeBase, upload: Upload, principal: Principal, key: str | None) -> Submission | None:
    """The answer to the same request sent before; Conflict if the key came with another request."""
    if key is None:
        return None
    IdempotencyKey.objects.filter(created_at__lt=timezone.now() - IDEMPOTENCY_WINDOW).delete()
    known = IdempotencyKey.objects.filter(user=principal.user, key=key).first()
    if known is None:
        return None
    if known.fingerprint != upload.fingerprint(base):
        raise Conflict("This Idempotency-Key came with another request before.")
    document = Document.objects.present().with_versions().filter(pk=known.document).first()
    if document is None:
        raise Conflict("The document that this Idempotency-Key made has been deleted.")
    job = Job.objects.filter(pk=known.job).first() if known.job else None
    return Submission(document, job, created_job=job is not None)


def _remember(
    base: KnowledgeBase, upload: Upload, principal: Principal, key: str, submission: Submission
) -> None:
    IdempotencyKey.objects.create(
        user_id=principal.user,
        key=key,
        fingerprint=upload.fingerprint(base),
        document=submission.document.id,
        job=submission.job.id if submission.created_job and submission.job else None,
    )


def _submit(
    base: KnowledgeBase, upload: Upload, principal: Principal, version_id: uuid.UUID, saved: list[str]
) -> Submission:
    present = Document.objects.present().filter(knowledge_base=base)
    document = present.with_versions().filter(source_key=upload.source_key).first()
    if document:
        _require_may_replace(document, principal)
    else:
        document = _document_create(base, upload, principal)
    _apply_said(document, upload, principal)
    latest = document.latest_version
    if latest and latest.sha256 == upload.sha256:
        return _same_bytes(document, latest, principal)
    saved.append(storage.original_save(version_id, upload.file))
    version = _version_create(document, upload, principal, version_id, saved[-1])
    return Submission(document, _enqueue(version), created_job=True)


def _require_may_replace(document: Document, principal: Principal) -> None:
    """An editor whom a narrowed document leaves out must neither see it nor replace it."""
    if not document.narrowed or role_in(principal, document.knowledge_base) == Role.MANAGER:
        return
    if document.readers.filter(user=principal.user).exists():
        return
    if not document.readers.filter(group__in=principal.groups).exists():
        raise Conflict("A document from this source exists that you may not replace. Choose another name.")


def _document_create(base: KnowledgeBase, upload: Upload, principal: Principal) -> Document:
    document = Document.objects.create(
        knowledge_base=base,
        source_key=upload.source_key,
        source_uri=upload.source_uri or upload.filename,
        title=upload.title or upload.filename,
        title_given=upload.title is not None,
        owner_id=principal.user,
    )
    record("document.created", actor=principal.user, subject=f"document:{document.id}")
    return document


def _apply_said(document: Document, upload: Upload, principal: Principal) -> None:
    """What the uploader said counts even when the bytes are known."""
    said: dict[str, Any] = {"title": upload.title, "metadata": upload.metadata, "readers": upload.readers}
    changes = {name: value for name, value in said.items() if value is not None}
    if changes:
        _apply(document, changes, principal)


def _same_bytes(document: Document, latest: DocumentVersion, principal: Principal) -> Submission:
    job = latest.job
    if latest.state == VersionState.FAILED and latest.error_code in WORTH_ANOTHER_TRY:
        return Submission(document, job_retry(job=job, principal=principal), created_job=True)
    return Submission(document, None, created_job=False)


def _version_create(
    document: Document, upload: Upload, principal: Principal, version_id: uuid.UUID, original: str
) -> DocumentVersion:
    version = DocumentVersion.objects.create(
        id=version_id,
        document=document,
        number=document.versions.count() + 1,
        filename=upload.filename,
        original=original,
        size=upload.file.size,
        sha256=upload.sha256,
        created_by_id=principal.user,
    )
    document.latest_version = version
    document.save(update_fields=["latest_version", "updated_at"])
    record(
        "document.submitted",
        actor=principal.user,
        subject=f"document:{document.id}",
        version=version.number,
    )
    return version


def _enqueue(version: DocumentVersion) -> Job:
    job = Job.objects.create(version=version, user_id=version.created_by_id)
    transaction.on_commit(lambda: queue.enqueue_job(job.id))
    return job


def document_update(*, document: Document, principal: Principal, changes: Mapping[str, Any]) -> Document:
    """`changes` holds what is to change of title, metadata, readers, owner (a user id), review_by."""
    with transaction.atomic():
        _apply(document, changes, principal)
        record(
            "document.changed",
            actor=principal.user,
            subject=f"document:{document.id}",
            fields=sorted(changes),
        )
    return Document.objects.with_versions().get(pk=document.pk)


def _apply(document: Document, changes: Mapping[str, Any], principal: Principal) -> None:
    if "title" in changes:
        document.title, document.title_given = changes["title"], True
    if "owner" in changes:
        document.owner = _user(changes["owner"])
    if "review_by" in changes:
        document.review_by = _date(changes["review_by"])
    if "metadata" in changes:
        document.metadata = dict(changes["metadata"])
        _tags_replace(document)
        document.index_stale = True
    document.save()
    if "readers" in changes:
        wanted = changes["readers"]
        readers = ["everyone"] if wanted is None else wanted
        readers_replace(document=document, readers=readers, actor=principal.user)
    if document.index_stale:
        transaction.on_commit(lambda: queue.enqueue_refresh(document.id))


def _user(value: object) -> User | None:
    if value is None:
        return None
    try:
        return User.objects.get(pk=as_id(value))
    except (User.DoesNotExist, NotFound) as error:
        raise InvalidInput("The owner is not a user.") from error


def _date(value: object) -> date | None:
    if value is None or isinstance(value, date):
        return value
    raise InvalidInput("review_by is not a date.")


def _tags_replace(document: Document) -> None:
    tags = document.metadata.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) and 0 < len(tag) <= 100 for tag in tags):
        raise InvalidInput("metadata.tags is a list of texts of 1 to 100 characters.")
    if len(tags) > MAX_TAGS:
        raise InvalidInput(f"A document may have {MAX_TAGS} tags at most.")
    document.tags.all().delete()
    Tag.objects.bulk_create(Tag(document=document, name=name) for name in dict.fromkeys(tags))


def document_delete(*, document: Document, principal: Principal) -> Receipt:
    """Out of every answer with this commit; the rest is erased by a worker."""
    with transaction.atomic():
        changed = Document.objects.filter(pk=document.pk, deleted_at=None).update(deleted_at=timezone.now())
        if not changed:
            raise NotFound
        return _erasure(f"document:{document.id}", principal)


def knowledge_base_delete(*, knowledge_base: KnowledgeBase, principal: Principal) -> Receipt:
    with transaction.atomic():
        changed = KnowledgeBase.objects.filter(pk=knowledge_base.pk, deleted_at=None).update(
            deleted_at=timezone.now()
        )
        if not changed:
            raise NotFound
        return _erasure(f"knowledge-base:{knowledge_base.id}", principal)


def _erasure(target: str, principal: Principal) -> Receipt:
    receipt = Receipt.objects.create(object=target, requested_by_id=principal.user)
    record("erasure.requested", actor=principal.user, subject=target)
    transaction.on_commit(lambda: queue.enqueue_erasure(receipt.id))
    return receipt


def _require_editor(job: Job, principal: Principal) -> None:
    role = role_in(principal, job.version.document.knowledge_base)
    if role is None or not role.allows(Role.EDITOR):
        raise Forbidden("This takes the role “editor” in this knowledge base.")


def job_retry(*, job: Job, principal: Principal) -> Job:
    """Conflict unless it failed or was cancelled, and no newer version has come since."""
    _require_editor(job, principal)
    with transaction.atomic():
        job = Job.objects.select_for_update().select_related("version__document").get(pk=job.pk)
        if job.stage not in {Stage.FAILED, Stage.CANCELLED}:
            raise Conflict("Only a failed or cancelled job can be tried again.")
        if job.version.document.latest_version_id != job.version_id:
            raise Conflict("A newer version of this document has been uploaded.")
        job.stage, job.done, job.total, job.attempts = Stage.QUEUED, 0, 0, 0
        job.cancel_requested, job.lease, job.lease_until, job.not_before = False, None, None, None
        job.stage_since = timezone.now()
        job.save()
        version = job.version
        version.state, version.error_code, version.error_message = VersionState.QUEUED, "", ""
        version.save(update_fields=["state", "error_code", "error_message"])
        record("job.retried", actor=principal.user, subject=f"job:{job.id}")
        transaction.on_commit(lambda: queue.enqueue_job(job.id))
    return job


def job_cancel(*, job: Job, principal: Principal) -> Job:
    """A queued job ends at once, a running one at its next check; Conflict if it has ended."""
    _require_editor(job, principal)
    with transaction.atomic():
        job = Job.objects.select_for_update().select_related("version__document").get(pk=job.pk)
        if job.ended:
            raise Conflict("This job has already ended.")
        job.cancel_requested = True
        job.save(update_fields=["cancel_requested", "updated_at"])
        if job.lease is None:
            end_cancelled(job)
        record("job.cancelled", actor=principal.user, subject=f"job:{job.id}")
    return job
