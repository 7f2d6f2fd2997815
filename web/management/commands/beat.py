"""Run the beat process."""

import sys
from contextlib import suppress
from typing import Any

from web.management.base import CairnCommand, leave
from web.runtime.clock import beat_run
from web.runtime.progress import reporter_for


class Command(CairnCommand):
    help = "Send out what is due: looking for dropped work and at watched folders. Run one of these."

    def handle(self, *_args: Any, **options: Any) -> None:
        with suppress(SystemExit):  # how Celery is told to end
            beat_run(reporter=reporter_for(sys.stdout, as_json=options["as_json"]))
        leave(0)
