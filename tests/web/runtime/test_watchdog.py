"""A process that runs no Python code any more is killed and replaced; one that is only slow is not."""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import httpx
import psutil
import pytest

from tests.backends import free_port
from tests.cairn.inference.server import FakeServer
from tests.installs import PATIENCE, Install, until
from tests.models import model_settings, respond_plainly
from tests.servers import server_environment, working_process
from tests.stuck import HOLD, HOLD_BRIEFLY, RELEASE, stuck_environment
from web.processes import watchdog
from web.processes.watchdog import Heartbeat

_PROGRAM = """
import signal, sys, threading, time
from web.processes.watchdog import supervise
supervise()
done = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: done.set())
print("begun", flush=True)
while not done.wait(0.1):
    pass
sys.exit(7)
"""


_PAUSING = f"""
from web.processes import watchdog
watchdog._SHORTEST_PAUSE = 300.0
{_PROGRAM}
"""

_WEB_PROCESS = """
import signal, sys, threading
from web.processes.watchdog import start_heartbeat
start_heartbeat(int(sys.argv[sys.argv.index("--heartbeat") + 1]))
done = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: done.set())
print("begun", flush=True)
while not done.wait(0.1):
    pass
"""

_GROUP = f"""
import os, sys
from web.processes.prefork import Group
from web.processes.progress_report import SilentReporter
from web.processes.http_server import listen
from web.processes.signals import stop_on_signals
stop_on_signals()
os._exit(Group(listen("127.0.0.1", 0), 2, ["-c", {_WEB_PROCESS!r}], SilentReporter()).run())
"""


