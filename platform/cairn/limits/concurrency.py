"""Concurrency limits: numbered slots, leased while a stream is open.

Only one stream can own a number, so that two that start at the same moment do not both get the last one. A
dead process's lease expires.
"""

import time
from collections.abc import Collection
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from cairn.access.scope import Principal
from cairn.errors import RateLimited
from cairn.limits.models import Slot
from cairn.limits.rules import Allowance, Measure
from cairn.messages import CodedMessage

LEASE_DURATION: Final = timedelta(seconds=60)
RENEW_SECONDS: Final = 20
RETRY_SECONDS: Final = 5
_REFUSALS: Final = {
    Measure.STREAMS_AT_ONCE: "streams_at_once",
    Measure.FOLLOWED_AT_ONCE: "followed_at_once",
}


class SlotLease:
    """A leased slot: `renew` it often while in use, then `release` it. Without an owner there is no slot and
    no database access."""

    def __init__(self, owner: UUID | None = None, holder: UUID | None = None) -> None:
        self._rows = Slot.objects.filter(owner=owner, holder=holder) if owner and holder else None
        self._renewed_at = time.monotonic()

    @property
    def due(self) -> bool:
        return time.monotonic() - self._renewed_at > RENEW_SECONDS

    def renew(self) -> None:
        self._renewed_at = time.monotonic()
        if self._rows is not None:
            self._rows.update(until=timezone.now() + LEASE_DURATION)

    def release(self) -> None:
        if self._rows is not None:
            self._rows.delete()


def slot_take(
    principal: Principal, allowance: Allowance, kind: Measure = Measure.STREAMS_AT_ONCE
) -> SlotLease:
    """Lease a slot. Raises RateLimited while all of the owner's slots are taken."""
    most = allowance.most[kind]
    if most is None or principal.viewer is not None:
        return SlotLease()
    holder, places = uuid4(), Slot.objects.filter(owner=allowance.owner, kind=kind)
    for number in _free(places, most):
        if _try_take(places, Slot(owner=allowance.owner, kind=kind, number=number, holder=holder)):
            return SlotLease(allowance.owner, holder)
    raise RateLimited(CodedMessage(_REFUSALS[kind], most=most), retry_after=RETRY_SECONDS)


def count_open_slots(allowance: Allowance) -> int:
    """Count the answers being written."""
    rows = Slot.objects.filter(owner=allowance.owner, kind=Measure.STREAMS_AT_ONCE)
    return rows.filter(until__gt=timezone.now()).count()


def _free(places: "QuerySet[Slot]", most: int) -> Collection[int]:
    taken = set(places.filter(until__gt=timezone.now()).values_list("number", flat=True))
    return [number for number in range(1, most + len(taken) + 1) if number not in taken][
        : max(0, most - len(taken))
    ]


def _try_take(places: "QuerySet[Slot]", slot: Slot) -> bool:
    """Return whether the slot was free: False if another request was faster."""
    now = timezone.now()
    slot.until = now + LEASE_DURATION
    if places.filter(number=slot.number, until__lte=now).update(holder=slot.holder, until=slot.until):
        return True
    try:
        with transaction.atomic():
            slot.save()
    except IntegrityError:
        return False
    return True
