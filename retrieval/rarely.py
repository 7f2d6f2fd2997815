"""Telling the log of something that may happen with each question."""

import logging
import threading
import time

SECONDS = 60.0


class Rarely:
    """Warns once in a minute, and says how often it was silent meanwhile."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._told = -SECONDS
        self._silent = 0

    def warn(self, message: str) -> None:
        now = time.monotonic()
        with self._lock:
            if now - self._told < SECONDS:
                self._silent += 1
                return
            self._told, silent, self._silent = now, self._silent, 0
        self._log.warning("%s (%d more times since the last warning)", message, silent)
