"""Requirements and shutdown of processes that share an installation. Imports nothing slow."""

import logging
import os
import re
import threading
from collections.abc import Callable
from typing import NoReturn

from celery.exceptions import WorkerShutdown
from kombu.exceptions import OperationalError

from cairn.errors import ConfigurationError, Unavailable
from cairn.settings import environment
from ingestion import broker
from web.processes.signals import on_signals

END_SECONDS = 20.0  # for running jobs to hand themselves back in
_SECRET = re.compile(r"(?<=://)[^/@]*@")


def broker_is_in_process() -> bool:
    return environment().celery_broker_url.startswith("memory:")


def require_shared_broker() -> None:
    if broker_is_in_process():
        raise ConfigurationError(
            "CELERY_BROKER_URL is memory://, which no other process can reach: `manage.py up` has its own "
            "worker and beat. To run them as processes, set it to redis://… or amqp://…"
        )


def broker_answers() -> bool:
    try:
        return broker.ping()
    except (OperationalError, OSError):
        return False


def require_broker() -> None:
    try:
        broker.ping()
    except (OperationalError, OSError) as error:
        where = _SECRET.sub("", environment().celery_broker_url)
        raise Unavailable(f"The broker at {where} isn't responding: {error}") from error


def end_on_signals(first: Callable[[], None] = lambda: None) -> None:
    """Shut down like Celery, after `first`: running jobs return to the queue."""

    def in_order() -> NoReturn:
        first()
        _end_in_any_case()
        raise WorkerShutdown(0)

    on_signals(in_order)


def _end_in_any_case() -> None:
    """Exit after a timeout. Remaining jobs are taken over by other workers after their leases expire."""
    logging.getLogger("celery").setLevel(logging.ERROR)
    watchdog = threading.Timer(END_SECONDS, os._exit, args=(0,))
    watchdog.daemon = True
    watchdog.start()
