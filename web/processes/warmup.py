"""Loading of slow imports and models in the background.

Modules are imported by name, since a command that only talks to a running server must not pay for these
imports, and a starting server has other work to do meanwhile.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from queue import SimpleQueue

from django.db import connections

from cairn.errors import CairnError
from web.processes.progress_report import Reporter

log = logging.getLogger(__name__)

_MODELS, _WEB, _PARTS = (
    "web.processes.warm_models",
    "web.processes.warm_web",
    "web.processes.warm_imports",
)
INGESTION_NEEDS = {"Embedding model", "Vector index", "Parser"}


@dataclass(frozen=True, slots=True)
class Loaded:
    part: str
    seconds: float
    detail: str = ""
    problem: str = ""


class Loading:
    """Background loading. One thread imports: concurrent imports may see half-initialised modules.

    With `ahead`, each part loads in its own thread, the models as soon as their libraries are imported.
    Otherwise parts load at first use.
    """

    def __init__(self, *, ahead: bool) -> None:
        self._ahead = ahead
        self._thread = threading.Thread(target=self._import, name="libraries", daemon=True)
        self._error: BaseException | None = None
        self._results: SimpleQueue[Loaded] = SimpleQueue()
        self._started = 0

    def start(self) -> None:
        self._thread.start()

    def _import(self) -> None:
        try:
            self._load(_MODELS)
            import_module(_WEB)
            import_module(_PARTS)
        except BaseException as error:  # noqa: BLE001 - raised again by parts(), in the thread that can act
            self._error = error

    def libraries(self) -> None:
        """Wait until all libraries are imported."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def parts(self) -> None:
        """Start loading parts that need the libraries and the database."""
        self._load(_PARTS)

    def _load(self, module: str) -> None:
        loads: dict[str, Callable[[], str]] = import_module(module).LOAD
        for part, load in loads.items() if self._ahead else ():
            self._started += 1
            threading.Thread(target=self._run, args=(part, load), name=part, daemon=True).start()

    def _run(self, part: str, load: Callable[[], str]) -> None:
        began = time.monotonic()
        detail = problem = ""
        try:
            detail = load()
        except CairnError as error:
            problem = error.message
        except Exception as error:  # the boundary of a thread: the other parts continue
            log.exception("cannot load %s", part)
            problem = f"{type(error).__name__}: {error}"
        finally:
            connections.close_all()
        self._results.put(Loaded(part, time.monotonic() - began, detail, problem))

    def wait(self, report: Reporter) -> dict[str, str]:
        """Wait for all parts. Returns errors by part."""
        problems = {}
        for missing in range(self._started, 0, -1):
            report.status(f"Loading models ({missing} to go)")
            loaded = self._results.get()
            detail = f" ({loaded.detail})" if loaded.detail else ""
            if loaded.problem:
                problems[loaded.part] = loaded.problem
                report.step(f"{loaded.part}: {loaded.problem}")
            else:
                report.step(f"{loaded.part} ready{detail}  {loaded.seconds:.1f} s")
        return problems

    @staticmethod
    def close() -> None:
        """Close the parts, if they were imported."""
        parts = sys.modules.get(_PARTS)
        if parts is not None and hasattr(parts, "close"):
            parts.close()
