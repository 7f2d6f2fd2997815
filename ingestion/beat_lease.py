"""Leader election for beat: one process schedules, and another takes over when its lease expires."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now

from ingestion.models import Clock

LEASE_DURATION: Final = timedelta(seconds=15)
_ONLY: Final = 1


def acquire_beat_lease(holder: UUID) -> bool:
    """Acquire or renew the lease for LEASE_DURATION by the database's clock. Returns whether it succeeded."""
    until = Now() + LEASE_DURATION
    free = Q(holder=holder) | Q(until__lt=Now())
    if Clock.objects.filter(free, pk=_ONLY).update(holder=holder, until=until):
        return True
    return not Clock.objects.filter(pk=_ONLY).exists() and _first(holder)


def _first(holder: UUID) -> bool:
    try:
        with transaction.atomic():
            Clock.objects.create(pk=_ONLY, holder=holder, until=Now() + LEASE_DURATION)
    except IntegrityError:
        return False
    return True


def release_beat_lease(holder: UUID) -> None:
    Clock.objects.filter(holder=holder).delete()
