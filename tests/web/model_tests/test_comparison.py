"""Comparisons of two models through HTTP, and the gate that refuses the worse one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from cairn.audit.models import Event
from cairn.inference.model_identity import ModelPlace, place_of
from cairn.library.models import Document, KnowledgeBase
from cairn.settings import Environment
from cairn.settings.stored.models import RegisteredModel
from cairn.settings.stored.store import effective_environment, forget_snapshot
from ingestion.models import Receipt
from ingestion.tasks import erase
from retrieval.engine import Engine
from retrieval.evaluation.candidates import settings_for
from retrieval.evaluation.models import GoldQuestion, ModelComparison, ModelVerdict, TrialState
from tests.fakes import FakeChat
from tests.web.api.conftest import Caller, assert_problem, base, document, indexed
from web.model_tests import comparison as services
from web.model_tests.outside_gate import OUTSIDE_GATE, operator_choice_record
from web.tasks import model_comparison

pytestmark = pytest.mark.django_db(transaction=True)
FACT = "Employees get 25 days of leave a year"
GOOD, BAD, ELSEWHERE = "http://192.0.2.1:8000/v1", "http://192.0.2.2:8000/v1", "http://192.0.2.3:8000/v1"
QUESTIONS = [
    {
        "id": str(number),
        "question": "How many days of leave do employees get a year?",
        "relevant": ["leave.md"],
        "must_contain": ["25 days"],
    }
    for number in range(3)
]

__all__ = ["base", "document"]


@pytest.fixture(autouse=True)
def engines(monkeypatch: pytest.MonkeyPatch, parts: Engine) -> None:
    """A model at GOOD that answers rightly, and others that don't, in a worker that works at once."""

    @contextmanager
    def open_fake(settings: Environment) -> Iterator[Engine]:
        line = f"{FACT} [1]." if settings.llm_base_url == GOOD else "The passages do not say."
        chat = FakeChat(line, broken_after=0 if settings.llm_base_url == ELSEWHERE else None)
        yield replace(parts, chat=chat, candidate=settings)

    def send(task: str, where: str, *args: object) -> None:
        if task == "web.model_comparison":
            assert where == "model_tests", "mails don't wait for it"
            model_comparison(str(args[0]))

    monkeypatch.setattr(services, "open_candidate", open_fake)
    monkeypatch.setattr(services.broker, "send", send)


def register(name: str, url: str) -> RegisteredModel:
    return RegisteredModel.objects.create(
        name=name, base_url=url, model=name, licence="apache-2.0", measured_at=timezone.now()
    )


@pytest.fixture
def good(admin: Caller) -> RegisteredModel:
    return register("good", GOOD)


@pytest.fixture
def bad(admin: Caller) -> RegisteredModel:
    return register("bad", BAD)


def change(admin: Caller, name: str, action: str, **more: object) -> Any:
    version = admin.get(f"/models/{name}").json()["version"]
    return admin.post(f"/models/{name}/{action}", {"version": version, **more})


