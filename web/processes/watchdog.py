"""Detects from outside that a process no longer runs Python code, and replaces it.

A thread that never releases Python's global lock (the GIL) stops every other thread and every signal
handler of its process. So a command that serves runs as two processes: the child does the work and writes
a byte to a pipe every second, and the parent measures how long none has come.
"""

import ctypes
import faulthandler
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from cairn.settings import environment
from web.processes.signals import SIGNALS

log = logging.getLogger(__name__)

START_AGAIN: Final = os.EX_TEMPFAIL  # exit code of a child that wants to be replaced
DUMP_STACKS: Final = signal.SIGUSR1
_BEAT_SECONDS: Final = 1.0
_CHECK_SECONDS: Final = 0.5
_DUMP_SECONDS: Final = 2.0
_SLOWER_AT_MOST: Final = 5
_SHORTEST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_STABLE_SECONDS: Final = 600.0  # after a child has lived so long, pauses start again from the shortest
_PR_SET_PDEATHSIG: Final = 1


class Heartbeat:
    """The parent's end of the pipe that a child writes to.

    Only time in which the parent itself ran counts as silence, so a machine that was suspended does not
    make its processes look stuck. Neither does a child that somebody stopped. One that waits for a processor
    is slow, not stuck; but threads that wait for the GIL wake up all the time and wait for a processor, too.
    So on a busy machine silence may last longer, up to `_SLOWER_AT_MOST` times.
    """

    def __init__(self) -> None:
        self._pipe, self.child_end = os.pipe()
        os.set_blocking(self.child_end, False)
        self._checked_at: float | None = None
        self._silence = 0.0
        self._waited_before = 0.0

    def silence(self, pid: int) -> float:
        """Seconds without a beat; 0 until the first one has come."""
        now = time.monotonic()
        if self._receive():
            self._silence, self._checked_at = 0.0, now
            return 0.0
        if self._checked_at is None or _is_stopped(pid):
            return 0.0
        waited = _processor_wait(pid)
        if not self._silence:
            self._waited_before = waited
        self._silence += min(now - self._checked_at, 2 * _CHECK_SECONDS)
        self._checked_at = now
        return max(self._silence - max(waited - self._waited_before, 0), self._silence / _SLOWER_AT_MOST)

    def wait(self, seconds: float) -> None:
        """Returns at a beat, when the child ends, or after this time."""
        ready, _, _ = select.select([self._pipe], [], [], seconds)
        if ready:
            time.sleep(0.02)  # the pipe of a child that has ended is always ready

    def close(self) -> None:
        os.close(self._pipe)

    def _receive(self) -> bool:
        ready, _, _ = select.select([self._pipe], [], [], 0)
        return bool(ready and os.read(self._pipe, 1 << 16))


def start_heartbeat(child_end: int) -> None:
    """Reports to the parent once a second that this process runs Python code."""
    dump_stacks_on_request()
    os.set_inheritable(child_end, False)

    def beat() -> None:
        with suppress(BlockingIOError, BrokenPipeError):  # the parent is stopped, or has ended
            os.write(child_end, b".")

    _repeat(beat)


