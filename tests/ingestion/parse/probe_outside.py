"""Runs in a parser process instead of the parsers, and tries to get out of it, also by a program."""

import contextlib
import os
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ingestion.parse.core.limits import Limits
from ingestion.parse.sandbox import programs
from ingestion.parse.sandbox.loop import serve
from tests.ingestion.parse import outside_attempts

SOURCE = Path(outside_attempts.__file__).read_text(encoding="utf-8")


def _open_files() -> Iterator[str]:
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one by which they are listed
            yield str(descriptor.readlink())


def _handle(
    limits: Limits, path: str, name: str = "", target: str = "", pid: int = 0, program: bool = False
) -> tuple[dict[str, Any], bytes]:
    if not name:
        return {"environment": dict(os.environ), "files": sorted(_open_files()), "parent": os.getppid()}, b""
    target = target or path
    if program:
        arguments = ["-I", "-c", SOURCE, name, target, str(pid)]
        return {}, programs.run(programs.SOFFICE, arguments, limits=limits)
    return {}, outside_attempts.attempt(name, target, pid)


def main(connection: Connection) -> None:
    serve(connection, _handle)
