"""The processes of a cluster, which are started again when they die, and ended in order."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Self

import httpx

from cairn.settings import environment
from cairn.settings.generated_secrets import load_or_create_secret
from tests.backends import ROOT, Broker, Postgres, RabbitMQ, Valkey, VectorStore, dies_with_us, free_port
from tests.balancer import Balancer

WEB_PROCESSES: Final = 2
WORKERS: Final = {"interactive": "interactive,maintenance", "bulk": "bulk,watches,model_tests"}
_BROKERS: Final[dict[str, Callable[[Path], Broker]]] = {
    "valkey": lambda folder: Valkey(folder, persistent=True),
    "rabbitmq": lambda folder: RabbitMQ(folder, persistent=True),
}
_PATIENCE: Final = 300.0
_END_SECONDS: Final = 60.0
_LOOK: Final = 0.2
_AGAIN: Final = 1.0
_SOME_FAILED: Final = 3  # documents, of an import
_STAND_IN: Final = (
    "QDRANT_URL is not set, and no Qdrant server comes as a Debian package: in its place a small one of this "
    "project answers, which keeps vectors in Qdrant Edge. It is for a look, not for work."
)


class Cluster:
    """`told` gets progress messages, a line at a time.

    `settings`: settings in addition to the servers' addresses.
    """

    def __init__(
        self,
        folder: Path,
        *,
        told: Callable[[str], None],
        port: int = 0,
        broker: str = "valkey",
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._folder = folder.resolve()
        self._told = told
        self._stack = ExitStack()
        self._broker = broker
        self._port = port
        self._commands: dict[str, Sequence[str]] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._given = settings
        self._settings: dict[str, str] = {}
        self.data_dir = self._folder / "data"
        self.url = ""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._told("Ending: answers that are being written are finished first")
        self._stop()

    @property
    def pids(self) -> dict[str, int]:
        return {name: process.pid for name, process in self._processes.items()}

    @property
    def settings(self) -> dict[str, str]:
        """Return the settings of all processes; commands run with them use the cluster."""
        return dict(self._settings)

    @property
    def summary(self) -> str:
        password = self.data_dir / "admin_password"
        known = f"password in {password}" if password.exists() else "the password from CAIRN_ADMIN_PASSWORD"
        return "\n".join(
            [
                f"Cairn is ready: {self.url}  (sign in as admin, {known})",
                f"Processes: {', '.join(f'{name} {pid}' for name, pid in self.pids.items())}",
                f"Logs in {self._folder / 'logs'}, settings in {self._environment_file}. Ctrl-C ends it.",
            ]
        )

    def watch(self) -> None:
        """Watch the processes forever, and restart those that die."""
        while True:
            for name, process in list(self._processes.items()):
                if process.poll() is not None:
                    self._told(f"{name} ended ({process.returncode}) and is started again")
                    time.sleep(_AGAIN)
                    self._run(name)
            time.sleep(_LOOK)

    def _start(self) -> None:
        for folder in (self.data_dir, self._folder / "logs"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._settings = self._servers()
        self._environment_file.write_text(
            "".join(f"{name}={value}\n" for name, value in self._settings.items()), encoding="utf-8"
        )
        self._environment_file.chmod(0o600)
        self._told("Bringing the tables up to date")
        self.manage("migrate", "--verbosity", "0")
        ports = [free_port() for _ in range(WEB_PROCESSES)]
        self._commands = {
            **{f"web-{place}": ("web", "--port", str(port)) for place, port in enumerate(ports, 1)},
            **{f"worker-{name}": ("worker", "--queues", queues) for name, queues in WORKERS.items()},
            "beat": ("beat",),
        }
        for name in self._commands:
            self._run(name)
        balancer = Balancer([f"127.0.0.1:{port}" for port in ports], port=self._port)
        self._stack.enter_context(balancer)
        self.url = balancer.url
        self._wait(balancer)

    def _servers(self) -> dict[str, str]:
        postgres = Postgres(postgres_folder(self._folder))
        broker = _BROKERS[self._broker](self._folder / self._broker)
        url = environment().qdrant_url
        servers = [postgres, broker]
        if url is None:
            self._told(_STAND_IN)
            servers.append(store := VectorStore(self._folder / "vectors"))
            url = store.url
        for server in servers:
            self._told(f"Starting {server.name}")
            self._stack.callback(server.close)
            server.start()
        secret, _ = load_or_create_secret(self._folder / "secret_key")
        return {
            **self._given,
            "DATA_DIR": str(self.data_dir),
            "SECRET_KEY": secret,
            "DATABASE_URL": postgres.database("cairn"),
            "CELERY_BROKER_URL": broker.url,
            "QDRANT_URL": url,
        }

    @property
    def _environment_file(self) -> Path:
        return self._folder / "cluster.env"

    def manage(self, *command: str) -> str:
        """Run a command and return its output. Unreadable documents are not a failure."""
        arguments = [sys.executable, str(ROOT / "manage.py"), *command]
        environment = {**os.environ, **self._settings}
        done = subprocess.run(
            arguments, env=environment, cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True
        )
        if done.returncode not in {0, _SOME_FAILED}:
            raise SystemExit(f"error: manage.py {command[0]} failed.")
        return done.stdout

    def _run(self, name: str) -> None:
        command = [sys.executable, str(ROOT / "manage.py"), *self._commands[name]]
        with (self._folder / "logs" / f"{name}.log").open("ab") as output:
            self._processes[name] = subprocess.Popen(
                [*dies_with_us("TERM"), *command],
                env={**os.environ, **self._settings},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for this process, which stops them in order
            )

    def _wait(self, balancer: Balancer) -> None:
        self._told(f"Starting {len(self._processes)} processes, which load their models")
        give_up = time.monotonic() + _PATIENCE
        while not _serve(balancer):
            ended = [name for name, process in self._processes.items() if process.poll() is not None]
            if ended or time.monotonic() > give_up:
                raise SystemExit(f"error: {', '.join(ended) or 'web'} did not start:\n{self._logs(ended)}")
            time.sleep(_AGAIN)

    def _logs(self, names: Sequence[str]) -> str:
        paths = [self._folder / "logs" / f"{name}.log" for name in names or self._processes]
        return "\n".join(path.read_text(encoding="utf-8", errors="replace")[-2000:] for path in paths)

    def _stop(self) -> None:
        for process in self._processes.values():
            process.terminate()
        give_up = time.monotonic() + _END_SECONDS
        for process in self._processes.values():
            try:
                process.wait(max(0.1, give_up - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
        self._stack.close()


def postgres_folder(folder: Path) -> Path:
    """PostgreSQL does not run as root, and other users may not look into the folder for data: then it has one
    elsewhere, which is forgotten with the link to it. Tables must not outlive the vectors."""
    place = folder / "postgres"
    if os.geteuid() != 0:
        return place
    if not place.is_dir():
        place.unlink(missing_ok=True)  # what it led to is gone
        place.symlink_to(tempfile.mkdtemp(prefix="cairn-cluster-"))
    return place.resolve()


def _serve(balancer: Balancer) -> bool:
    """Start all processes with their models, which are converted first on a new machine."""
    servers = list(balancer.ready)
    return len(servers) == WEB_PROCESSES and all(map(_is_ready, servers))


def _is_ready(server: str) -> bool:
    try:
        return httpx.get(f"http://{server}/readyz", timeout=10, trust_env=False).is_success
    except httpx.TransportError:
        return False
