"""Runs in a parser process instead of the parsers and reports what such a process can do."""

import ctypes
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ingestion.parse.core import progress
from ingestion.parse.core.limits import Limits
from ingestion.parse.sandbox import programs
from ingestion.parse.sandbox.loop import serve

_MAY_WRITE = 1 << 20

_libc = ctypes.CDLL(None, use_errno=True)


def _write() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"x")
        file.flush()


def _called(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result


def _execute_natively() -> None:
    """A shell in a process made behind Python's back."""
    process = _called(_libc.fork())
    if not process:
        _libc.execv(b"/bin/sh", (ctypes.c_char_p * 4)(b"sh", b"-c", b"exit 0", None))
        os._exit(1)
    if os.waitpid(process, 0)[1]:
        raise PermissionError


def _attempts(outside: Path) -> dict[str, Callable[[], object]]:
    """Try everything forbidden: in Python, and in native code that calls the kernel directly."""
    other, new = str(outside / "other").encode(), str(outside / "new").encode()
    return {
        "resolve": lambda: socket.getaddrinfo("localhost", 80),
        "connect": lambda: socket.create_connection(("127.0.0.1", 9), timeout=1),
        "send": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9)),
        "listen": lambda: socket.create_server(("127.0.0.1", 0)),
        "run": lambda: subprocess.run(["true"], check=False),
        "shell": lambda: os.system("true"),
        "fork": os.fork,
        "write": _write,
        "create": lambda: (outside / "new").touch(),
        "remove": lambda: (outside / "other").unlink(),
        "rename": lambda: (outside / "other").rename(outside / "new"),
        "make a folder": lambda: (outside / "new").mkdir(),
        "native socket": lambda: _called(_libc.socket(socket.AF_INET, socket.SOCK_DGRAM, 0)),
        "native shell": _execute_natively,
        "native read": lambda: _called(_libc.open(other, os.O_RDONLY)),
        "native write": lambda: _called(_libc.open(other, os.O_WRONLY)),
        "native create": lambda: _called(_libc.open(new, os.O_WRONLY | os.O_CREAT, 0o600)),
        "native remove": lambda: _called(_libc.unlink(other)),
        "native read of passwords": lambda: _called(_libc.open(b"/etc/shadow", os.O_RDONLY)),
        "native write of the document": lambda: _called(
            _libc.open(os.fsencode(outside / "document"), os.O_WRONLY)
        ),
    }


def _is_done(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def _leave_a_file_and(end: str) -> None:
    (programs.folder() / "left").mkdir()
    (programs.folder() / "left" / "over").touch()
    if end == "die":
        os.abort()
    if end == "be killed":
        os.kill(os.getpid(), 9)
    while end == "hang":
        pass


def _allocate() -> None:
    """Slowly, as native code does, which does not raise MemoryError but breaks down."""
    _libc.malloc.restype = ctypes.c_void_p
    for _ in range(100):
        if (block := _libc.malloc(16 << 20)) is None:
            os.abort()
        ctypes.memset(block, 1, 16 << 20)
        time.sleep(0.02)


def _say(data: bytes) -> None:
    """Write to the parent, bypassing the protocol."""
    os.write(int(sys.argv[2]), data)


def _framed(data: bytes) -> bytes:
    return struct.pack("!i", len(data)) + data


def _misbehave(how: str) -> None:
    match how:
        case "sleep":
            time.sleep(1000)
        case "nap":
            time.sleep(2)
        case "allocate":
            _allocate()
        case "write":
            (programs.folder() / "written").write_bytes(b"x")
        case "stop in the middle of its answer":
            _say(struct.pack("!i", 100) + b"{")
            time.sleep(1000)
        case "say what is no JSON":
            _say(_framed(b"\x80\x04}"))
            time.sleep(1000)


def _handle(
    limits: Limits,
    path: str,
    outside: str = "",
    code: str = "",
    seconds: float | None = None,
    end: str = "",
    pages: int = 0,
    how: str = "",
    answer: Any = None,
) -> tuple[dict[str, Any], bytes]:
    """Run `code` in place of a program."""
    for page in range(pages):
        progress.report(page, pages)
    if how:
        _misbehave(how)
    if answer is not None:
        _say(_framed(json.dumps(answer).encode()) + _framed(b""))
        time.sleep(1000)
    if end:
        _leave_a_file_and(end)
    if code:
        arguments = ["-I", "-c", code, path, str(programs.folder())]
        return {}, programs.run(
            programs.SOFFICE, arguments, limits=limits, seconds=seconds, may_write=_MAY_WRITE
        )
    if outside:
        return {"done": [name for name, try_it in _attempts(Path(outside)).items() if _is_done(try_it)]}, b""
    return {}, Path(path).read_bytes()


def main(connection: Connection) -> None:
    serve(connection, _handle)
