"""Comparisons of two models through HTTP, and the gate that refuses the worse one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from cairn.audit.models import Event
from cairn.library.models import Document, KnowledgeBase
from cairn.settings import Environment
from cairn.settings.stored.models import RegisteredModel
from cairn.settings.stored.store import effective_environment
from retrieval.engine import Engine
from retrieval.evaluation.candidates import ModelPlace, place_of, settings_for
from retrieval.evaluation.models import ModelComparison, TrialState
from tests.fakes import FakeChat
from tests.web.api.conftest import Caller, assert_problem, base, document, indexed
from web.model_tests import comparison as services
from web.tasks import model_comparison, red_team_tidy

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
        yield replace(parts, chat=FakeChat(line), candidate=settings)

    def send(task: str, _where: str, *args: object) -> None:
        if task == "web.model_comparison":
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


def store_comparison(
    base: KnowledgeBase, first: str, second: str, *, first_right: int, both: int = 2
) -> None:
    """A completed comparison in which only the first model is right on so many questions."""
    places = {name: place_of(settings_for(chosen)) for name, chosen in (("first", first), ("second", second))}
    rows = [row(first="right", second="wrong")] * first_right + [row(first="right", second="right")] * both
    ModelComparison.objects.create(
        knowledge_base=base, state=TrialState.DONE, first=first, second=second, results=rows,
        **{f"{name}_server": place.server for name, place in places.items()},
        **{f"{name}_model": place.name for name, place in places.items()},
    )  # fmt: skip


def row(**results: str) -> Mapping[str, Any]:
    answers = {name: {"result": result, "milliseconds": 5} for name, result in results.items()}
    return {"id": "1", "kind": "paraphrase", "question": "?", **answers}


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
    assert GOOD in browser.get("/admin/model-comparisons").content.decode()


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
    browser = Client()
    browser.force_login(admin.user)
    shown = browser.get("/admin/model-comparisons").content.decode()
    assert ('value="good"' in shown, 'value="bad"' in shown) == (True, False)


def test_one_comparison_at_a_time(
    admin: Caller, good: RegisteredModel, bad: RegisteredModel, base: KnowledgeBase
) -> None:
    ModelComparison.objects.create(knowledge_base=base, first="good", second="bad")
    body = {"first": "good", "second": "bad", "knowledge_base": str(base.id), "questions": QUESTIONS}
    problem = assert_problem(admin.post("/model-comparisons", body), 409, "conflict")
    assert problem["detail"] == "A comparison is already in progress."


def test_an_interrupted_comparison_ends(
    admin: Caller, good: RegisteredModel, bad: RegisteredModel, base: KnowledgeBase
) -> None:
    silent = timezone.now() - 2 * services.ABANDONED_AFTER
    stuck = ModelComparison.objects.create(knowledge_base=base, first="good", second="bad", alive_at=silent)
    red_team_tidy()
    stuck.refresh_from_db()
    assert (stuck.state, stuck.error) == (TrialState.FAILED, "The comparison was interrupted.")


def test_a_significantly_worse_model_needs_a_reason(
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


def test_the_order_of_the_models_does_not_matter(
    admin: Caller, good: RegisteredModel, bad: RegisteredModel, base: KnowledgeBase
) -> None:
    change(admin, "bad", "activate")
    store_comparison(base, "good", "bad", first_right=8)
    assert change(admin, "good", "activate").status_code == 200
    assert_problem(change(admin, "bad", "activate"), 409, "model_worse")


def test_a_difference_by_chance_refuses_nothing(
    admin: Caller, good: RegisteredModel, bad: RegisteredModel, base: KnowledgeBase
) -> None:
    change(admin, "good", "activate")
    store_comparison(base, "good", "bad", first_right=3)
    assert change(admin, "bad", "activate").status_code == 200


def test_the_latest_comparison_counts(
    admin: Caller, good: RegisteredModel, bad: RegisteredModel, base: KnowledgeBase
) -> None:
    change(admin, "good", "activate")
    store_comparison(base, "good", "bad", first_right=8)
    store_comparison(base, "good", "bad", first_right=0)
    assert change(admin, "bad", "activate").status_code == 200


def test_retiring_the_active_model_first_is_no_way_around(
    admin: Caller, good: RegisteredModel, bad: RegisteredModel, base: KnowledgeBase
) -> None:
    change(admin, "good", "activate")
    store_comparison(base, "good", "bad", first_right=8)
    assert_problem(change(admin, "good", "retire"), 409, "model_worse")
    assert change(admin, "good", "retire", override_reason="Its server is gone.").status_code == 200
    event = Event.objects.get(action="model.retired")
    assert event.detail["override_reason"] == "Its server is gone."


def test_moving_the_active_model_is_no_way_around(
    admin: Caller, good: RegisteredModel, bad: RegisteredModel, base: KnowledgeBase
) -> None:
    change(admin, "good", "activate")
    store_comparison(base, "good", "bad", first_right=8)
    version = admin.get("/models/good").json()["version"]
    moved = admin.send("PATCH", "/models/good", {"base_url": ELSEWHERE, "version": version})
    assert moved.status_code == 409
    assert place_of(effective_environment()) == ModelPlace(GOOD, "good")
    assert_problem(change(admin, "bad", "activate"), 409, "model_worse")
