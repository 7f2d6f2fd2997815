"""Finding the best use of the real language model, over REST."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import Server

pytestmark = [pytest.mark.models, pytest.mark.slow]

GOLD: list[dict[str, Any]] = [
    {
        "id": "fee",
        "question": "How much does a parking permit cost?",
        "relevant": ["parking/permit.md"],
        "must_contain": ["30 dollars"],
    },
    {"id": "steel", "kind": "unanswerable", "question": "What is the melting point of tungsten?"},
]


@pytest.fixture(scope="module")
def gold(cairn_server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("profiles") / "parking"
    folder.mkdir()
    (folder / "permit.md").write_text("# Permits\n\nA parking permit costs 30 dollars a month.")
    assert cairn_server.manage("ingest", str(folder), "--kb", "parking", "--wait").returncode == 0
    path: Path = folder.parent / "gold.jsonl"
    path.write_text("\n".join(map(json.dumps, GOLD)), encoding="utf-8")
    return str(path)


def shown_profile(server: Server) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {server.key()}"}
    found = httpx.get(f"{server.url}/api/v1/answer-profile", headers=headers, trust_env=False)
    assert found.status_code == 200, found.text
    answer: dict[str, Any] = found.json()
    return answer


def test_best_profile_of_the_model_is_found_and_applied(cairn_server: Server, gold: str) -> None:
    before = shown_profile(cairn_server)
    tried = cairn_server.manage("models", "evaluate", gold, "--kb", "parking", "--dry-run", "--json")
    assert tried.returncode == 0, tried.stderr
    found = json.loads(tried.stdout)
    assert found["questions"] == 2
    assert found["measured"][0]["profile"] == before["profile"]
    assert {each["profile"]["prompt_version"] for each in found["measured"]} >= {"answer-2", "answer-3"}
    assert {each["profile"]["writes"] for each in found["measured"]} == {True, False}
    most = max(each["right"] for each in found["measured"])
    best = next(each for each in found["measured"] if each["profile"] == found["best"])
    assert best["right"] == most > 0
    assert shown_profile(cairn_server) == before

    done = cairn_server.manage("models", "evaluate", gold, "--kb", "parking")
    assert done.returncode == 0, done.stderr
    assert "Used from now on:" in done.stdout
    after = shown_profile(cairn_server)
    assert after["questions"] == 2
    assert after["evaluated_at"]
    headers = {"Authorization": f"Bearer {cairn_server.key()}"}
    httpx.delete(f"{cairn_server.url}/api/v1/answer-profile", headers=headers, trust_env=False)
    assert shown_profile(cairn_server) == before


def test_knowledge_base_without_gold_questions_is_reported(cairn_server: Server, gold: str) -> None:
    done = cairn_server.manage("models", "evaluate", "--kb", "parking")
    assert done.returncode != 0
    assert "has no gold questions" in done.stderr
