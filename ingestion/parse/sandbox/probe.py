"""Probe of the kernel's restrictions on parser processes, which differ by kernel and container."""

import ctypes
import errno
import os
import socket
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from ingestion.parse.core.limits import Limits
from ingestion.parse.sandbox.loop import serve

_NAMESPACE: Final = Path("/proc/self/ns/net")
_PARENT: Final = Path(f"/proc/{os.getppid()}/environ")
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Walls:
    """Restrictions enforced by the kernel. Missing ones only apply to Python's own calls."""

    network: bool
    files: bool


def namespace() -> str:
    """Return the identity of this process's network namespace; empty if unknown."""
    try:
        return str(_NAMESPACE.readlink())
    except OSError:
        return ""


def main(connection: Connection) -> None:
    serve(connection, _handle)


def _handle(limits: Limits, path: str, namespace_outside: str) -> tuple[dict[str, Any], bytes]:  # noqa: ARG001
    outside = Path(path).parent.parent / "outside"
    elsewhere = namespace() != namespace_outside
    network = (elsewhere or not _makes_internet_socket()) and not _connects_locally()
    files = not _opens(outside, os.O_WRONLY | os.O_CREAT) and not _opens(_PARENT, os.O_RDONLY)
    return {"network": network, "files": files}, b""


def _makes_internet_socket() -> bool:
    """Try to create a socket as native code does, without Python's audit hooks."""
    return int(_LIBC.socket(int(socket.AF_INET), int(socket.SOCK_DGRAM), 0)) >= 0


def _connects_locally() -> bool:
    """Try to connect to an unused address. Only the kernel's refusal of the call itself counts."""
    descriptor = int(_LIBC.socket(int(socket.AF_UNIX), int(socket.SOCK_STREAM), 0))
    address = int(socket.AF_UNIX).to_bytes(2, sys.byteorder) + b"\0cairn-nobody"
    refused = int(_LIBC.connect(descriptor, address, len(address))) and ctypes.get_errno() == errno.EACCES
    return descriptor >= 0 and not refused


def _opens(path: Path, flags: int) -> bool:
    return int(_LIBC.open(os.fsencode(path), flags, 0o600)) >= 0
