"""Idempotency keys: the same request sent again gets the response to the first one."""

from datetime import timedelta

from django.db.models.functions import Now
from django.utils.translation import gettext_noop

from cairn.access.permissions import documents_for
from cairn.access.scope import Principal
from cairn.errors import Conflict
from cairn.library.models import KnowledgeBase
from ingestion.documents.upload import Submission, Upload
from ingestion.models import IdempotencyKey, Job

IDEMPOTENCY_WINDOW = timedelta(hours=24)


def previous_submission(
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
        raise Conflict(gettext_noop("This Idempotency-Key was already used for a different request."))
    document = documents_for(principal).with_versions().filter(pk=known.document).first()
    if document is None:
        raise Conflict(gettext_noop("The document created with this Idempotency-Key no longer exists."))
    job = Job.objects.filter(pk=known.job).first() if known.job else None
    return Submission(document, job, created_job=job is not None)


def remember_submission(
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
