"""Runs in a parser process instead of the parsers and tells what such a process can do."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from unstructured.nlp import tokenize

from ingestion.parse.limits import Limits
from ingestion.parse.parsers import PARSERS
from ingestion.parse.serve import serve

_HEAVY = ("django", "torch", "transformers", "openvino", "celery", "pytest")
_SECRETS = ("SECRET_KEY", "DATA_DIR", "DJANGO_SETTINGS_MODULE")


def _write() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"x")
        file.flush()


_ATTEMPTS: dict[str, Callable[[], object]] = {
    "resolve": lambda: socket.getaddrinfo("localhost", 80),
    "connect": lambda: socket.create_connection(("127.0.0.1", 9), timeout=1),
    "send": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9)),
    "listen": lambda: socket.create_server(("127.0.0.1", 0)),
    "run": lambda: subprocess.run(["true"], check=False),
    "shell": lambda: os.system("true"),
    "fork": os.fork,
    "write": _write,
}


def _is_done(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def _handle(limits: Limits) -> tuple[dict[str, Any], bytes]:
    return {
        "parsers": len(PARSERS),
        "heavy_modules": [name for name in _HEAVY if sys.modules.get(name) is not None],
        "environment": [name for name in _SECRETS if name in os.environ],
        "sentence_finder": tokenize._get_nlp().pipe_names,
        "done": [name for name, attempt in _ATTEMPTS.items() if _is_done(attempt)],
        "home": str(Path.cwd()),
    }, b""


def main(connection: Connection) -> None:
    serve(connection, _handle)
