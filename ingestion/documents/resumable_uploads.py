"""Resumable uploads: large files are opened, sent in parts, resumed after interruptions and completed."""

import time
from collections.abc import Iterable, Mapping, Sequence
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Final, cast

from django.conf import settings
from django.core.files.base import File
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from cairn.access.models import Role
from cairn.access.permissions import knowledge_bases_for
from cairn.access.scope import Principal
from cairn.access.selectors import get_or_not_found, knowledge_base_for
from cairn.accounts.models import User
from cairn.errors import Conflict, InvalidInput, NotFound, PayloadTooLarge, RateLimited
from cairn.library import storage
from cairn.library.models import KnowledgeBase
from cairn.messages import CodedMessage
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Submission, Upload, clean_filename, require_upload_size
from ingestion.imports.services import item_refused, require_takes_files
from ingestion.models import Import, PartialUpload, PartialUploadQuerySet, UploadPart

MAX_PART_BYTES: Final = 16 << 20
MIN_PART_BYTES: Final = 64 << 10
"""Minimum size of all parts but the last, so that a file can't cause a million rows."""
MAX_OPEN_UPLOADS: Final = 20
RETRY_SECONDS: Final = 60
_SWEEP_BATCH_SIZE: Final = 100


class WrongOffset(Conflict):
    code = "wrong_offset"
    title = "This part does not begin where the last one ended"

    def __init__(self, offset: int) -> None:
        super().__init__(f"The next part begins at byte {offset}.")


class WrongDigest(InvalidInput):
    code = "sha256_mismatch"
    title = "The file that arrived is not the one that was announced"


def uploads_for(principal: Principal) -> PartialUploadQuerySet:
    """The principal's own unexpired uploads into knowledge bases they may still read."""
    bases = knowledge_bases_for(principal)
    rows = PartialUpload.objects.fresh().filter(user=principal.user, knowledge_base__in=bases)
    return rows.select_related("knowledge_base", "batch")


def upload_for(principal: Principal, value: object) -> PartialUpload:
    """Return an upload of the principal.

    Raises NotFound if it is not theirs or has expired; Forbidden if they may no longer upload there.
    """
    upload = get_or_not_found(uploads_for(principal), value)
    knowledge_base_for(principal, upload.knowledge_base_id, role=Role.EDITOR)
    return upload


def upload_open(
    *,
    knowledge_base: KnowledgeBase,
    principal: Principal,
    filename: str,
    size: int,
    sha256: str = "",
    fingerprint: str = "",
    batch: Import | None = None,
    options: Mapping[str, Any],
) -> PartialUpload:
    """Open an upload. `options` are the title, source_uri, metadata and readers for `document_submit`."""
    name = clean_filename(filename)
    try:
        require_upload_size(size)
        with transaction.atomic():
            User.objects.select_for_update().get(pk=principal.user)  # so that none is overlooked
            _check_number(principal)
            return PartialUpload.objects.create(
                knowledge_base=knowledge_base,
                user_id=principal.user,
                batch=batch,
                filename=name,
                size=size,
                sha256=sha256.lower(),
                fingerprint=fingerprint,
                options=dict(options),
                updated_at=Now(),
            )
    except InvalidInput as error:
        if batch is not None and batch.cancelled_at is None:
            item_refused(batch=batch, source_uri=options.get("source_uri") or name, error=error)
        raise


def _check_number(principal: Principal) -> None:
    if PartialUpload.objects.open().filter(user=principal.user).count() >= MAX_OPEN_UPLOADS:
        message = CodedMessage("too_many_uploads", most=MAX_OPEN_UPLOADS)
        raise RateLimited(message, retry_after=RETRY_SECONDS)


def part_add(*, upload: PartialUpload, offset: int, data: bytes) -> PartialUpload:
    """Append the bytes at `offset`. Raises WrongOffset unless they follow the bytes received so far.

    Of two concurrent requests with the same offset, one succeeds.
    """
    if upload.batch:
        require_takes_files(upload.batch)
    _check_part(upload, offset, len(data))
    name, stored = storage.part_save(upload.id, data), False
    try:
        with transaction.atomic():
            stored = _record_part(upload, offset, len(data))
            if stored:
                UploadPart.objects.create(upload=upload, offset=offset, size=len(data), name=name)
    finally:
        if not stored:
            storage.files_delete(name)
    upload.refresh_from_db(fields=["received", "updated_at"])
    if not stored:
        raise WrongOffset(upload.received)
    return upload


