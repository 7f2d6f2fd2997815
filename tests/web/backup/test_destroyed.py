"""An install is backed up while it serves, destroyed, and restored: it answers as before."""

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.animals import ANIMALS
from tests.backends import Postgres
from tests.installs import Install, ended
from tests.servers import Server, run_manage, start_server, stop_server
from tests.web.backup.running import ok

pytestmark = [pytest.mark.models, pytest.mark.faults, pytest.mark.timeout(600)]

GOLD = [
    {"id": "otter", "question": "What do otters do while asleep?", "relevant": ["zoo/otter.md"]},
    {"id": "badger", "question": "What do badgers dig under the meadow?", "relevant": ["zoo/badger.md"]},
    {"id": "none", "question": "What does a ticket to the zoo cost?", "kind": "unanswerable"},
]
QUIET = {"SAMPLE_KNOWLEDGE_BASE": "false"}


@pytest.fixture
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("animals") / "zoo"
    folder.mkdir()
    for name, text in ANIMALS.items():
        (folder / f"{name}.md").write_text(f"# About the {name}\n\n{text}")
    return folder


@pytest.fixture
def server(own_data_dir: Path, zoo: Path) -> Iterator[Server]:
    started = start_server(own_data_dir, **QUIET)
    done = started.manage("ingest", str(zoo), "--kb", "zoo", "--wait")
    assert done.returncode == 0, done.stderr
    yield started
    if started.process.poll() is None:
        stop_server(started)


@contextlib.contextmanager
def running(data_dir: Path) -> Iterator[Server]:
    started = start_server(data_dir, **QUIET)
    try:
        yield started
    finally:
        stop_server(started)


def found(server: Server) -> dict[str, Any]:
    """Return the documents, and the results of searches, with scores."""
    headers = {"Authorization": f"Bearer {server.key()}"}
    with httpx.Client(base_url=f"{server.url}/api/v1", headers=headers, trust_env=False, timeout=60) as http:
        documents = http.get("/documents").json()["items"]
        asked = {"query": "Who digs tunnels and sleeps on water?", "top_k": 10}
        hits = http.post("/search", json=asked).json()["results"]
        contents = {d["id"]: http.get(f"/documents/{d['id']}/content").text for d in documents}
    return {
        "documents": {document["source_uri"]: document["id"] for document in documents},
        "hits": [(hit["chunk"], hit["text"], round(hit["score"], 5)) for hit in hits],
        "contents": contents,
    }


def destroyed(data_dir: Path) -> None:
    """Everything but the key of the backups, and models that were converted, which take long."""
    for path in data_dir.iterdir():
        if path.name not in {"backup_key", "models", "server.log"}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_restored_install_answers_as_before(server: Server, tmp_path_factory: pytest.TempPathFactory) -> None:
    data_dir, shelf = server.data_dir, tmp_path_factory.mktemp("shelf")
    gold = shelf / "gold.jsonl"
    gold.write_text("\n".join(map(json.dumps, GOLD)))
    before = found(server)
    backup = str(shelf / "monday")

    ok(server.manage("backup", backup, "--gold", str(gold), "--kb", "zoo"))
    assert server.manage("backup", backup).returncode == 1, "it is there already"
    assert server.manage("restore", backup, "--force").returncode == 1, "the server runs"

    headers = {"Authorization": f"Bearer {server.key()}"}
    otter = before["documents"]["zoo/otter.md"]
    url = f"{server.url}/api/v1/documents/{otter}"
    receipt = httpx.delete(url, headers=headers, trust_env=False).json()["receipt"]["id"]
    while (
        httpx.get(f"{server.url}/api/v1/receipts/{receipt}", headers=headers, trust_env=False).json()["state"]
        != "done"
    ):
        pass
    erased = shelf / "erased.jsonl"
    erased.write_text(
        ok(server.manage("audit", "export", "--action", "erasure.done", "--format", "jsonl")).stdout
    )
    stop_server(server)
    destroyed(data_dir)

    restored = ok(run_manage(data_dir, "restore", backup, "--json", **QUIET))
    assert json.loads(restored.stdout)["answered_otherwise"] == []
    ok(run_manage(data_dir, "audit", "verify"))
    ok(run_manage(data_dir, "doctor"))
    assert (data_dir / "secret_key").stat().st_mode & 0o777 == 0o600
    with running(data_dir) as again:
        assert found(again) == before
        http = httpx.post(f"{again.url}/api/v1/search", json={"query": "x"}, headers=headers, trust_env=False)
        assert http.status_code == 401, "a key that was made after the backup"

    assert "--force" in ok(run_manage(data_dir, "restore", backup), 1).stderr
    with contextlib.closing(sqlite3.connect(data_dir / "cairn.sqlite3")) as tables:
        query = "SELECT original FROM library_documentversion WHERE document_id = ?"
        (original,) = tables.execute(query, [otter.replace("-", "")]).fetchone()
    assert (data_dir / "files" / original).exists()
    # The answer on otters cannot be as before.
    process = ok(
        run_manage(data_dir, "restore", backup, "--force", "--erased", str(erased), "--json", **QUIET), 3
    )
    told = json.loads(process.stdout)
    assert (told["erased"], told["documents"]) == (1, 2)
    assert "otter" in told["answered_otherwise"]
    assert not (data_dir / "files" / original).exists()


def test_server_does_not_start_after_an_interrupted_restore(own_data_dir: Path) -> None:
    (own_data_dir / "restore_unfinished").touch()
    done = ok(run_manage(own_data_dir, "up", "--port", "0"), 1)
    assert "did not finish" in done.stderr


@pytest.mark.acceptance
def test_postgresql_and_a_vector_server_are_restored(
    own_data_dir: Path, qdrant_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shelf, first, second = tmp_path_factory.mktemp("shelf"), Postgres(), Postgres()
    first.start()
    second.start()
    try:
        install = Install(own_data_dir, DATABASE_URL=first.url, QDRANT_URL=qdrant_url)
        with ended(install.start()):
            install.bring("rules", 3)
            install.wait_settled()
            chunks = install.chunk_set()
            ok(run_manage(own_data_dir, "backup", str(shelf / "b"), **install.settings))
        first.stop()
        shutil.rmtree(own_data_dir / "files")
        other = Install(own_data_dir, DATABASE_URL=second.url, QDRANT_URL=qdrant_url)
        ok(run_manage(own_data_dir, "restore", str(shelf / "b"), **other.settings))
        assert other.chunk_set() == chunks
        other.assert_nothing_left_over()
        assert run_manage(own_data_dir, "restore", str(shelf / "b"), **other.settings).returncode == 1
        ok(run_manage(own_data_dir, "restore", str(shelf / "b"), "--force", **other.settings))
        other.assert_nothing_left_over()
        ok(run_manage(own_data_dir, "audit", "verify", **other.settings))
    finally:
        first.close()
        second.close()


def test_lost_file_is_reported(server: Server, tmp_path_factory: pytest.TempPathFactory) -> None:
    target = tmp_path_factory.mktemp("shelf") / "tuesday"
    with contextlib.closing(sqlite3.connect(server.data_dir / "cairn.sqlite3")) as tables:
        ((lost,),) = tables.execute("SELECT original FROM library_documentversion LIMIT 1").fetchall()
    (server.data_dir / "files" / lost).write_bytes(b"something else")
    done = ok(server.manage("backup", str(target), "--json"), 3)
    assert json.loads(done.stdout)["missing"] == [lost]
    assert not list(target.parent.glob(".*"))
