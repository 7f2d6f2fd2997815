"""Cairn as people run it: in a process of its own, with the real index and the real models."""

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from tests.environment import clean_environment
from tests.shared_models import share_models
from tests.shared_tables import share_tables

ROOT = Path(__file__).resolve().parents[1]
Completed = subprocess.CompletedProcess[str]


@dataclass(frozen=True, slots=True)
class Server:
    """`stdout` contains the lines up to the ready line."""

    url: str
    data_dir: Path
    process: "subprocess.Popen[str]"
    stdout: tuple[str, ...] = ()
    username: str = "admin"

    @property
    def password(self) -> str:
        return (self.data_dir / "admin_password").read_text(encoding="ascii")

    @property
    def log(self) -> str:
        return (self.data_dir / "server.log").read_text(encoding="utf-8")

    def manage(self, *arguments: str, stdout: IO[bytes] | int = subprocess.PIPE) -> Completed:
        """A command on the same data folder."""
        return run_manage(self.data_dir, *arguments, stdout=stdout)

    def key(self) -> str:
        """An API key of the admin, for everything."""
        made = self.manage("create_api_key", "--user", self.username, "--name", "tests", "--json")
        return str(json.loads(made.stdout)["key"])


def server_environment(data_dir: Path, **settings: str) -> dict[str, str]:
    """Return an environment without network except loopback, and without the developer's settings.

    Limits are off, since many tests use one server as one user, faster than people do.
    """
    share_models(data_dir)
    offline = {"PYTHONPATH": str(ROOT / "tests" / "offline")}
    unlimited = {
        "QUESTIONS_PER_MINUTE": "0",
        "MAX_CONCURRENT_STREAMS": "0",
        "MAX_CONCURRENT_SUBSCRIPTIONS": "0",
    }
    return clean_environment(str(data_dir)) | offline | unlimited | settings


def working_process(pid: int) -> psutil.Process:
    """The child that does the work of a command under supervision, else the command itself."""
    command = psutil.Process(pid)
    same = [child for child in command.children() if child.cmdline() == command.cmdline()]
    return same[0] if same else command


def run_manage(
    data_dir: Path, *arguments: str, stdout: IO[bytes] | int = subprocess.PIPE, **settings: str
) -> Completed:
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        env=server_environment(data_dir, **settings),
        cwd=ROOT,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


def start_server(data_dir: Path, *, port: int = 0, **settings: str) -> Server:
    """Returns at the ready line. `port`: 0 for any that is free."""
    data_dir.mkdir(parents=True, exist_ok=True)
    if "DATABASE_URL" not in settings:
        share_tables(data_dir)
    with (data_dir / "server.log").open("a", encoding="utf-8") as stderr:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "up", "--port", str(port), "--json"],
            env=server_environment(data_dir, **settings),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        event = json.loads(line)
        lines.append(event["text"])
        if event["event"] == "ready":
            return Server(event["url"], data_dir, process, tuple(lines))
    process.communicate()
    log = (data_dir / "server.log").read_text(encoding="utf-8")
    raise AssertionError(f"The server ended before it was ready:\n{log}")


def stop_server(server: Server, number: signal.Signals = signal.SIGTERM) -> int:
    """Stop the server and return its exit code."""
    server.process.send_signal(number)
    try:
        return server.process.wait(30)
    finally:
        server.process.kill()
        server.process.communicate()
