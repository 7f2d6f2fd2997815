"""External programs used by parsers, run inside a parser process.

No other programs can run there: the child's audit hook, and Landlock where available, allow exactly the
paths found here.
"""

import contextlib
import ctypes
import importlib.util
import os
import resource
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Final

from cairn.errors import DocumentRejected, Rejection
from cairn.messages import CodedMessage, Term
from cairn.messages import gettext_noop as _
from ingestion.parse.core import failures
from ingestion.parse.core.limits import Limits
from ingestion.parse.sandbox import seccomp

PANDOC: Final = "pandoc"
TESSERACT: Final = "tesseract"
SOFFICE: Final = "soffice"

_PURPOSES: Final = {
    PANDOC: (_("Reading this kind of file"), "Pandoc", _("save it as .docx, .html or .md")),
    TESSERACT: (_("Reading scanned pages and images"), "Tesseract", _("run text recognition (OCR) on it")),
    SOFFICE: (_("Reading old Office files"), "LibreOffice", _("save it as .docx, .pptx or .xlsx")),
}
"""What a program is for, its name, and what a person can do without it."""

_FOLDERS: Final = os.pathsep.join(("/usr/local/bin", "/opt/homebrew/bin", os.defpath))
_LARGEST_OUTPUT: Final = 128 << 20
_BLOCK: Final = 1 << 16
_POLL: Final = 0.5
_PR_SET_PDEATHSIG: Final = 1

_given: dict[str, Path] | None = None
_folder = Path(os.sep)


class ProgramFailed(Exception):
    """The program failed, because of a malformed file or its own error."""

    def __init__(self, program: str, returncode: int) -> None:
        super().__init__(f"{program} ended with {returncode}")
        self.returncode = returncode


def find_programs() -> dict[str, Path]:
    """Return the installed programs."""
    return {program: path for program in _PURPOSES if (path := find(program))}


def use(paths: Mapping[str, Path], folder: Path) -> None:
    """Use exactly these programs, with `folder` as writable folder, as the parent specifies."""
    global _given, _folder
    _given, _folder = dict(paths), folder


def folder() -> Path:
    """Return the writable folder of this process and its programs, which is emptied after each file."""
    return _folder


def find(program: str) -> Path | None:
    """Return the path of the program, or None if it is not installed."""
    if _given is not None:
        return _given.get(program)
    return next((path.resolve() for path in _places(program) if os.access(path, os.X_OK)), None)


def _places(program: str) -> Iterator[Path]:
    if program == PANDOC and (spec := importlib.util.find_spec("pypandoc")) and spec.origin:
        yield Path(spec.origin).parent / "files" / "pandoc"
    if command := shutil.which(program, path=_FOLDERS):
        # LibreOffice's command is a shell script; the program itself is next to it
        yield Path(command).resolve().with_name(f"{program}.bin")
        yield Path(command)
    if program == SOFFICE:
        yield from sorted(Path("/opt").glob("libreoffice*/program/soffice.bin"), reverse=True)


def missing(program: str) -> DocumentRejected:
    purpose, name, instead = _PURPOSES[program]
    return DocumentRejected(
        Rejection.UNSUPPORTED_TYPE,
        CodedMessage("program_missing", purpose=Term(purpose), name=name, instead=Term(instead)),
    )


def run(
    program: str,
    arguments: Sequence[str],
    *,
    data: bytes = b"",
    limits: Limits,
    seconds: float | None = None,
    environment: Mapping[str, str] | None = None,
    may_write: int = 0,
) -> bytes:
    """Run `program` with `data` as input and return its standard output.

    Takes at most `seconds` (by default the file's own limit); writes no file larger than `may_write` bytes.
    Raises DocumentRejected if it is not installed or exceeds a limit, ProgramFailed if it fails.
    """
    path = find(program)
    if path is None:
        raise missing(program)
    allowed = limits.seconds if seconds is None else min(seconds, limits.seconds)
    with _start_program([str(path), *arguments], environment or {}, limits, may_write) as process:
        output = _converse(process, data, time.monotonic() + allowed, limits)
        process.wait(max(1.0, allowed))
    _check(program, process.returncode, limits)
    return output


