"""Entry point of a sandboxed child process that may read one file at a time.

Run as `python -m ingestion.parse.sandbox.child MODULE FD TASK`, with TASK from `Task.as_argument`: it
sandboxes the process, then imports MODULE and calls its `main(connection)`. Sandboxing comes first, since
namespaces and filters apply to the calling thread, and imports start others.

Several layers protect the process, since not every kernel and container offers each: audit hooks for
Python's own calls; the kernel's system call filter, Landlock and an empty network namespace for native
code.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import re
import resource
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from ingestion.parse.sandbox import landlock, programs, seccomp

_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000
_PR_SET_NO_NEW_PRIVS: Final = 38
_NETWORK_EVENTS: Final = frozenset(
    f"socket.{what}"
    for what in (
        *("__new__", "connect", "bind", "sendto", "sendmsg"),
        *("getaddrinfo", "gethostbyname", "gethostbyaddr"),
    )
)
_PROCESS_EVENTS: Final = frozenset(
    (
        *("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"),
        *("subprocess.Popen", "pty.spawn"),
    )
)
_CHANGES: Final = {
    **dict.fromkeys(("os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod", "os.chown"), 1),
    **dict.fromkeys(("os.rename", "os.link", "os.symlink"), 2),
}
"""Events that change a file system, and how many paths they begin with."""
_LOOKS: Final = frozenset(("open", "os.listdir", "os.scandir"))
_OF_PROCESS: Final = re.compile(r"/proc/(\d+)(?:/|$)")
_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# spaCy's machinery imports torch where it finds it: 2 s and 190 MB for nothing
_UNWANTED: Final = ("torch",)
_PACKAGES: Final = ("cairn", "ingestion")
_SYSTEM: Final = tuple(
    Path(place)
    for place in (
        *("/usr", "/lib", "/lib32", "/lib64", "/bin", "/var/cache/fontconfig", "/var/lib/libreoffice"),
        "/var/spool/libreoffice",
        *("/sys/devices/system", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"),
        *("/etc/fonts", "/etc/ld.so.cache", "/etc/libreoffice", "/etc/localtime", "/etc/mime.types"),
        *("/etc/alternatives", "/etc/locale.alias", "/etc/nsswitch.conf", "/etc/passwd", "/etc/papersize"),
    )
)
"""Libraries, fonts and what libraries ask of the system; no keys, no data."""
_PROC: Final = tuple(
    Path("/proc", name)
    for name in ("self", "cpuinfo", "filesystems", "meminfo", "stat", "sys/vm", "sys/kernel", "version")
)
"""Not all of it: other processes have their environment there, and with it their secrets."""
_LOADERS: Final = tuple(Path(folder) for folder in ("/lib", "/lib64"))


@dataclass(frozen=True, slots=True)
class Task:
    """Parameters of a child process. `most_bytes` is the size of the largest file that it may write."""

    inbox: Path
    work: Path
    programs: dict[str, Path]
    most_bytes: int

    def as_argument(self) -> str:
        paths = {name: str(path) for name, path in self.programs.items()}
        return json.dumps([str(self.inbox), str(self.work), paths, self.most_bytes])

    @classmethod
    def from_argument(cls, argument: str) -> "Task":
        inbox, work, paths, most_bytes = json.loads(argument)
        return cls(Path(inbox), Path(work), {name: Path(path) for name, path in paths.items()}, most_bytes)


def main() -> None:
    module, descriptor, task = sys.argv[1], int(sys.argv[2]), Task.from_argument(sys.argv[3])
    connection = Connection(descriptor)
    programs.use(task.programs, task.work)
    _isolate(module, task)
    threading.Thread(target=_die_with_parent, args=(descriptor,), daemon=True).start()
    gc.disable()  # until it serves: looking for garbage among imports took a quarter of their time
    entry = importlib.import_module(module).main
    sys.addaudithook(_refuse_processes)
    sys.addaudithook(_refuse_changes_outside(task.work))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, task.most_bytes))
    entry(connection)


def _isolate(module: str, task: Task) -> None:
    for name in _UNWANTED:
        sys.modules[name] = None  # type: ignore[assignment]  # how import learns "not installed"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _leave_network()
    sys.addaudithook(_refuse_network)
    sys.addaudithook(_refuse_other_processes)
    _pin_open(_PROC)
    with contextlib.suppress(OSError):
        landlock.restrict(_reach(module, task))
    seccomp.refuse_outside()


def _pin_open(paths: Iterable[Path]) -> None:
    """Open the paths for the life of this process.

    Landlock identifies files in /proc by an identity that changes once the kernel drops them from its cache,
    which does not happen to open files.
    """
    for path in paths:
        with contextlib.suppress(OSError):
            os.open(path, os.O_PATH | os.O_CLOEXEC)


def _reach(module: str, task: Task) -> landlock.Reach:
    return landlock.Reach(
        readable=(task.inbox, *_SYSTEM, *_PROC, *_libraries(module), *_homes(task)),
        listable=tuple(map(Path, sys.path)),
        writable=(task.work, Path("/dev/null")),
        executable=(*task.programs.values(), *_loaders()),
    )


def _libraries(module: str) -> Iterator[Path]:
    """Python, its packages and this project, but not neighbouring folders, which may be the data."""
    yield from (Path(sys.prefix), Path(sys.base_prefix))
    ours = (*_PACKAGES, module.partition(".")[0])
    for entry in map(Path, sys.path):
        if entry.name in ("site-packages", "dist-packages"):
            yield entry
        yield from (entry / package for package in ours)


def _homes(task: Task) -> Iterator[Path]:
    """Folders of programs outside the system's folders, which contain their libraries."""
    yield from (path.parent.parent for path in task.programs.values() if path.is_relative_to("/opt"))


