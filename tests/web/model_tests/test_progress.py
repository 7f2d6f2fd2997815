"""Pages that follow red team runs and comparisons, and what cancelling one does to the model."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from llama_index.core.llms import ChatMessage

from cairn.audit.models import Event
from cairn.errors import Conflict
from cairn.library.models import Document, KnowledgeBase
from cairn.settings import Environment
from ingestion.parse.sandbox.pool import ParserPool
from ingestion.tasks import erase
from retrieval.engine import Engine, use
from retrieval.evaluation.models import ModelComparison, RedTeamRun, TrialState
from retrieval.evaluation.red_team.attack_file import load_attacks
from tests.fakes import FakeChat
from tests.web.api.conftest import Caller, base, document, indexed
from tests.web.model_tests.test_comparison import (
    BAD,
    ELSEWHERE,
    FACT,
    GOOD,
    QUESTIONS,
    change,
    register,
    set_on_server,
    store_comparison,
)
from tests.web.working import files_on_disk, work_at_once
from web.cli import registered_models
from web.configuration.connection_tests import ConnectionResult
from web.model_tests import comparison as comparisons
from web.model_tests import heartbeat, outside_gate, planting
from web.model_tests import red_team as red_team_services
from web.model_tests.outside_gate import OUTSIDE_GATE, operator_choice_record
from web.tasks import model_comparison, red_team

pytestmark = pytest.mark.django_db(transaction=True)
OUTDATED = "couldn’t find the documents it had planted"

__all__ = ["base", "document"]


@pytest.fixture
def browser(admin: Caller) -> Client:
    browser = Client()
    browser.force_login(admin.user)
    return browser


def make_run(**fields: Any) -> RedTeamRun:
    text = {"withstood": True, "failures": [], "refused": True, "text": ""}
    result = {
        "id": "injection-joined-word", "category": "injection", "language": "en", "question": "Which?",
        "answer": text, "model": text,
    }  # fmt: skip
    return RedTeamRun.objects.create(**{"model": "fake-chat", "total": 1, "results": [result], **fields})


def assert_follows(browser: Client, page: str, progress: str, rows: Any) -> None:
    """The page polls progress during a run, and reloads at the end."""
    asks = f'hx-get="{progress}" hx-trigger="every 3s"'
    assert asks in browser.get(page).content.decode()
    assert "HX-Refresh" not in browser.get(progress).headers
    rows.update(state=TrialState.DONE)
    assert browser.get(progress).headers["HX-Refresh"] == "true"
    assert asks not in browser.get(page).content.decode()


def test_pages_of_a_red_team_run_follow_it(browser: Client) -> None:
    run = make_run()
    page = f"/admin/red-team/{run.pk}"
    assert "injection-joined-word" in browser.get(f"{page}/progress").content.decode()
    assert f'href="{page}"' in browser.get("/admin/red-team/progress").content.decode()
    for shown in (page, "/admin/red-team"):
        rows = RedTeamRun.objects.all()
        rows.update(state=TrialState.RUNNING)
        assert_follows(browser, shown, f"{shown}/progress", rows)


def test_comparison_page_follows_the_comparison_in_progress(browser: Client, base: KnowledgeBase) -> None:
    ModelComparison.objects.create(knowledge_base=base, first="good", second="bad")
    page = "/admin/model-comparisons"
    assert "good and bad" in browser.get(f"{page}/progress").content.decode()
    assert_follows(browser, page, f"{page}/progress", ModelComparison.objects.all())


def test_runs_older_than_the_suite_are_marked(admin: Caller, browser: Client) -> None:
    old = make_run(state=TrialState.DONE)
    assert admin.get(f"/red-team-runs/{old.pk}").json()["outdated"]
    pages = ("/admin/red-team", f"/admin/red-team/{old.pk}")
    assert all(OUTDATED in browser.get(page).content.decode() for page in pages)
    assert "100 %" not in browser.get("/admin/red-team").content.decode(), "its score doesn't count"
    RedTeamRun.objects.update(suite_version=2)
    assert not admin.get(f"/red-team-runs/{old.pk}").json()["outdated"]
    assert not any(OUTDATED in browser.get(page).content.decode() for page in pages)


class CancellingChat(FakeChat):
    """Is cancelled, as by an admin, when it has written its third word."""

    def __init__(self, admin: Caller, path: str) -> None:
        super().__init__("One two three four five six seven eight nine ten.")
        self.admin, self.path, self.written = admin, path, 0

    def stream(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, background: bool = False
    ) -> Iterator[str]:
        for piece in super().stream(messages, max_tokens=max_tokens, background=background):
            self.written += 1
            if self.written == 3:
                (running,) = self.admin.get(self.path).json()["items"]
                assert self.admin.post(f"{self.path}/{running['id']}/cancel").status_code == 200
            yield piece


def test_cancelling_a_run_stops_the_model_in_the_middle(
    admin: Caller, parts: Engine, pool: ParserPool, monkeypatch: pytest.MonkeyPatch, settings: Any,
    tmp_path: Path,
) -> None:  # fmt: skip
    files_on_disk(settings, tmp_path / "files")
    work_at_once(monkeypatch, pool, {"web.red_team": red_team, "ingestion.erase": erase})
    monkeypatch.setattr(planting, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(heartbeat, "LOOK_SECONDS", 0.0)
    attacks = tuple(attack for attack in load_attacks() if attack.id == "over-refusal-kill-process")
    monkeypatch.setattr(red_team_services, "load_attacks", lambda: attacks)
    chat = CancellingChat(admin, "/red-team-runs")
    with use(replace(parts, chat=chat)):
        run = admin.post("/red-team-runs", {}).json()["id"]
    found = admin.get(f"/red-team-runs/{run}").json()
    assert (found["state"], found["error"], found["results"]) == ("cancelled", "", [])
    assert chat.written == 3


def test_cancelling_a_comparison_stops_the_model_in_the_middle(
    admin: Caller, parts: Engine, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = CancellingChat(admin, "/model-comparisons")

    @contextmanager
    def open_fake(settings: Environment) -> Iterator[Engine]:
        yield replace(parts, chat=chat, candidate=settings)

    def send(task: str, _where: str, *args: object) -> None:
        if task == "web.model_comparison":
            model_comparison(str(args[0]))

    monkeypatch.setattr(comparisons, "open_candidate", open_fake)
    monkeypatch.setattr(comparisons.broker, "send", send)
    monkeypatch.setattr(heartbeat, "LOOK_SECONDS", 0.0)
    indexed(document, parts, f"{FACT}.")
    register("good", GOOD)
    register("bad", BAD)
    body = {"first": "good", "second": "bad", "knowledge_base": str(document.knowledge_base_id)}
    row = admin.post("/model-comparisons", {**body, "questions": QUESTIONS}).json()["id"]
    found = admin.get(f"/model-comparisons/{row}").json()
    assert (found["state"], found["error"], found["asked"]) == ("cancelled", "", 0)
    assert chat.written == 3


def test_command_names_the_option_for_a_reason(
    admin: Caller, base: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registered_models, "model_test", lambda **_: ConnectionResult())
    register("good", GOOD)
    register("bad", BAD)
    change(admin, "good", "activate")
    store_comparison(base, "good", "bad", first_right=8)
    with pytest.raises(Conflict, match=r"significantly worse .* Use --override-reason TEXT\."):
        registered_models.activate_model("bad")
    assert registered_models.activate_model("bad", "It costs half.") == "bad answers from now on."


def test_page_shows_that_a_model_was_never_compared(
    admin: Caller, browser: Client, base: KnowledgeBase
) -> None:
    register("good", GOOD)
    register("bad", BAD)
    register("new", ELSEWHERE)
    change(admin, "good", "activate")

    def shows_note(name: str) -> bool:
        shown = browser.get(f"/admin/models/registry/{name}").content.decode()
        return f"{name} has never been compared with good" in shown

    assert not shows_note("new"), "nobody compares models here"
    store_comparison(base, "good", "bad", first_right=0)
    assert [shows_note(name) for name in ("good", "bad", "new")] == [False, False, True]


def test_concurrent_starts_record_the_choice_of_the_operator_once(
    admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_on_server(monkeypatch, BAD)
    record, others = outside_gate.record, list[threading.Thread]()

    def start_other() -> None:
        try:
            operator_choice_record()
        finally:
            connection.close()

    def record_late(*args: Any, **detail: Any) -> None:
        if not others:
            others.append(threading.Thread(target=start_other))
            others[0].start()
            others[0].join(0.5)  # without a lock, the other one is done by then
        record(*args, **detail)

    monkeypatch.setattr(outside_gate, "record", record_late)
    operator_choice_record()
    others[0].join()
    assert Event.objects.filter(action=OUTSIDE_GATE).count() == 1
