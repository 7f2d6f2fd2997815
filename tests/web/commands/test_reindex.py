"""`manage.py reindex` with real models, beside a server and without one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.animals import ANIMALS
from tests.servers import Completed, Server, run_manage, start_server, stop_server
from tests.tiny_encoder import DIMENSION, tiny_encoder

pytestmark = [pytest.mark.models, pytest.mark.timeout(900)]

GOLD = [
    {"id": "otter", "question": "Which animal dozes in a river, paw in paw?", "relevant": ["zoo/otter.md"]},
    {"id": "badger", "question": "Who makes burrows and keeps tidy?", "relevant": ["zoo/badger.md"]},
    {"id": "stork", "question": "Which bird migrates over dunes?", "relevant": ["zoo/stork.md"]},
]


@pytest.fixture
def server(own_data_dir: Path, tmp_path: Path) -> Iterator[Server]:
    zoo = tmp_path / "zoo"
    zoo.mkdir()
    # Many others: all that is found at all counts as found among the first twenty.
    fillers = {
        f"filler-{number}": f"Form {number} is signed by desk {number} on paper." for number in range(40)
    }
    for name, text in {**ANIMALS, **fillers}.items():
        (zoo / f"{name}.md").write_text(f"# Note\n\n{text}")
    started = start_server(own_data_dir, SAMPLE_KNOWLEDGE_BASE="false")
    assert started.manage("ingest", str(zoo), "--kb", "zoo", "--wait").returncode == 0
    yield started
    if started.process.poll() is None:
        stop_server(started)


def shown(done: Completed) -> dict[str, Any]:
    assert done.stdout, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def states(answer: dict[str, Any]) -> dict[str, int]:
    return {row["state"]: row["dimension"] for row in answer["generations"]}


def found(server: Server, query: str) -> str:
    headers = {"Authorization": f"Bearer {server.key()}"}
    asked = {"query": query, "top_k": 1}
    with httpx.Client(trust_env=False, timeout=60) as client:
        answer = client.post(f"{server.url}/api/v1/search", json=asked, headers=headers)
    return str(answer.json()["results"][0]["source_uri"])


@pytest.mark.acceptance  # tests/web/api/reindexing tries the same over REST
def test_worse_model_is_refused_forced_and_rolled_back(server: Server, tmp_path: Path) -> None:
    gold = tmp_path / "gold.jsonl"
    gold.write_text("\n".join(map(json.dumps, GOLD)))
    model = str(tiny_encoder(tmp_path / "tiny"))
    compared = ("--gold", str(gold), "--kb", "zoo")

    refused = server.manage("reindex", "--embedding-model", model, "--swap", *compared, "--json")
    assert refused.returncode == 3, refused.stderr
    answer = shown(refused)
    assert states(answer) == {"active": 384, "ready": DIMENSION}
    assert answer["comparison"]["worse"]
    assert answer["comparison"]["before"]["recall@5"] == 1.0
    assert server.manage("reindex", "--swap").returncode == 1, "as it has been found worse"

    forced = server.manage("reindex", "--swap", "--force")
    assert forced.returncode == 0, forced.stderr
    assert f"The documents are embedded with {model}, which is used" in forced.stdout
    assert found(server, "otters floating on their backs hold hands asleep") == "zoo/otter.md"
    doctor = {check["name"]: check for check in shown(server.manage("doctor", "--json"))["checks"]}
    assert "all-MiniLM-L6-v2 is configured" in doctor["Embedding model"]["detail"]

    back = server.manage("reindex", "--rollback", "--json")
    assert states(shown(back)) == {"active": 384, "retired": DIMENSION}
    assert found(server, "badgers clean their straw beds in tunnels") == "zoo/badger.md"

    assert server.manage("reindex").returncode == 0
    assert server.manage("reindex", "--cancel").returncode == 0

    stop_server(server)
    alone = run_manage(server.data_dir, "reindex", "--swap", "--json")
    assert alone.returncode == 0, alone.stderr
    assert states(shown(alone)) | {"removing": DIMENSION} == {
        "active": 384,
        "retired": 384,
        "removing": DIMENSION,  # or gone by now
    }


@pytest.mark.slow
def test_impossible_reindex_is_explained(cairn_server: Server) -> None:
    for arguments, message in [
        (("--embedding-model", "no-such-model"), "'no-such-model' is neither"),
        (("--rollback",), "There’s no previous index to roll back to"),
        (("--cancel",), "No generation of the index is being built"),
        (("--gold", "x.jsonl"), "--gold and --kb go together"),
        (("--status", "--rollback"), "not allowed with argument"),
    ]:
        done = cairn_server.manage("reindex", *arguments)
        assert done.returncode != 0
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    listed = cairn_server.manage("reindex", "--status")
    assert "active" in listed.stdout
