"""Of several clocks (beat), one ticks; another takes its place when it has not been heard of for a while."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now

from ingestion.models import Clock

HELD: Final = timedelta(seconds=15)
_ONLY: Final = 1


def clock_hold(holder: UUID) -> bool:
    """Whether this one ticks for the next HELD. Times are the database's."""
    until = Now() + HELD
    free = Q(holder=holder) | Q(until__lt=Now())
    if Clock.objects.filter(free, pk=_ONLY).update(holder=holder, until=until):
        return True
    return not Clock.objects.filter(pk=_ONLY).exists() and _first(holder)


def _first(holder: UUID) -> bool:
    try:
        with transaction.atomic():
            Clock.objects.create(pk=_ONLY, holder=holder, until=Now() + HELD)
    except IntegrityError:
        return False
    return True


def clock_release(holder: UUID) -> None:
    Clock.objects.filter(holder=holder).delete()
