"""Delete a user and erase their data (GDPR), with a receipt."""

from collections.abc import Iterator
from uuid import UUID

from django.apps import apps
from django.db import models, transaction
from django.utils import timezone

from cairn.access.source_people import erase_source_people
from cairn.accounts.models import User
from cairn.accounts.services import user_delete
from cairn.audit.services import record
from cairn.errors import Unavailable
from cairn.library import storage
from cairn.limits.models import Usage
from ingestion.documents.conversation_files import user_files_delete
from ingestion.erasure.receipts import REMOVED
from ingestion.erasure.sqlite_wal import scrub
from ingestion.models import Receipt, ReceiptState, UploadPart
from retrieval.models import Citation


def user_erase(*, user: User, actor: UUID | None) -> Receipt:
    """Erase a user with their conversations, keys, sessions and grants. Uploaded documents stay, except files
    attached to conversations, whose erasure has receipts of its own."""
    identity: UUID = user.pk
    with transaction.atomic():
        user_files_delete(user)
        parts = list(UploadPart.objects.filter(upload__user=user).values_list("name", flat=True))
        keys = list(user.api_keys.values_list("id", flat=True))
        used, _ = Usage.objects.filter(owner__in=[identity, *keys]).delete()
        quotes = Citation.objects.filter(message__conversation__user=user).count()
        removed = {**dict.fromkeys(REMOVED, 0), "quotes": quotes}
        erase_source_people(user)
        removed["rows"] = user_delete(user, actor=actor) + used
        if any(rows.exists() for rows in _rows_referring_to(identity)):
            raise Unavailable("Some data still belongs to an erased user.")
        receipt = Receipt.objects.create(
            object=f"user:{identity}",
            state=ReceiptState.DONE,
            removed=removed,
            requested_by_id=None if actor == identity else actor,
            verified_at=timezone.now(),
        )
        record("erasure.done", actor=actor, subject=receipt.object, removed=removed)
        transaction.on_commit(lambda: storage.files_delete(*parts), robust=True)
        transaction.on_commit(_scrub, robust=True)
    return receipt


def _scrub() -> None:
    scrub()


def _rows_referring_to(user: UUID) -> Iterator["models.QuerySet[models.Model]"]:
    """Yield a queryset for each foreign key to users, in whichever app."""
    for model in apps.get_models(include_auto_created=True):
        for field in model._meta.concrete_fields:
            if field.is_relation and field.related_model is User:
                yield model._default_manager.filter(**{field.attname: user})
