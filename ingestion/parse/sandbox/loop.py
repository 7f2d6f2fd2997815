"""Request loop of a child process, until the parent closes the connection."""

import gc
import resource
import sys
import traceback
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from cairn.errors import DocumentRejected, Rejection
from ingestion.parse.core import failures, progress
from ingestion.parse.core.limits import Limits
from ingestion.parse.sandbox import messages

Handler = Callable[..., tuple[dict[str, Any], bytes]]
"""Called with the limits and the request's arguments; answers JSON and bytes."""

READY: Final = b"ready"
_AT_REST: Final = 0.5  # seconds
_RETIRE_ABOVE: Final = 640 << 20


def serve(connection: Connection, handler: Handler, *, at_rest: Callable[[], object] | None = None) -> None:
    """Serve requests. `at_rest` is called once if none comes at first, to preload what they need."""
    gc.freeze()  # a seventh of the time went into looking through the libraries for garbage, again and again
    gc.enable()
    connection.send_bytes(READY)
    if at_rest is not None and not connection.poll(_AT_REST):
        at_rest()
        gc.freeze()
    while True:
        try:
            data = connection.recv_bytes()
        except EOFError:
            return
        limits, arguments = messages.read_request(data)
        _set_limits(limits)
        _answer(connection, handler, limits, arguments)


def _answer(connection: Connection, handler: Handler, limits: Limits, arguments: dict[str, Any]) -> None:
    try:
        with progress.report_to(partial(messages.send_progress, connection)):
            result, body = handler(limits, **arguments)
    except DocumentRejected as error:
        messages.send_rejection(connection, error, retire=_is_spent(error))
    except RecursionError:
        messages.send_rejection(connection, failures.nested_beyond_reading())
    except MemoryError:
        _lift_memory_limit()
        messages.send_rejection(connection, failures.memory_limit(limits.memory_mb), retire=True)
    except Exception as error:  # noqa: BLE001 the outermost boundary of the child process
        messages.send_failure(connection, _describe(error))
    else:
        _lift_memory_limit()
        messages.send_result(connection, result, body=body, retire=_is_bloated())


def _set_limits(limits: Limits) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + limits.seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_DATA, (limits.memory_mb << 20, resource.RLIM_INFINITY))


def _lift_memory_limit() -> None:
    """Lift the memory limit, since sending the answer needs some memory, too."""
    resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _is_spent(error: DocumentRejected) -> bool:
    """Return whether a limit was exceeded, which may leave memory or state behind."""
    return error.reason in (Rejection.TIME_LIMIT, Rejection.MEMORY_LIMIT) or _is_bloated()


def _is_bloated() -> bool:
    return _peak_bytes() > _RETIRE_ABOVE


def _peak_bytes() -> int:
    """Peak memory of this program. Linux includes the parent's memory at the fork in ru_maxrss."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def _describe(error: BaseException) -> str:
    """Return kind and place of an error without its message, which may quote the document."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "unknown"
    return f"{type(error).__name__} at {place}"
