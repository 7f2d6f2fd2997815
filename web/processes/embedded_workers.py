"""A Celery worker and beat in threads of this process, for the in-process broker."""

import contextlib
import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from celery import Celery
from celery.exceptions import WorkerShutdown
from celery.worker import state

from cairn.celery import app
from cairn.settings import environment
from ingestion import broker
from ingestion.jobs.lifecycle import stopping
from ingestion.jobs.presence import Presence
from ingestion.models import ProcessKind
from web.processes.leader_scheduler import Beat

_BROKER = "memory://localhost"
_POLL_SECONDS = 0.05
_BEAT_SECONDS = 1


logging.getLogger("celery.worker.control").setLevel(logging.ERROR)  # it warns of being shut down


def _create_reserved_app() -> Celery:
    """Create another app, as an app contains the queues of its worker."""
    reserved = Celery("cairn-reserved", set_as_current=False)
    reserved.config_from_object(app.conf)
    return reserved


class Workers:
    """One worker for all queues, and one thread reserved for interactive work and maintenance."""

    def __init__(self) -> None:
        # The in-memory broker is asked, it cannot call: by default once a second. The host means nothing
        # there, but without one kombu warns.
        app.conf.update(broker_url=_BROKER, broker_transport_options={"polling_interval": _POLL_SECONDS})
        self._worker = _controller(app, "embedded", environment().worker_threads, queues=None)
        self._reserved = _controller(
            _create_reserved_app(), "reserved", 1, queues=(broker.INTERACTIVE, broker.MAINTENANCE)
        )
        self._beat = Beat(app, max_interval=_BEAT_SECONDS)
        self._threads = [
            threading.Thread(target=_work, args=(self._worker,), name="worker", daemon=True),
            threading.Thread(target=_work, args=(self._reserved,), name="reserved-worker", daemon=True),
        ]
        self._beat_thread = threading.Thread(target=self._beat.start, name="beat", daemon=True)
        self._presences = [
            Presence(ProcessKind.WORKER, is_alive=lambda: all(thread.is_alive() for thread in self._threads)),
            Presence(ProcessKind.BEAT, is_alive=self._beat_thread.is_alive),
        ]

    def start(self) -> None:
        """Start, and take over jobs of an earlier process at once."""
        stopping.clear()
        for thread in (*self._threads, self._beat_thread):
            thread.start()
        for presence in self._presences:
            presence.start()
        app.send_task("ingestion.sweep", kwargs={"everything": True})

    def stop(self, timeout: float) -> None:
        """Ask running jobs to return to the queue, within `timeout` seconds."""
        give_up = time.monotonic() + timeout
        stopping.set()
        self._beat.stop()
        for presence in self._presences:
            presence.stop(timeout=0.5)
        if any(thread.is_alive() for thread in self._threads):
            app.control.broadcast("shutdown")  # a flag would be seen only after two seconds without a message
        for thread in self._threads:
            thread.join(max(0.0, give_up - time.monotonic()))
        while state.active_requests and time.monotonic() < give_up:
            time.sleep(_POLL_SECONDS)


def _controller(own: Celery, name: str, concurrency: int, queues: Sequence[str] | None) -> Any:
    return own.WorkController(
        app=own,
        pool="threads",
        concurrency=concurrency,
        queues=queues,
        hostname=f"{name}@localhost",
        without_heartbeat=True,
        without_mingle=True,
        without_gossip=True,
    )


def _work(controller: Any) -> None:
    with contextlib.suppress(WorkerShutdown, SystemExit):
        controller.start()
