"""Whose job comes next. Users take turns: the second job of one waits for the first of another.

Each queued job has a `turn`, like a numbered ticket of its lane: that of the job now at the front, or one
more than the last ticket of its user if that is higher. So the order is known without looking at every
user's jobs, and claiming one costs the same however many wait.
"""

from typing import Final
from uuid import UUID

from django.db.models import Max, Q

from ingestion.models import Job, Lane

MANY: Final = 20
"""Who has as many interactive jobs waiting is bringing in a folder, whatever it is called."""


def lane_for(user: UUID | None) -> Lane:
    waiting = Job.objects.queued().filter(user=user, lane=Lane.INTERACTIVE)[:MANY].count()
    return Lane.BULK if waiting >= MANY else Lane.INTERACTIVE


def front(lane: Lane) -> int:
    """The turn that the lane is at."""
    fresh = Job.objects.queued().filter(lane=lane, not_before=None)
    first = fresh.order_by("turn", "created_at").values_list("turn", flat=True).first()
    return first or 0


def next_turn(lane: Lane, user: UUID | None) -> int:
    mine = Job.objects.queued().filter(lane=lane, user=user)
    found = mine.aggregate(last=Max("turn"), fresh=Max("turn", filter=Q(not_before=None)))
    last: int | None = found["last"]
    if last is None:
        return front(lane)
    ticket = last + 1
    if found["fresh"] is not None:  # it is not before the front, so the ticket lies behind that
        return ticket
    return max(front(lane), ticket)
