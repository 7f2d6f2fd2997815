"""Garbage collection settings.

A full collection stops every thread, and with the models' libraries it visits half a million objects: a third
of a second in which no request is served. Objects that exist once everything is loaded are permanent, so they
are frozen. Before that there is no garbage, and collections would take a quarter of the import time: until
then, `manage.py` raises the thresholds.
"""

import gc
from typing import Final

DEFAULT_THRESHOLDS: Final = (700, 10, 10)
"""Python's own. With higher ones, texts in cycles of objects would stay for long."""


def loading_begins() -> None:
    gc.disable()


def loading_ended() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(*DEFAULT_THRESHOLDS)
    gc.enable()
