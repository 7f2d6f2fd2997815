"""Throttle background indexing while users wait for answers or uploads."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from django.db.models.functions import Now

from ingestion.models import RUNNING, Job, Lane
from retrieval.models import Message

MAX_PAUSE_SECONDS: Final = 5.0  # seconds that one batch waits, so that a build ends under steady load, too
_LOOK_SECONDS: Final = 0.25
_ANSWERS: Final = timedelta(minutes=2)  # one that is older was left by a process that died


def is_busy() -> bool:
    """Return whether any process is writing an answer or processing an interactive upload."""
    running = Message.objects.running().filter(created_at__gte=Now() - _ANSWERS)
    interactive = Job.objects.filter(lane=Lane.INTERACTIVE)
    return (
        running.exists()
        or interactive.filter(stage__in=RUNNING).exists()
        or (interactive & Job.objects.due()).exists()
    )


def yield_to_users(renew: Callable[..., None], *, longest: float = MAX_PAUSE_SECONDS) -> None:
    """Wait while users are served, `longest` seconds at most. `renew` gets `paused` at start and end."""
    if not is_busy():
        return
    renew(paused=True)
    give_up = time.monotonic() + longest
    while is_busy() and time.monotonic() < give_up:
        time.sleep(_LOOK_SECONDS)
        renew()
    renew(paused=False)
