"""Submit uploaded files: store the file and the version, create the processing job, and enqueue it.

Each submission is one transaction; workers are notified on commit.
"""

import time
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from cairn.access.permissions import may_replace
from cairn.access.scope import Principal
from cairn.audit.services import record
from cairn.errors import Conflict, InvalidInput, NotFound, PreconditionFailed
from cairn.hidden_characters import visible
from cairn.library import storage
from cairn.library.models import Document, DocumentVersion, KnowledgeBase
from cairn.messages import CodedMessage
from ingestion import broker
from ingestion.documents.idempotency import previous_submission, remember_submission
from ingestion.documents.services import apply_changes
from ingestion.documents.sources import is_resubmittable
from ingestion.documents.upload import (
    SeenVersion,
    Submission,
    Upload,
    clean_filename,
    require_free_key,
    require_upload_size,
)
from ingestion.failpoints import Fault, fault_point
from ingestion.imports.services import item_record, item_record_again, item_refused, require_takes_files
from ingestion.jobs.fair_queue import lane_for, next_ticket
from ingestion.jobs.services import job_retry
from ingestion.models import Job, Lane, Outcome


def document_submit(
    upload: Upload,
    *,
    knowledge_base: KnowledgeBase,
    principal: Principal,
    idempotency_key: str | None = None,
) -> Submission:
    """Submit a new document, a new version of one, or nothing if the bytes are the same.

    Raises Conflict if another user replaces the document at the same time.
    """
    upload = replace(upload, filename=clean_filename(upload.filename))
    try:
        require_free_key(upload)
        require_upload_size(upload.file.size)
        digest = storage.sha256_of(upload.file)
        upload = replace(upload, sha256=digest, seen=_find_seen_version(knowledge_base, upload.source_key))
        return _submit_with_file(knowledge_base, upload, principal, idempotency_key)
    except InvalidInput as error:
        if upload.batch is not None and upload.batch.cancelled_at is None:
            item_refused(batch=upload.batch, source_uri=upload.path, error=error)
        raise


def _find_seen_version(base: KnowledgeBase, source_key: str) -> SeenVersion:
    rows = Document.objects.filter(deleted_at=None, knowledge_base=base, source_key=source_key)
    found = rows.values_list("latest_version", "latest_version__sha256").first()
    return SeenVersion(*found) if found else SeenVersion()


def _submit_with_file(
    knowledge_base: KnowledgeBase, upload: Upload, principal: Principal, key: str | None
) -> Submission:
    """Store the file and submit it. Storing it before the transaction avoids long locks."""
    version_id, saved, stored = uuid.uuid4(), list[str](), False
    try:
        if upload.sha256 != upload.seen.sha256:
            saved.append(storage.original_save(version_id, upload.file))
        with transaction.atomic():
            base = _lock_knowledge_base(knowledge_base)
            earlier = previous_submission(base, upload, principal, key)
            submission = earlier or _submit(base, upload, principal, version_id, saved)
            if earlier is None:
                remember_submission(base, upload, principal, key, submission)
        stored = submission.job is not None and submission.job.version_id == version_id
    finally:
        if not stored:
            storage.files_delete(*saved)
    return submission


def _lock_knowledge_base(knowledge_base: KnowledgeBase) -> KnowledgeBase:
    """Serialise uploads into a knowledge base, so that two of the same source make two versions."""
    try:
        return KnowledgeBase.objects.present().select_for_update().get(pk=knowledge_base.pk)
    except KnowledgeBase.DoesNotExist:
        raise NotFound from None


def _submit(
    base: KnowledgeBase, upload: Upload, principal: Principal, version_id: uuid.UUID, saved: list[str]
) -> Submission:
    if upload.part:
        upload.part.check()
    if upload.batch:
        require_takes_files(upload.batch)
    document = _existing_document(base, upload.source_key)
    if upload.check:
        upload.check(base, document)
    if document:
        _require_may_replace(document, upload, principal)
    _require_match(document, upload)
    if document:
        _require_no_race(document, upload)
    else:
        document = _document_create(base, upload, principal)
    _apply_options(document, upload, principal)
    latest = document.latest_version
    if latest and latest.sha256 == upload.sha256 and not upload.always_new:
        return _same_bytes(document, latest, upload, principal)
    if not saved:
        saved.append(storage.original_save(version_id, upload.file))
    version = _version_create(document, upload, principal, version_id, saved[0])
    return Submission(document, _create_job(version, upload), created_job=True)


