"""Run the beat process."""

import sys
from contextlib import suppress
from typing import Any

from web.management.base import CairnCommand, leave
from web.processes.beat_process import beat_run
from web.processes.progress_report import reporter_for


class Command(CairnCommand):
    help = (
        "Schedule periodic tasks, such as recovering lost jobs and checking watched folders. Run exactly one."
    )

    def handle(self, *_args: Any, **options: Any) -> None:
        with suppress(SystemExit):  # how Celery is stopped
            beat_run(reporter=reporter_for(sys.stdout, as_json=options["as_json"]))
        leave(0)
