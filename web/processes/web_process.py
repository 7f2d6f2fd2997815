"""A web process of a cluster, which only serves. Other processes migrate, work and schedule."""

import os
import socket
import sys
import time
from importlib import import_module
from typing import Final

from django.db import connections

from cairn.accounts.models import User
from cairn.errors import ConfigurationError, Unavailable
from cairn.settings import environment
from cairn.settings.env import EDGE, ONE_PROCESS_ONLY
from cairn.settings.stored.store import reload_snapshot
from cairn.telemetry.tracing import tracing_start, tracing_stop
from web.data_dir.first_admin import FirstAdmin, first_admin_create, introduction
from web.data_dir.migrate import require_migrated
from web.http.shutdown import draining, ending
from web.model_tests.outside_gate import operator_choice_record
from web.processes import garbage_collection
from web.processes.bind_safety import is_outside, require_admin_password, require_safe_settings
from web.processes.http_server import OPEN_STREAMS_SECONDS, WebServer, url_of
from web.processes.preflight import require_shared_broker
from web.processes.progress_report import Reporter
from web.processes.signals import Stopped
from web.processes.warmup import Loading

_WATCH_SECONDS: Final = 1.0
_INDEX_BACKENDS: Final = "retrieval.index.backends"  # by name: it imports the Qdrant client


class Serving:
    """A web process with `start`, `wait` and `end`. Several may share one installation and listener."""

    def __init__(self, listener: socket.socket, *, reporter: Reporter) -> None:
        self._report = reporter
        self._listener = listener
        self._server = WebServer(listener, patience=environment().shutdown_stream_seconds)
        self._loading = Loading(ahead=True)
        self.url = url_of(listener)

    def start(self) -> None:
        """Start serving with warm models. Raises CairnError."""
        require_shared_settings()
        import_module(_INDEX_BACKENDS).require_shared_index()
        tracing_start(environment(), role="web")
        garbage_collection.loading_begins()
        if is_outside(self._listener):
            require_safe_settings(environment())
        self._loading.start()
        self._prepare_database()
        self._report.status("Loading libraries")
        self._loading.libraries()
        garbage_collection.loading_ended()
        self._server.start()
        self._loading.parts()
        problems = self._loading.wait(self._report)
        garbage_collection.loading_ended()
        not_working = f"  Not working: {', '.join(problems)}." if problems else ""
        self._report.ready(f"Serving {self.url}{not_working}", url=self.url, problems=problems)

    def _prepare_database(self) -> None:
        require_migrated()
        reload_snapshot()
        operator_choice_record()
        if is_outside(self._listener):
            require_admin_password(environment())
        admin = _first_admin()
        if admin is not None and admin.password is not None:
            self._report.step(introduction(admin, on_terminal=self._report.on_terminal))
        connections.close_all()

    def wait(self) -> None:
        """Wait while the parent lives. Raises Unavailable if the web server ends by itself."""
        parent = os.getppid()
        while self._server.alive:
            time.sleep(_WATCH_SECONDS)
            if os.getppid() != parent:
                return
        raise Unavailable("The web server stopped unexpectedly.")

    def end(self) -> None:
        """Report not ready, then refuse requests, and abort open ones when the time is up."""
        draining.set()
        if self._server.alive:
            self._report.status("Waiting until nobody is sent here any more")
            time.sleep(environment().shutdown_drain_seconds)
            self._report.status("Waiting for answers that are being written")
            self._server.refuse()
            self._server.wait_ended(environment().shutdown_stream_seconds)
            ending.set()
            self._server.stop(OPEN_STREAMS_SECONDS + _WATCH_SECONDS)
        self._loading.close()
        tracing_stop()
        self._report.close()


def require_shared_settings() -> None:
    """Require settings that processes must share. Raises ConfigurationError.

    The command that starts processes calls this, so it loads no vector store: those bring native libraries.
    """
    require_shared_broker()
    if environment().vector_store == EDGE:
        raise ConfigurationError(ONE_PROCESS_ONLY.format(store=EDGE))
    if environment().secret_key is None:
        raise ConfigurationError(
            "Web processes must sign sessions alike: set SECRET_KEY, the same for all of them."
        )


def _first_admin() -> FirstAdmin | None:
    """Create the first admin. Returns None if another process did so at the same time."""
    try:
        return first_admin_create()
    except ConfigurationError:
        if User.objects.filter(is_admin=True).exists():
            return None
        raise


def serve(serving: Serving) -> None:
    """Serve until a signal asks to stop. Raises CairnError with nothing left running."""
    try:
        serving.start()
        serving.wait()
    except Stopped:
        pass
    finally:
        serving.end()
        sys.stdout.flush()