def _existing_document(base: KnowledgeBase, source_key: str) -> Document | None:
    """Lock the document of this source. The cheap check comes first, as most uploads are new."""
    rows = Document.objects.filter(deleted_at=None, knowledge_base=base, source_key=source_key)
    if not rows.exists():
        return None
    return rows.select_for_update(of=("self",)).with_versions().first()


def _require_match(document: Document | None, upload: Upload) -> None:
    if upload.if_match is None:
        return
    latest = document.latest_version if document else None
    if latest is None or upload.if_match.isdisjoint({"*", str(latest.number)}):
        raise PreconditionFailed


def _require_no_race(document: Document, upload: Upload) -> None:
    """Raise Conflict if the document was replaced while the upload was arriving."""
    latest = document.latest_version
    if upload.part:
        if document.parent_id != upload.part.parent.id:
            raise Conflict(CodedMessage("source_taken"))
        return  # a submission that was overtaken was stopped by its check
    if document.parent_id:
        raise Conflict(CodedMessage("part_of_container"))
    if latest and latest.sha256 != upload.sha256 and _has_arrived_meanwhile(latest, upload):
        raise Conflict(CodedMessage("replaced_meanwhile"))


def _has_arrived_meanwhile(latest: DocumentVersion, upload: Upload) -> bool:
    if latest.id != upload.seen.version:
        return True
    under_way = 0.0 if upload.arrived is None else time.monotonic() - upload.arrived
    came = Now() - timedelta(seconds=under_way)
    return DocumentVersion.objects.filter(pk=latest.pk, created_at__gt=came, created_at__lte=Now()).exists()


def _require_may_replace(document: Document, upload: Upload, principal: Principal) -> None:
    """Raise Conflict for editors who cannot read the document; embedded files are exempt."""
    if upload.part is None and not may_replace(principal, document):
        raise Conflict(CodedMessage("replacing_forbidden"))


def _document_create(base: KnowledgeBase, upload: Upload, principal: Principal) -> Document:
    document = Document.objects.create(
        knowledge_base=base,
        parent=upload.part.parent if upload.part else None,
        source_key=upload.source_key,
        source_uri=upload.source_uri or upload.filename,
        title=visible(upload.title or "").strip() or upload.filename,
        title_given=upload.title is not None,
        owner_id=principal.user,
    )
    record("document.created", actor=principal.actor, subject=f"document:{document.id}")
    return document


def _apply_options(document: Document, upload: Upload, principal: Principal) -> None:
    """Apply the uploader's options, also if the bytes are unchanged."""
    options: dict[str, Any] = {"title": upload.title, "metadata": upload.metadata, "readers": upload.readers}
    changes = {name: value for name, value in options.items() if value is not None}
    if changes:
        apply_changes(document, changes, principal)


def _same_bytes(
    document: Document, latest: DocumentVersion, upload: Upload, principal: Principal
) -> Submission:
    job = None
    if is_resubmittable(latest):
        job = job_retry(job=latest.job, principal=principal, lane=Lane.BULK if upload.batch else None)
    if upload.batch:
        item_record_again(
            batch=upload.batch, source_uri=upload.path, document=document, job=job or latest.job
        )
    return Submission(document, job, created_job=job is not None)


def _version_create(
    document: Document, upload: Upload, principal: Principal, version_id: uuid.UUID, original: str
) -> DocumentVersion:
    version = DocumentVersion.objects.create(
        id=version_id,
        document=document,
        number=document.latest_version.number + 1 if document.latest_version else 1,
        filename=upload.filename,
        original=original,
        size=upload.file.size,
        sha256=upload.sha256,
        created_by_id=principal.user,
        created_at=Now(),  # the clocks of web processes may differ
    )
    version.refresh_from_db(fields=["created_at"])
    document.latest_version = version
    document.save(update_fields=["latest_version", "updated_at"])
    record(
        "document.submitted",
        actor=principal.actor,
        subject=f"document:{document.id}",
        version=version.number,
    )
    return version


def _create_job(version: DocumentVersion, upload: Upload) -> Job:
    user = version.created_by_id
    lane = upload.part.lane if upload.part else Lane.BULK if upload.batch else lane_for(user)
    job = Job.objects.create(version=version, user_id=user, lane=lane, turn=next_ticket(lane, user))
    if upload.batch:
        item_record(
            batch=upload.batch,
            source_uri=upload.path,
            outcome=Outcome.ACCEPTED,
            document=version.document,
            job=job,
        )
    if upload.part is None:  # else its turn comes with what it came in
        transaction.on_commit(lambda: _after_submit(lane), robust=True)
    return job


def _after_submit(lane: Lane) -> None:
    fault_point(Fault.AFTER_SUBMIT)
    broker.wake_worker(lane)
