"""Making way: a build waits while somebody is being answered, or waits for an upload."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from django.db.models.functions import Now

from ingestion.models import RUNNING, Job, Lane
from retrieval.models import Message, MessageState

LONGEST: Final = 5.0  # seconds that one batch waits, so that a build ends under steady load, too
_LOOK_SECONDS: Final = 0.25
_ANSWERS: Final = timedelta(minutes=2)  # one that is older was left by a process that died


def busy() -> bool:
    """An answer is being written, or an interactive upload is worked on, in whichever process."""
    running = Message.objects.filter(state=MessageState.RUNNING, created_at__gte=Now() - _ANSWERS)
    interactive = Job.objects.filter(lane=Lane.INTERACTIVE)
    return (
        running.exists()
        or interactive.filter(stage__in=RUNNING).exists()
        or (interactive & Job.objects.due()).exists()
    )


def make_way(keep: Callable[..., None], *, longest: float = LONGEST) -> None:
    """Until nobody is busy, for a while at most. `keep` is told when it begins and ends to wait."""
    if not busy():
        return
    keep(paused=True)
    give_up = time.monotonic() + longest
    while busy() and time.monotonic() < give_up:
        time.sleep(_LOOK_SECONDS)
        keep()
    keep(paused=False)
