"""A/B tests: a candidate on one model server answers some people, the active model on another the others."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core import serializers
from django.db import connection
from django.test import Client
from django.utils import timezone

from cairn.access.models import Role
from cairn.access.services import grant_give
from cairn.accounts.models import User
from cairn.audit.models import Event
from cairn.library.models import Document, KnowledgeBase
from cairn.settings.stored.models import RegisteredModel
from ingestion.erasure.users import user_erase
from retrieval.conversations.ab_tests import candidate_chat, services
from retrieval.conversations.ab_tests.results import compare_answers
from retrieval.conversations.ab_tests.sequential_test import DifferenceTest
from retrieval.conversations.ab_tests.services import ab_test_stop_if_changed, is_assigned
from retrieval.engine import ConfiguredChat, Engine, use
from retrieval.evaluation.shadow_runs import list_due
from retrieval.gaps.models import Notice
from retrieval.models import ABTest, ABTestAnswer, ABTestState, Conversation, Message
from tests.cairn.inference.server import Exchange, FakeServer
from tests.cairn.inference.test_checking import listed, writes
from tests.web.api.conftest import Caller, assert_problem, base, document, indexed, own_models
from tests.web.api.model_servers import activate, check, register

pytestmark = pytest.mark.django_db(transaction=True)
__all__ = ["base", "document", "own_models"]
FACT = "Employees get 25 days of leave a year"
QUESTION = "How many days of leave do employees get a year?"
CANDIDATE_ROUTE = {"model": "mistral", "location": "inside", "reason": "ab_test"}
ACTIVE_ROUTE = {"model": "mixtral", "location": "inside", "reason": ""}


class Person:
    """Someone who has signed in, without an API key."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.client = Client()
        self.client.force_login(user)

    def ask(self, question: str = QUESTION, **more: str) -> Message:
        body = {"question": question, **more}
        response = self.client.post("/api/v1/ask", body, content_type="application/json")
        assert response.status_code == 200, response.content
        return Message.objects.get(pk=response.json()["id"])


def quote(exchange: Exchange) -> None:
    if exchange.body["max_tokens"] == 1:
        return writes(exchange)
    return exchange.write(f"{FACT} [1].")


def fail(exchange: Exchange) -> None:
    exchange.answer({"error": {"message": "out of memory"}}, 500)


def refuse(exchange: Exchange) -> None:
    exchange.answer({"error": {"message": "the context is too long"}}, 400)


def serve(name: str) -> FakeServer:
    fake = FakeServer()
    fake.respond = quote
    listed(fake, {"id": name, "max_model_len": 8192})
    return fake


@pytest.fixture
def active(admin: Caller) -> Iterator[FakeServer]:
    """The server of the active model."""
    with serve("mixtral") as fake:
        register(admin, fake, "own", model="mixtral")
        assert activate(admin, check(admin, "own")).status_code == 200
        fake.exchanges.clear()
        yield fake


@pytest.fixture
def candidate(admin: Caller, active: FakeServer) -> Iterator[FakeServer]:
    """The server of a tested candidate."""
    with serve("mistral") as fake:
        register(admin, fake, "new", model="mistral")
        check(admin, "new")
        fake.exchanges.clear()
        yield fake


@pytest.fixture
def library(parts: Engine, own_models: None, base: KnowledgeBase, document: Document) -> Iterator[Document]:
    """A document that everyone may read, and the models that the settings name."""
    indexed(document, parts, f"{FACT}.")
    with use(Engine(parts.embedder, parts.index, ConfiguredChat())):
        yield document


def start(admin: Caller, percent: int = 50, max_answers: int = 50) -> ABTest:
    version = admin.get("/models/new").json()["version"]
    body = {"version": version, "percent": percent, "max_answers": max_answers}
    response = admin.post("/models/new/ab-test", body)
    assert response.status_code == 201, response.content
    return ABTest.objects.get(pk=response.json()["id"])


