"""Ends a test process that hangs, with the stacks of its threads on standard error.

pytest-timeout needs Python to run. faulthandler's timer is a thread in C: it also ends a process in which a
thread never releases the GIL. A test gets some time beyond the one that pytest-timeout gives it.
"""

import faulthandler
import os
from collections.abc import Generator
from typing import Final

import pytest

_STANDARD_ERROR: Final = os.dup(2)  # this is loaded before pytest captures what tests write
_BEYOND: Final = "hang_seconds"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(_BEYOND, "seconds beyond its timeout after which a test counts as hanging", default="60")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    _begin(item)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """pytest's own plugin has stopped the timer, and fixtures are still to be torn down."""
    if isinstance(node, pytest.Item):
        _begin(node)


def _begin(item: pytest.Item) -> None:
    marker = item.get_closest_marker("timeout")
    given = (marker.args[0] if marker.args else marker.kwargs.get("timeout")) if marker else None
    own = float(given or item.config.getoption("timeout") or item.config.getini("timeout"))
    beyond = float(item.config.getini(_BEYOND))
    faulthandler.dump_traceback_later(own + beyond, exit=True, file=_STANDARD_ERROR)
