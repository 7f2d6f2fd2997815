"""Runs checks in parallel, and answers in time even if some of them never end."""

import logging
import threading
import time
from collections.abc import Callable, Mapping

from django.db import connections
from django.utils import translation

from web.health.results import HealthResult

log = logging.getLogger(__name__)

Check = Callable[[], HealthResult]


class _Run:
    """One execution of a check in a daemon thread, which doesn't keep the process from ending."""

    def __init__(self, name: str, check: Check) -> None:
        self.result: HealthResult | None = None
        self.error: BaseException | None = None
        self.hangs = False
        self._check, self._language = check, translation.get_language()
        self._thread = threading.Thread(target=self._run, name=f"health-{name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with translation.override(self._language):
                self.result = self._check()
        except BaseException as error:  # noqa: BLE001 - reported by the thread that waits
            self.error = error
        finally:
            connections.close_all()

    def wait(self, until: float) -> bool:
        self._thread.join(max(0.0, until - time.monotonic()))
        return not self._thread.is_alive()


class ParallelChecks:
    """Runs each check at most once at a time: one that hangs doesn't cost another thread per request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: dict[str, _Run] = {}

    def run(
        self,
        checks: Mapping[str, Check],
        seconds: float,
        *,
        on_timeout: Callable[[str], HealthResult],
        on_error: Callable[[str, BaseException], HealthResult],
    ) -> dict[str, HealthResult]:
        """Return the results in the order of the checks, after at most `seconds`."""
        until = time.monotonic() + seconds
        runs = {name: self._start(name, check) for name, check in checks.items()}
        results = {}
        for name, run in runs.items():
            if run is None or not run.wait(until):
                if run is not None:
                    run.hangs = True
                results[name] = on_timeout(name)
            elif run.result is not None:
                results[name] = run.result
            else:
                assert run.error is not None
                log.warning("health check of %s failed: %s", name, type(run.error).__name__)
                results[name] = on_error(name, run.error)
        return results

    def _start(self, name: str, check: Check) -> _Run | None:
        """Start a check, or join a run of it. None if that one hangs: somebody has waited in vain for it."""
        with self._lock:
            run = self._runs.get(name)
            if run is None or run.wait(0):
                run = self._runs[name] = _Run(name, check)
            return None if run.hangs else run
