"""A server of its own, started as people start it, in a data folder of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.servers import working_process

ROOT = Path(__file__).resolve().parents[2]
MANAGE = [sys.executable, str(ROOT / "manage.py")]


@dataclass(frozen=True, slots=True)
class Server:
    process: subprocess.Popen[str]
    url: str
    seconds: float

    def stop(self) -> float:
        """Seconds that a clean end took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        return time.monotonic() - began

    def memory_mb(self) -> tuple[float, float]:
        """Resident memory of the process, and of its children together."""
        main = working_process(self.process.pid)
        children = main.children(recursive=True)
        return main.memory_info().rss / 2**20, sum(c.memory_info().rss for c in children) / 2**20

    def largest_child_mb(self) -> float:
        """The most memory that one of its children has had so far."""
        found = 0.0
        for child in working_process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error, OSError):
                status = Path(f"/proc/{child.pid}/status").read_text(encoding="ascii")
                found = max(found, int(status.partition("VmHWM:")[2].split()[0]) / 1024)
        return found


def environment(data_dir: Path) -> dict[str, str]:
    """Return settings without limits, since the highest possible speed is measured."""
    limits = {"QUESTIONS_PER_MINUTE": "0", "MAX_CONCURRENT_STREAMS": "0"}
    return {**os.environ, **limits, "DATA_DIR": str(data_dir)}


def start(data_dir: Path) -> Server:
    """Returns at the ready line."""
    began = time.monotonic()
    process = subprocess.Popen(
        [*MANAGE, "up", "--port", "0", "--json"],
        env=environment(data_dir),
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "ready":
            return Server(process, event["url"], time.monotonic() - began)
    raise SystemExit("The server ended before it was ready.")


def manage(data_dir: Path, *arguments: str, check: bool = True) -> dict[str, Any]:
    """Return what a command prints with --json."""
    done = subprocess.run(
        [*MANAGE, *arguments, "--json"],
        env=environment(data_dir),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    if check and done.returncode not in {0, 3}:
        raise SystemExit(f"{arguments[0]} failed: {done.stderr}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def client(server: Server, data_dir: Path, *, user: str = "admin") -> httpx.Client:
    made = manage(data_dir, "create_api_key", "--user", user, "--name", "bench")
    return httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {made['key']}"}, timeout=120)
