"""Several web processes on one address, supervised by a parent."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Final

from prometheus_client.multiprocess import mark_process_dead

from cairn.settings import environment
from web.processes.http_server import OPEN_STREAMS_SECONDS, url_of
from web.processes.progress_report import Reporter
from web.processes.signals import Stopped
from web.processes.watchdog import Heartbeat, kill_stuck, notify_systemd

_LOOK_SECONDS: Final = 0.2
_AGAIN_SECONDS: Final = 2.0  # before one that died is replaced: a setting that is wrong would have it spin
_SPARE_SECONDS: Final = 10.0
_FIGURES: Final = "PROMETHEUS_MULTIPROC_DIR"  # where prometheus_client looks for a folder, in the environment


class Group:
    """A group of processes. `command` serves on a listener and sends a heartbeat; the numbers of both are
    appended.

    All processes share a folder for metrics, so that each can report those of all.
    """

    def __init__(
        self, listener: socket.socket, size: int, command: Sequence[str], reporter: Reporter
    ) -> None:
        self._listener = listener
        self._command = [sys.executable, *command]
        self._report = reporter
        self._size = size
        self._processes: list[subprocess.Popen[bytes]] = []
        self._heartbeats: dict[int, Heartbeat] = {}
        self._stuck_after = environment().watchdog_seconds
        self._figures = ""

    def run(self) -> int:
        """Run until a signal asks to stop. Returns the exit code of a process that failed at startup."""
        with TemporaryDirectory(prefix="cairn-figures-", ignore_cleanup_errors=True) as self._figures:
            return self._run()

    def _run(self) -> int:
        os.environ[_FIGURES] = self._figures  # for those that it starts
        try:
            self._fill()
            self._report.step(f"{self._size} processes at {url_of(self._listener)}")
            return self._watch()
        except Stopped:
            return 0
        finally:
            self._end()

    def _fill(self) -> None:
        while len(self._processes) < self._size:
            heartbeat = Heartbeat()
            listener, child_end = self._listener.fileno(), heartbeat.child_end
            command = [*self._command, str(listener), "--heartbeat", str(child_end)]
            # A group of its own: Ctrl-C in a terminal would reach it, and again by way of its parent.
            process = subprocess.Popen(  # noqa: S603 - our own code
                command, pass_fds=[listener, child_end], process_group=0
            )
            os.close(child_end)
            self._processes.append(process)
            self._heartbeats[process.pid] = heartbeat

    def _watch(self) -> int:
        began = time.monotonic()
        while True:
            time.sleep(_LOOK_SECONDS)
            notify_systemd()
            self._kill_stuck()
            ended = [each for each in self._processes if each.poll() is not None]
            if not ended:
                continue
            if refused := [each.returncode for each in ended if each.returncode > 0]:
                return refused[0]  # it has said why: another one would say the same
            self._report.step(
                f"{len(ended)} of {self._size} processes died after {_age(began)}: starting anew"
            )
            for each in ended:  # what it has counted stays, what it was at goes
                mark_process_dead(each.pid, self._figures)  # type: ignore[no-untyped-call]
                self._heartbeats.pop(each.pid).close()
            self._processes = [each for each in self._processes if each not in ended]
            time.sleep(_AGAIN_SECONDS)
            self._fill()

    def _kill_stuck(self) -> None:
        for each in self._processes:
            silence = self._heartbeats[each.pid].silence(each.pid)
            if self._stuck_after and silence >= self._stuck_after:
                kill_stuck(each.pid)
                each.wait()

    def _end(self) -> None:
        for each in self._processes:
            each.send_signal(signal.SIGTERM)
        give_up = time.monotonic() + _patience()
        for each in self._processes:
            try:
                each.wait(max(0.1, give_up - time.monotonic()))
            except subprocess.TimeoutExpired:
                each.kill()


def _patience() -> float:
    given = environment()
    return (
        given.shutdown_drain_seconds + given.shutdown_stream_seconds + OPEN_STREAMS_SECONDS + _SPARE_SECONDS
    )


def _age(began: float) -> str:
    return f"{time.monotonic() - began:.0f} s"
