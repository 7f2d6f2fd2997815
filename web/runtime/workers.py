"""A Celery worker and beat in threads of this process, for a broker that lives in it."""

import contextlib
import threading

from celery import beat
from celery.exceptions import WorkerShutdown
from celery.worker import state

from cairn.celery import app
from cairn.settings import environment
from ingestion.lifecycle import stopping

_POLL_SECONDS = 0.05
_BEAT_SECONDS = 1.0


def broker_is_in_process() -> bool:
    return environment().celery_broker_url.startswith("memory:")


class Workers:
    def __init__(self) -> None:
        # The in-memory broker is asked, it cannot call: by default once a second.
        app.conf.broker_transport_options = {"polling_interval": _POLL_SECONDS}
        self._worker = app.WorkController(
            app=app,
            pool="threads",
            concurrency=environment().worker_threads,
            hostname="embedded@localhost",
            without_heartbeat=True,
            without_mingle=True,
            without_gossip=True,
        )
        self._beat = beat.Service(app, max_interval=_BEAT_SECONDS, scheduler_cls="celery.beat:Scheduler")
        self._threads = [
            threading.Thread(target=self._work, name="worker", daemon=True),
            threading.Thread(target=self._beat.start, name="beat", daemon=True),
        ]

    def _work(self) -> None:
        with contextlib.suppress(WorkerShutdown, SystemExit):
            self._worker.start()

    def start(self) -> None:
        stopping.clear()
        state.should_terminate = None
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float) -> None:
        """Running jobs are told to give up and hand themselves back; they get `timeout` seconds."""
        stopping.set()
        self._beat.stop()
        state.should_terminate = 0
        for thread in self._threads:
            thread.join(timeout)
        state.should_terminate = None
