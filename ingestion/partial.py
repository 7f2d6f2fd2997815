"""Large files in parts: begun, sent piece by piece, taken up again where they broke off, and finished."""

import time
from collections.abc import Iterable, Mapping, Sequence
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Final, cast

from django.conf import settings
from django.core.files.base import File
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from cairn.access.lookup import knowledge_base_for, one_of
from cairn.access.models import Role
from cairn.access.rules import knowledge_bases_for
from cairn.access.scope import Principal
from cairn.accounts.models import User
from cairn.errors import Conflict, InvalidInput, NotFound, PayloadTooLarge, RateLimited
from cairn.library import storage
from cairn.library.models import KnowledgeBase
from cairn.settings import environment
from ingestion.imports import item_refused, require_takes_files
from ingestion.models import Import, PartialUpload, PartialUploadQuerySet, UploadPart
from ingestion.services import Submission, clean_filename, document_submit

PART_MOST: Final = 16 << 20
PART_LEAST: Final = 64 << 10
"""Of all but the last part, so that nobody makes a million rows of one file."""
OPEN_AT_ONCE: Final = 20
RETRY_SECONDS: Final = 60
_AT_ONCE: Final = 100


class WrongOffset(Conflict):
    code = "wrong_offset"
    title = "This part does not begin where the last one ended"

    def __init__(self, offset: int) -> None:
        super().__init__(f"The next part begins at byte {offset}.")


class WrongDigest(InvalidInput):
    code = "sha256_mismatch"
    title = "The file that arrived is not the one that was announced"


def uploads_for(principal: Principal) -> PartialUploadQuerySet:
    """One's own that are under way, into knowledge bases that one may still read."""
    bases = knowledge_bases_for(principal)
    rows = PartialUpload.objects.fresh().filter(user=principal.user, knowledge_base__in=bases)
    return rows.select_related("knowledge_base", "batch")


def upload_for(principal: Principal, value: object) -> PartialUpload:
    """NotFound unless it is theirs and may still go on; Forbidden if they may not upload there any more."""
    upload = one_of(uploads_for(principal), value)
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
    said: Mapping[str, Any],
) -> PartialUpload:
    """`said`: title, source_uri, metadata and readers, as `document_submit` takes them."""
    name = clean_filename(filename)
    try:
        _check_size(size)
        with transaction.atomic():
            User.objects.select_for_update().get(pk=principal.user)  # of two at once, none is overlooked
            _check_number(principal)
            return PartialUpload.objects.create(
                knowledge_base=knowledge_base,
                user_id=principal.user,
                batch=batch,
                filename=name,
                size=size,
                sha256=sha256.lower(),
                fingerprint=fingerprint,
                said=dict(said),
                updated_at=Now(),
            )
    except InvalidInput as error:
        if batch is not None and batch.cancelled_at is None:
            item_refused(batch=batch, source_uri=said.get("source_uri") or name, error=error)
        raise


def _check_size(size: int) -> None:
    limit = environment().upload_max_mb
    if size > limit << 20:
        raise PayloadTooLarge(f"Files may have {limit} MB at most; this one has {size >> 20} MB.")


def _check_number(principal: Principal) -> None:
    if PartialUpload.objects.open().filter(user=principal.user).count() >= OPEN_AT_ONCE:
        raise RateLimited(
            f"{OPEN_AT_ONCE} of your uploads are under way. Finish or cancel one of them first.",
            retry_after=RETRY_SECONDS,
        )


def part_add(*, upload: PartialUpload, offset: int, data: bytes) -> PartialUpload:
    """The bytes from `offset` on. WrongOffset unless they follow what is here; of two that come at once
    with the same offset, one is taken."""
    if upload.batch:
        require_takes_files(upload.batch)
    _check_part(upload, offset, len(data))
    name, kept = storage.part_save(upload.id, data), False
    try:
        with transaction.atomic():
            kept = _received(upload, offset, len(data))
            if kept:
                UploadPart.objects.create(upload=upload, offset=offset, size=len(data), name=name)
    finally:
        if not kept:
            storage.files_delete(name)
    upload.refresh_from_db(fields=["received", "updated_at"])
    if not kept:
        raise WrongOffset(upload.received)
    return upload


def _received(upload: PartialUpload, offset: int, size: int) -> bool:
    rows = PartialUpload.objects.fresh().filter(pk=upload.pk, received=offset, completed_at=None)
    return bool(rows.update(received=offset + size, updated_at=Now()))


def _check_part(upload: PartialUpload, offset: int, size: int) -> None:
    if offset != upload.received:
        raise WrongOffset(upload.received)
    if size > PART_MOST:
        raise PayloadTooLarge(f"A part may have {PART_MOST} bytes at most.")
    if offset + size > upload.size:
        raise InvalidInput(f"The file was announced with {upload.size} bytes; this part goes beyond them.")
    if size < PART_LEAST and offset + size < upload.size:
        raise InvalidInput(f"A part that is not the last one has {PART_LEAST} bytes at least.")


def upload_complete(
    *, upload: PartialUpload, principal: Principal, if_match: frozenset[str] | None = None
) -> Submission:
    """The document, as if the file had come at once. Asked again, the same answer."""
    if upload.completed_at:
        return _earlier(upload)
    if upload.received < upload.size:
        raise WrongOffset(upload.received)
    parts = list(upload.parts.order_by("offset").values_list("name", flat=True))
    with TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as opened:
        whole = cast("BinaryIO", opened)
        _join(upload, parts, whole)
        _check_digest(upload, whole)
        submission = document_submit(
            knowledge_base=upload.knowledge_base,
            file=File(whole, name=upload.filename),
            filename=upload.filename,
            principal=principal,
            batch=upload.batch,
            if_match=if_match,
            arrived=time.monotonic() - (timezone.now() - upload.created_at).total_seconds(),
            **upload.said,
        )
    _settle(upload, submission, parts)
    return submission


def _earlier(upload: PartialUpload) -> Submission:
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
    """What is not the announced file is of no use: it has to be sent anew."""
    if not upload.sha256:
        return
    found = storage.sha256_of(File(whole))
    if found != upload.sha256:
        uploads_drop([upload])
        error = WrongDigest("The bytes that arrived do not have the announced SHA-256. Send the file again.")
        if upload.batch:
            item_refused(
                batch=upload.batch, source_uri=upload.said.get("source_uri") or upload.filename, error=error
            )
        raise error


def _settle(upload: PartialUpload, submission: Submission, parts: Sequence[str]) -> None:
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
    """With what has come of them; how many. Files first: while the row is left, the sweeper knows of them."""
    dropped = 0
    for upload in uploads:
        storage.files_delete(*upload.parts.values_list("name", flat=True))
        PartialUpload.objects.filter(pk=upload.pk).delete()
        dropped += 1
    return dropped


def uploads_sweep() -> int:
    """Those that were given up, and finished ones whose answer nobody will ask for again."""
    return uploads_drop(PartialUpload.objects.given_up()[:_AT_ONCE])
