"""Fair scheduling: users take turns, so one user's second job waits for another user's first.

Each queued job has a `turn`, a numbered ticket of its lane: the ticket of the job now at the front, or one
more than the last ticket of its user if that is higher. The order is thus known without looking at every
user's jobs, and claiming a job costs the same however many wait.
"""

from typing import Final
from uuid import UUID

from ingestion.models import Job, Lane

MAX_INTERACTIVE_JOBS: Final = 20
"""A user with this many waiting is uploading a folder: further jobs go to the bulk lane."""


def lane_for(user: UUID | None) -> Lane:
    waiting = Job.objects.queued().filter(user=user, lane=Lane.INTERACTIVE)[:MAX_INTERACTIVE_JOBS].count()
    return Lane.BULK if waiting >= MAX_INTERACTIVE_JOBS else Lane.INTERACTIVE


def current_ticket(lane: Lane) -> int:
    """Return the ticket that the lane has reached."""
    fresh = Job.objects.queued().filter(lane=lane, not_before=None)
    first = fresh.order_by("turn", "created_at").values_list("turn", flat=True).first()
    return first or 0


def next_ticket(lane: Lane, user: UUID | None) -> int:
    mine = Job.objects.queued().filter(lane=lane, user=user)
    last = mine.order_by("-turn").values_list("turn", "not_before").first()
    if last is None:
        return current_ticket(lane)
    ticket = last[0] + 1
    if last[1] is None:  # it is not before the front, so the ticket lies behind that
        return ticket
    return max(current_ticket(lane), ticket)