def find_person(test: ABTest, mia: Caller, base: KnowledgeBase, *, of_candidate: bool) -> Person:
    """Return someone whom the candidate answers, or the active model."""
    ids = (uuid4() for _ in range(1000))
    identity = next(each for each in ids if is_assigned(test, each) is of_candidate)
    user = User.objects.create(id=identity, username=f"user-{identity}")
    grant_give(knowledge_base=base, subject=f"user:{user.pk}", role=Role.READER, principal=mia.principal)
    return Person(user)


@pytest.fixture
def find(admin: Caller, mia: Caller, base: KnowledgeBase) -> Callable[..., Person]:
    def find(test: ABTest, *, of_candidate: bool = True) -> Person:
        return find_person(test, mia, base, of_candidate=of_candidate)

    return find


Find = Callable[..., Person]


def add_answers(test: ABTest, *, candidate_outcome: str, active_outcome: str, people: int = 24) -> None:
    """Store two earlier answers each to so many people, half of whom the candidate answers."""
    for number in range(people):
        user = User.objects.create(username=f"earlier-{number}")
        talk = Conversation.objects.create(user=user, title="Talk")
        for _ in range(2):
            message = Message.objects.create(conversation=talk, question="?", state="done")
            of_candidate = number % 2 == 0
            ABTestAnswer.objects.create(
                test=test, message=message, is_candidate=of_candidate, milliseconds=100,
                outcome=candidate_outcome if of_candidate else active_outcome,
            )  # fmt: skip


def state_of(test: ABTest) -> str:
    test.refresh_from_db()
    return test.state


def test_candidate_answers_its_share_and_the_active_model_the_others(
    admin: Caller, library: Document, active: FakeServer, candidate: FakeServer, find: Find
) -> None:
    test = start(admin)
    message = find(test).ask()
    assert (message.trace["route"], message.verdict) == (CANDIDATE_ROUTE, "supported")
    assert (len(candidate.exchanges), active.exchanges) == (1, [])
    message = find(test, of_candidate=False).ask()
    assert message.trace["route"] == ACTIVE_ROUTE
    assert (len(candidate.exchanges), len(active.exchanges)) == (1, 1)
    rows = ABTestAnswer.objects.values_list("is_candidate", "outcome")
    assert set(rows) == {(True, "supported"), (False, "supported")}


def test_person_always_gets_the_same_model(
    admin: Caller, library: Document, active: FakeServer, candidate: FakeServer, find: Find
) -> None:
    test = start(admin)
    person = find(test)
    assert [person.ask().trace["route"] for _ in range(3)] == [CANDIDATE_ROUTE] * 3
    assert active.exchanges == []


@pytest.mark.parametrize("percent", [1, 20, 50])
def test_share_of_people_is_as_set_and_differs_by_test(percent: int) -> None:
    people = [UUID(int=number) for number in range(4000)]
    first, second = (
        {user for user in people if is_assigned(ABTest(id=UUID(int=number), percent=percent), user)}
        for number in (1, 2)
    )
    expected = len(people) * percent / 100
    assert abs(len(first) - expected) < 4 * expected**0.5
    assert first != second


def test_programs_with_keys_stay_with_the_active_model(
    admin: Caller, mia: Caller, library: Document, active: FakeServer, candidate: FakeServer
) -> None:
    test = start(admin)
    while not is_assigned(test, mia.user.pk):
        ABTest.objects.all().delete()
        test = start(admin)
    answer = mia.post("/ask", {"question": QUESTION}).json()
    assert Message.objects.get(pk=answer["id"]).trace["route"] == ACTIVE_ROUTE
    assert candidate.exchanges == []
    assert not ABTestAnswer.objects.exists()


