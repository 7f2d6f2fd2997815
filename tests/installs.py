"""An install of Cairn whose processes can be started, killed and restarted, and its invariants."""

import contextlib
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
from qdrant_client import QdrantClient

from retrieval.index.protocol import VectorIndex
from retrieval.index.qdrant_edge import EdgeIndex
from retrieval.index.qdrant_server import ServerIndex
from tests.fakes import FakeEmbedder
from tests.servers import ROOT, Server, run_manage, server_environment, start_server, stop_server

PATIENCE = 300.0
_LOOK = 0.1
ChunkSet = set[tuple[str, int, str]]
Rows = list[tuple[Any, ...]]

QUICK = {
    "SAMPLE_KNOWLEDGE_BASE": "false",
    "JOB_LEASE_SECONDS": "5",
    "JOB_RETRY_SECONDS": "0.5",
    "SWEEP_SECONDS": "1",
    "ACCESS_CHECK_INTERVAL_HOURS": "0",  # its documents come and go while chunks are counted
}
"""So that a test need not wait for what in life may take a minute."""


def until(holds: Callable[[], bool], *, patience: float = PATIENCE, what: str = "") -> None:
    give_up = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < give_up, f"still waiting after {patience:.0f} s {what}"
        time.sleep(_LOOK)


class Helper:
    """A worker or beat as a process. `settings` such as CAIRN_FAULT are its own."""

    def __init__(self, data_dir: Path, command: str, *arguments: str, **settings: str) -> None:
        self._log = data_dir / f"{command}.log"
        with self._log.open("a", encoding="utf-8") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), command, *arguments, "--json"],
                env=server_environment(data_dir, **settings),
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        self.lines: list[str] = []

    def wait_ready(self) -> "Helper":
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            self.lines.append(event["text"])
            if event["event"] == "ready":
                return self
        raise AssertionError(f"It ended before it was ready:\n{self._log.read_text(encoding='utf-8')}")

    def __enter__(self) -> "Helper":
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()

    def wait_end(self) -> int:
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.kill()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.wait_end()

    def kill(self) -> None:
        """Also one that has ended."""
        self.process.kill()
        if self.process.stdout is not None and not self.process.stdout.closed:
            self.process.communicate()


