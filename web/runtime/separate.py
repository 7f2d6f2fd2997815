"""A worker, or the clock, as a process of its own, for a broker that processes share."""

import logging
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from celery.exceptions import WorkerShutdown
from celery.platforms import EX_FAILURE
from celery.worker import WorkController, state
from django.db import DatabaseError, connections
from kombu.exceptions import OperationalError
from prometheus_client import start_http_server

import cairn.audit.tasks  # noqa: F401 - the worker finds its tasks imported
import ingestion.tasks  # noqa: F401
import web.tasks  # noqa: F401
from cairn.celery import app
from cairn.errors import ConfigurationError, Unavailable
from cairn.settings import environment
from cairn.telemetry.tracing import tracing_start, tracing_stop
from ingestion import queue
from ingestion.lifecycle import stopping
from ingestion.ticking import clock_release
from web.runtime import collecting, parts
from web.runtime.beating import SharedBeat, TurnTaking
from web.runtime.database import require_migrated
from web.runtime.progress import Reporter
from web.runtime.workers import broker_is_in_process

log = logging.getLogger(__name__)

_END_SECONDS = 20.0  # for running jobs to hand themselves back in
_BEAT_SECONDS = 1
_LOOK_SECONDS = 0.2
_SECRET = re.compile(r"(?<=://)[^/@]*@")


class _Worker(WorkController):
    """Raises Unavailable where Celery would give up, which leaves a process that hears nothing any more.

    It does when Redis goes away while messages are unacknowledged: kombu 5.7 then looks for a connection
    that it has already thrown away.
    """

    def stop(self, in_sighandler: bool = False, exitcode: int | None = None) -> None:
        if exitcode == EX_FAILURE and not stopping.is_set():
            raise Unavailable("The connection to the broker is beyond repair.")
        super().stop(in_sighandler, exitcode)


def worker_run(*, queues: Sequence[str], concurrency: int, reporter: Reporter) -> None:
    """Until a signal asks for the end. Raises CairnError with nothing left running."""
    require_shared_broker()
    require_shared_index()
    tracing_start(environment(), role="worker")
    wanted = _known_queues(queues)
    require_migrated()
    _require_broker()
    app.set_current()
    reporter.status("Loading the embedding model")
    reporter.step(f"Vector index ready ({parts.vector_index()})")
    parts.parser()
    connections.close_all()
    collecting.loading_ended()
    worker = _Worker(
        app=app,
        pool="threads",
        concurrency=concurrency,
        queues=wanted,
        hostname=f"worker-{os.getpid()}@{socket.gethostname()}",
        without_heartbeat=True,
        without_mingle=True,
        without_gossip=True,
    )
    _end_on_signals()
    _serve_metrics()
    reporter.ready(f"Working on {', '.join(wanted)}, {concurrency} at once", queues=wanted, pid=os.getpid())
    try:
        worker.start()
    except Unavailable:
        _start_over()
    finally:
        stopping.set()
        parts.close()
        tracing_stop()


def beat_run(*, reporter: Reporter) -> None:
    require_shared_broker()
    _require_broker()
    require_migrated()
    _end_on_signals()
    reporter.ready("Sending out what is due, unless another beat does", pid=os.getpid())
    try:
        SharedBeat(app, max_interval=_BEAT_SECONDS).start()
    finally:
        with suppress(DatabaseError):
            clock_release(TurnTaking.own)


def _serve_metrics() -> None:
    """Its own figures: the web process cannot know them."""
    if where := environment().worker_metrics:
        host, _, port = where.rpartition(":")
        try:
            start_http_server(int(port), host.strip("[]"))
        except (OSError, OverflowError) as error:
            raise ConfigurationError(f"WORKER_METRICS names {where}, which cannot be had: {error}") from error


def require_shared_broker() -> None:
    if broker_is_in_process():
        raise ConfigurationError(
            "CELERY_BROKER_URL is memory://, which no other process can reach: `manage.py up` has its own "
            "worker and beat. To run them as processes, set it to redis://… or amqp://…"
        )


def require_shared_index() -> None:
    if environment().qdrant_url is None:
        raise ConfigurationError(
            "The vector index is Qdrant Edge in DATA_DIR, which one process may have open. To run workers "
            "as processes, set QDRANT_URL to a Qdrant server."
        )


def _start_over() -> NoReturn:
    """As a new program in this process, once running jobs are back in the queue and the broker is there."""
    stopping.set()
    log.warning("starting over, since the connection to the broker is lost")
    give_up = time.monotonic() + _END_SECONDS
    while state.active_requests and time.monotonic() < give_up:
        time.sleep(_LOOK_SECONDS)
    while not _broker_answers():
        time.sleep(_LOOK_SECONDS)
    parts.close()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - what runs already


def _broker_answers() -> bool:
    try:
        return queue.ping()
    except (OperationalError, OSError):
        return False


def _known_queues(wanted: Sequence[str]) -> list[str]:
    known = list(app.amqp.queues)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ConfigurationError(f"There is no queue {', '.join(unknown)}. There are: {', '.join(known)}.")
    return list(wanted) or known


def _require_broker() -> None:
    try:
        queue.ping()
    except (OperationalError, OSError) as error:
        where = _SECRET.sub("", environment().celery_broker_url)
        raise Unavailable(f"The broker at {where} does not answer: {error}") from error


def _end_on_signals() -> None:
    """The first one ends in order: running jobs go back to the queue. The second ends at once."""
    signals = (signal.SIGINT, signal.SIGTERM)

    def at_once(number: int, _frame: FrameType | None) -> NoReturn:
        os._exit(128 + number)

    def in_order(_number: int, _frame: FrameType | None) -> NoReturn:
        for each in signals:
            signal.signal(each, at_once)
        stopping.set()
        _end_in_any_case()
        raise WorkerShutdown(0)

    for each in signals:
        signal.signal(each, in_order)


def _end_in_any_case() -> None:
    """What is still running then is taken up by another worker once its lease has run out."""
    logging.getLogger("celery").setLevel(logging.ERROR)
    watchdog = threading.Timer(_END_SECONDS, os._exit, args=(0,))
    watchdog.daemon = True
    watchdog.start()
