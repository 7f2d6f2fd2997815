"""The worker process, for a shared broker."""

import logging
import os
import socket
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

from celery.platforms import EX_FAILURE
from celery.worker import WorkController, state
from django.db import connections
from prometheus_client import start_http_server

import cairn.audit.tasks  # noqa: F401 - the worker finds its tasks imported
import ingestion.tasks  # noqa: F401
import web.tasks  # noqa: F401
from cairn.celery import app
from cairn.errors import ConfigurationError, Unavailable
from cairn.settings import environment
from cairn.telemetry.tracing import tracing_start, tracing_stop
from ingestion.jobs.lifecycle import stopping
from ingestion.jobs.presence import Presence
from ingestion.models import ProcessKind
from retrieval.index.backends import require_shared_index
from web.data_dir.migrate import require_migrated
from web.processes import garbage_collection, warm_imports
from web.processes.preflight import (
    END_SECONDS,
    broker_answers,
    end_on_signals,
    require_broker,
    require_shared_broker,
)
from web.processes.progress_report import Reporter
from web.processes.watchdog import START_AGAIN, command_pid, is_supervised

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2


class _Worker(WorkController):
    """A worker that raises Unavailable if Celery gives up on the broker, which would leave it idle.

    This happens when Redis goes away while messages are unacknowledged: kombu 5.7 then looks for a connection
    that it has already discarded.
    """

    def stop(self, in_sighandler: bool = False, exitcode: int | None = None) -> None:
        if exitcode == EX_FAILURE and not stopping.is_set():
            raise Unavailable("The connection to the broker is beyond repair.")
        super().stop(in_sighandler, exitcode)


def worker_run(*, queues: Sequence[str], concurrency: int, reporter: Reporter) -> None:
    """Run until a signal asks to stop. Raises CairnError with nothing left running."""
    require_shared_broker()
    require_shared_index()
    tracing_start(environment(), role="worker")
    known = _resolve_queues(queues)
    require_migrated()
    require_broker()
    app.set_current()
    reporter.status("Loading the embedding model")
    reporter.step(f"Vector index ready ({warm_imports.vector_index()})")
    warm_imports.parser()
    connections.close_all()
    garbage_collection.loading_ended()
    worker = _Worker(
        app=app,
        pool="threads",
        concurrency=concurrency,
        queues=known,
        hostname=f"worker-{os.getpid()}@{socket.gethostname()}",
        without_heartbeat=True,
        without_mingle=True,
        without_gossip=True,
    )
    end_on_signals(stopping.set)
    _serve_metrics()
    reporter.ready(f"Working on {', '.join(known)}, {concurrency} at once", queues=known, pid=command_pid())
    presence = Presence(ProcessKind.WORKER, queues=known)
    presence.start()
    try:
        worker.start()
    except Unavailable:
        presence.stop()
        _start_over()
    finally:
        stopping.set()
        presence.stop()
        warm_imports.close()
        tracing_stop()


def _serve_metrics() -> None:
    """Serve this process's own metrics, which the web process does not have."""
    if where := environment().worker_metrics_address:
        host, _, port = where.rpartition(":")
        try:
            start_http_server(int(port), host.strip("[]"))
        except (OSError, OverflowError) as error:
            raise ConfigurationError(
                f"WORKER_METRICS_ADDRESS names {where}, which cannot be had: {error}"
            ) from error


def _start_over() -> NoReturn:
    """Re-execute the program once running jobs are back in the queue and the broker is available."""
    stopping.set()
    log.warning("restarting, since the connection to the broker was lost")
    give_up = time.monotonic() + END_SECONDS
    while state.active_requests and time.monotonic() < give_up:
        time.sleep(_LOOK_SECONDS)
    while not broker_answers():
        time.sleep(_LOOK_SECONDS)
    warm_imports.close()
    if is_supervised():
        os._exit(START_AGAIN)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - what runs already


def _resolve_queues(requested: Sequence[str]) -> list[str]:
    known = list(app.amqp.queues)
    unknown = [name for name in requested if name not in known]
    if unknown:
        raise ConfigurationError(f"There is no queue {', '.join(unknown)}. There are: {', '.join(known)}.")
    return list(requested) or known
