"""All of Cairn in one process: `start`, `wait_ready`, `stop`."""

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from django.conf import settings

from cairn.errors import Unavailable
from cairn.settings import Environment, environment
from cairn.settings.chat_models import DEMONSTRATION_ONLY
from cairn.settings.stored.store import effective_environment, reload_snapshot
from cairn.telemetry.tracing import tracing_start, tracing_stop
from ingestion.jobs.lifecycle import stopping
from ingestion.jobs.sweeper import leases_release_all
from retrieval.conversations.ask import answers_interrupt
from web.data_dir.first_admin import first_admin_create, introduction, password_file, shorten_path
from web.data_dir.help_documents import loading as help_loading
from web.data_dir.help_documents import sample_load, sample_state
from web.data_dir.migrate import migrate
from web.data_dir.restore_marker import require_finished
from web.http.shutdown import draining, ending
from web.model_tests.outside_gate import operator_choice_record
from web.processes import garbage_collection
from web.processes.bind_safety import is_outside, require_admin_password, require_safe_settings
from web.processes.data_dir_lock import DataDirLock
from web.processes.embedded_workers import Workers
from web.processes.http_server import WebServer, listen, url_of
from web.processes.preflight import broker_is_in_process
from web.processes.progress_report import Reporter, SilentReporter
from web.processes.warmup import INGESTION_NEEDS, Loading

_STOP_SECONDS = 3.0  # of the five that a clean end may take
_LOOK_SECONDS = 0.2
_SAMPLE_SECONDS = 60.0  # on a busy machine the rest of the sample follows while people sign in
_WATCH_SECONDS = 1.0


class Runtime:
    """All services. `warm`: load models, and docs/ as a knowledge base, ahead; else at first use."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        command: str = "manage.py up",
        reporter: Reporter | None = None,
        warm: bool = True,
    ) -> None:
        self._host, self._port, self._command = host, port, command
        self._report: Reporter = reporter or SilentReporter()
        self._lock = DataDirLock(Path(settings.DATA_DIR))
        self._began = time.monotonic()
        self._server: WebServer | None = None
        self._workers: Workers | None = None
        self._loading = Loading(ahead=warm)
        self.url = ""

    def start(self) -> None:
        """Start serving; models may still load. Raises CairnError with nothing left running."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        garbage_collection.loading_begins()
        self._lock.acquire(self._command)
        tracing_start(environment(), role="web")
        require_finished()
        listener = listen(self._host, self._port)
        self._server = WebServer(listener)
        outside = is_outside(listener)
        if outside:
            require_safe_settings(environment())
        self.url = url_of(listener)
        self._lock.announce(self.url)
        self._loading.start()
        self._prepare_database(outside=outside)
        self._report.status("Loading libraries")
        self._loading.libraries()
        garbage_collection.loading_ended()
        if environment().sample_knowledge_base:
            help_loading.set()
        self._server.start()
        self._report.step(f"Serving {self.url} while models and documents load")
        self._loading.parts()
        if broker_is_in_process():
            self._start_workers()

    def _prepare_database(self, *, outside: bool) -> None:
        Path(settings.STATIC_ROOT).mkdir(exist_ok=True)  # ServeStatic warns of a folder that is not there
        self._report.status("Preparing the database")
        applied = migrate()
        reload_snapshot()
        operator_choice_record()
        if broker_is_in_process():  # then no other process writes answers
            answers_interrupt()
        self._report.step(f"Database ready{f' ({_count_migrations(applied)} applied)' if applied else ''}")
        if outside:
            require_admin_password(environment())
        admin = first_admin_create()
        if admin is not None:
            self._report.step(introduction(admin, on_terminal=self._report.on_terminal))

    def _start_workers(self) -> None:
        # No other process uses this database: a lease found at the start belongs to a dead one.
        leases_release_all()
        self._workers = Workers()
        self._workers.start()

    def wait_ready(self) -> None:
        """Wait for the models, and at most a minute for the sample. Problems are reported, not raised."""
        problems = self._loading.wait(self._report)
        if environment().sample_knowledge_base:
            sample_load()
            help_loading.clear()
            if self._workers is not None and problems.keys().isdisjoint(INGESTION_NEEDS):
                self._wait_for_sample()
        garbage_collection.loading_ended()
        if unreachable := _unreachable_names(self._host):
            self._report.step(unreachable)
        if effective_environment().has_packaged_chat_model:
            self._report.step(DEMONSTRATION_ONLY)
        self._report.ready(self._ready_line(problems), url=self.url, problems=problems)

    def _wait_for_sample(self) -> None:
        until = time.monotonic() + _SAMPLE_SECONDS
        while not (state := sample_state()).settled and time.monotonic() < until:
            self._report.status(f"Cairn help: {state.ready}/{state.total} documents")
            time.sleep(_LOOK_SECONDS)
        rest = "" if state.settled else "; the others follow"
        self._report.step(f"Cairn help: {state.ready}/{state.total} documents{rest}")
        for source_uri, message in state.failed:
            self._report.step(f"  {source_uri}: {message}")

    def _ready_line(self, problems: dict[str, str]) -> str:
        hint = f", password in {shorten_path(password_file())}" if password_file().exists() else ""
        seconds = time.monotonic() - self._began
        line = f"Cairn is ready: {self.url}  (sign in as admin{hint}; started in {seconds:.0f} s)"
        return f"{line}  Not working: {', '.join(problems)}." if problems else line

    def wait(self) -> None:
        """Wait forever. Raises Unavailable if the web server ends by itself."""
        assert self._server is not None
        while self._server.alive:
            time.sleep(_WATCH_SECONDS)
        raise Unavailable("The web server stopped unexpectedly.")

    def stop(self) -> None:
        """Stop within a few seconds: open streams end, running jobs return to the queue."""
        parts = [part for part in (self._server, self._workers) if part is not None]
        if parts:
            self._report.status("Stopping")
        help_loading.clear()
        stopping.set()
        draining.set()
        ending.set()
        _run_in_parallel([partial(part.stop, _STOP_SECONDS) for part in parts])
        self._loading.close()
        tracing_stop()
        self._report.close()
        self._lock.release()


def _count_migrations(count: int) -> str:
    return "1 migration" if count == 1 else f"{count} migrations"


def _unreachable_names(host: str) -> str:
    """Return a hint if Cairn is served to others without ALLOWED_HOSTS."""
    names = environment().allowed_hosts
    if host in names or f"[{host}]" in names or names != Environment.model_fields["allowed_hosts"].default:
        return ""
    return f"Other machines are refused until ALLOWED_HOSTS names this one (now: {', '.join(names)})"


def _run_in_parallel(ends: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=end, daemon=True) for end in ends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
