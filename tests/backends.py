"""Servers that Cairn depends on, as processes of this test run, with ports and data of their own.

The programs come from the system. Where one is not installed, `require` skips with the package's name.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
UNPRIVILEGED: Final = "nobody"  # PostgreSQL will not run as root
_PATIENCE: Final = 60.0
_LOOK: Final = 0.05


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def require(package: str, *programs: str) -> str:
    """Return the paths of these programs, or skip the test."""
    for program in programs:
        found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/lib/rabbitmq/bin")
        if found:
            return found
    pytest.skip(f"{programs[0]} is not installed (Debian package {package})")


class Process:
    """Can be stopped and started again; `wipe` forgets its data. It ends with this process in any case. In a
    `folder` that is given its data stay; else they go with `close`."""

    name: str
    end_signal = signal.SIGTERM
    last_signal = "KILL"

    def __init__(self, folder: Path | None = None) -> None:
        self.port = free_port()
        self._kept = folder is not None
        self.folder = folder or Path(tempfile.mkdtemp(prefix=f"cairn-{self.name}-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.owner: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        return {}

    def answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def prepare(self) -> None:
        """Prepare the data folder for the program."""

    def start(self) -> None:
        self.prepare()
        with (self.folder / "output.log").open("ab") as output:
            self._process = subprocess.Popen(
                [*dies_with_us(self.last_signal), *self.command()],
                cwd=self.folder,
                env={**os.environ, **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self.owner,
            )
        self._wait()

    def _wait(self) -> None:
        assert self._process is not None
        give_up = time.monotonic() + _PATIENCE
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise AssertionError(f"{self.name} did not start:\n{self.log}")
            time.sleep(_LOOK)

    @property
    def log(self) -> str:
        return (self.folder / "output.log").read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """Stop the program gracefully, so that it can save its data."""
        self._end(self.end_signal)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        os.killpg(process.pid, number)
        try:
            process.wait(30)
        finally:
            _kill_group(process.pid)

    def wipe(self) -> None:
        shutil.rmtree(self.folder)
        self.folder.mkdir()

    def close(self) -> None:
        self.stop()
        if not self._kept:
            shutil.rmtree(self.folder, ignore_errors=True)


def dies_with_us(last_signal: str = "KILL") -> list[str]:
    """Also when this process is killed, and cannot clean up."""
    return ["setpriv", "--pdeathsig", last_signal] if shutil.which("setpriv") else []


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


class Postgres(Process):
    name = "postgres"
    end_signal = signal.SIGINT  # does not wait for its clients

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        self._programs = postgres_programs()
        if os.geteuid() == 0:
            owner = pwd.getpwnam(UNPRIVILEGED)
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
            self.owner = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        return f"postgres://cairn@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> None:
        data = self.folder / "data"
        if not data.exists():
            initdb = [
                f"{self._programs}/initdb", "-D", str(data), "-U", "cairn", "-A", "trust",
                "-E", "UTF8", "--locale=C.UTF-8", "--no-sync",
            ]  # fmt: skip
            subprocess.run(initdb, cwd=self.folder, check=True, capture_output=True, **self.owner)

    def command(self) -> Sequence[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "fsync": "off",  # the machine will not lose its power
            "max_connections": "100",
        }
        given = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [f"{self._programs}/postgres", "-D", str(self.folder / "data"), *given]

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def database(self, name: str) -> str:
        """The address of a database, a new and empty one at the first time."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                return self.url_of(name)
            connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload] # a name of ours
        return self.url_of(name)


def postgres_programs() -> Path:
    """Return the folder of PostgreSQL's programs, which Debian keeps out of the PATH, by version."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    return Path(require("postgresql", "initdb")).parent


class Broker(Process):
    """A message broker. `persistent`: queued messages survive a restart."""

    def __init__(self, folder: Path | None = None, *, persistent: bool) -> None:
        super().__init__(folder)
        self.persistent = persistent

    @property
    def url(self) -> str:
        raise NotImplementedError

    def start(self) -> None:
        if not self.persistent:
            self.wipe()
        super().start()


class Valkey(Broker):
    name = "valkey"

    def __init__(self, folder: Path | None = None, *, persistent: bool) -> None:
        self._program = require("valkey-server", "valkey-server", "redis-server")
        super().__init__(folder, persistent=persistent)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> Sequence[str]:
        append = "yes" if self.persistent else "no"
        return [
            self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
            "--save", "", "--appendonly", append, "--appendfsync", "always",
        ]  # fmt: skip


class RabbitMQ(Broker):
    """RabbitMQ with a port mapper of its own; otherwise it would start one that never ends."""

    name = "rabbitmq"
    last_signal = "TERM"  # a script, which has to end the node

    def __init__(self, folder: Path | None = None, *, persistent: bool) -> None:
        self._program = require("rabbitmq-server", "/usr/lib/rabbitmq/bin/rabbitmq-server")
        self._epmd_program = require("rabbitmq-server", "epmd")
        super().__init__(folder, persistent=persistent)
        self._distribution, self._mapper_port = free_port(), free_port()
        self._mapper: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def command(self) -> Sequence[str]:
        return [self._program]

    def environment(self) -> Mapping[str, str]:
        here = str(self.folder)
        return {
            "HOME": here,  # for its cookie
            "RABBITMQ_BASE": here,
            "RABBITMQ_MNESIA_BASE": f"{here}/mnesia",
            "RABBITMQ_LOG_BASE": f"{here}/log",
            "RABBITMQ_CONFIG_FILE": f"{here}/none",
            "RABBITMQ_CONF_ENV_FILE": f"{here}/none",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{here}/plugins",
            "RABBITMQ_PID_FILE": f"{here}/pid",
            "RABBITMQ_NODENAME": f"cairn{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def prepare(self) -> None:
        if self._mapper is None:
            mapper = [self._epmd_program, "-port", str(self._mapper_port), "-address", "127.0.0.1"]
            self._mapper = subprocess.Popen([*dies_with_us(), *mapper], stdin=subprocess.DEVNULL)

    def close(self) -> None:
        super().close()
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait()


class VectorStore(Process):
    """Speaks Qdrant's protocol; see tests.qdrant_server."""

    name = "qdrant"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str]:
        return [sys.executable, str(ROOT / "tests" / "qdrant_server.py"), str(self.port), "collections"]