@contextlib.contextmanager
def _start_program(
    command: Sequence[str], environment: Mapping[str, str], limits: Limits, may_write: int
) -> Iterator[subprocess.Popen[bytes]]:
    """Start the program, and kill it on exit if it still runs.

    The system call filter does not let a parser process signal others. A separate thread starts the program,
    and the kernel kills the program when that thread ends (`_die_with`).
    """
    started: Future[subprocess.Popen[bytes]] = Future()
    over = threading.Event()

    def supervise() -> None:
        try:
            started.set_result(_popen(command, environment, limits, may_write))
        except BaseException as error:  # noqa: BLE001 raised in the thread that waits for the program
            started.set_exception(error)
        over.wait()

    holder = _start_thread(supervise)
    try:
        process = started.result()
        try:
            yield process
        finally:
            over.set()
            holder.join()
            with contextlib.suppress(PermissionError):  # needed where `_die_with` or the filter is missing
                process.kill()
            _close(process)
    except subprocess.TimeoutExpired as error:
        raise failures.time_limit(limits.seconds) from error
    finally:
        over.set()


def _start_thread(target: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=target, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:  # no room for its stack
        raise MemoryError from error
    return thread


def _popen(
    command: Sequence[str], environment: Mapping[str, str], limits: Limits, may_write: int
) -> subprocess.Popen[bytes]:
    parent = os.getpid()

    def confine() -> None:
        _die_with(parent)
        resource.setrlimit(resource.RLIMIT_CPU, (limits.seconds + 1, limits.seconds + 1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (may_write, may_write))
        seccomp.refuse_processes()
        seccomp.deny_being_writable()

    return subprocess.Popen(  # noqa: S603 one of our list, no shell
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**_clean_environment(), **environment},
        cwd=_folder,
        preexec_fn=confine,  # no other thread of this process holds a lock
    )


def _close(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    process.wait()


def _clean_environment() -> dict[str, str]:
    home = str(_folder)
    return {"HOME": home, "LANG": "C.UTF-8", "OMP_THREAD_LIMIT": "1", "PATH": os.defpath, "TMPDIR": home}


def _die_with(parent: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _converse(process: subprocess.Popen[bytes], data: bytes, deadline: float, limits: Limits) -> bytes:
    """Write `data` and read the output concurrently, as either pipe may fill up first."""
    assert process.stdin is not None
    assert process.stdout is not None
    rest, answer = memoryview(data), bytearray()
    source, sink = process.stdout.fileno(), process.stdin.fileno()
    os.set_blocking(sink, False)
    with selectors.DefaultSelector() as both:
        both.register(source, selectors.EVENT_READ)
        both.register(sink, selectors.EVENT_WRITE)
        while both.get_map():
            if time.monotonic() > deadline:
                raise failures.time_limit(limits.seconds)
            for key, _ in both.select(_POLL):
                if key.fd == sink:
                    rest = _feed(sink, rest)
                    if not rest:
                        both.unregister(sink)
                        process.stdin.close()
                elif block := os.read(source, _BLOCK):
                    answer += block
                else:
                    both.unregister(source)
            if len(answer) > _LARGEST_OUTPUT:
                raise failures.too_large(limits.characters)
    return bytes(answer)


def _feed(sink: int, rest: memoryview) -> memoryview:
    """Write some data and return the rest; empty if the program has closed its input."""
    try:
        return rest[os.write(sink, rest[:_BLOCK]) :]
    except BlockingIOError:
        return rest
    except BrokenPipeError:
        return rest[:0]


def _check(program: str, returncode: int, limits: Limits) -> None:
    if returncode == -signal.SIGXCPU:
        raise failures.time_limit(limits.seconds)
    if returncode == -signal.SIGKILL:
        raise failures.memory_limit(limits.memory_mb)
    if returncode:
        raise ProgramFailed(program, returncode)
