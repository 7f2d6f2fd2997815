"""Processes that hold the GIL, or only seem to: they load sitecustomize.py when they start."""

import signal
from typing import Final

from tests.servers import ROOT

HOLD: Final = signal.SIGUSR2
HOLD_BRIEFLY: Final = signal.SIGRTMIN + 1
RELEASE: Final = signal.SIGRTMIN + 2


def stuck_environment(**settings: str) -> dict[str, str]:
    """Settings of a process that reacts to the three signals."""
    return {"PYTHONPATH": str(ROOT / "tests" / "stuck"), "WATCHDOG_SECONDS": "10", **settings}