def set_on_server(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Set the language model by environment variables."""
    given = Environment(llm_base_url=url, llm_model="bad")
    for module in ("sections", "store"):
        monkeypatch.setattr(f"cairn.settings.stored.{module}.environment", lambda: given)
    forget_snapshot()


def store_comparison(
    base: KnowledgeBase, first: str, second: str, *, first_right: int, both: int = 2, asked: str = "Which?"
) -> None:
    """A completed comparison in which only the first model is right on so many questions."""
    places = {name: place_of(settings_for(chosen)) for name, chosen in (("first", first), ("second", second))}
    wrong = [row(asked, number, first="right", second="wrong") for number in range(first_right)]
    right = [row(asked, first_right + number, first="right", second="right") for number in range(both)]
    rows = [*wrong, *right]
    ModelComparison.objects.create(
        knowledge_base=base, state=TrialState.DONE, first=first, second=second, results=rows,
        **{f"{name}_server": place.server for name, place in places.items()},
        **{f"{name}_model": place.name for name, place in places.items()},
    )  # fmt: skip


def row(asked: str, number: int, **results: str) -> Mapping[str, Any]:
    answers = {name: {"result": result, "milliseconds": 5} for name, result in results.items()}
    return {"id": str(number), "kind": "paraphrase", "question": asked, **answers}


def test_both_models_are_asked_and_counted(
    admin: Caller, good: RegisteredModel, bad: RegisteredModel, document: Document, parts: Engine
) -> None:
    indexed(document, parts, f"{FACT}.")
    base = str(document.knowledge_base_id)
    body = {"first": "good", "second": "bad", "knowledge_base": base, "questions": QUESTIONS}
    answer = admin.post("/model-comparisons", body)
    assert answer.status_code == 202, answer.content
    found = admin.get(f"/model-comparisons/{answer.json()['id']}").json()
    assert (found["state"], found["error"], found["asked"], found["total"]) == ("done", "", 3, 3)
    right = found["first"]["results"]["right"]
    assert (right["questions"], right["share"], right["high"]) == (3, 1, 1)
    assert right["low"] == pytest.approx(0.2924, abs=1e-4)  # Clopper and Pearson, 3 of 3
    assert found["second"]["results"]["right"]["questions"] == 0
    assert (found["test"]["worse"], found["test"]["better"], found["test"]["p_value"]) == (3, 0, 0.25)
    assert not found["test"]["is_significant"]
    assert {(each["first"], each["second"]) for each in found["results"]} <= {
        ("right", "wrong"),
        ("right", "unanswered"),
    }
    assert (found["first"]["server"], found["second"]["server"]) == (GOOD, BAD)
    assert "25 days" not in str(ModelComparison.objects.values().get()), "nothing of a document stays"
    browser = Client()
    browser.force_login(admin.user)
    shown = browser.get("/admin/model-comparisons").content.decode()
    assert GOOD in shown
    for label in ("Correct", "Unanswered", "Wrong", "Median time (s)"):  # in a column, the headers are hidden
        assert shown.count(f'data-label="{label}"') == len(("first", "second"))


def test_comparison_with_an_unavailable_model_fails(
    admin: Caller, good: RegisteredModel, document: Document, parts: Engine
) -> None:
    """People get quotes if the model fails. They aren't its answers."""
    indexed(document, parts, f"{FACT}.")
    register("away", ELSEWHERE)
    base = str(document.knowledge_base_id)
    body = {"first": "good", "second": "away", "knowledge_base": base, "questions": QUESTIONS}
    answer = admin.post("/model-comparisons", body)
    found = admin.get(f"/model-comparisons/{answer.json()['id']}").json()
    assert (found["state"], found["asked"]) == ("failed", 0)
    assert "not reachable" in found["error"]


def test_wrong_requests_are_refused(
    admin: Caller, mia: Caller, good: RegisteredModel, bad: RegisteredModel, base: KnowledgeBase
) -> None:
    body = {"first": "good", "second": "bad", "knowledge_base": str(base.id)}
    assert mia.post("/model-comparisons", body).status_code == 403
    assert_problem(admin.post("/model-comparisons", {**body, "second": "good"}), 422, "invalid")
    assert_problem(admin.post("/model-comparisons", {**body, "second": "nobody"}), 422, "invalid")
    assert_problem(admin.post("/model-comparisons", body), 422, "invalid")  # no gold questions
    contradictory = {"id": "1", "question": "Where?", "must_contain": ["here"]}
    problem = assert_problem(
        admin.post("/model-comparisons", {**body, "questions": [contradictory]}), 422, "invalid"
    )
    assert problem["errors"][0]["msg"] == "has an answer but no relevant document"
    RegisteredModel.objects.filter(name="bad").update(location="outside")
    assert_problem(admin.post("/model-comparisons", {**body, "questions": QUESTIONS}), 409, "conflict")
    GoldQuestion.objects.create(knowledge_base=base, question="Where is lunch?", kind="unanswerable")
    browser = Client()
    browser.force_login(admin.user)
    shown = browser.get("/admin/model-comparisons").content.decode()
    assert ('value="good"' in shown, 'value="bad"' in shown) == (True, False)


def test_comparison_page_offers_only_knowledge_bases_with_gold_questions(
    admin: Caller, base: KnowledgeBase
) -> None:
    browser = Client()
    browser.force_login(admin.user)
    before = browser.get("/admin/model-comparisons").content.decode()
    assert "No knowledge base has gold questions yet." in before
    assert 'name="knowledge_base"' not in before
    GoldQuestion.objects.create(knowledge_base=base, question="Where is lunch?", kind="unanswerable")
    after = browser.get("/admin/model-comparisons").content.decode()
    assert f'<option value="{base.id}">' in after
    assert "has gold questions yet" not in after


def test_second_comparison_conflicts_with_a_running_one(
    admin: Caller, good: RegisteredModel, bad: RegisteredModel, base: KnowledgeBase
) -> None:
    ModelComparison.objects.create(knowledge_base=base, first="good", second="bad")
    body = {"first": "good", "second": "bad", "knowledge_base": str(base.id), "questions": QUESTIONS}
    problem = assert_problem(admin.post("/model-comparisons", body), 409, "conflict")
    assert problem["detail"] == "A comparison is already in progress."


def test_interrupted_comparison_is_marked_failed(
    admin: Caller, good: RegisteredModel, bad: RegisteredModel, base: KnowledgeBase
) -> None:
    silent = timezone.now() - timedelta(minutes=1)
    stuck = ModelComparison.objects.create(
        knowledge_base=base, first="good", second="bad", alive_at=silent, started_at=silent
    )
    body = {"first": "good", "second": "bad", "knowledge_base": str(base.id), "questions": QUESTIONS}
    assert admin.post("/model-comparisons", body).status_code == 202
    stuck.refresh_from_db()
    assert (stuck.state, stuck.error) == (TrialState.FAILED, "The comparison was interrupted.")


def test_cancelled_comparison_stops_after_the_current_question(
    admin: Caller, good: RegisteredModel, bad: RegisteredModel, base: KnowledgeBase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    cancelled = []

    def cancel(*_: object, **__: object) -> Mapping[str, Any]:
        running = ModelComparison.objects.get(state=TrialState.RUNNING)
        cancelled.append(admin.post(f"/model-comparisons/{running.id}/cancel"))
        return row("Which?", 1, first="right", second="wrong")

    monkeypatch.setattr(services, "ask_both", cancel)
    body = {"first": "good", "second": "bad", "knowledge_base": str(base.id), "questions": QUESTIONS}
    comparison = admin.post("/model-comparisons", body).json()["id"]
    assert [answer.status_code for answer in cancelled] == [200]
    found = admin.get(f"/model-comparisons/{comparison}").json()
    assert (found["state"], found["error"], found["asked"]) == ("cancelled", "", 1)
    assert "25 days" not in str(ModelComparison.objects.values().get()), "nothing of a document stays"
    event = Event.objects.get(action="models.comparison_ended")
    assert (event.actor, event.detail["state"]) == (admin.user.id, "cancelled")
    assert_problem(admin.post(f"/model-comparisons/{comparison}/cancel"), 409, "conflict")


def test_running_comparison_can_be_cancelled_on_the_page(admin: Caller, base: KnowledgeBase) -> None:
    running = ModelComparison.objects.create(knowledge_base=base, first="good", second="bad")
    browser = Client()
    browser.force_login(admin.user)
    button = f'data-post="/api/v1/model-comparisons/{running.id}/cancel"'
    assert button in browser.get("/admin/model-comparisons").content.decode()
    assert admin.post(f"/model-comparisons/{running.id}/cancel").status_code == 200
    assert button not in browser.get("/admin/model-comparisons").content.decode()


def test_significantly_worse_model_requires_a_reason(
    admin: Caller, good: RegisteredModel, bad: RegisteredModel, base: KnowledgeBase
) -> None:
    RegisteredModel.objects.update(model="llama")  # both servers call theirs so
    assert change(admin, "good", "activate").status_code == 200
    store_comparison(base, "good", "bad", first_right=8)
    problem = assert_problem(change(admin, "bad", "activate"), 409, "model_worse")
    assert "“bad” is significantly worse than the active model “good”" in problem["detail"]
    assert_problem(change(admin, "bad", "activate", override_reason="  "), 409, "model_worse")
    assert change(admin, "bad", "activate", override_reason="It costs half.").status_code == 200
    event = Event.objects.get(action="model.activated", subject="model:bad")
    assert event.detail["override_reason"] == "It costs half."


def test_comparison_refuses_regardless_of_the_order_of_the_models(
    admin: Caller, good: RegisteredModel, bad: RegisteredModel, base: KnowledgeBase
) -> None:
    change(admin, "bad", "activate")
    store_comparison(base, "good", "bad", first_right=8)
    assert change(admin, "good", "activate").status_code == 200
    assert_problem(change(admin, "bad", "activate"), 409, "model_worse")


def test_insignificant_difference_does_not_prevent_activation(
    admin: Caller, good: RegisteredModel, bad: RegisteredModel, base: KnowledgeBase
) -> None:
    change(admin, "good", "activate")
    store_comparison(base, "good", "bad", first_right=3)
    assert change(admin, "bad", "activate").status_code == 200


def test_later_comparison_with_the_same_questions_replaces_an_earlier_one(
    admin: Caller, good: RegisteredModel, bad: RegisteredModel, base: KnowledgeBase
) -> None:
    change(admin, "good", "activate")
    store_comparison(base, "good", "bad", first_right=8)
    store_comparison(base, "good", "bad", first_right=0, both=8)  # two of the documents are gone
    assert change(admin, "bad", "activate").status_code == 200


def test_comparison_with_other_or_fewer_questions_replaces_none(
    admin: Caller, good: RegisteredModel, bad: RegisteredModel, base: KnowledgeBase, document: Document
) -> None:
    change(admin, "good", "activate")
    store_comparison(base, "good", "bad", first_right=8)
    store_comparison(base, "good", "bad", first_right=0, both=10, asked="Something easier?")
    store_comparison(base, "good", "bad", first_right=0, both=7)
    problem = assert_problem(change(admin, "bad", "activate"), 409, "model_worse")
    day = ModelComparison.objects.earliest("created_at").created_at
    assert f"comparison of {day:%Y-%m-%d} with the questions of “{base.name}”" in problem["detail"]


@pytest.mark.parametrize(
    "spelling",
    [
        "http://LocalHost:8000/v1/",
        "http://127.0.0.1:8000/v1",
        "http://127.1:8000//v1",
        "http://[::1]:8000/v1",
        "http://localhost.:8000/x/../%761",
    ],
)
def test_other_spelling_of_the_server_does_not_bypass_the_gate(
    admin: Caller, base: KnowledgeBase, spelling: str
) -> None:
    register("good", GOOD)
    register("bad", "http://localhost:8000/v1")
    again = register("again", spelling)
    RegisteredModel.objects.filter(pk=again.pk).update(model="Bad:latest")
    change(admin, "good", "activate")
    store_comparison(base, "good", "bad", first_right=8)
    assert_problem(change(admin, "again", "activate"), 409, "model_worse")


def test_default_port_does_not_make_another_server(admin: Caller, base: KnowledgeBase) -> None:
    register("good", "https://llm.example.org/v1")
    register("bad", "http://llm.example.org/v1")
    again = register("again", "http://LLM.example.org:80/v1")
    RegisteredModel.objects.filter(pk=again.pk).update(model="bad")
    change(admin, "good", "activate")
    store_comparison(base, "good", "bad", first_right=8)
    assert_problem(change(admin, "again", "activate"), 409, "model_worse")
    RegisteredModel.objects.filter(pk=again.pk).update(base_url="http://llm.example.org:8080/v1")
    assert change(admin, "again", "activate").status_code == 200


def test_deleting_the_knowledge_base_does_not_bypass_the_gate(
    admin: Caller, good: RegisteredModel, bad: RegisteredModel, base: KnowledgeBase, parts: Engine
) -> None:
    change(admin, "good", "activate")
    store_comparison(base, "good", "bad", first_right=8, asked="What does Umbra cost?")
    store_comparison(base, "bad", "good", first_right=2)
    assert admin.delete(f"/knowledge-bases/{base.id}").status_code == 202
    for receipt in Receipt.objects.values_list("pk", flat=True):
        erase(str(receipt))
    assert not ModelComparison.objects.exists()
    problem = assert_problem(change(admin, "bad", "activate"), 409, "model_worse")
    assert "of a deleted knowledge base" in problem["detail"]
    stored = str(list(ModelVerdict.objects.values()))
    assert "Umbra" not in stored
    assert base.name not in stored
    assert change(admin, "bad", "activate", override_reason="It costs half.").status_code == 200


def test_old_comparisons_that_still_count_are_preserved(
    admin: Caller, good: RegisteredModel, bad: RegisteredModel, document: Document, parts: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(services, "MAX_STORED", 1)
    change(admin, "good", "activate")
    store_comparison(document.knowledge_base, "good", "bad", first_right=2)
    store_comparison(document.knowledge_base, "good", "bad", first_right=8, asked="What else?")
    indexed(document, parts, f"{FACT}.")
    base = str(document.knowledge_base_id)
    body = {"first": "good", "second": "bad", "knowledge_base": base, "questions": QUESTIONS}
    assert admin.post("/model-comparisons", body).status_code == 202
    assert len(admin.get("/model-comparisons").json()["items"]) == 2
    assert_problem(change(admin, "bad", "activate"), 409, "model_worse")


def test_settings_of_the_console_pass_the_same_gate(
    admin: Caller, good: RegisteredModel, bad: RegisteredModel, base: KnowledgeBase
) -> None:
    def patch(version: int, url: str, **more: str) -> Any:
        values = {"base_url": url, "model": "good" if url == GOOD else "bad"}
        return admin.patch("/settings", {"language_model": {"version": version, "values": values, **more}})

    store_comparison(base, "good", "bad", first_right=8)
    assert patch(0, GOOD).status_code == 200
    assert_problem(patch(1, BAD), 409, "model_worse")
    browser = Client()
    browser.force_login(admin.user)
    page = "/admin/settings/language_model"
    typed = {"version": "1", "base_url": f"{BAD}/", "model": "bad"}
    assert "override_reason" not in browser.get(page).content.decode()
    refused = browser.post(page, typed)
    assert (refused.status_code, 'name="override_reason"' in refused.content.decode()) == (409, True)
    assert place_of(effective_environment()) == ModelPlace(GOOD, "good")
    assert browser.post(page, {**typed, "override_reason": "It costs half."}).status_code == 302
    assert place_of(effective_environment()) == ModelPlace(BAD, "bad")
    event = Event.objects.filter(action="settings.changed").latest("pk")
    assert event.detail["override_reason"] == "It costs half."
    assert patch(2, GOOD).status_code == 200
    assert patch(3, BAD, override_reason="It costs half.").status_code == 200


def test_page_requests_a_reason_only_if_the_gate_refuses(
    admin: Caller, good: RegisteredModel, bad: RegisteredModel, base: KnowledgeBase
) -> None:
    browser = Client()
    browser.force_login(admin.user)
    change(admin, "good", "activate")
    pages = [f"/admin/models/registry/{name}" for name in ("good", "bad")]
    assert not any("override_reason" in browser.get(page).content.decode() for page in pages)
    store_comparison(base, "good", "bad", first_right=8)
    for page in pages:
        shown = browser.get(page).content.decode()
        assert shown.count('name="override_reason"') == 1
        assert "is significantly worse than" in shown


def test_model_set_by_an_operator_is_recorded_once_and_shown(
    admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = Client()
    browser.force_login(admin.user)
    assert "outside the gate" not in browser.get("/admin/models").content.decode()
    operator_choice_record()
    assert not Event.objects.filter(action=OUTSIDE_GATE).exists()
    for url, recorded in ((BAD, 1), (BAD, 1), (GOOD, 2)):
        set_on_server(monkeypatch, url)
        operator_choice_record()
        assert Event.objects.filter(action=OUTSIDE_GATE).count() == recorded
    detail = Event.objects.filter(action=OUTSIDE_GATE).latest("pk").detail
    assert detail == {"model": "bad", "server": GOOD, "source": "LLM_BASE_URL"}
    assert "Activated outside the gate, by LLM_BASE_URL" in browser.get("/admin/models").content.decode()


def test_retiring_the_active_model_does_not_bypass_the_gate(
    admin: Caller, good: RegisteredModel, bad: RegisteredModel, base: KnowledgeBase
) -> None:
    change(admin, "good", "activate")
    store_comparison(base, "good", "bad", first_right=8)
    assert_problem(change(admin, "good", "retire"), 409, "model_worse")
    assert change(admin, "good", "retire", override_reason="Its server is gone.").status_code == 200
    event = Event.objects.get(action="model.retired")
    assert event.detail["override_reason"] == "Its server is gone."


def test_moving_the_active_model_does_not_bypass_the_gate(
    admin: Caller, good: RegisteredModel, bad: RegisteredModel, base: KnowledgeBase
) -> None:
    change(admin, "good", "activate")
    store_comparison(base, "good", "bad", first_right=8)
    version = admin.get("/models/good").json()["version"]
    moved = admin.send("PATCH", "/models/good", {"base_url": ELSEWHERE, "version": version})
    assert moved.status_code == 409
    assert place_of(effective_environment()) == ModelPlace(GOOD, "good")
    assert_problem(change(admin, "bad", "activate"), 409, "model_worse")
