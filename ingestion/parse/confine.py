"""Starts a child that may read one file at a time and do little else.

Run as `python -m ingestion.parse.confine MODULE FD`: confines the process, then imports MODULE
and calls its `main(connection)`. Confining comes first, since a network namespace of one's own can
only be had while there is one thread, and importing starts others.
"""

import contextlib
import ctypes
import importlib
import os
import resource
import select
import signal
import sys
import threading
from multiprocessing.connection import Connection
from typing import Any, Final

_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000
_PR_SET_NO_NEW_PRIVS: Final = 38
_NETWORK_EVENTS: Final = frozenset(
    f"socket.{what}"
    for what in ("connect", "bind", "getaddrinfo", "gethostbyname", "gethostbyaddr", "sendto", "sendmsg")
)
_PROCESS_EVENTS: Final = frozenset(
    (
        *("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"),
        *("subprocess.Popen", "pty.spawn"),
    )
)
# spaCy's machinery imports torch where it finds it: 2 s and 190 MB for nothing
_UNWANTED: Final = ("torch",)


def main() -> None:
    module, descriptor = sys.argv[1], int(sys.argv[2])
    connection = Connection(descriptor)
    _isolate()
    threading.Thread(target=_die_with_parent, args=(descriptor,), daemon=True).start()
    entry = importlib.import_module(module).main
    sys.addaudithook(_refuse_processes)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    entry(connection)


def _isolate() -> None:
    for name in _UNWANTED:
        sys.modules[name] = None  # type: ignore[assignment]  # how import is told "not installed"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _leave_network()
    sys.addaudithook(_refuse_network)


def _leave_network() -> None:
    """Best effort: containers and some kernels do not grant it. The audit hook stands in any case."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # with a user namespace root would lose its right to read other users' files
        if libc.unshare(_CLONE_NEWNET) != 0 and os.geteuid() != 0:
            libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def _refuse_network(event: str, _: tuple[Any, ...]) -> None:
    if event in _NETWORK_EVENTS:
        raise PermissionError(f"{event} is not allowed while a document is read")


def _refuse_processes(event: str, _: tuple[Any, ...]) -> None:
    if event in _PROCESS_EVENTS:
        raise PermissionError(f"{event} is not allowed while a document is read")


def _die_with_parent(descriptor: int) -> None:
    """Ends this process when the other end of the connection is gone, however its owner died."""
    watch = select.poll()
    watch.register(descriptor, select.POLLHUP | select.POLLERR)
    while not any(event & (select.POLLHUP | select.POLLERR) for _, event in watch.poll()):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
