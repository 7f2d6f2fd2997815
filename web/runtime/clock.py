"""The beat process. It sends tasks by name, and imports nothing that they need."""

import os
from contextlib import suppress

from django.db import DatabaseError

from cairn.celery import app
from ingestion.ticking import release_beat_lease
from web.runtime.beating import SharedBeat, TurnTaking
from web.runtime.database import require_migrated
from web.runtime.progress import Reporter
from web.runtime.shared import end_on_signals, require_broker, require_shared_broker

_BEAT_SECONDS = 1


def beat_run(*, reporter: Reporter) -> None:
    """Run until a signal asks to stop."""
    require_shared_broker()
    require_broker()
    require_migrated()
    end_on_signals()
    reporter.ready("Sending out what is due, unless another beat does", pid=os.getpid())
    try:
        SharedBeat(app, max_interval=_BEAT_SECONDS).start()
    finally:
        with suppress(DatabaseError):
            release_beat_lease(TurnTaking.own)
