"""A logger for warnings that may occur with every question."""

import logging
import threading
import time

MIN_SECONDS_BETWEEN_WARNINGS = 60.0


class ThrottledLogger:
    """Warns at most once a minute, with the number of warnings suppressed since."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._last_warning = -MIN_SECONDS_BETWEEN_WARNINGS
        self._suppressed = 0

    def warn(self, message: str) -> None:
        now = time.monotonic()
        with self._lock:
            if now - self._last_warning < MIN_SECONDS_BETWEEN_WARNINGS:
                self._suppressed += 1
                return
            self._last_warning, suppressed, self._suppressed = now, self._suppressed, 0
        self._log.warning("%s (%d more times since the last warning)", message, suppressed)
