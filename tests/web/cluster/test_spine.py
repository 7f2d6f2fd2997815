"""The main promises of the product, in a cluster as `make cluster` starts it, with its own models.

The handbook is brought in twice: undisturbed, and with a worker killed in the middle of it.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
import pytest

from tests.backends import ROOT
from tests.environment import GIVEN, clean_environment
from tests.installs import until

pytestmark = [pytest.mark.acceptance, pytest.mark.models, pytest.mark.timeout(1800)]

LEAVE: Final = "How do I donate annual leave to a colleague with a medical emergency?"
TELLING: Final = ("leave", "voluntary-leave-transfer-program")
LUNCH: Final = "What is the cafeteria's lunch menu on Fridays?"
READY, WITHOUT_TEXT = 238, 8
CHUNKS: Final = """SELECT d.source_uri, c.ordinal, c.sha256 FROM library_chunk c
JOIN library_document d ON d.active_version_id = c.version_id
JOIN library_knowledgebase b ON b.id = d.knowledge_base_id WHERE b.slug = %s"""


def handbook() -> Path:
    folder = Path(GIVEN["SAMPLE_DATA"] or ROOT.parent / "shared" / "data") / "handbook"
    if not folder.is_dir():
        pytest.skip("the sample data are not there: set SAMPLE_DATA")
    return folder


class Running:
    """`make cluster`, and commands with the settings that it wrote down."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster", "--port", "0", "--json", "--folder", str(folder)],
            env={**clean_environment(str(folder / "unused")), "SAMPLE_KNOWLEDGE_BASE": "false"},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.told: dict[str, Any] = {}
        self.said: list[str] = []

    def wait_ready(self) -> "Running":
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                self.told = json.loads(line)
                threading.Thread(target=self._listen, daemon=True).start()
                return self
            self.said.append(line)
        raise AssertionError("".join(self.said))

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            self.said += self.process.stdout

    @property
    def settings(self) -> dict[str, str]:
        lines = (self.folder / "cluster.env").read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines)

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            env={**clean_environment(""), **self.settings, "SAMPLE_KNOWLEDGE_BASE": "false"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    def ingest(self, base: str) -> dict[str, Any]:
        done = self.manage("ingest", str(handbook()), "--kb", base, "--wait", "--json")
        assert done.returncode == 3, done.stderr  # some have no text
        summary: dict[str, Any] = json.loads(done.stdout)
        return summary

    def person(self, username: str) -> httpx.Client:
        made = self.manage("create_api_key", "--user", username, "--name", "spine", "--json")
        headers = {"Authorization": f"Bearer {json.loads(made.stdout)['key']}"}
        return httpx.Client(
            base_url=f"{self.told['url']}/api/v1", headers=headers, timeout=180, trust_env=False
        )

    def rows(self, query: str, *given: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.settings["DATABASE_URL"]) as connection:
            return connection.execute(query, given).fetchall()  # type: ignore[arg-type] # queries of ours


@pytest.fixture(scope="module")
def cluster_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    cluster = Running(tmp_path_factory.mktemp("cluster"))
    try:
        yield cluster.wait_ready()
    finally:
        cluster.process.send_signal(signal.SIGINT)
        cluster.process.wait(90)


@pytest.fixture(scope="module")
def admin(cluster_run: Running) -> httpx.Client:
    return cluster_run.person("admin")


@pytest.fixture(scope="module")
def base(cluster_run: Running, admin: httpx.Client) -> str:
    """The handbook."""
    summary = cluster_run.ingest("handbook")
    assert summary["ready"] == READY
    assert [failure["code"] for failure in summary["failed"]] == ["no_text"] * WITHOUT_TEXT
    bases = admin.get("/knowledge-bases").json()["items"]
    return str(next(each["id"] for each in bases if each["slug"] == "handbook"))


def test_handbook_answers_with_citations_and_refuses_other_questions(base: str, admin: httpx.Client) -> None:
    leave = admin.post("/ask", json={"question": LEAVE, "knowledge_bases": [base]}).json()
    assert leave["verdict"] in {"supported", "partial"}
    pages = {each["source_uri"] for each in leave["citations"]}
    assert pages & {f"handbook/travel-and-leave/{page}.md" for page in TELLING}
    lunch = admin.post("/ask", json={"question": LUNCH, "knowledge_bases": [base]}).json()
    assert lunch["verdict"] == "refused"
    assert lunch["citations"] == []


def test_grant_and_revocation_apply_immediately_in_a_cluster(
    cluster_run: Running, base: str, admin: httpx.Client
) -> None:
    user = admin.post("/users", json={"username": "rob"}).json()["id"]
    rob = cluster_run.person("rob")
    kept = [
        {"subject": each["subject"], "role": each["role"]}
        for each in admin.get(f"/knowledge-bases/{base}/grants").json()
    ]

    def found() -> int:
        return len(rob.post("/search", json={"query": LEAVE}).json()["results"])

    assert found() == 0
    assert rob.get(f"/knowledge-bases/{base}").status_code == 404
    given = [*kept, {"subject": f"user:{user}", "role": "reader"}]
    admin.put(f"/knowledge-bases/{base}/grants", json=given).raise_for_status()
    assert found() > 0
    assert rob.post("/ask", json={"question": LEAVE}).json()["citations"]
    admin.put(f"/knowledge-bases/{base}/grants", json=kept).raise_for_status()
    assert found() == 0
    assert rob.post("/ask", json={"question": LEAVE}).json()["verdict"] == "refused"


def test_worker_killed_during_an_import_does_not_change_the_chunks(cluster_run: Running, base: str) -> None:
    done: list[dict[str, Any]] = []
    again = threading.Thread(target=lambda: done.append(cluster_run.ingest("again")))
    again.start()
    until(lambda: len(cluster_run.rows(CHUNKS, "again")) > 100, patience=600)
    os.kill(cluster_run.told["pids"]["worker-bulk"], signal.SIGKILL)
    again.join()
    (summary,) = done
    assert summary["ready"] == READY
    assert any(line.startswith("worker-bulk ended (-9)") for line in cluster_run.said)
    assert set(cluster_run.rows(CHUNKS, "again")) == set(cluster_run.rows(CHUNKS, "handbook"))