@pytest.mark.parametrize("respond", [fail, refuse])
def test_failing_candidate_is_replaced_in_the_same_answer_and_stopped_after_three(
    admin: Caller,
    library: Document,
    active: FakeServer,
    candidate: FakeServer,
    find: Find,
    respond: Callable[[Exchange], None],
) -> None:
    test = start(admin)
    person = find(test)
    candidate.respond = respond
    for number in range(3):
        assert state_of(test) == "running", number
        message = person.ask()
        assert (message.verdict, message.mode) == ("supported", "generated")
        assert message.trace["route"] == ACTIVE_ROUTE
    assert list(ABTestAnswer.objects.values_list("outcome", flat=True)) == ["failed"] * 3
    assert state_of(test) == "failing"
    candidate.exchanges.clear()
    assert person.ask().trace["route"] == ACTIVE_ROUTE
    assert candidate.exchanges == []
    [notice] = admin.get("/notices").json()["items"]
    assert notice["kind"] == "ab_test"
    assert "new couldn’t answer several times in a row" in notice["text"]
    assert notice["url"] == "/admin/models/registry/new"


def test_hanging_candidate_is_replaced_in_the_same_answer(
    admin: Caller,
    library: Document,
    active: FakeServer,
    candidate: FakeServer,
    find: Find,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(candidate_chat, "MAX_WAIT_SECONDS", 0.3)
    candidate.respond = Exchange.wait_for_hangup
    message = find(start(admin)).ask()
    assert (message.verdict, message.trace["route"]) == ("supported", ACTIVE_ROUTE)
    assert ABTestAnswer.objects.get().outcome == "failed"


def test_single_failures_do_not_stop_the_test(
    admin: Caller, library: Document, active: FakeServer, candidate: FakeServer, find: Find
) -> None:
    test = start(admin)
    person = find(test)
    for respond in (fail, fail, quote, fail, fail):
        candidate.respond = respond
        person.ask()
    assert state_of(test) == "running"


def test_refusals_without_asking_the_candidate_do_not_hide_its_failures(
    admin: Caller, library: Document, active: FakeServer, candidate: FakeServer, find: Find
) -> None:
    test = start(admin)
    person = find(test)
    candidate.respond = fail
    for _ in range(3):
        assert person.ask("Who won the chess championship in 1972?").verdict == "refused"
        assert state_of(test) == "running"
        person.ask()
    assert state_of(test) == "failing"


def test_temporary_chats_do_not_count(
    admin: Caller, library: Document, active: FakeServer, candidate: FakeServer, find: Find
) -> None:
    person = find(start(admin))
    body = {"temporary": True}
    made = person.client.post("/api/v1/conversations", body, content_type="application/json")
    assert person.ask(conversation=made.json()["id"]).trace["route"] == CANDIDATE_ROUTE
    assert not ABTestAnswer.objects.exists()


def test_shadow_runs_leave_out_what_the_candidate_answered(
    admin: Caller, library: Document, active: FakeServer, candidate: FakeServer, find: Find
) -> None:
    test = start(admin)
    RegisteredModel.objects.filter(name="new").update(shadow_percent=100)
    find(test).ask()
    usual = find(test, of_candidate=False).ask()
    assert list_due(RegisteredModel.objects.get(name="new")) == [usual]


def test_candidate_that_breaks_off_has_failed(
    admin: Caller, library: Document, active: FakeServer, candidate: FakeServer, find: Find
) -> None:
    def break_off(exchange: Exchange) -> None:
        exchange.start_stream(promised_bytes=10_000)
        exchange.delta(f"{FACT} [1]. And ")

    person = find(start(admin))
    candidate.respond = break_off
    assert person.ask().answer
    assert ABTestAnswer.objects.get().outcome == "failed"


def test_passages_that_forbid_outside_models_stay_inside_when_the_candidate_fails(
    admin: Caller, library: Document, candidate: FakeServer, base: KnowledgeBase, find: Find
) -> None:
    KnowledgeBase.objects.filter(pk=base.pk).update(outside_models="forbid")
    with serve("gpt") as outside:
        register(admin, outside, "cloud", location="outside", model="gpt")
        assert activate(admin, check(admin, "cloud")).status_code == 200
        outside.exchanges.clear()
        person = find(start(admin))
        assert person.ask().trace["route"] == CANDIDATE_ROUTE
        candidate.respond = fail
        message = person.ask()
        assert message.trace["route"] == {**ACTIVE_ROUTE, "reason": "outside_forbidden"}
        assert outside.exchanges == []
    assert FACT in json.dumps([exchange.body for exchange in candidate.exchanges])


@pytest.mark.parametrize(
    ("of_candidate", "of_active", "state"),
    [("refused", "supported", "worse"), ("supported", "refused", "better"), ("partial", "partial", "equal")],
)
def test_rules_stop_the_test(
    of_candidate: str,
    of_active: str,
    state: str,
    admin: Caller,
    library: Document,
    active: FakeServer,
    candidate: FakeServer,
    find: Find,
) -> None:
    test = start(admin)
    person = find(test)
    add_answers(test, candidate_outcome=of_candidate, active_outcome=of_active)
    assert state_of(test) == "running"
    for _ in range(2):
        person.ask()
    assert state_of(test) == state
    assert RegisteredModel.objects.get(name="new").status == "candidate", "it never becomes active by itself"
    found = admin.get("/models/new/ab-test").json()
    assert (found["p_value"] <= 0.005) == (state != "equal")
    assert person.ask().trace["route"] == ACTIVE_ROUTE
    assert admin.get("/notices").json()["items"][0]["kind"] == "ab_test"
    event = Event.objects.get(action="ab_test.stopped")
    assert (event.detail["reason"], event.actor) == (state, None)


def change(admin: Caller, name: str, action: str, **more: object) -> Any:
    version = admin.get(f"/models/{name}").json()["version"]
    return admin.post(f"/models/{name}/{action}", {"version": version, **more})


def finish(test: ABTest, person: Person, **outcomes: str) -> str:
    add_answers(test, **outcomes)
    for _ in range(2):
        person.ask()
    return state_of(test)


def test_worse_candidate_is_activated_with_a_reason_only(
    admin: Caller, library: Document, active: FakeServer, candidate: FakeServer, find: Find
) -> None:
    test = start(admin)
    outcomes = {"candidate_outcome": "refused", "active_outcome": "supported"}
    assert finish(test, find(test), **outcomes) == "worse"
    problem = assert_problem(change(admin, "new", "activate"), 409, "model_worse")
    assert f"A/B test that ended on {test.ended_at:%Y-%m-%d}" in problem["detail"]
    assert_problem(change(admin, "own", "retire"), 409, "model_worse")
    assert change(admin, "new", "activate", override_reason="It costs half.").status_code == 200
    event = Event.objects.filter(subject="model:new", detail__has_key="override_reason").get()
    assert event.detail["override_reason"] == "It costs half."


@pytest.mark.parametrize(
    ("of_candidate", "state"), [("supported", "equal"), ("partial", "worse")], ids=["equal", "worse again"]
)
def test_later_ab_test_replaces_an_earlier_result(
    of_candidate: str,
    state: str,
    admin: Caller,
    library: Document,
    active: FakeServer,
    candidate: FakeServer,
    find: Find,
) -> None:
    first = start(admin)
    outcomes = {"candidate_outcome": "refused", "active_outcome": "supported"}
    assert finish(first, find(first), **outcomes) == "worse"
    User.objects.filter(username__startswith="earlier-").delete()
    second = start(admin)
    outcomes["candidate_outcome"] = of_candidate
    assert finish(second, find(second), **outcomes) == state
    assert change(admin, "new", "activate").status_code == (200 if state == "equal" else 409)


def test_answers_are_compared_outside_of_a_transaction(
    admin: Caller,
    library: Document,
    active: FakeServer,
    candidate: FakeServer,
    find: Find,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes a while, in which SQLite would let nobody else write."""
    found = list[bool]()

    def compare(test: ABTest) -> DifferenceTest | None:
        found.append(connection.in_atomic_block)
        return compare_answers(test)

    monkeypatch.setattr(services, "compare_answers", compare)
    test = start(admin)
    assert finish(test, find(test), candidate_outcome="refused", active_outcome="supported") == "worse"
    assert set(found) == {False}


def test_unhelpful_answers_do_not_count_as_good(
    admin: Caller, library: Document, active: FakeServer, candidate: FakeServer, find: Find
) -> None:
    test = start(admin)
    person = find(test)
    add_answers(test, candidate_outcome="supported", active_outcome="supported")
    Message.objects.filter(ab_test_answer__is_candidate=True).update(rating="down")
    person.ask()
    person.ask()
    assert state_of(test) == "worse"
    found = admin.get("/models/new/ab-test").json()["candidate"]
    assert (found["unhelpful"], found["good"]) == (24, found["answers"] - 24)


def test_second_test_is_refused_while_one_runs(admin: Caller, candidate: FakeServer) -> None:
    start(admin)
    version = admin.get("/models/new").json()["version"]
    body = {"version": version, "percent": 5, "max_answers": 50}
    problem = assert_problem(admin.post("/models/new/ab-test", body), 409, "conflict")
    assert problem["detail"] == "Another A/B test is running. Stop it first."
    assert ABTest.objects.count() == 1


@pytest.mark.parametrize(
    "change",
    [{"location": "outside"}, {"licence_ends": "2020-01-01"}, {"measured_at": None}, {"status": "retired"}],
    ids=lambda change: next(iter(change)),
)
def test_model_that_may_not_answer_is_refused(
    change: dict[str, Any], admin: Caller, candidate: FakeServer
) -> None:
    RegisteredModel.objects.filter(name="new").update(**change)
    version = admin.get("/models/new").json()["version"]
    body = {"version": version, "percent": 5, "max_answers": 50}
    assert_problem(admin.post("/models/new/ab-test", body), 409, "conflict")
    assert not ABTest.objects.exists()


@pytest.mark.parametrize(
    "values",
    [{"percent": 0}, {"percent": 51}, {"percent": 0.5}, {"max_answers": 49}, {"max_answers": 100_001}],
)
def test_invalid_rules_are_refused(values: dict[str, Any], admin: Caller, candidate: FakeServer) -> None:
    body = {"version": 1, "percent": 5, "max_answers": 50, **values}
    assert admin.post("/models/new/ab-test", body).status_code in {400, 422}


@pytest.mark.parametrize(
    "change", [{"base_url": "http://192.0.2.1:8000/v1"}, {"model": "another"}, {"location": "outside"}]
)
def test_changed_candidate_stops_the_test(
    change: dict[str, str], admin: Caller, candidate: FakeServer
) -> None:
    test = start(admin)
    version = admin.get("/models/new").json()["version"]
    assert admin.patch("/models/new", {"version": version, **change}).status_code == 200
    assert state_of(test) == "changed"
    assert Notice.objects.get().ab_test == test


def test_retired_candidate_stops_the_test(admin: Caller, candidate: FakeServer) -> None:
    test = start(admin)
    version = admin.get("/models/new").json()["version"]
    assert admin.post("/models/new/retire", {"version": version}).status_code == 200
    assert state_of(test) == "changed"


def test_another_active_model_stops_the_test(admin: Caller, candidate: FakeServer) -> None:
    test = start(admin)
    with serve("gemma") as other:
        register(admin, other, "third", model="gemma")
        assert activate(admin, check(admin, "third")).status_code == 200
    assert state_of(test) == "changed"


def test_licence_that_expires_stops_the_test_at_the_next_question(
    admin: Caller, library: Document, candidate: FakeServer, find: Find
) -> None:
    test = start(admin)
    person = find(test)
    RegisteredModel.objects.filter(name="new").update(licence_ends=timezone.localdate() - timedelta(days=1))
    assert person.ask().trace["route"] == ACTIVE_ROUTE
    assert state_of(test) == "changed"


def test_unchanged_models_do_not_stop_the_test(admin: Caller, candidate: FakeServer) -> None:
    test = start(admin)
    version = admin.get("/models/new").json()["version"]
    assert admin.patch("/models/new", {"version": version, "price_in": "0.5"}).status_code == 200
    ab_test_stop_if_changed()
    assert state_of(test) == "running"


def test_admin_stops_the_test_once(admin: Caller, candidate: FakeServer) -> None:
    start(admin)
    assert admin.post("/models/new/ab-test/stop").json()["state"] == "stopped"
    assert_problem(admin.post("/models/new/ab-test/stop"), 409, "conflict")
    actions = Event.objects.filter(action__startswith="ab_test.").order_by("at")
    assert list(actions.values_list("action", "actor")) == [
        ("ab_test.started", admin.user.pk), ("ab_test.stopped", admin.user.pk),
    ]  # fmt: skip
    assert not Notice.objects.exists()


def test_rows_contain_no_words_and_go_with_the_conversation(
    admin: Caller, library: Document, candidate: FakeServer, find: Find
) -> None:
    message = find(start(admin)).ask()
    stored = serializers.serialize("json", [*ABTestAnswer.objects.all(), *ABTest.objects.all()])
    assert FACT not in stored
    assert QUESTION not in stored
    message.conversation.delete()
    assert not ABTestAnswer.objects.exists()


def test_erasing_a_person_removes_their_rows(
    admin: Caller, library: Document, candidate: FakeServer, find: Find
) -> None:
    test = start(admin)
    person, other = find(test), find(test, of_candidate=False)
    person.ask()
    remaining = other.ask()
    user_erase(user=person.user, actor=admin.user.pk)
    assert [row.message for row in ABTestAnswer.objects.all()] == [remaining]


def test_answer_that_ends_after_the_test_does_not_count(
    admin: Caller, library: Document, candidate: FakeServer, find: Find
) -> None:
    test = start(admin)

    def stop_meanwhile(exchange: Exchange) -> None:
        ABTest.objects.update(state=ABTestState.STOPPED, ended_at=timezone.now())
        quote(exchange)

    person = find(test)
    candidate.respond = stop_meanwhile
    assert person.ask().trace["route"] == CANDIDATE_ROUTE
    assert not ABTestAnswer.objects.exists()


def test_only_admins_see_notices_of_tests(admin: Caller, candidate: FakeServer) -> None:
    test = start(admin)
    RegisteredModel.objects.filter(name="new").update(status="retired")
    ab_test_stop_if_changed()
    assert state_of(test) == "changed"
    assert len(admin.get("/notices").json()["items"]) == 1
    User.objects.filter(pk=admin.user.pk).update(is_admin=False)
    assert admin.get("/notices").json()["items"] == []


def test_page_starts_shows_and_stops_a_test(
    admin: Caller, library: Document, candidate: FakeServer, find: Find
) -> None:
    client = Client()
    client.force_login(admin.user)
    address = "/admin/models/registry/new"
    assert "Start the A/B test" in client.get(address).content.decode()
    test = start(admin)
    find(test).ask()
    page = client.get(address).content.decode()
    assert "Stop the A/B test" in page
    assert "new answers 50 % of people" in page
    admin.post("/models/new/ab-test/stop")
    page = client.get(address).content.decode()
    assert "Stopped by an administrator" in page
    assert "Start the A/B test" in page


def test_read_results_of_unknown_or_untested_model_are_not_found(
    admin: Caller, candidate: FakeServer
) -> None:
    for name in ("new", "nothing"):
        assert admin.get(f"/models/{name}/ab-test").status_code == 404
        assert admin.post(f"/models/{name}/ab-test/stop").status_code == 404