def dump_stacks_on_request() -> None:
    """Writes all stacks to standard error on DUMP_STACKS and at a crash, in C and without the GIL."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # standard error is closed or no file
            faulthandler.enable()
            faulthandler.register(DUMP_STACKS, all_threads=True)


def kill_stuck(pid: int) -> None:
    log.error("process %d is stuck: printing its stacks, then killing it", pid)
    with suppress(ProcessLookupError):
        os.kill(pid, DUMP_STACKS)
        time.sleep(_DUMP_SECONDS)
        os.kill(pid, signal.SIGKILL)


def supervise() -> None:
    """Returns in the process that is to do the work.

    Unless WATCHDOG_SECONDS is 0 this is a child; its parent watches it and exits as it does. To be called
    before native libraries are loaded, since they may start threads, which do not survive a fork.
    """
    if environment().watchdog_seconds:
        _Supervisor(environment().watchdog_seconds).run()
    elif environment().notify_socket:
        dump_stacks_on_request()
        _repeat(notify_systemd)


def is_supervised() -> bool:
    return _supervisor_pid is not None


def command_pid() -> int:
    """The process id that the caller of the command knows."""
    return _supervisor_pid or os.getpid()


_supervisor_pid: int | None = None


class _Supervisor:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._child = 0
        self._stop_signal: int | None = None

    def run(self) -> None:
        """Returns in the child only."""
        backoff = _Backoff()
        while True:
            heartbeat = Heartbeat()
            if self._fork(heartbeat):
                return
            began = time.monotonic()
            code = self._watch(heartbeat)
            heartbeat.close()
            if code is None:
                self._pause(backoff.pause(time.monotonic() - began))
            elif code != START_AGAIN:
                self._exit_as(code)

    def _fork(self, heartbeat: Heartbeat) -> bool:
        """Whether this is the child. Signals are blocked during the fork, so that none is missed."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        if self._stop_signal is not None:
            raise SystemExit(128 + self._stop_signal)
        parent = os.getpid()
        self._child = os.fork()
        if not self._child:
            self._become_child(parent, heartbeat)
            return True
        os.close(heartbeat.child_end)
        for number in SIGNALS:
            signal.signal(number, self._forward_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        return False

    def _become_child(self, parent: int, heartbeat: Heartbeat) -> None:
        global _supervisor_pid
        _supervisor_pid = parent
        _die_with(parent)
        os.setpgid(0, 0)  # Ctrl-C reaches the parent, which passes it on
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        heartbeat.close()
        start_heartbeat(heartbeat.child_end)

    def _forward_signal(self, number: int, _frame: FrameType | None) -> None:
        """The second signal ends the child at once, even one that cannot react."""
        with suppress(ProcessLookupError):
            if self._child:
                os.kill(self._child, number if self._stop_signal is None else signal.SIGKILL)
        self._stop_signal = number

    def _watch(self, heartbeat: Heartbeat) -> int | None:
        """The exit code of the child, negative if a signal ended it; None if it was stuck."""
        while (code := self._exit_code()) is None:
            notify_systemd()
            heartbeat.wait(_CHECK_SECONDS)
            if heartbeat.silence(self._child) >= self._seconds:
                kill_stuck(self._child)
                os.waitpid(self._child, 0)
                self._child = 0
                return None
        return code

    def _exit_code(self) -> int | None:
        """None while the child lives. In a container, orphans become this process's children as well."""
        while True:
            ended, status = os.waitpid(-1, os.WNOHANG)
            if ended == self._child:
                self._child = 0
                return os.waitstatus_to_exitcode(status)
            if not ended:
                return None

    def _pause(self, seconds: float) -> None:
        give_up = time.monotonic() + seconds
        while self._stop_signal is None and time.monotonic() < give_up:
            notify_systemd()
            time.sleep(_CHECK_SECONDS)

    def _exit_as(self, code: int) -> NoReturn:
        """As the child did: by the same signal, or with the same code."""
        if self._stop_signal is not None and code == -signal.SIGKILL:
            raise SystemExit(128 + self._stop_signal)  # killed by the second signal
        if code < 0:
            with suppress(OSError):  # the action of SIGKILL cannot be set
                signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
            code = 128 - code  # still here: the first process of a container ignores signals
        raise SystemExit(code)


class _Backoff:
    """The pause before a stuck process is replaced doubles each time, unless the process ran for long."""

    def __init__(self) -> None:
        self._next = _SHORTEST_PAUSE

    def pause(self, lived: float) -> float:
        if lived >= _STABLE_SECONDS:
            self._next = _SHORTEST_PAUSE
        pause, self._next = self._next, min(2 * self._next, _LONGEST_PAUSE)
        return pause


def _repeat(beat: Callable[[], None]) -> None:
    def run() -> None:
        while True:
            beat()
            time.sleep(_BEAT_SECONDS)

    threading.Thread(target=run, name="watchdog", daemon=True).start()


def _die_with(parent: int) -> None:
    """This process must not outlive its parent, not even if it is stuck. Only Linux offers that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _is_stopped(pid: int) -> bool:
    """Stopped by SIGSTOP or a debugger; known on Linux only."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2]
    except OSError:
        return False
    return state.split()[0] in {"T", "t"}


def _processor_wait(pid: int) -> float:
    """Seconds for which its threads have had to wait for a processor; known on Linux only."""
    nanoseconds = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError):  # the thread has ended
            nanoseconds += int(path.read_text(encoding="ascii").split()[1])
    return nanoseconds / 1e9


def notify_systemd() -> None:
    """Reports that this process is alive, if a service manager expects it."""
    if address := environment().notify_socket:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(b"WATCHDOG=1", address.replace("@", "\0", 1) if address[0] == "@" else address)
