"""What the kernel itself keeps from a parser process; tried in one, since kernels and containers differ."""

import ctypes
import os
import socket
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from ingestion.parse.limits import Limits
from ingestion.parse.serve import serve

_NAMESPACE: Final = Path("/proc/self/ns/net")


@dataclass(frozen=True, slots=True)
class Walls:
    """Where one is missing, only Python's own calls are refused, not those of native code and programs."""

    network: bool
    files: bool


def namespace() -> str:
    """Names the network that this process is in; empty where the system does not tell."""
    try:
        return str(_NAMESPACE.readlink())
    except OSError:
        return ""


def main(connection: Connection) -> None:
    serve(connection, _handle)


def _handle(limits: Limits, path: str, namespace_outside: str) -> tuple[dict[str, Any], bytes]:  # noqa: ARG001
    outside = Path(path).parent.parent / "outside"
    elsewhere = namespace() != namespace_outside
    return {"network": elsewhere or not _makes_sockets(), "files": not _makes(outside)}, b""


def _makes_sockets() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
    except OSError:
        return False
    return True


def _makes(path: Path) -> bool:
    """As native code does: Python's own `open` is refused in any case."""
    return int(ctypes.CDLL(None).open(os.fsencode(path), os.O_WRONLY | os.O_CREAT, 0o600)) >= 0
