"""A Celery worker and beat in threads of this process, for a broker that lives in it."""

import contextlib
import logging
import threading
import time

from celery import beat
from celery.exceptions import WorkerShutdown
from celery.worker import state

from cairn.celery import app
from cairn.settings import environment
from ingestion.lifecycle import stopping

_BROKER = "memory://localhost"
_POLL_SECONDS = 0.05
_BEAT_SECONDS = 1


def broker_is_in_process() -> bool:
    return environment().celery_broker_url.startswith("memory:")


class Beat(beat.Service):
    """Keeps its schedule in memory: the default writes a file into the working directory."""

    scheduler_cls = beat.Scheduler  # type: ignore[assignment] # annotated with the default one


logging.getLogger("celery.worker.control").setLevel(logging.ERROR)  # it warns of being shut down


class Workers:
    def __init__(self) -> None:
        # The in-memory broker is asked, it cannot call: by default once a second. The host means nothing
        # there, but without one kombu warns.
        app.conf.update(broker_url=_BROKER, broker_transport_options={"polling_interval": _POLL_SECONDS})
        self._worker = app.WorkController(
            app=app,
            pool="threads",
            concurrency=environment().worker_threads,
            hostname="embedded@localhost",
            without_heartbeat=True,
            without_mingle=True,
            without_gossip=True,
        )
        self._beat = Beat(app, max_interval=_BEAT_SECONDS)
        self._thread = threading.Thread(target=self._work, name="worker", daemon=True)
        self._beat_thread = threading.Thread(target=self._beat.start, name="beat", daemon=True)

    def _work(self) -> None:
        with contextlib.suppress(WorkerShutdown, SystemExit):
            self._worker.start()

    def start(self) -> None:
        """Takes up at once what an earlier process left behind."""
        stopping.clear()
        self._thread.start()
        self._beat_thread.start()
        app.send_task("ingestion.sweep", kwargs={"everything": True})

    def stop(self, timeout: float) -> None:
        """Running jobs are told to give up and hand themselves back; they get `timeout` seconds."""
        give_up = time.monotonic() + timeout
        stopping.set()
        self._beat.stop()
        if self._thread.is_alive():
            app.control.broadcast("shutdown")  # a flag would be seen only after two seconds without a message
            self._thread.join(timeout)
        while state.active_requests and time.monotonic() < give_up:
            time.sleep(_POLL_SECONDS)
