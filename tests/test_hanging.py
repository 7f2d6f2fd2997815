"""A hanging test ends its process, and the output shows where it hung."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import ROOT

pytestmark = pytest.mark.slow

_TESTS = """
import ctypes

mutex = ctypes.create_string_buffer(256)
lock = ctypes.PyDLL(None).pthread_mutex_lock  # PyDLL does not release the GIL, and no signal interrupts this


def test_before():
    pass


def test_that_holds_the_gil():
    {hold}


def test_that_fails_and_holds_it_in_its_teardown(request):
    request.addfinalizer(lambda: (lock(mutex), lock(mutex)))
    raise ValueError


def test_after():
    pass
"""


_HOLD = "(lock(mutex), lock(mutex))"


@pytest.mark.parametrize(("processes", "method"), [("0", "signal"), ("1", "thread")])
def test_gil_blocking_test_is_ended_with_its_stacks(tmp_path: Path, processes: str, method: str) -> None:
    done = _pytest(tmp_path, processes, method, only="before or holds or after")
    assert "Timeout (0:00:03)!" in done.stderr
    assert "in test_that_holds_the_gil" in done.stderr
    assert done.returncode == 1
    if processes == "1":  # the others continue in another process
        assert "2 passed" in done.stdout
        assert "in <lambda>" in done.stderr


def test_slow_test_is_not_reported_as_hanging(tmp_path: Path) -> None:
    done = _pytest(tmp_path, "0", "thread", hold="lock(mutex)", only="before or gil or after", timeout=30)
    assert "3 passed" in done.stdout
    assert done.returncode == 0


def _pytest(
    folder: Path, processes: str, method: str, *, hold: str = _HOLD, only: str, timeout: int = 2
) -> subprocess.CompletedProcess[str]:
    tests = folder / "test_them.py"
    tests.write_text(_TESTS.format(hold=hold))
    options = [
        "-p",
        "tests.hanging",
        "-p",
        "no:django",
        "-p",
        "no:asyncio",
        "-n",
        processes,
        "-k",
        only,
        "--rootdir",
        str(folder),
        "-c",
        "/dev/null",
    ]
    limits = ["--timeout", str(timeout), "--timeout-method", method, "-o", "hang_seconds=1"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *limits, str(tests)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
