"""Reads hostile files in child processes, so that whatever a file does, it does not do it to Cairn."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, Final

from cairn.errors import NotFound, Unavailable
from cairn.library.rendition import Rendition
from ingestion.parse import messages, reject
from ingestion.parse.limits import Limits
from ingestion.parse.messages import Answer, ChildFailed
from ingestion.parse.serve import READY

__all__ = ["Limits", "Parsed", "ParserPool"]

log = logging.getLogger(__name__)

Cancelled = Callable[[], bool]

_POLL: Final = 0.2
_START_SECONDS: Final = 90
_RECEIVE_SECONDS: Final = 60
_REAP_SECONDS: Final = 10
_FILES_PER_CHILD: Final = 200
_LARGEST_ANSWER: Final = 512 << 20
# nothing of the parent's environment: it holds secrets
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
    """`parts` name the files inside, such as a mail's attachments; `ParserPool.part` reads one."""

    rendition: Rendition
    media_type: str
    parts: tuple[str, ...] = ()


def _never() -> bool:
    return False


class ParserPool:
    """Safe to use from several threads; children start when first needed and are replaced when they break."""

    def __init__(self, size: int = 2) -> None:
        self._parsers = _Lane("ingestion.parse.parsers", size)
        self._pictures = _Lane("ingestion.parse.pictures", 1)

    def parse(self, path: Path, filename: str, *, limits: Limits, cancelled: Cancelled = _never) -> Parsed:
        """Raises DocumentRejected, also for limits and crashes; Unavailable if no child starts."""
        answer = self._parsers.ask({"path": str(path.resolve()), "filename": filename}, limits, cancelled)
        result = answer.result()
        rendition = Rendition.from_json(result["rendition"])
        return Parsed(rendition, result["media_type"], tuple(result["parts"]))

    def part(
        self, path: Path, filename: str, index: int, *, limits: Limits, cancelled: Cancelled = _never
    ) -> bytes:
        """The content of `Parsed.parts[index]`. Raises as `parse` does."""
        arguments = {"path": str(path.resolve()), "filename": filename, "part": index}
        return self._parsers.ask(arguments, limits, cancelled).body

    def render_page(self, path: Path, page_number: int, *, width: int, limits: Limits) -> bytes:
        """PNG of a page of a PDF, counted from 1. Raises NotFound when there is no such page."""
        arguments = {"path": str(path.resolve()), "page_number": page_number, "width": width}
        answer = self._pictures.ask(arguments, limits, _never)
        if not answer.result()["found"]:
            raise NotFound
        return answer.body

    def warm(self) -> None:
        """Starts a child ahead of the first file; takes about two seconds."""
        self._parsers.warm()

    def close(self) -> None:
        """Ends all children; parses under way raise Unavailable."""
        self._parsers.close()
        self._pictures.close()


class _Lane:
    """At most `size` children that run the same module."""

    def __init__(self, module: str, size: int) -> None:
        self._module = module
        self._size = size
        self._changed = threading.Condition()
        self._idle: list[_Child] = []
        self._busy: set[_Child] = set()
        self._closed = False

    def ask(self, arguments: dict[str, Any], limits: Limits, cancelled: Cancelled) -> Answer:
        with self._child(cancelled) as child:
            try:
                answer = child.ask(messages.request(limits, arguments), limits, cancelled)
                answer.result()
            except ChildFailed as error:
                log.warning("%s failed: %s", self._module, error)
                raise reject.parser_crashed() from error
            except _Died as error:
                raise self._death(error, limits) from error
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
            child.stop()  # whoever waits for it sees it end, and cleans up
        for child in idle:
            child.kill()

    def _death(self, error: "_Died", limits: Limits) -> Exception:
        if self._closed:
            return Unavailable("Cairn is shutting down")
        log.warning("%s died with %d", self._module, error.returncode)
        if error.returncode == -signal.SIGXCPU:
            return reject.time_limit(limits.seconds)
        return reject.parser_crashed()

    @contextlib.contextmanager
    def _child(self, cancelled: Cancelled) -> "Iterator[_Child]":
        child = self._taken(cancelled)
        try:
            child.await_ready()
            yield child
        finally:
            self._give_back(child)

    def _taken(self, cancelled: Cancelled) -> "_Child":
        """An idle child, or a new one, which is not ready yet. Waits while there are enough of them."""
        while not cancelled():
            with self._changed:
                if self._closed:
                    raise Unavailable("Cairn is shutting down")
                child = self._living()
                if child is None and len(self._busy) < self._size:
                    child = _Child(self._module)
                if child is not None:
                    self._busy.add(child)
                    return child
                self._changed.wait(_POLL)
        raise reject.cancelled()

    def _living(self) -> "_Child | None":
        """An idle child that has not died at rest."""
        while self._idle:
            child = self._idle.pop()
            if child.usable:
                return child
            child.kill()
        return None

    def _give_back(self, child: "_Child") -> None:
        with self._changed:
            self._busy.discard(child)
            keep = child.usable and not self._closed
            if keep:
                self._idle.append(child)
            self._changed.notify()
        if not keep:
            child.kill()