class Program:
    """Does nothing, under supervision."""

    def __init__(self, folder: Path, source: str = _PROGRAM, **settings: str) -> None:
        self.errors = folder / "errors"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", source],
                env=server_environment(folder, **stuck_environment(**settings)),
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def begun(self) -> psutil.Process:
        """Return the child process, once it has reported its start."""
        self.wait_begun()
        return self.children()[0]

    def wait_begun(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "begun\n", self.errors.read_text()

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()


@contextmanager
def program(folder: Path, source: str = _PROGRAM, **settings: str) -> Iterator[Program]:
    running = Program(folder, source, **settings)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.communicate()


@pytest.mark.slow
def test_child_blocking_the_gil_is_dumped_killed_and_replaced(tmp_path: Path) -> None:
    with program(tmp_path, WATCHDOG_SECONDS="5") as running:
        stuck = running.begun()
        stuck.send_signal(HOLD)
        replaced = running.begun()
        assert replaced.pid != stuck.pid
        assert not stuck.is_running()
        errors = running.errors.read_text()
        assert "Thread 0x" in errors
        assert "in hold" in errors  # the frame that holds it
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(PATIENCE) == 7


@pytest.mark.faults
@pytest.mark.parametrize("delay", [HOLD_BRIEFLY, RELEASE])
def test_slow_child_is_not_killed(tmp_path: Path, delay: int) -> None:
    """Pauses of the garbage collector's length, and a long time in C without the GIL."""
    with program(tmp_path) as running:
        child = running.begun()
        for _ in range(5):
            child.send_signal(delay)
            time.sleep(3)
        assert child.is_running()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(PATIENCE) == 7
        assert running.errors.read_text() == ""


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells that a process is stopped")
@pytest.mark.parametrize("both", [False, True], ids=["the child", "both"])
def test_stopped_process_is_not_killed(tmp_path: Path, both: bool) -> None:
    """For example by a debugger, or with the whole machine."""
    with program(tmp_path) as running:
        child = running.begun()
        stopped = [psutil.Process(running.process.pid), child] if both else [child]
        for each in stopped:
            each.suspend()
        time.sleep(15)
        for each in stopped:
            each.resume()
        time.sleep(3)
        assert child.is_running()
        assert running.errors.read_text() == ""


@pytest.mark.slow
def test_stuck_child_ends_with_the_second_signal_or_its_parent(tmp_path: Path) -> None:
    with program(tmp_path, WATCHDOG_SECONDS="60") as running:
        stuck = running.begun()
        stuck.send_signal(HOLD)
        until(lambda: "about to hold" in running.errors.read_text())
        running.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            running.process.wait(1)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(PATIENCE) == 128 + signal.SIGTERM
        assert not stuck.is_running()
    with program(tmp_path, WATCHDOG_SECONDS="60") as running:
        stuck = running.begun()
        stuck.send_signal(HOLD)
        until(lambda: "about to hold" in running.errors.read_text())
        running.process.kill()
        until(lambda: not stuck.is_running())


@pytest.mark.parametrize(("waiting", "silence"), [(0.0, 10.0), (0.5, 5.5), (1.0, 2.0), (9.0, 2.0)])
def test_time_waiting_for_a_processor_is_not_silence(
    waiting: float, silence: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`waiting`: in each second, for all threads together."""
    clock = iter(range(100))
    waits = (second * waiting for second in range(100))
    monkeypatch.setattr(watchdog, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    monkeypatch.setattr(watchdog, "_processor_wait", lambda _pid: next(waits))
    heartbeat = Heartbeat()
    os.write(heartbeat.child_end, b".")
    assert heartbeat.silence(os.getpid()) == 0
    assert [heartbeat.silence(os.getpid()) for _ in range(10)][-1] == silence
    os.write(heartbeat.child_end, b".")
    assert heartbeat.silence(os.getpid()) == 0
    os.close(heartbeat.child_end)
    heartbeat.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how long processes waited")
def test_time_waiting_for_a_processor_is_measured() -> None:
    assert watchdog._processor_wait(os.getpid()) > 0


@pytest.mark.slow
def test_signal_between_two_children_ends_the_supervisor(tmp_path: Path) -> None:
    with program(tmp_path, _PAUSING, WATCHDOG_SECONDS="5") as running:
        running.begun().send_signal(HOLD)
        until(lambda: not running.children())
        running.process.send_signal(signal.SIGTERM)
        assert running.process.communicate(timeout=PATIENCE)[0] == ""
        assert running.process.returncode == 128 + signal.SIGTERM


@pytest.mark.slow
def test_only_the_stuck_process_of_a_group_is_replaced(tmp_path: Path) -> None:
    """As with `web --workers 2`."""
    with program(tmp_path, _GROUP, WATCHDOG_SECONDS="5") as running:
        for _ in range(2):
            running.wait_begun()
        stuck, healthy = running.children()
        stuck.send_signal(HOLD)
        running.wait_begun()
        assert not stuck.is_running()
        assert healthy in running.children()
        assert len(running.children()) == 2
        assert "in hold" in running.errors.read_text()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(PATIENCE) == 0


def test_supervisor_ends_like_its_child_and_restarts_only_on_request(tmp_path: Path) -> None:
    first = tmp_path / "first"
    again = f"""
import os, pathlib
from web.processes.watchdog import START_AGAIN, supervise
supervise()
print("begun", flush=True)
first = pathlib.Path({str(first)!r})
if first.exists():
    os.kill(os.getpid(), 9)
first.touch()
os._exit(START_AGAIN)
"""
    with program(tmp_path, again) as running:
        assert running.process.communicate(timeout=PATIENCE)[0] == "begun\nbegun\n"
        assert running.process.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_systemd_watchdog_is_notified(tmp_path: Path) -> None:
    """By the supervisor, or without one by the process itself, until it hangs."""
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as service_manager:
        service_manager.bind(str(address))
        service_manager.settimeout(PATIENCE)
        with program(tmp_path, NOTIFY_SOCKET=str(address)):
            assert service_manager.recv(100) == b"WATCHDOG=1"
        alone = _PROGRAM.replace("signal.SIGTERM", "signal.SIGALRM")
        with program(tmp_path, alone, NOTIFY_SOCKET=str(address), WATCHDOG_SECONDS="0") as running:
            assert running.process.stdout is not None
            assert running.process.stdout.readline() == "begun\n"
            while select.select([service_manager], [], [], 0)[0]:  # what the one before had sent
                service_manager.recv(100)
            assert service_manager.recv(100) == b"WATCHDOG=1"
            running.process.send_signal(HOLD)
            until(lambda: "about to hold" in running.errors.read_text())
            give_up = time.monotonic() + PATIENCE
            while select.select([service_manager], [], [], 3)[0]:  # what was sent before
                service_manager.recv(100)
                assert time.monotonic() < give_up
            running.process.send_signal(signal.SIGABRT)  # what systemd does then
            assert running.process.wait(PATIENCE) == -signal.SIGABRT
            assert "in hold" in running.errors.read_text()


@pytest.mark.faults
@pytest.mark.models
@pytest.mark.timeout(600)
def test_questions_are_answered_after_a_stuck_web_process(tmp_path: Path) -> None:
    with FakeServer() as model:
        model.respond = respond_plainly
        settings = stuck_environment(**model_settings(model), WATCHDOG_SECONDS="15")
        install = Install(tmp_path / "data", **settings)
        install.start(port=str(free_port()))
        try:
            assert install.server is not None
            supervisor = install.server.process.pid
            assert install.upload("a.md", "# Leave\n\nEmployees have 28 days of leave.").status_code == 202
            install.wait_settled()
            stuck = working_process(supervisor)
            # Threads of native libraries would not have survived the fork.
            assert stuck.pid != supervisor
            assert psutil.Process(supervisor).num_threads() == 1
            stuck.send_signal(HOLD)
            with pytest.raises(httpx.TransportError):
                httpx.get(f"{install.server.url}/healthz", timeout=2, trust_env=False)
            until(lambda: _serves(install.server.url))
            assert not stuck.is_running()
            assert install.server.process.poll() is None
            assert "in hold" in install.server.log
            answer = install.ask("POST", "/ask", json={"question": "How many days of leave?"})
            assert answer.status_code == 200
            assert install.upload("b.md", "# Travel\n\nTravel is booked early.").status_code == 202
            install.wait_settled()
        finally:
            assert install.stop() == 0


def _serves(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=2, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