class Install:
    """The data and the web process, with a client of its REST API."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self.data_dir = data_dir
        self.settings = {**QUICK, **settings}
        self.server: Server | None = None
        self._key = data_dir / "test_key"

    def copied(self, data_dir: Path) -> "Install":
        shutil.copytree(self.data_dir, data_dir)
        return type(self)(data_dir, **self.settings)

    def start(self, **settings: str) -> "Install":
        self.server = start_server(self.data_dir, **{**self.settings, **settings})
        if not self._key.exists():
            made = run_manage(
                self.data_dir,
                "create_api_key",
                "--user",
                "admin",
                "--name",
                "tests",
                "--json",
                **self.settings,
            )
            self._key.write_text(json.loads(made.stdout)["key"], encoding="ascii")
        return self

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        server, self.server = self.server, None
        return stop_server(server, number) if server else 0

    def run_until_killed(self, **settings: str) -> None:
        """The process that works, up to the place where it is to die."""
        worker = Helper(self.data_dir, "up", "--port", "0", **{**self.settings, **settings})
        assert worker.wait_end() == -signal.SIGKILL, settings

    def wait_killed(self) -> None:
        assert self.server is not None
        assert self.server.process.wait(PATIENCE) == -signal.SIGKILL
        self.stop()

    @contextmanager
    def http(self) -> Iterator[httpx.Client]:
        assert self.server is not None
        headers = {"Authorization": f"Bearer {self._key.read_text(encoding='ascii')}"}
        with httpx.Client(
            base_url=f"{self.server.url}/api/v1", headers=headers, timeout=PATIENCE, trust_env=False
        ) as client:
            yield client

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        with self.http() as client:
            return client.request(method, path, **request)

    def base(self) -> str:
        """The one knowledge base of these tests."""
        found = self.ask("GET", "/knowledge-bases").json()["items"]
        if not found:
            found = [self.ask("POST", "/knowledge-bases", json={"name": "Rules"}).json()]
        return str(found[0]["id"])

    def upload(self, name: str, text: str) -> httpx.Response:
        """The name is its source, too."""
        path = f"/knowledge-bases/{self.base()}/documents"
        file = (name.rpartition("/")[2], text.encode())
        return self.ask("POST", path, files={"file": file}, data={"source_uri": name})

    def upload_all(self, texts: dict[str, str]) -> None:
        for name, text in texts.items():
            assert self.upload(name, text).status_code == 202, name

    def bring(self, name: str, count: int, *, edition: int = 2) -> None:
        """Upload files under a name; `found` returns their chunks."""
        self.upload_all({f"{name}/{each}": text for each, text in texts(count, edition=edition).items()})

    def found(self, name: str) -> ChunkSet:
        """Return the searchable chunks of the files uploaded under this name."""
        own = [(uri.partition("/"), *rest) for uri, *rest in self.chunk_set()]
        return {(file, *rest) for (folder, _, file), *rest in own if folder == name}  # type: ignore[misc]

    def stages(self, name: str) -> set[object]:
        """Return the stages of the jobs of the files uploaded under this name."""
        found = self.rows(
            "SELECT DISTINCT j.stage FROM ingestion_job j JOIN library_documentversion v "
            "ON v.id = j.version_id JOIN library_document d ON d.id = v.document_id "
            f"WHERE d.source_uri LIKE '{name}/%'"
        )
        return {stage for (stage,) in found}

    def document(self, name: str) -> dict[str, Any]:
        listed = self.ask("GET", f"/knowledge-bases/{self.base()}/documents", params={"limit": 200})
        return next(item for item in listed.json()["items"] if item["source_uri"] == name)

    def rows(self, query: str) -> Rows:
        url = self.settings.get("DATABASE_URL", "")
        if url.startswith("postgres:"):
            with psycopg.connect(url) as connection:
                return connection.execute(query).fetchall()  # type: ignore[arg-type] # queries of ours
        with contextlib.closing(sqlite3.connect(self.sqlite, timeout=PATIENCE)) as connection:
            return connection.execute(query).fetchall()

    @property
    def sqlite(self) -> Path:
        url = self.settings.get("DATABASE_URL")
        return Path(url.removeprefix("sqlite:///")) if url else self.data_dir / "cairn.sqlite3"

    @contextmanager
    def index(self) -> Iterator[VectorIndex]:
        """Open the index; in embedded mode only while no process has it open."""
        ((name, dimension),) = self.rows(
            "SELECT coalesce(nullif(place, ''), name), dimension FROM retrieval_indexgeneration "
            "WHERE state = 'active'"
        )
        url = self.settings.get("QDRANT_URL")
        opened: VectorIndex
        if url:
            client = QdrantClient(url=url, check_compatibility=False)
            opened = ServerIndex.open(client, f"cairn_{name}", dimension=dimension)
        else:
            opened = EdgeIndex.open(self.data_dir / "index" / name, dimension=dimension)
        yield opened
        opened.close()

    def settled(self) -> bool:
        """Every job has ended, every erasure is done, and what was replaced is gone."""
        open_jobs = self.rows(
            "SELECT count(*) FROM ingestion_job WHERE stage NOT IN ('ready', 'failed', 'cancelled')"
        )
        pending = self.rows("SELECT count(*) FROM ingestion_receipt WHERE state = 'pending'")
        left = self.rows(
            "SELECT count(*) FROM library_chunk c JOIN library_documentversion v ON v.id = c.version_id "
            "JOIN library_document d ON d.id = v.document_id WHERE d.active_version_id <> v.id"
        )
        return open_jobs == pending == left == [(0,)]

    def wait_settled(self, *, patience: float = PATIENCE) -> None:
        until(self.settled, patience=patience, what=f"for {self.unsettled()}")

    def unsettled(self) -> Rows:
        return self.rows(
            "SELECT stage, attempts, cancel_requested, last_error FROM ingestion_job "
            "WHERE stage NOT IN ('ready', 'failed', 'cancelled')"
        )

    def failures(self) -> Rows:
        return self.rows(
            "SELECT error_code, error_message FROM library_documentversion WHERE state = 'failed'"
        )

    def chunk_set(self) -> ChunkSet:
        """Return the searchable chunks: source, ordinal and digest of each."""
        found = self.rows(
            "SELECT d.source_uri, c.ordinal, c.sha256 FROM library_chunk c "
            "JOIN library_document d ON d.active_version_id = c.version_id WHERE d.deleted_at IS NULL"
        )
        return {(str(source), int(ordinal), str(digest)) for source, ordinal, digest in found}

    def assert_nothing_half(self) -> None:
        """Each version that answers has all of its chunks in the tables and all of its points."""
        versions = self.rows(
            "SELECT v.id, v.chunk_count, (SELECT count(*) FROM library_chunk c WHERE c.version_id = v.id) "
            "FROM library_documentversion v JOIN library_document d ON d.active_version_id = v.id "
            "WHERE d.deleted_at IS NULL"
        )
        with self.index() as index:
            for version, told, kept in versions:
                found = index.count(version=UUID(str(version)))
                assert told == kept == found > 0, f"{told} chunks, {kept} rows, {found} points"

    def assert_nothing_left_over(self) -> None:
        """No chunk, no point and no file but of what answers."""
        self.assert_nothing_half()
        chunks = len(self.chunk_set())
        assert self.rows("SELECT count(*) FROM library_chunk") == [(chunks,)]
        with self.index() as index:
            assert index.count() == chunks
        named = self.rows("SELECT original, rendition FROM library_documentversion")
        known = {name for pair in named for name in pair if name}
        files = self.data_dir / "files"
        found = {str(path.relative_to(files)) for path in files.rglob("*") if path.is_file()}
        assert found == known, f"left over: {found - known}, missing: {known - found}"


@contextmanager
def ended(install: Install) -> Iterator[Install]:
    """Stop the web process at the end of the block in any case."""
    try:
        yield install
    finally:
        install.stop(signal.SIGKILL)


class ClusterInstall(Install):
    """The web process does no work; workers do, and beat sends them out."""

    def run_until_killed(self, **settings: str) -> None:
        worker = self.worker(**settings)
        assert worker.wait_end() == -signal.SIGKILL, settings

    def worker(self, *arguments: str, **settings: str) -> Helper:
        return Helper(self.data_dir, "worker", *arguments, **{**self.settings, **settings})

    def beat(self) -> Helper:
        return Helper(self.data_dir, "beat", **self.settings)


DIMENSION = FakeEmbedder().dimension


def texts(count: int, *, edition: int, sections: int = 6) -> dict[str, str]:
    """Return files whose every chunk differs from edition to edition."""
    return {f"rules-{number:02}.md": _text(number, edition, sections) for number in range(count)}


def _text(number: int, edition: int, sections: int) -> str:
    parts = [f"# Rules of office {number}"]
    for section in range(sections):
        lines = " ".join(
            f"Rule {number}.{section}.{rule} of edition {edition}: form {rule} goes to desk {section}."
            for rule in range(6)
        )
        parts.append(f"## Section {section}\n\n{lines}")
    return "\n\n".join(parts)