class _Died(Exception):
    def __init__(self, returncode: int) -> None:
        super().__init__(returncode)
        self.returncode = returncode


class _Child:
    """One process and the connection to it. Raises Unavailable when it does not come up."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._connection, theirs = Pipe()
        self._answered = 0
        self._ready = False
        self._retired = False
        with theirs:
            self._process = _spawn(module, theirs)

    def await_ready(self) -> None:
        if self._ready:
            return
        with contextlib.suppress(EOFError, OSError):
            self._ready = self._connection.poll(_START_SECONDS) and self._connection.recv_bytes() == READY
        if not self._ready:
            log.error("%s did not start: %d", self._module, self.kill())
            raise Unavailable("The program that reads documents did not start")

    @property
    def usable(self) -> bool:
        return (
            self._ready
            and not self._retired
            and self._answered < _FILES_PER_CHILD
            and self._process.poll() is None
        )

    def ask(self, request: bytes, limits: Limits, cancelled: Cancelled) -> Answer:
        """Kills the child and raises DocumentRejected when time is up or `cancelled` says so."""
        self._retired = True  # until it has answered in full
        try:
            self._connection.send_bytes(request)
            self._await(limits, cancelled)
            with self._killed_after(_RECEIVE_SECONDS):
                answer = Answer.receive(self._connection, _LARGEST_ANSWER)
        except (EOFError, OSError, ValueError) as error:
            raise _Died(self.kill()) from error
        self._retired = answer.retire
        self._answered += 1
        return answer

    def stop(self) -> None:
        self._process.kill()

    def kill(self) -> int:
        """Return code; the one it died with if it was dead already."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2 if self._retired else 0)
        self._process.kill()
        self._connection.close()
        return self._process.wait(_REAP_SECONDS)

    def _await(self, limits: Limits, cancelled: Cancelled) -> None:
        deadline = time.monotonic() + limits.seconds
        while not self._connection.poll(_POLL):
            if cancelled():
                self.kill()
                raise reject.cancelled()
            if time.monotonic() > deadline:
                self.kill()
                raise reject.time_limit(limits.seconds)

    @contextlib.contextmanager
    def _killed_after(self, seconds: float) -> Iterator[None]:
        """A child that stops in the middle of its answer would hold its reader for ever."""
        timer = threading.Timer(seconds, self._process.kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _spawn(module: str, theirs: Connection) -> subprocess.Popen[bytes]:
    """A new interpreter: forking a process with threads, or importing its main module anew, would not do."""
    descriptor = theirs.fileno()
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    return subprocess.Popen(  # noqa: S603 our own interpreter and module
        [sys.executable, "-P", "-m", "ingestion.parse.confine", module, str(descriptor)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(descriptor,),
        env={**_ENVIRONMENT, "PYTHONPATH": path},
        cwd="/",
        start_new_session=True,
    )
