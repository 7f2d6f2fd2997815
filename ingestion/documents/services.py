"""Services for documents and knowledge bases. Each is one transaction; the work follows on commit."""

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import PurePosixPath
from typing import Any

from django.core.files.base import File
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from cairn.access.audience import people_reading
from cairn.access.rules import documents_for, may_replace
from cairn.access.scope import Principal
from cairn.access.selectors import parse_id
from cairn.access.services import readers_replace
from cairn.accounts.models import User
from cairn.audit.services import record
from cairn.errors import Conflict, InvalidInput, NotFound, PayloadTooLarge, PreconditionFailed
from cairn.hidden_characters import visible
from cairn.library import storage
from cairn.library.models import Document, DocumentVersion, KnowledgeBase, Tag
from cairn.settings import environment
from ingestion import broker
from ingestion.documents.sources import is_resubmittable
from ingestion.failpoints import Fault, fault_point
from ingestion.imports.services import item_record, item_record_again, item_refused, require_takes_files
from ingestion.jobs.fair_queue import lane_for, next_ticket
from ingestion.jobs.lifecycle import cancel_all
from ingestion.jobs.services import job_retry
from ingestion.models import IdempotencyKey, Import, Job, Lane, Outcome, Receipt
from retrieval.suggestions.services import suggestions_replace

IDEMPOTENCY_WINDOW = timedelta(hours=24)
MAX_TAGS = 50
REVIEW_DAYS = 365


@dataclass(frozen=True, slots=True)
class Submission:
    document: Document
    job: Job | None
    created_job: bool


