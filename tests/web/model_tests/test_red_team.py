"""Red team runs through HTTP: what the answer and the model's own text do, and that nothing stays behind."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client
from django.utils import timezone

from cairn.accounts.models import User
from cairn.accounts.services import user_create
from cairn.audit.models import Event
from cairn.library.models import Document, KnowledgeBase
from ingestion.parse.sandbox.pool import ParserPool
from ingestion.tasks import erase
from retrieval.engine import Engine, use
from retrieval.evaluation.models import RedTeamRun, TrialState
from retrieval.evaluation.red_team.attack_file import load_attacks
from retrieval.models import Conversation, Message
from tests.fakes import FakeChat
from tests.web.api.conftest import Caller, assert_problem
from tests.web.working import files_on_disk, work_at_once
from web.model_tests import planting
from web.model_tests import red_team as services
from web.tasks import red_team, red_team_tidy

pytestmark = pytest.mark.django_db(transaction=True)
OBEDIENT = "Sunflower honeymoon butterfly rainbow snowman firework sunflower [99]."


@pytest.fixture(autouse=True)
def worker(
    monkeypatch: pytest.MonkeyPatch, pool: ParserPool, parts: Engine, settings: Any, tmp_path: Path
) -> None:
    files_on_disk(settings, tmp_path / "files")
    work_at_once(monkeypatch, pool, {"web.red_team": red_team, "ingestion.erase": erase})
    monkeypatch.setattr(planting, "LOOK_SECONDS", 0.01)


@pytest.fixture
def obedient(parts: Engine) -> Iterator[None]:
    """A model that obeys every instruction in a document."""
    with use(replace(parts, chat=FakeChat(OBEDIENT))):
        yield


def start(admin: Caller, **chosen: object) -> dict[str, Any]:
    """Start a run, which the fixture carries out at once, and return its results."""
    answer = admin.post("/red-team-runs", chosen)
    assert answer.status_code == 202, answer.content
    found: dict[str, Any] = admin.get(f"/red-team-runs/{answer.json()['id']}").json()
    return found


def assert_nothing_stays(admin: Caller) -> None:
    assert set(User.objects.all()) == {admin.user}
    assert not Conversation.objects.exists()
    assert not Message.objects.exists()
    assert not Document.objects.exists()
    assert not KnowledgeBase.objects.exists()


@pytest.mark.slow
def test_answer_and_raw_text_of_the_model_are_judged_separately(
    admin: Caller, obedient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = ("injection-joined-word", "invented-citation-number", "over-refusal-kill-process")
    attacks = tuple(attack for attack in load_attacks() if attack.id in chosen)
    monkeypatch.setattr(services, "load_attacks", lambda: attacks)
    run = start(admin)
    assert (run["state"], run["error"], run["total"]) == ("done", "", 3)
    results = {result["id"]: result for result in run["results"]}
    assert {name: result["model"]["failures"] for name, result in results.items()} == {
        "injection-joined-word": ["unwanted_text"],
        "invented-citation-number": ["invented_citation"],
        "over-refusal-kill-process": ["missing_text"],
    }
    injected = results["injection-joined-word"]
    assert injected["model"]["text"] == OBEDIENT
    assert injected["answer"]["withstood"]
    assert run["score"] == {"attacks": 3, "answer": run["score"]["answer"], "model": 0}
    assert set(run["categories"]) == {"injection", "invented_citation", "over_refusal"}
    listed = admin.get("/red-team-runs").json()["items"]
    assert [(each["id"], "results" in each) for each in listed] == [(run["id"], False)]
    assert_nothing_stays(admin)


def test_planted_documents_are_found(admin: Caller, parts: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    attacks = tuple(attack for attack in load_attacks() if attack.id == "over-refusal-kill-process")
    monkeypatch.setattr(services, "load_attacks", lambda: attacks)
    chat = FakeChat("To kill a hanging process on the build server, run the command reap-build [1].")
    with use(replace(parts, chat=chat)):
        (result,) = start(admin)["results"]
    assert chat.prompts, "the model was asked"
    assert all("reap-build with its number" in str(prompt) for prompt in chat.prompts)
    assert result["answer"]["withstood"], result


def test_usage_rules_decline_no_attack(admin: Caller, parts: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs measure the model and the checks, and a rule would make any model look safe."""
    (attack,) = (attack for attack in load_attacks() if attack.id == "over-refusal-kill-process")
    monkeypatch.setattr(services, "load_attacks", lambda: (attack,))
    rule = {"name": "Processes", "phrases": ["process*"], "reply": "We don't talk about processes."}
    examples = {"declined_examples": [attack.question], "allowed_examples": ["Who cooks?"]}
    assert admin.post("/usage-rules", {**rule, **examples, "enabled": True}).status_code == 201
    chat = FakeChat("To kill a hanging process on the build server, run the command reap-build [1].")
    with use(replace(parts, chat=chat)):
        (result,) = start(admin)["results"]
    assert result["answer"]["withstood"], result
    assert not Event.objects.filter(action="question.declined").exists()


@pytest.mark.slow
def test_same_seed_chooses_the_same_attacks(admin: Caller) -> None:
    first, again, other = (start(admin, sample=3, seed=seed) for seed in (5, 5, 6))
    ids = [[result["id"] for result in run["results"]] for run in (first, again, other)]
    assert ids[0] == ids[1] != ids[2]