def _loaders() -> Iterator[Path]:
    for folder in _LOADERS:
        yield from (path.resolve() for path in folder.glob("ld-*.so*"))
        yield from (path.resolve() for path in folder.glob("*/ld-*.so*"))


def _leave_network() -> None:
    """Enter an empty network namespace if the kernel permits it. The audit hook applies in any case."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # with a user namespace root would lose its right to read other users' files
        if libc.unshare(_CLONE_NEWNET) != 0 and os.geteuid() != 0:
            libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def _refuse_network(event: str, _: tuple[Any, ...]) -> None:
    if event in _NETWORK_EVENTS:
        raise PermissionError(f"{event} is not allowed while a document is read")


def _refuse_other_processes(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook that protects other processes in /proc on kernels without Landlock, for Python's own
    calls.
    """
    if event in _LOOKS and arguments and isinstance(arguments[0], str | bytes):
        path = os.path.abspath(os.fsdecode(arguments[0]))  # noqa: PTH100 - for each file that is opened
        if (found := _OF_PROCESS.match(path)) and int(found[1]) != os.getpid():
            raise PermissionError(f"{event} is not allowed while a document is read")


def _refuse_processes(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _PROCESS_EVENTS and not _is_reading_program(event, arguments):
        raise PermissionError(f"{event} is not allowed while a document is read")


def _is_reading_program(event: str, arguments: tuple[Any, ...]) -> bool:
    return event == "subprocess.Popen" and str(arguments[0]) in map(str, programs.find_programs().values())


def _refuse_changes_outside(work: Path) -> Callable[[str, tuple[Any, ...]], None]:
    inside = (f"{work}{os.sep}", os.devnull)

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            changed = arguments[:1] if arguments[2] & _WRITES else ()
        else:
            changed = arguments[: _CHANGES.get(event, 0)]
        if not all(_is_inside(path, inside) for path in changed):
            raise PermissionError(f"{event} is not allowed while a document is read")

    return refuse


def _is_inside(path: Any, inside: tuple[str, ...]) -> bool:
    """Return whether a path is allowed. Descriptors were opened under the same rule."""
    return isinstance(path, int) or os.path.abspath(os.fsdecode(path)).startswith(inside)  # noqa: PTH100


def _die_with_parent(descriptor: int) -> None:
    """End this process when the other end of the connection closes, however its owner died."""
    watch = select.poll()
    watch.register(descriptor, select.POLLHUP | select.POLLERR)
    while not any(event & (select.POLLHUP | select.POLLERR) for _, event in watch.poll()):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