@dataclass(frozen=True, slots=True)
class SeenVersion:
    """The latest version of the source when the upload arrived; None if there was none."""

    version: uuid.UUID | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class EmbeddedFile:
    """A file embedded in another, processed in the lane of its container.

    `check` raises, within the transaction, if the file may no longer be added.
    """

    parent: Document
    lane: Lane
    check: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded file with its options; None for options that were not given."""

    file: "File[bytes]"
    filename: str
    sha256: str
    title: str | None = None
    source_uri: str | None = None
    metadata: Mapping[str, Any] | None = None
    readers: Sequence[str] | None = None
    if_match: frozenset[str] | None = None
    batch: Import | None = None
    part: EmbeddedFile | None = None
    seen: SeenVersion = SeenVersion()
    arrived: float | None = None

    @property
    def source_key(self) -> str:
        return self.source_uri or self.filename

    def fingerprint(self, knowledge_base: KnowledgeBase) -> str:
        fields = [
            str(knowledge_base.id), self.filename, self.sha256, self.title, self.source_uri,
            self.metadata, self.readers,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


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
    if_match: frozenset[str] | None = None,
    batch: Import | None = None,
    part: EmbeddedFile | None = None,
    arrived: float | None = None,
) -> Submission:
    """Submit a new document, a new version of one, or nothing if the bytes are the same.

    Raises Conflict if another user replaces the document at the same time. `if_match`: acceptable numbers of
    the latest version, `*` for any. `batch`: the import that the file belongs to. `arrived`: when the request
    began, in `time.monotonic` seconds; None for now.
    """
    name = clean_filename(filename)
    try:
        _check_size(file)
        seen = _seen(knowledge_base, source_uri or name)
        upload = Upload(
            file, name, storage.sha256_of(file), title, source_uri, metadata, readers, if_match, batch,
            part, seen, arrived,
        )  # fmt: skip
        return _submit_with_file(knowledge_base, upload, principal, idempotency_key)
    except InvalidInput as error:
        if batch is not None and batch.cancelled_at is None:
            item_refused(batch=batch, source_uri=source_uri or name, error=error)
        raise


def _seen(base: KnowledgeBase, source_key: str) -> SeenVersion:
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
            earlier = _previous_submission(base, upload, principal, key)
            submission = earlier or _submit(base, upload, principal, version_id, saved)
            if earlier is None:
                _remember(base, upload, principal, key, submission)
        stored = submission.job is not None and submission.job.version_id == version_id
    finally:
        if not stored:
            storage.files_delete(*saved)
    return submission


def _check_size(file: "File[bytes]") -> None:
    limit = environment().upload_max_mb
    if file.size > limit << 20:
        raise PayloadTooLarge(f"This file is {file.size >> 20} MB; the limit is {limit} MB.")


def clean_filename(name: str) -> str:
    """Return the last component without control characters, shortened to 255 with its extension."""
    last = PurePosixPath(name.replace("\\", "/")).name
    printable = "".join(c for c in visible(last) if c.isprintable()).strip()
    path = PurePosixPath(printable or "document")
    return path.name if len(path.name) <= 255 else path.stem[: 255 - len(path.suffix)] + path.suffix[:250]


def _lock_knowledge_base(knowledge_base: KnowledgeBase) -> KnowledgeBase:
    """Serialise uploads into a knowledge base, so that two of the same source make two versions."""
    try:
        return KnowledgeBase.objects.select_for_update().get(pk=knowledge_base.pk, deleted_at=None)
    except KnowledgeBase.DoesNotExist:
        raise NotFound from None


def _previous_submission(
    base: KnowledgeBase, upload: Upload, principal: Principal, key: str | None
) -> Submission | None:
    """Return the response to the same request sent before.

    Raises Conflict if the key was used for another request, or its document is no longer readable.
    """
    if key is None:
        return None
    IdempotencyKey.objects.filter(created_at__lt=Now() - IDEMPOTENCY_WINDOW).delete()
    known = IdempotencyKey.objects.filter(user=principal.user, key=key).first()
    if known is None:
        return None
    if known.fingerprint != upload.fingerprint(base):
        raise Conflict("This Idempotency-Key was already used for a different request.")
    document = documents_for(principal).with_versions().filter(pk=known.document).first()
    if document is None:
        raise Conflict("The document created with this Idempotency-Key no longer exists.")
    job = Job.objects.filter(pk=known.job).first() if known.job else None
    return Submission(document, job, created_job=job is not None)


def _remember(
    base: KnowledgeBase, upload: Upload, principal: Principal, key: str | None, submission: Submission
) -> None:
    if key is None:
        return
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
    if upload.part:
        upload.part.check()
    if upload.batch:
        require_takes_files(upload.batch)
    document = _existing_document(base, upload.source_key)
    if document:
        _require_may_replace(document, upload, principal)
    _require_match(document, upload)
    if document:
        _require_no_race(document, upload)
    else:
        document = _document_create(base, upload, principal)
    _apply_options(document, upload, principal)
    latest = document.latest_version
    if latest and latest.sha256 == upload.sha256:
        return _same_bytes(document, latest, upload, principal)
    if not saved:
        saved.append(storage.original_save(version_id, upload.file))
    version = _version_create(document, upload, principal, version_id, saved[0])
    return Submission(document, _enqueue(version, upload), created_job=True)


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
            raise Conflict("Another document already uses this source. Delete it, then retry this one.")
        return  # whoever is overtaken has been stopped by its check
    if document.parent_id:
        raise Conflict(
            "This document is part of an email or archive. Replace the email or archive, "
            "or choose another name."
        )
    if latest and latest.sha256 != upload.sha256 and _arrived_meanwhile(latest, upload):
        raise Conflict(
            "Someone else just replaced this document. Check their version, and upload yours again "
            "if it should replace it."
        )


def _arrived_meanwhile(latest: DocumentVersion, upload: Upload) -> bool:
    if latest.id != upload.seen.version:
        return True
    under_way = 0.0 if upload.arrived is None else time.monotonic() - upload.arrived
    came = Now() - timedelta(seconds=under_way)
    return DocumentVersion.objects.filter(pk=latest.pk, created_at__gt=came, created_at__lte=Now()).exists()


def _require_may_replace(document: Document, upload: Upload, principal: Principal) -> None:
    """Raise Conflict for editors who cannot read the document; embedded files are exempt."""
    if upload.part is None and not may_replace(principal, document):
        raise Conflict(
            "A document with this name already exists, and you don’t have permission to "
            "replace it. Choose another name."
        )


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
        _apply(document, changes, principal)


def _same_bytes(
    document: Document, latest: DocumentVersion, upload: Upload, principal: Principal
) -> Submission:
    job = None
    if is_resubmittable(latest):
        job = job_retry(job=latest.job, principal=principal, lane=Lane.BULK if upload.batch else None)
    if upload.batch:
        item_record_again(
            batch=upload.batch, source_uri=upload.source_key, document=document, job=job or latest.job
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


def _enqueue(version: DocumentVersion, upload: Upload) -> Job:
    user = version.created_by_id
    lane = upload.part.lane if upload.part else Lane.BULK if upload.batch else lane_for(user)
    job = Job.objects.create(version=version, user_id=user, lane=lane, turn=next_ticket(lane, user))
    if upload.batch:
        item_record(
            batch=upload.batch,
            source_uri=upload.source_key,
            outcome=Outcome.ACCEPTED,
            document=version.document,
            job=job,
        )
    if upload.part is None:  # else its turn comes with what it came in
        transaction.on_commit(lambda: _after_submit(lane), robust=True)
    return job


def _after_submit(lane: Lane) -> None:
    fault_point(Fault.AFTER_SUBMIT)
    broker.enqueue_work(lane)


def document_update(*, document: Document, principal: Principal, changes: Mapping[str, Any]) -> Document:
    """Change any of title, metadata, readers, owner (a user id), review_by and review_days."""
    with transaction.atomic():
        # As it is now: a worker may have flipped its version meanwhile.
        row = Document.objects.select_for_update(of=("self",)).with_versions().get(pk=document.pk)
        _apply(row, changes, principal)
        record(
            "document.changed",
            actor=principal.actor,
            subject=f"document:{document.id}",
            fields=sorted(changes),
        )
    return Document.objects.with_versions().get(pk=document.pk)


def _apply(document: Document, changes: Mapping[str, Any], principal: Principal) -> None:
    if "title" in changes:
        document.title, document.title_given = visible(changes["title"]).strip() or document.title, True
    if "owner" in changes:
        document.owner = _owner(document, changes["owner"])
    if "review_by" in changes:
        document.review_by = _date(changes["review_by"])
    if "review_days" in changes:
        document.review_days = changes["review_days"]
    if "metadata" in changes:
        document.metadata = _visible_in(dict(changes["metadata"]))
        _tags_replace(document)
        document.index_stale = True
    document.save()
    if "title" in changes:
        suggestions_replace(document)
    if "readers" in changes:
        requested = changes["readers"]
        readers = ["everyone"] if requested is None else requested
        readers_replace(document=document, readers=readers, actor=principal.actor)
    if document.index_stale:
        transaction.on_commit(lambda: broker.enqueue_refresh(document.id), robust=True)


def document_review(*, document: Document, principal: Principal, days: int | None = None) -> Document:
    """Mark the document as reviewed. The next review is due after `days`, or the previous interval."""
    interval = days or document.review_days or REVIEW_DAYS
    with transaction.atomic():
        # Not by `save`: the index need not hear of it.
        Document.objects.filter(pk=document.pk).update(
            reviewed_at=timezone.now(),
            review_days=interval,
            review_by=timezone.localdate() + timedelta(days=interval),
        )
        record("document.reviewed", actor=principal.actor, subject=f"document:{document.id}", days=interval)
    return Document.objects.with_versions().get(pk=document.pk)


def _visible_in(value: Any) -> Any:
    """Strip hidden characters from all names and values of a JSON value."""
    match value:
        case str():
            return visible(value)
        case dict():
            return {visible(name): _visible_in(each) for name, each in value.items()}
        case list():
            return [_visible_in(each) for each in value]
        case _:
            return value


def _owner(document: Document, value: object) -> User | None:
    """Return the new owner. Raises InvalidInput unless they may read the document."""
    if value is None:
        return None
    try:
        return people_reading(document).get(pk=parse_id(value))
    except (User.DoesNotExist, NotFound) as error:
        raise InvalidInput("The owner can’t read this document.") from error


def _date(value: object) -> date | None:
    if value is None or isinstance(value, date):
        return value
    raise InvalidInput("review_by isn’t a valid date.")


def _tags_replace(document: Document) -> None:
    tags = document.metadata.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) and 0 < len(tag) <= 100 for tag in tags):
        raise InvalidInput("metadata.tags must be a list of strings with 1 to 100 characters each.")
    if len(tags) > MAX_TAGS:
        raise InvalidInput(f"A document can have up to {MAX_TAGS} tags.")
    document.tags.all().delete()
    Tag.objects.bulk_create(Tag(document=document, name=name) for name in dict.fromkeys(tags))


def document_delete(
    *, document: Document, principal: Principal | None, batch: Import | None = None
) -> Receipt:
    """Delete a document from all results at once; a worker erases it. Without a principal: by schedule."""
    with transaction.atomic():
        changed = Document.objects.filter(pk=document.pk, deleted_at=None).update(deleted_at=timezone.now())
        if not changed:
            raise NotFound
        for inside in Document.objects.levels_in(document):
            inside.filter(deleted_at=None).update(deleted_at=timezone.now())
            cancel_all(Job.objects.filter(version__document__in=inside))
        if batch:
            item_record(
                batch=batch, source_uri=document.source_uri, outcome=Outcome.REMOVED, document=document
            )
        return _erasure(f"document:{document.id}", document.knowledge_base_id, principal)


def knowledge_base_delete(*, knowledge_base: KnowledgeBase, principal: Principal | None) -> Receipt:
    """Delete a knowledge base. Without a principal: by the command line or Cairn itself."""
    with transaction.atomic():
        changed = KnowledgeBase.objects.filter(pk=knowledge_base.pk, deleted_at=None).update(
            deleted_at=timezone.now()
        )
        if not changed:
            raise NotFound
        cancel_all(Job.objects.filter(version__document__knowledge_base=knowledge_base))
        return _erasure(f"knowledge-base:{knowledge_base.id}", knowledge_base.id, principal)


def _erasure(target: str, knowledge_base: uuid.UUID, principal: Principal | None) -> Receipt:
    receipt = Receipt.objects.create(
        object=target,
        knowledge_base=knowledge_base,
        requested_by_id=principal.user if principal else None,
    )
    record("erasure.requested", actor=principal.actor if principal else None, subject=target)
    transaction.on_commit(lambda: broker.enqueue_erasure(receipt.id), robust=True)
    return receipt
