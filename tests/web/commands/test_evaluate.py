"""Evaluation with real models, over REST, on a small folder."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cairn.inference.server import FakeServer
from tests.models import judge_respond
from tests.servers import Completed, Server, run_manage

pytestmark = [pytest.mark.models, pytest.mark.slow]

GOLD: list[dict[str, Any]] = [
    {
        "id": "fee",
        "question": "How much does a parking permit cost?",
        "relevant": ["lot/permit.md"],
        "must_contain": ["30 dollars"],
        "quotes": ["A **parking permit** costs\n30 dollars"],
    },
    {
        "id": "where",
        "kind": "follow_up",
        "history": ["How much does a parking permit cost?"],
        "question": "And where do visitors park?",
        "relevant": ["lot/visitors.md"],
        "must_contain": ["Elm Street"],
    },
    {"id": "steel", "kind": "unanswerable", "question": "What is the melting point of tungsten?"},
]


@pytest.fixture(scope="module")
def base(cairn_server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("evaluate") / "lot"
    folder.mkdir()
    (folder / "permit.md").write_text("# Permits\n\nA parking permit costs 30 dollars a month.")
    (folder / "visitors.md").write_text("# Visitors\n\nVisitors park in garage B on Elm Street.")
    assert cairn_server.manage("ingest", str(folder), "--kb", "lot", "--wait").returncode == 0
    return "lot"


def write(path: Path, questions: list[dict[str, Any]]) -> str:
    path.write_text("\n".join(map(json.dumps, questions)), encoding="utf-8")
    return str(path)


def evaluate(server: Server, gold: str, *options: str) -> Completed:
    return server.manage("evaluate", gold, "--kb", "lot", *options)


def conversations(server: Server) -> list[Any]:
    headers = {"Authorization": f"Bearer {server.key()}"}
    found = httpx.get(f"{server.url}/api/v1/conversations", headers=headers, trust_env=False).json()
    return [item["id"] for item in found["items"]]


def test_evaluate_command_measures_search_answers_and_refusals(
    cairn_server: Server, base: str, tmp_path: Path
) -> None:
    before = conversations(cairn_server)
    done = evaluate(
        cairn_server,
        write(tmp_path / "gold.jsonl", GOLD),
        "--json",
        "--rankings",
        "--fail-under",
        "recall@5=0.9",
    )
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert run["questions"] == 3
    found, ranks = run["measures"], [outcome["rank"] for outcome in run["outcomes"]]
    assert found["recall@5"] == found["citation_recall"] == found["must_contain"] == found["refusal_f1"] == 1
    assert found["mrr"] == (1 / ranks[0] + 1 / ranks[1]) / 2
    assert ranks[2] is None
    assert [outcome["right"] for outcome in run["outcomes"]] == [True, True, True]
    assert "visitors" in run["outcomes"][1]["standalone_question"].lower()
    assert run["rankings"]["hybrid"] == {name: found[name] for name in run["rankings"]["hybrid"]}
    assert list(run["rankings"]) == ["hybrid", "dense", "bm25", "rrf"]
    assert {ways["recall@20"] for ways in run["rankings"].values()} == {1}
    assert found["quote_recall"] == 1
    assert 0 < found["first_token_p50_ms"] <= found["answer_p95_ms"]
    assert run["by_kind"]["unanswerable"]["refusal_recall"] == 1
    assert conversations(cairn_server) == before


def test_run_is_compared_with_an_earlier_one(cairn_server: Server, base: str, tmp_path: Path) -> None:
    other = [{**GOLD[0], "must_contain": ["40 dollars"]}, GOLD[2]]
    was = tmp_path / "before.json"
    was.write_text(evaluate(cairn_server, write(tmp_path / "a.jsonl", other), "--json").stdout)
    gold = write(tmp_path / "b.jsonl", [GOLD[0], {**GOLD[2], "relevant": ["lot/steel.md"], "kind": "code"}])
    done = evaluate(cairn_server, gold, "--baseline", str(was), "--fail-under", "recall@5=0.9")
    assert done.returncode == 3
    assert "better than before: fee" in done.stdout
    assert "worse than before: steel" in done.stdout
    assert "steel: refused; its document is at place none" in done.stdout
    assert done.stderr.splitlines()[-1] == "error: Worse than wanted: recall@5"


def test_significantly_worse_run_fails_on_request(cairn_server: Server, base: str, tmp_path: Path) -> None:
    questions = [{**GOLD[0], "id": f"fee-{number}"} for number in range(6)]
    right = write(tmp_path / "right.jsonl", questions)
    wrong = write(tmp_path / "wrong.jsonl", [{**row, "must_contain": ["40 dollars"]} for row in questions])
    evaluate(cairn_server, right, "--name", "all right")
    worse = evaluate(cairn_server, wrong, "--baseline", "all right", "--name", "worse", "--fail-if-worse")
    assert worse.returncode == 3
    assert "right answers: -100.0 percentage points on 6 questions" in worse.stdout
    assert worse.stderr.splitlines()[-1] == "error: Significantly worse than the baseline"
    better = evaluate(cairn_server, right, "--baseline", "worse", "--fail-if-worse")
    assert better.returncode == 0, better.stderr


def test_evaluation_run_is_stored_and_found_by_name_or_id(
    cairn_server: Server, base: str, tmp_path: Path
) -> None:
    other = write(tmp_path / "a.jsonl", [{**GOLD[0], "must_contain": ["40 dollars"]}])
    first = json.loads(evaluate(cairn_server, other, "--name", "before", "--json").stdout)
    gold = write(tmp_path / "b.jsonl", GOLD[:1])
    for asked, baseline, change in (
        (gold, "before", "better than before: fee"),
        (other, "latest", "worse than before: fee"),
        (gold, first["id"], "better than before: fee"),
    ):
        done = evaluate(cairn_server, asked, "--baseline", baseline, "--name", f"beside {baseline}")
        assert change in done.stdout, done.stderr
        assert f"stored as “beside {baseline}”" in done.stdout
    headers = {"Authorization": f"Bearer {cairn_server.key()}"}
    url = f"{cairn_server.url}/api/v1/evaluations/{first['id']}"
    kept = httpx.get(url, headers=headers, trust_env=False).json()
    assert kept["gold"]["name"] == "a"
    assert kept["settings"] == first["settings"]
    assert kept["settings"]["chat_model"]
    assert kept["settings"]["embedding_model"].startswith("all-MiniLM-L6-v2")
    assert {name: kept[name] for name in ("measures", "outcomes")} == {
        name: first[name] for name in ("measures", "outcomes")
    }


def test_gold_questions_of_the_console_are_used_without_a_file(
    cairn_server: Server, base: str, tmp_path: Path
) -> None:
    headers = {"Authorization": f"Bearer {cairn_server.key()}"}
    with httpx.Client(base_url=f"{cairn_server.url}/api/v1", headers=headers, trust_env=False) as api:
        [lot] = [each for each in api.get("/knowledge-bases").json()["items"] if each["slug"] == base]
        path = f"/knowledge-bases/{lot['id']}"
        none = cairn_server.manage("evaluate", "--kb", base)
        assert "has no gold questions" in none.stderr
        documents = api.get(f"{path}/documents").json()["items"]
        permit = next(each["id"] for each in documents if each["source_uri"] == "lot/permit.md")
        asked = {"question": GOLD[0]["question"], "relevant": [permit], "must_contain": ["30 dollars"]}
        made = api.post(f"{path}/gold-questions", json=asked).json()
        done = cairn_server.manage("evaluate", "--kb", base, "--json")
        api.delete(f"/gold-questions/{made['id']}")
    run = json.loads(done.stdout)
    assert [(each["id"], each["right"], each["rank"]) for each in run["outcomes"]] == [(made["id"], True, 1)]
    assert run["name"] == base


def test_configured_judge_is_asked(cairn_server: Server, base: str, tmp_path: Path) -> None:
    gold = write(tmp_path / "gold.jsonl", GOLD[:1])
    with FakeServer() as judge:
        judge.respond = judge_respond
        settings = {"JUDGE_BASE_URL": judge.url, "JUDGE_MODEL": "large"}
        arguments = ("evaluate", gold, "--kb", base, "--json")
        run = json.loads(run_manage(cairn_server.data_dir, *arguments, **settings).stdout)
        assert len(judge.exchanges) == 2
        judge.respond = lambda exchange: exchange.answer({}, 400)
        unjudged = run_manage(cairn_server.data_dir, *arguments, **settings)
    for measure in ("faithfulness", "relevancy"):
        assert run["measures"][measure] == run["outcomes"][0][measure] in {0, 1}
    assert "The answers weren't judged: The judge isn't responding" in unjudged.stderr
    assert json.loads(unjudged.stdout)["measures"]["faithfulness"] is None


def test_evaluate_error_is_reported_without_a_traceback(
    cairn_server: Server, base: str, tmp_path: Path
) -> None:
    gold = write(tmp_path / "gold.jsonl", GOLD[:1])
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{}")
    for arguments, message in [
        ((str(tmp_path / "none.jsonl"),), "cannot be read"),
        ((str(broken),), "line 1: id: Field required"),
        ((gold, "--baseline", gold), "isn't output of evaluate --json"),
        ((gold, "--name", "n" * 121), "has 1 to 120 characters"),
        ((gold, "--baseline", "never ran"), "named “never ran”"),
        ((gold, "--fail-if-worse"), "--fail-if-worse needs --baseline"),
        ((gold, "--fail-under", "speed=1"), "write it as METRIC=VALUE"),
        ((gold, "--fail-under", "mrr=fast"), "“fast” is no number"),
    ]:
        done = evaluate(cairn_server, *arguments)
        assert done.returncode != 0
        assert message in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
