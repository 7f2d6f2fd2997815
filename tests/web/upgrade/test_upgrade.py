"""An installation made by version 0.1 goes on with this version after one command.

Each archive contains a data folder with two knowledge bases, three documents, an administrator, a user and an
API key of each; `expected.json` names them. The one for PostgreSQL includes a dump of the database.
"""

import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backends import Postgres, postgres_programs
from tests.servers import Server, run_manage, start_server, stop_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ARCHIVES = Path(__file__).parent


def extract(name: str, folder: Path) -> Path:
    with tarfile.open(ARCHIVES / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(params=["sqlite", "postgresql"])
def upgraded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    data_dir = extract(f"{request.param}-0.1", tmp_path / "data")
    settings = {"SAMPLE_KNOWLEDGE_BASE": "false"}
    if request.param == "postgresql":
        database: Postgres = request.getfixturevalue("postgres")
        settings["DATABASE_URL"] = restore(data_dir / "database.sql", database)
    server = start_server(data_dir, **settings)
    yield server
    stop_server(server)
    doctor = run_manage(data_dir, "doctor", **settings)
    assert doctor.returncode == 0, doctor.stdout
    audit = run_manage(data_dir, "audit", "verify", **settings)
    assert audit.returncode == 0, audit.stdout + audit.stderr


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    server.start()
    yield server
    server.close()


def restore(dump: Path, server: Postgres) -> str:
    url = server.database("upgrade")
    command = [str(postgres_programs() / "psql"), "--quiet", "--dbname", url, "--file", str(dump)]
    subprocess.run(command, check=True, capture_output=True)
    return url


def test_everything_exists_after_the_upgrade(upgraded: Server) -> None:
    expected = json.loads((upgraded.data_dir / "expected.json").read_text(encoding="utf-8"))
    with client(upgraded, expected["key"]) as admin:
        bases = {base["name"]: base for base in admin.get("/knowledge-bases").json()["items"]}
        assert {base["id"] for base in bases.values()} == {expected["knowledge_base"], expected["other"]}
        answer = ask(admin)
        assert "25 days" in answer["answer"]
        assert answer["citations"][0]["document"] == expected["documents"]["Annual leave"]
        earlier = admin.get(f"/conversations/{expected['conversation']}").json()
        assert "25 days" in earlier["messages"][0]["answer"]
        submitted = upload(admin, expected["knowledge_base"])
        assert submitted.status_code == 202, submitted.text


def test_access_is_unchanged_after_the_upgrade(upgraded: Server) -> None:
    expected = json.loads((upgraded.data_dir / "expected.json").read_text(encoding="utf-8"))
    grant = {"subject": f"user:{user_id(upgraded, expected)}", "role": "reader"}
    with client(upgraded, expected["reader_key"]) as reader, client(upgraded, expected["key"]) as admin:
        assert reader.get("/knowledge-bases").json()["items"] == []
        assert reader.get(f"/documents/{expected['documents']['Salary bands']}").status_code == 404
        grants = f"/knowledge-bases/{expected['knowledge_base']}/grants"
        current = [{"subject": each["subject"], "role": each["role"]} for each in admin.get(grants).json()]
        assert admin.put(grants, json=[*current, grant]).is_success
        assert [base["id"] for base in reader.get("/knowledge-bases").json()["items"]] == [
            expected["knowledge_base"]
        ]


def client(server: Server, key: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.Client(base_url=f"{server.url}/api/v1", headers=headers, timeout=120, trust_env=False)


def ask(admin: httpx.Client) -> dict[str, Any]:
    question = {"question": "How many days of annual leave do employees get?", "stream": False}
    answer: dict[str, Any] = admin.post("/ask", json=question).json()
    return answer


def upload(admin: httpx.Client, knowledge_base: str) -> httpx.Response:
    files = {"file": ("new.md", b"# Office hours\n\nThe office opens at 8.\n")}
    return admin.post(f"/knowledge-bases/{knowledge_base}/documents", files=files)


def user_id(server: Server, expected: dict[str, Any]) -> str:
    with client(server, expected["key"]) as admin:
        [rita] = [user for user in admin.get("/users").json()["items"] if user["username"] == "rita"]
    return str(rita["id"])
