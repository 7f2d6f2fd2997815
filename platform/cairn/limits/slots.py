"""How many answers are written for somebody at once: places with numbers, each held as long as it is kept.

Only one can hold a number, so that two who come at the same moment do not both get the last one. What a dead
process was holding is free again when its time is over.
"""

import time
from collections.abc import Collection
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.utils import timezone

from cairn.access.scope import Principal
from cairn.errors import RateLimited
from cairn.limits.models import Slot
from cairn.limits.rules import Allowance, Measure

HELD: Final = timedelta(seconds=60)
KEEP_SECONDS: Final = 20
RETRY_SECONDS: Final = 5


class Lease:
    """`keep` it while it is needed, often; `release` it at the end."""

    def __init__(self, owner: UUID | None = None, holder: UUID | None = None) -> None:
        self._rows = (
            Slot.objects.filter(owner=owner, holder=holder) if owner and holder else Slot.objects.none()
        )
        self._kept = time.monotonic()

    @property
    def due(self) -> bool:
        return time.monotonic() - self._kept > KEEP_SECONDS

    def keep(self) -> None:
        self._kept = time.monotonic()
        self._rows.update(until=timezone.now() + HELD)

    def release(self) -> None:
        self._rows.delete()


def slot_take(principal: Principal, allowance: Allowance) -> Lease:
    """Raises RateLimited while all that the owner may have are held."""
    most = allowance.most[Measure.STREAMS_AT_ONCE]
    if most is None or principal.viewer is not None:
        return Lease()
    holder = uuid4()
    for number in _free(allowance.owner, most):
        if _taken(allowance.owner, number, holder):
            return Lease(allowance.owner, holder)
    message = f"{most} of your questions are being answered already. Wait for one of them, or stop it."
    raise RateLimited(message if most else "You may not ask.", retry_after=RETRY_SECONDS)


def slots_held(allowance: Allowance) -> int:
    return Slot.objects.filter(owner=allowance.owner, until__gt=timezone.now()).count()


def _free(owner: UUID, most: int) -> Collection[int]:
    held = set(Slot.objects.filter(owner=owner, until__gt=timezone.now()).values_list("number", flat=True))
    return [number for number in range(1, most + len(held) + 1) if number not in held][
        : max(0, most - len(held))
    ]


def _taken(owner: UUID, number: int, holder: UUID) -> bool:
    """False if somebody else was faster."""
    now = timezone.now()
    place = Slot.objects.filter(owner=owner, number=number)
    if place.filter(until__lte=now).update(holder=holder, until=now + HELD):
        return True
    try:
        with transaction.atomic():
            Slot.objects.create(owner=owner, number=number, holder=holder, until=now + HELD)
    except IntegrityError:
        return False
    return True