def _record_part(upload: PartialUpload, offset: int, size: int) -> bool:
    rows = PartialUpload.objects.fresh().filter(pk=upload.pk, received=offset, completed_at=None)
    return bool(rows.update(received=offset + size, updated_at=Now()))


def _check_part(upload: PartialUpload, offset: int, size: int) -> None:
    if offset != upload.received:
        raise WrongOffset(upload.received)
    if size > MAX_PART_BYTES:
        raise PayloadTooLarge(CodedMessage("upload_part_too_large", most=MAX_PART_BYTES >> 20))
    if offset + size > upload.size:
        raise InvalidInput(CodedMessage("upload_too_long", size=upload.size))
    if size < MIN_PART_BYTES and offset + size < upload.size:
        raise InvalidInput(CodedMessage("upload_part_too_small", least=MIN_PART_BYTES >> 10))


def upload_complete(
    *, upload: PartialUpload, principal: Principal, if_match: frozenset[str] | None = None
) -> Submission:
    """Submit the document, as if the file had been sent in one request. Idempotent."""
    if upload.completed_at:
        return _previous_submission(upload)
    if upload.received < upload.size:
        raise WrongOffset(upload.received)
    parts = list(upload.parts.order_by("offset").values_list("name", flat=True))
    with TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as opened:
        whole = cast("BinaryIO", opened)
        _join(upload, parts, whole)
        _check_digest(upload, whole)
        submission = document_submit(
            Upload(
                File(whole, name=upload.filename),
                upload.filename,
                batch=upload.batch,
                if_match=if_match,
                arrived=time.monotonic() - (timezone.now() - upload.created_at).total_seconds(),
                **upload.options,
            ),
            knowledge_base=upload.knowledge_base,
            principal=principal,
        )
    _finish_upload(upload, submission, parts)
    return submission


def _previous_submission(upload: PartialUpload) -> Submission:
    if upload.document is None:
        raise NotFound
    return Submission(upload.document, upload.job, created_job=upload.job is not None)


def _join(upload: PartialUpload, parts: Sequence[str], whole: BinaryIO) -> None:
    try:
        storage.parts_join(parts, whole)
    except FileNotFoundError as error:  # cancelled, or finished by the same request sent twice
        raise NotFound from error
    if whole.tell() != upload.size:
        raise NotFound
    whole.seek(0)


def _check_digest(upload: PartialUpload, whole: BinaryIO) -> None:
    """Drop the upload and raise WrongDigest if its bytes differ from the announced file."""
    if not upload.sha256:
        return
    found = storage.sha256_of(File(whole))
    if found != upload.sha256:
        uploads_drop([upload])
        error = WrongDigest("The bytes that arrived do not have the announced SHA-256. Send the file again.")
        if upload.batch:
            item_refused(
                batch=upload.batch,
                source_uri=upload.options.get("source_uri") or upload.filename,
                error=error,
            )
        raise error


def _finish_upload(upload: PartialUpload, submission: Submission, parts: Sequence[str]) -> None:
    with transaction.atomic():
        PartialUpload.objects.filter(pk=upload.pk).update(
            document=submission.document,
            job=submission.job if submission.created_job else None,
            completed_at=Now(),
            updated_at=Now(),
        )
        UploadPart.objects.filter(upload=upload).delete()
    storage.files_delete(*parts)


def uploads_drop(uploads: Iterable[PartialUpload]) -> int:
    """Delete uploads with their parts. Returns their number.

    Files go first: while the row is left, the sweeper knows of them.
    """
    dropped = 0
    for upload in uploads:
        storage.files_delete(*upload.parts.values_list("name", flat=True))
        PartialUpload.objects.filter(pk=upload.pk).delete()
        dropped += 1
    return dropped


def uploads_sweep() -> int:
    """Delete abandoned uploads, and completed ones whose response is no longer needed."""
    return uploads_drop(PartialUpload.objects.given_up()[:_SWEEP_BATCH_SIZE])
