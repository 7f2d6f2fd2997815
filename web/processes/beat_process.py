"""The beat process. It sends tasks by name, and imports nothing that they need."""

import os
from contextlib import suppress

from django.db import DatabaseError

from cairn.celery import app
from ingestion.beat_lease import release_beat_lease
from ingestion.jobs.presence import Presence
from ingestion.models import ProcessKind
from web.data_dir.migrate import require_migrated
from web.processes.leader_scheduler import SharedBeat, TurnTaking
from web.processes.preflight import end_on_signals, require_broker, require_shared_broker
from web.processes.progress_report import Reporter

_BEAT_SECONDS = 1


def beat_run(*, reporter: Reporter) -> None:
    """Run until a signal asks to stop."""
    require_shared_broker()
    require_broker()
    require_migrated()
    end_on_signals()
    reporter.ready("Sending out what is due, unless another beat does", pid=os.getpid())
    presence = Presence(ProcessKind.BEAT)
    presence.start()
    try:
        SharedBeat(app, max_interval=_BEAT_SECONDS).start()
    finally:
        presence.stop()
        with suppress(DatabaseError):
            release_beat_lease(TurnTaking.own)
