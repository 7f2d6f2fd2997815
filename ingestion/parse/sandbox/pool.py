"""Parse untrusted files in sandboxed child processes, to protect Cairn from malicious content."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, Final

from cairn.errors import NotFound, Unavailable
from cairn.library.rendition import Rendition
from ingestion.parse.core import failures
from ingestion.parse.core.limits import Limits
from ingestion.parse.core.progress import PagesRead, Throttled, nobody
from ingestion.parse.sandbox import messages, programs, workdir
from ingestion.parse.sandbox.child import Task
from ingestion.parse.sandbox.loop import READY
from ingestion.parse.sandbox.messages import Answer, ChildFailed, Progress
from ingestion.parse.sandbox.probe import Walls, namespace
from ingestion.parse.sandbox.workdir import Scratch

__all__ = ["Limits", "Parsed", "ParserPool", "probe_walls"]

log = logging.getLogger(__name__)

Cancelled = Callable[[], bool]

_POLL: Final = 0.2
_LOOK: Final = 0.05  # often: memory can be used up in a fraction of a second
_PATIENCE: Final = 5.0  # seconds: another child takes two to start, and most files are read in less than one
_PATIENCE_BEHIND: Final = 30.0  # with a backlog: one file that takes minutes must not delay all others
_START_SECONDS: Final = 90
_RECEIVE_SECONDS: Final = 60
_REAP_SECONDS: Final = 10
_FILES_PER_CHILD: Final = 500
_LARGEST_ANSWER: Final = 512 << 20
_CONFINE: Final = "ingestion.parse.sandbox.child"
_MEMORY_USED_UP: Final = 0.5  # what grows by doubling fails there
# nothing of the parent's environment, which contains secrets
_ENVIRONMENT: Final = {
    "DO_NOT_TRACK": "1",
    "HOME": "/nonexistent",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PATH": os.defpath,
    "PYTHONUTF8": "1",
    "UNSTRUCTURED_DISABLE_NOTICE": "1",
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """A parsed file. `parts` are names of embedded files; `ParserPool.part` reads one."""

    rendition: Rendition
    media_type: str
    parts: tuple[str, ...] = ()


def _never() -> bool:
    return False


class ParserPool:
    """Thread-safe pool of parser processes, which start on demand and are replaced when they fail.

    Each child has a folder of its own in `folder` (by default the system's for temporary files). `backlog`
    returns whether parsed files are waiting for the next step, so that more parallel parsing is of little
    use.
    """

    def __init__(
        self, size: int = 2, *, folder: Path | None = None, backlog: Callable[[], bool] = _never
    ) -> None:
        base = folder or Path(tempfile.gettempdir())
        workdir.sweep(base)
        self._parsers = _ChildPool("ingestion.parse.registry", size, base, backlog)
        self._pictures = _ChildPool("ingestion.parse.pdf.page_renderer", 1, base)

    def parse(
        self,
        path: Path,
        filename: str,
        *,
        limits: Limits,
        cancelled: Cancelled = _never,
        progress: PagesRead = nobody,
        urgent: bool = False,
    ) -> Parsed:
        """Parse a file. Raises DocumentRejected, also for limits and crashes; Unavailable if no child starts.

        `progress` is called with pages at most twice a second. `urgent` requests get the next free child
        before all others.
        """
        asked = _Request(path, {"filename": filename}, limits, cancelled, progress, urgent)
        return _validate_result(self._parsers.ask(asked).result())

    def part(
        self,
        path: Path,
        filename: str,
        index: int,
        *,
        limits: Limits,
        cancelled: Cancelled = _never,
        urgent: bool = False,
    ) -> bytes:
        """Return the content of `Parsed.parts[index]`. Raises as `parse` does."""
        arguments = {"filename": filename, "part": index}
        return self._parsers.ask(_Request(path, arguments, limits, cancelled, urgent=urgent)).body

    def render_page(self, path: Path, page_number: int, *, width: int, limits: Limits) -> bytes:
        """Return a PDF page, counted from 1, as PNG. Raises NotFound if there is no such page."""
        arguments = {"page_number": page_number, "width": width}
        answer = self._pictures.ask(_Request(path, arguments, limits))
        if not answer.result()["found"]:
            raise NotFound
        return answer.body

    def warm(self) -> None:
        """Start a child before the first file, which takes about two seconds."""
        self._parsers.warm()

    def close(self) -> None:
        """End all children. Running requests raise Unavailable."""
        self._parsers.close()
        self._pictures.close()


def _validate_result(result: dict[str, Any]) -> Parsed:
    """Validate the result, since a file may have taken over the child."""
    try:
        rendition = Rendition.from_json(result["rendition"])
        return Parsed(rendition, str(result["media_type"]), tuple(map(str, result["parts"])))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise failures.parser_crashed() from error


def probe_walls(folder: Path) -> Walls:
    """Probe the kernel's restrictions on parser processes here. Raises Unavailable if none starts."""
    lane = _ChildPool("ingestion.parse.sandbox.probe", 1, folder)
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as document:
            request = _Request(Path(document.name), {"namespace_outside": namespace()}, Limits())
            return Walls(**lane.ask(request).result())
    finally:
        lane.close()


@dataclass(frozen=True, slots=True)
class _Request:
    path: Path
    arguments: dict[str, Any]
    limits: Limits
    cancelled: Cancelled = _never
    progress: PagesRead = nobody
    urgent: bool = False


class _ChildPool:
    """Pool of at most `size` children that run the same module."""

    def __init__(self, module: str, size: int, folder: Path, backlog: Callable[[], bool] = _never) -> None:
        self._module = module
        self._size = size
        self._folder = folder
        self._backlog = backlog
        self._changed = threading.Condition()
        self._idle: list[_Child] = []
        self._busy: set[_Child] = set()
        self._waiters = self._urgent = 0
        self._short_since: float | None = None  # since when a caller waits, although one more could start
        self._closed = False

    def ask(self, request: _Request) -> Answer:
        with self._child(request.cancelled, urgent=request.urgent) as child:
            try:
                answer = child.ask(request)
                answer.result()
            except ChildFailed as error:
                child.retire()
                log.warning("%s failed: %s", self._module, error)
                raise failures.parser_crashed() from error
            except _Died as error:
                raise self._death(error, request.limits) from error
        return answer

    def warm(self) -> None:
        with self._child(_never):
            pass

    def close(self) -> None:
        with self._changed:
            self._closed = True
            idle, busy = list(self._idle), list(self._busy)
            self._idle.clear()
            self._changed.notify_all()
        for child in busy:
            child.stop()  # the thread that waits for it sees it end, and cleans up
        for child in idle:
            child.kill()

    def _death(self, error: "_Died", limits: Limits) -> Exception:
        if self._closed:
            return Unavailable("Cairn is shutting down")
        log.warning("%s died with %s", self._module, error.returncode)
        if error.returncode == -signal.SIGXCPU:
            return failures.time_limit(limits.seconds)
        if error.returncode == -signal.SIGKILL or error.out_of_memory:
            return failures.memory_limit(limits.memory_mb)
        return failures.parser_crashed()

    @contextlib.contextmanager
    def _child(self, cancelled: Cancelled, *, urgent: bool = False) -> "Iterator[_Child]":
        child = self._take(cancelled, urgent=urgent)
        try:
            child.await_ready()
            yield child
        finally:
            self._give_back(child)

    def _take(self, cancelled: Cancelled, *, urgent: bool) -> "_Child":
        """Take an idle child or create one that is not ready yet. Waits while the pool is exhausted."""
        with self._waiting(urgent=urgent):
            while not cancelled():
                with self._changed:
                    if self._closed:
                        raise Unavailable("Cairn is shutting down")
                    child = self._free(urgent=urgent) if urgent or not self._urgent else None
                    if child is not None:
                        self._busy.add(child)
                        return child
                    self._changed.wait(_POLL)
        raise failures.cancelled()

    @contextlib.contextmanager
    def _waiting(self, *, urgent: bool) -> Iterator[None]:
        with self._changed:
            self._waiters += 1
            self._urgent += urgent
        try:
            yield
        finally:
            with self._changed:
                self._waiters -= 1
                self._urgent -= urgent
                self._changed.notify_all()

    def _free(self, *, urgent: bool) -> "_Child | None":
        child = self._living()
        if child is not None or len(self._busy) >= self._size:
            return child
        self._short_since = self._short_since or time.monotonic()
        if self._busy and not urgent and self._is_early(time.monotonic() - self._short_since):
            return None
        self._short_since = None
        return _Child(self._module, self._folder)

    def _is_early(self, waited: float) -> bool:
        return waited < _PATIENCE or (waited < _PATIENCE_BEHIND and self._backlog())

    def _living(self) -> "_Child | None":
        """Return an idle child that is still alive."""
        while self._idle:
            child = self._idle.pop()
            if child.usable and child.knows_all_programs:
                return child
            child.kill()
        return None

    def _give_back(self, child: "_Child") -> None:
        with self._changed:
            self._busy.discard(child)
            reusable = child.usable and not self._closed
            if reusable:
                self._idle.append(child)
            if not self._waiters:
                self._short_since = None
            self._changed.notify_all()
        if not reusable:
            child.kill()


class _Died(Exception):
    """The end of a child. `returncode` is None if it was killed because it did not respond sensibly."""

    def __init__(self, returncode: int | None, *, out_of_memory: bool) -> None:
        super().__init__(returncode)
        self.returncode = returncode
        self.out_of_memory = out_of_memory


class _Child:
    """A child process with its connection and folder. Raises Unavailable if it does not start."""

    def __init__(self, module: str, folder: Path) -> None:
        self._module = module
        self._scratch = Scratch(folder)
        self._connection, theirs = Pipe()
        self._answered = 0
        self._ready = False
        self._retired = False
        self._data_bytes = 0
        self._fell_silent = False
        self._programs = programs.find_programs()
        task = Task(self._scratch.inbox, self._scratch.work, self._programs, workdir.MOST_BYTES)
        with theirs:
            self._process = _spawn(module, theirs, task)

    def await_ready(self) -> None:
        if self._ready:
            return
        with contextlib.suppress(EOFError, OSError):
            self._ready = self._connection.poll(_START_SECONDS) and self._connection.recv_bytes() == READY
        if not self._ready:
            log.error("%s did not start: %d", self._module, self.kill())
            raise Unavailable("The document parser didn't start")

    @property
    def usable(self) -> bool:
        return (
            self._ready
            and not self._retired
            and self._answered < _FILES_PER_CHILD
            and self._process.poll() is None
        )

    @property
    def knows_all_programs(self) -> bool:
        """Return whether no program was installed since the child started."""
        return self._programs == programs.find_programs()

    def retire(self) -> None:
        """Mark the child to be replaced before the next file."""
        self._retired = True

    def ask(self, request: _Request) -> Answer:
        """Send a request. Kills the child and raises DocumentRejected on timeout or cancellation."""
        self._retired = True  # until it has answered in full
        with self._scratch.lend(request.path.resolve()) as path:
            try:
                message = messages.request(request.limits, {"path": str(path), **request.arguments})
                self._connection.send_bytes(message)
                answer = self._answer(request)
                self._retired = answer.retire
            except (EOFError, OSError, ValueError) as error:
                raise self._diagnose_death(request.limits) from error
            finally:
                if self._retired:
                    self.stop()  # no process may write there while the folder is emptied
        self._answered += 1
        return answer

    def stop(self) -> None:
        """Kill the child and the programs in its process group."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def kill(self) -> int:
        self.stop()
        self._connection.close()
        try:
            return self._process.wait(_REAP_SECONDS)
        finally:
            self._scratch.remove()

    def _diagnose_death(self, limits: Limits) -> _Died:
        """Return how the child ended, if it ended by itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        used_up = self._data_bytes > _MEMORY_USED_UP * (limits.memory_mb << 20)
        return _Died(None if self._fell_silent else self._process.returncode, out_of_memory=used_up)

    def _answer(self, request: _Request) -> Answer:
        self._data_bytes = 0
        deadline = time.monotonic() + request.limits.seconds
        report = Throttled(request.progress)
        while True:
            late = time.monotonic() > deadline  # before checking: this process may have been paused since
            found = self._message() if self._connection.poll(_LOOK) else None
            if isinstance(found, Answer):
                return found
            if found is not None:
                report(found.done, found.total)
            self._check(request, late=late)

    def _message(self) -> Answer | Progress:
        with self._kill_after(_RECEIVE_SECONDS):
            return messages.receive(self._connection, _LARGEST_ANSWER)

    def _check(self, request: _Request, *, late: bool) -> None:
        if request.cancelled():
            raise failures.cancelled()
        if late:
            raise failures.time_limit(request.limits.seconds)
        if self._scratch.is_overfull():
            raise workdir.overfull()
        # none is left to see once it is ending, which takes a while when it was much
        self._data_bytes = _data_bytes(self._process.pid) or self._data_bytes

    @contextlib.contextmanager
    def _kill_after(self, seconds: float) -> Iterator[None]:
        """Kill a child that stops in the middle of an answer, which would block its reader."""
        timer = threading.Timer(seconds, self._end_silence)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _end_silence(self) -> None:
        self._fell_silent = True
        self._process.kill()


def _data_bytes(pid: int) -> int:
    """Return the memory that RLIMIT_DATA counts; 0 if unknown."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return int((status.partition("VmData:")[2].split() or ["0"])[0]) << 10


def _spawn(module: str, theirs: Connection, task: Task) -> subprocess.Popen[bytes]:
    """Start a new interpreter. Forking a multi-threaded process, or importing its main module, is unsafe."""
    descriptor = theirs.fileno()
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    return subprocess.Popen(  # noqa: S603 our own interpreter and module
        [sys.executable, "-P", "-m", _CONFINE, module, str(descriptor), task.as_argument()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(descriptor,),
        env={**_ENVIRONMENT, "PYTHONPATH": path, "TMPDIR": str(task.work)},
        cwd="/",
        start_new_session=True,
    )