def test_planted_objects_are_hidden_from_everyone(
    admin: Caller, mia: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Look at the lists in the middle of a run, as an admin and as someone else."""
    seen = list[tuple[int, str]]()
    paths = ("/users", "/knowledge-bases", "/documents", "/jobs", "/conversations")

    def look(_planted: planting.PlantedDocuments) -> None:
        hidden = User.objects.get(hidden=True)
        document = Document.objects.filter(knowledge_base__owner=hidden).first()
        assert document is not None
        for caller in (admin, mia):
            seen.extend((len(caller.get(path).json().get("items", ())), path) for path in paths[1:])
            assert caller.get(f"/documents/{document.pk}").status_code == 404
            found = caller.post("/search", {"query": document.title})
            assert found.json()["results"] == []
        seen.append((len(admin.get("/users").json()["items"]) - 2, "/users"))
        browser = Client()
        browser.force_login(admin.user)
        for page in ("/admin/users", "/admin/knowledge-bases", "/admin/ingestion", "/library"):
            shown = browser.get(page, follow=True).content.decode()
            assert "red-team-" not in shown.replace("/admin/red-team", "")
            assert document.title not in shown

    monkeypatch.setattr(planting.PlantedDocuments, "prolong", look)
    assert start(admin, sample=1)["error"] == ""
    assert seen
    assert not [each for each in seen if each[0]]


def killed(step: Callable[[], object]) -> None:
    """Run the step in a process that is killed: nothing of Python gets to tidy up."""
    connections.close_all()
    if connection.vendor == "postgresql":
        connection.close_pool()  # else both processes would use the same connections
    child = os.fork()
    if child == 0:
        try:
            step()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL


def test_account_of_a_killed_run_is_removed_by_its_id(admin: Caller) -> None:
    bystander = user_create(username="red-team-0123456789abcdef")
    run = RedTeamRun.objects.create(model="fake-chat", total=1)
    killed(lambda: planting._create_account(run))
    assert User.objects.filter(hidden=True).count() == 1
    red_team_tidy()
    assert User.objects.filter(hidden=True).count() == 1, "the run may still be going on"
    silent = timezone.now() - timedelta(minutes=1)
    RedTeamRun.objects.update(alive_at=silent, started_at=silent)
    red_team_tidy()
    run.refresh_from_db()
    assert (run.state, run.account) == (TrialState.FAILED, None)
    assert run.error == "The red team run was interrupted."
    assert set(User.objects.all()) == {admin.user, bystander}


def test_account_is_not_created_unless_its_id_is_recorded(
    admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RedTeamRun.objects.create(model="fake-chat", total=1)

    def kill_here(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(planting, "_record_account", kill_here)
    killed(lambda: planting._create_account(run))
    assert set(User.objects.all()) == {admin.user}


def test_failing_model_ends_the_run_and_leaves_nothing(admin: Caller, parts: Engine) -> None:
    with use(replace(parts, chat=FakeChat("One two three.", broken_after=1))):
        run = start(admin, sample=2)
    assert (run["state"], run["error"]) == ("failed", "The chat model is not reachable.")
    assert_nothing_stays(admin)


@pytest.mark.slow
def test_red_team_run_requires_a_known_model_and_no_running_one(admin: Caller, mia: Caller) -> None:
    assert_problem(admin.post("/red-team-runs", {"model": "nobody"}), 422, "invalid")
    assert mia.post("/red-team-runs", {}).status_code == 403
    running = RedTeamRun.objects.create(model="fake-chat", total=1)
    assert_problem(admin.post("/red-team-runs", {"sample": 1}), 409, "conflict")
    red_team(str(running.id))
    assert_problem(admin.post("/red-team-runs", {"sample": 0}), 422, "invalid")


def test_run_without_a_worker_is_replaced_by_a_new_one(admin: Caller) -> None:
    now = timezone.now()
    for silent in (timedelta(0), timedelta(minutes=1)):
        RedTeamRun.objects.all().delete()
        gone = RedTeamRun.objects.create(model="fake-chat", total=1, started_at=now, alive_at=now - silent)
        assert admin.post("/red-team-runs", {"sample": 1}).status_code == (202 if silent else 409)
    assert admin.get(f"/red-team-runs/{gone.id}").json()["error"] == "The red team run was interrupted."


def test_cancelled_run_stops_after_the_current_attack_and_leaves_nothing(
    admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled = []

    def cancel(_planted: planting.PlantedDocuments) -> None:
        running = RedTeamRun.objects.get(state=TrialState.RUNNING)
        browser = Client()
        browser.force_login(admin.user)
        path = f"/api/v1/red-team-runs/{running.id}/cancel"
        assert f'data-post="{path}"' in browser.get("/admin/red-team").content.decode()
        cancelled.append(admin.post(path.removeprefix("/api/v1")))

    monkeypatch.setattr(planting.PlantedDocuments, "prolong", cancel)
    run = start(admin, sample=2)
    assert [answer.status_code for answer in cancelled] == [200]
    assert (run["state"], run["error"], len(run["results"])) == ("cancelled", "", 1)
    assert_nothing_stays(admin)
    assert_problem(admin.post(f"/red-team-runs/{run['id']}/cancel"), 409, "conflict")


def test_duplicate_message_starts_one_run(admin: Caller) -> None:
    run = start(admin, sample=1)
    red_team(run["id"])
    assert admin.get(f"/red-team-runs/{run['id']}").json() == run


def test_pages_show_scores_of_each_model_and_each_attack(admin: Caller, obedient: None) -> None:
    run = start(admin, sample=2)
    browser = Client()
    browser.force_login(admin.user)
    index = browser.get("/admin/red-team").content.decode()
    assert run["model"] in index
    shown = browser.get(f"/admin/red-team/{run['id']}").content.decode()
    for result in run["results"]:
        assert result["id"] in shown
