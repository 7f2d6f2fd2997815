"""A candidate answers a share of the questions that people ask; nobody sees its answers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.core import serializers
from django.test import Client
from django.utils import timezone

from cairn.accounts.models import User
from cairn.answers import Verdict
from cairn.audit.models import Event
from cairn.errors import Unavailable
from cairn.library.models import Document, KnowledgeBase
from cairn.settings import Environment
from cairn.settings.stored.models import RegisteredModel
from ingestion.documents.services import document_delete
from retrieval.engine import Engine
from retrieval.evaluation import shadow_runs as services
from retrieval.evaluation.models import ShadowRun
from retrieval.evaluation.shadow_runs import list_due, summarize_shadow_runs
from retrieval.models import Channel, Conversation, Message
from tests.fakes import FakeChat
from tests.web.api.conftest import Caller, assert_problem, base, document, indexed
from web.tasks import shadow_runs

pytestmark = pytest.mark.django_db(transaction=True)
FACT = "Employees get 25 days of leave a year"
QUESTION = "How many days of leave do employees get a year?"

TRACE = {"intent": "ask", "documents_being_read": False}

__all__ = ["base", "document"]


class Candidate(FakeChat):
    """Answers rightly; `on_ask` happens while it answers."""

    def __init__(self) -> None:
        super().__init__(f"{FACT} [1].")
        self.on_ask: Callable[[], object] = lambda: None

    def stream(self, *args: Any, **options: Any) -> Iterator[str]:
        self.on_ask()
        return super().stream(*args, **options)


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch, parts: Engine) -> Candidate:
    found = Candidate()

    @contextmanager
    def open_fake(settings: Environment) -> Iterator[Engine]:
        yield replace(parts, chat=found, candidate=settings)

    monkeypatch.setattr(services, "open_candidate", open_fake)
    return found


@pytest.fixture
def candidate(chat: Candidate) -> RegisteredModel:
    return RegisteredModel.objects.create(
        name="candidate", base_url="http://192.0.2.1:8000/v1", model="candidate", licence="apache-2.0",
        measured_at=timezone.now(), shadow_percent=100,
    )  # fmt: skip


@pytest.fixture
def asked(admin: Caller, candidate: RegisteredModel, document: Document, parts: Engine) -> Message:
    """A question in the chat, asked after the share was set."""
    indexed(document, parts, f"{FACT}.")
    return ask(admin)


def ask(caller: Caller, question: str = QUESTION) -> Message:
    response = caller.post("/ask", {"question": question})
    assert response.status_code == 200, response.content
    return Message.objects.latest("created_at")


def test_candidate_answers_a_question_once(asked: Message, candidate: RegisteredModel) -> None:
    shadow_runs()
    shadow_runs()
    run = ShadowRun.objects.get()
    assert (run.message, run.model, run.verdict, run.error) == (asked, candidate, Verdict.SUPPORTED, "")
    assert run.same_sources is True
    assert run.ended_at is not None


def test_words_of_answers_and_documents_are_not_stored(asked: Message) -> None:
    shadow_runs()
    assert FACT not in serializers.serialize("json", ShadowRun.objects.all())
    asked.refresh_from_db()
    assert Message.objects.count() == 1, "the chat doesn't show it"


def test_only_candidates_with_a_share_answer(asked: Message, candidate: RegisteredModel) -> None:
    for values in ({"shadow_percent": 0}, {"status": "retired"}, {"location": "outside"}):
        before = {name: getattr(candidate, name) for name in values}
        RegisteredModel.objects.filter(pk=candidate.pk).update(**values)
        shadow_runs()
        assert not ShadowRun.objects.exists(), values
        RegisteredModel.objects.filter(pk=candidate.pk).update(**before)


def test_share_is_a_share_of_the_questions(admin: Caller, asked: Message, candidate: RegisteredModel) -> None:
    ids = [UUID(int=2**100 + number) for number in range(100)]
    thread = asked.conversation
    Message.objects.bulk_create(
        Message(id=each, conversation=thread, question="?", state="done", mode="none", trace=TRACE)
        for each in ids
    )
    candidate.shadow_percent = 30
    assert len([message for message in list_due(candidate) if message.pk != asked.pk]) == 30


@pytest.mark.parametrize(
    "change",
    [
        {"channel": Channel.API},
        {"temporary": True},
        {"assistant_name": "Helper"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_conversation_is_left_out(change: dict[str, Any], asked: Message, candidate: RegisteredModel) -> None:
    assert list_due(candidate) == [asked]
    Conversation.objects.update(**change)
    assert not list_due(candidate)


def test_conversation_with_files_is_left_out(asked: Message, candidate: RegisteredModel) -> None:
    KnowledgeBase.objects.create(name="Files", slug="files", conversation=asked.conversation_id)
    assert not list_due(candidate)


def test_question_of_a_disabled_account_is_left_out(
    asked: Message, admin: Caller, candidate: RegisteredModel
) -> None:
    User.objects.filter(pk=admin.user.pk).update(is_active=False)
    assert not list_due(candidate)


@pytest.mark.parametrize("mode", ["declined", "verified", "small_talk"])
def test_answer_without_a_language_model_is_left_out(
    mode: str, asked: Message, candidate: RegisteredModel
) -> None:
    Message.objects.update(mode=mode)
    assert not list_due(candidate)


def test_refusal_while_documents_are_read_is_left_out(asked: Message, candidate: RegisteredModel) -> None:
    Message.objects.update(trace={**asked.trace, "documents_being_read": True})
    assert not list_due(candidate)


def test_questions_from_before_the_share_was_set_are_left_out(
    asked: Message, candidate: RegisteredModel
) -> None:
    candidate.save()
    assert not list_due(candidate)


def test_old_question_is_left_out(asked: Message, candidate: RegisteredModel) -> None:
    hour = timedelta(hours=1)
    candidate.changed_at -= hour * 2
    Message.objects.update(created_at=timezone.now() - hour)
    assert not list_due(candidate)


def test_document_deleted_meanwhile_is_not_read(
    asked: Message, document: Document, chat: Candidate, admin: Caller
) -> None:
    document_delete(document=document, principal=admin.principal)
    shadow_runs()
    run = ShadowRun.objects.get()
    assert run.verdict == Verdict.REFUSED
    assert not any(FACT in str(messages) for messages in chat.prompts)


def test_question_deleted_while_the_candidate_answers_leaves_nothing(asked: Message, chat: Candidate) -> None:
    chat.on_ask = asked.conversation.delete
    shadow_runs()
    assert not ShadowRun.objects.exists()


def test_runs_are_deleted_with_their_question(asked: Message) -> None:
    shadow_runs()
    asked.conversation.delete()
    assert not ShadowRun.objects.exists()


def test_unavailable_candidate_is_asked_one_question(
    admin: Caller, asked: Message, candidate: RegisteredModel, chat: Candidate
) -> None:
    """People get quotes if the model fails. They say nothing about the model."""

    def fail() -> None:
        raise Unavailable

    second = ask(admin)
    chat.on_ask = fail
    shadow_runs()
    assert ShadowRun.objects.get().error == "unavailable"
    assert summarize_shadow_runs(candidate).failed == 1
    assert list_due(candidate) == [second]


def test_two_workers_do_not_ask_at_once(asked: Message, candidate: RegisteredModel, admin: Caller) -> None:
    running = ShadowRun.objects.create(message=asked, model=candidate, active_model="")
    ask(admin)
    shadow_runs()
    assert list(ShadowRun.objects.all()) == [running]


def test_run_of_a_killed_worker_does_not_block_others(
    asked: Message, candidate: RegisteredModel, admin: Caller
) -> None:
    ShadowRun.objects.create(
        message=asked, model=candidate, active_model="", created_at=timezone.now() - timedelta(minutes=11)
    )
    second = ask(admin)
    shadow_runs()
    assert ShadowRun.objects.filter(message=second, verdict=Verdict.SUPPORTED).exists()


def test_results_are_returned_beside_those_of_the_active_model(
    asked: Message, admin: Caller, candidate: RegisteredModel
) -> None:
    Message.objects.update(verdict=Verdict.REFUSED)
    shadow_runs()
    found = admin.get("/models/candidate/shadow-runs").json()
    assert (found["percent"], found["questions"], found["failed"]) == (100, 1, 0)
    assert found["active"] == {"supported": 0, "partial": 0, "refused": 1}
    assert found["candidate"] == {"supported": 1, "partial": 0, "refused": 0}
    assert found["difference"]["only_candidate"] == 1
    assert not found["difference"]["significant"]


def test_results_beside_another_active_model_do_not_count(
    asked: Message, admin: Caller, candidate: RegisteredModel
) -> None:
    shadow_runs()
    ShadowRun.objects.update(active_server="http://192.0.2.9/v1", active_model="another")
    assert admin.get("/models/candidate/shadow-runs").json()["questions"] == 0


def test_results_are_deleted_when_the_server_changes(
    asked: Message, admin: Caller, candidate: RegisteredModel
) -> None:
    shadow_runs()
    version = admin.get("/models/candidate").json()["version"]
    changed = admin.patch("/models/candidate", {"version": version, "licence_ends": "2099-01-01"}).json()
    assert ShadowRun.objects.exists()
    admin.patch("/models/candidate", {"version": changed["version"], "model": "another"})
    assert not ShadowRun.objects.exists()


@pytest.mark.parametrize("change", [{"location": "outside"}, {"type": "embedding"}])
def test_only_inside_chat_models_may_have_a_share(
    change: dict[str, str], admin: Caller, candidate: RegisteredModel
) -> None:
    version = admin.get("/models/candidate").json()["version"]
    problem = assert_problem(admin.patch("/models/candidate", {"version": version, **change}), 422, "invalid")
    assert "shadow runs" in problem["detail"]


@pytest.mark.parametrize("percent", [-1, 101, 0.5, "many"])
def test_invalid_share_is_refused(percent: object, admin: Caller, candidate: RegisteredModel) -> None:
    version = admin.get("/models/candidate").json()["version"]
    changed = admin.patch("/models/candidate", {"version": version, "shadow_percent": percent})
    assert changed.status_code in {400, 422}
    assert RegisteredModel.objects.get().shadow_percent == 100


def test_change_of_the_share_is_recorded(admin: Caller, candidate: RegisteredModel) -> None:
    version = admin.get("/models/candidate").json()["version"]
    assert admin.patch("/models/candidate", {"version": version, "shadow_percent": 5}).status_code == 200
    event = Event.objects.get(action="model.changed")
    assert event.detail == {"before": {"shadow_percent": 100}, "after": {"shadow_percent": 5}}


def test_page_shows_results(asked: Message, admin: Caller) -> None:
    client = Client()
    client.force_login(admin.user)
    address = "/admin/models/registry/candidate"
    assert "No questions yet." in client.get(address).content.decode()
    shadow_runs()
    page = client.get(address).content.decode()
    assert "1 question, put to both models" in page
    assert "Answers that cite a document in common: 1 of 1." in page
