"""Link people of sources to accounts as soon as a directory identifies an account."""

from typing import Any

from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from cairn.access.source_people import link_identity, unlink_identity
from cairn.accounts.models import Identity


@receiver(post_save, sender=Identity, dispatch_uid="access.identity")
def _link_people(instance: Identity, **_: Any) -> None:
    link_identity(instance)


@receiver(post_delete, sender=Identity, dispatch_uid="access.identity.gone")
def _unlink_people(instance: Identity, **_: Any) -> None:
    unlink_identity(instance)
