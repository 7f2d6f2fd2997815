"""Content of restricted knowledge bases and documents reaches no model outside the organisation."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from cairn.access.models import Role
from cairn.audit.models import Event
from cairn.library.models import Document, KnowledgeBase
from cairn.settings.stored.models import RegisteredModel
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from retrieval.engine import ConfiguredChat, Engine, use
from retrieval.models import Message
from tests.bases import make_base
from tests.cairn.inference.server import Exchange, FakeServer
from tests.cairn.inference.test_checking import listed, writes
from tests.web.api.conftest import Caller, assert_problem, indexed
from tests.web.api.model_servers import activate, check, register

LEAVE = "How many days of leave do employees get a year?"
PARKING = "Where is parking free for visitors?"
SECRET = "Employees get 25 days of leave a year."
OPEN = "Parking is free for visitors behind the house."
pytestmark = pytest.mark.django_db(transaction=True)


def quotes_what_it_reads(exchange: Exchange) -> None:
    prompt = json.dumps(exchange.body["messages"])
    if exchange.body["max_tokens"] == 1:
        return writes(exchange)
    return exchange.write(f"{SECRET[:-1]} [1]." if SECRET in prompt else f"{OPEN[:-1]} [1].")


def serve(name: str) -> FakeServer:
    fake = FakeServer()
    fake.respond = quotes_what_it_reads
    listed(fake, {"id": name, "max_model_len": 8192})
    return fake


@pytest.fixture
def outside_server(admin: Caller) -> Iterator[FakeServer]:
    """The server of the active outside model."""
    with serve("mistral") as fake:
        register(admin, fake, "cloud", location="outside")
        assert activate(admin, check(admin, "cloud")).status_code == 200
        fake.exchanges.clear()
        yield fake


@pytest.fixture
def inside_server(admin: Caller) -> Iterator[FakeServer]:
    """The server of the active inside model."""
    with serve("mixtral") as fake:
        register(admin, fake, "own", location="inside", model="mixtral")
        assert activate(admin, check(admin, "own")).status_code == 200
        fake.exchanges.clear()
        yield fake


@pytest.fixture
def secret(document: Document, base: KnowledgeBase, parts: Engine) -> Document:
    """A document in a knowledge base that forbids outside models."""
    indexed(document, parts, SECRET)
    KnowledgeBase.objects.filter(pk=base.pk).update(outside_models="forbid")
    return document


@pytest.fixture
def public(mia: Caller, parts: Engine) -> Document:
    """A document in a knowledge base without rules about outside models."""
    base = make_base(name="Visitors", principal=mia.principal)
    file = SimpleUploadedFile("parking.md", b"# Parking")
    found = document_submit(Upload(file, "parking.md"), knowledge_base=base, principal=mia.principal).document
    indexed(found, parts, OPEN)
    return found


@pytest.fixture(autouse=True)
def use_configured_models(parts: Engine, own_models: None) -> Iterator[None]:
    with use(Engine(parts.embedder, parts.index, ConfiguredChat())):
        yield


def ask(caller: Caller, question: str, **more: Any) -> dict[str, Any]:
    response = caller.post("/ask", {"question": question, **more})
    assert response.status_code == 200, response.content
    found: dict[str, Any] = response.json()
    return found


def route_of(answer: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = Message.objects.get(pk=answer["id"]).trace["route"]
    return found


def sent_to(server: FakeServer) -> str:
    return json.dumps([exchange.body for exchange in server.exchanges])


def test_external_model_answers_from_allowed_passages(
    mia: Caller, public: Document, outside_server: FakeServer, inside_server: FakeServer
) -> None:
    answer = ask(mia, PARKING)
    assert "behind the house" in answer["answer"]
    assert OPEN in sent_to(outside_server)
    assert inside_server.exchanges == []
    assert route_of(answer) == {"model": "mistral", "location": "outside", "reason": "allowed"}


def test_passage_that_forbids_external_models_goes_to_the_internal_model(
    mia: Caller, secret: Document, public: Document, outside_server: FakeServer, inside_server: FakeServer
) -> None:
    answer = ask(mia, LEAVE)
    assert "25 days" in answer["answer"]
    assert SECRET in sent_to(inside_server)
    assert outside_server.exchanges == []
    assert route_of(answer) == {"model": "mixtral", "location": "inside", "reason": "outside_forbidden"}


def test_passages_are_quoted_when_no_inside_model_exists(
    mia: Caller, secret: Document, outside_server: FakeServer
) -> None:
    answer = ask(mia, LEAVE)
    assert (answer["mode"], outside_server.exchanges) == ("extractive", [])
    assert "25 days" in answer["answer"]
    assert answer["reason"] == "These are direct quotes: no language model may read these passages."
    assert route_of(answer) == {"model": "", "location": "", "reason": "no_model_may_read"}


def test_document_can_forbid_external_models_for_itself_and_its_children(
    mia: Caller, document: Document, public: Document, outside_server: FakeServer, parts: Engine
) -> None:
    indexed(document, parts, SECRET)
    Document.objects.filter(pk=document.pk).update(parent=public.pk)
    ask(mia, LEAVE)
    assert SECRET in sent_to(outside_server)
    outside_server.exchanges.clear()
    Document.objects.filter(pk=public.pk).update(forbids_outside_models=True)
    ask(mia, LEAVE)
    ask(mia, PARKING)
    assert outside_server.exchanges == []


def test_conversation_with_a_forbidden_passage_stays_internal(
    mia: Caller, secret: Document, public: Document, outside_server: FakeServer, inside_server: FakeServer
) -> None:
    first = ask(mia, LEAVE)
    visitors = [str(public.knowledge_base_id)]
    follow_up = ask(mia, PARKING, conversation=first["conversation"], knowledge_bases=visitors)
    assert (route_of(follow_up)["location"], "behind the house" in follow_up["answer"]) == ("inside", True)
    assert outside_server.exchanges == []
    ask(mia, PARKING, knowledge_bases=visitors)
    assert OPEN in sent_to(outside_server)


@pytest.mark.parametrize(
    "question", [LEAVE, "How many days of leave are there, and who grants leave to employees?"]
)
def test_follow_up_is_rewritten_internally_if_a_searched_base_forbids_external_models(
    mia: Caller, secret: Document, public: Document, outside_server: FakeServer, inside_server: FakeServer,
    question: str,
) -> None:  # fmt: skip
    first = ask(mia, PARKING, knowledge_bases=[str(public.knowledge_base_id)])
    closed = [str(secret.knowledge_base_id)]
    ask(mia, question, conversation=first["conversation"], knowledge_bases=closed)
    assert question not in sent_to(outside_server)
    assert question in sent_to(inside_server)


def test_follow_up_is_completed_by_rules_without_an_internal_model(
    mia: Caller, secret: Document, public: Document, outside_server: FakeServer
) -> None:
    KnowledgeBase.objects.update(outside_models="allow")
    Document.objects.filter(pk=secret.pk).update(forbids_outside_models=True)
    first = ask(mia, PARKING, knowledge_bases=[str(public.knowledge_base_id)])
    closed = [str(secret.knowledge_base_id)]
    talk = first["conversation"]
    answer = ask(mia, "And how many days of leave?", conversation=talk, knowledge_bases=closed)
    assert "days of leave" not in sent_to(outside_server)
    assert "days of leave" in answer["standalone_question"]


def test_client_history_stays_internal_if_a_searched_base_forbids_external_models(
    mia: Caller, secret: Document, public: Document, outside_server: FakeServer, inside_server: FakeServer
) -> None:
    turns = [
        {"role": "user", "content": LEAVE},
        {"role": "assistant", "content": SECRET},
        {"role": "user", "content": PARKING},
    ]

    def complete() -> None:
        body = {"model": f"cairn/{public.knowledge_base.slug}", "messages": turns}
        headers = {"Authorization": f"Bearer {mia.key}"}
        response = mia.client.post(
            "/v1/chat/completions", body, content_type="application/json", headers=headers
        )
        assert response.status_code == 200, response.content

    complete()
    assert (outside_server.exchanges, OPEN in sent_to(inside_server)) == ([], True)
    KnowledgeBase.objects.update(outside_models="allow")
    complete()
    assert OPEN in sent_to(outside_server)


@pytest.mark.parametrize("question", ["Summarise leave.md", "Compare leave.md and parking.md"])
def test_summaries_and_comparisons_follow_the_rules(
    mia: Caller,
    secret: Document,
    public: Document,
    outside_server: FakeServer,
    inside_server: FakeServer,
    question: str,
) -> None:
    ask(mia, question)
    assert SECRET in sent_to(inside_server)
    assert SECRET not in sent_to(outside_server)


def test_judge_model_follows_the_data_rules(
    admin: Caller, secret: Document, public: Document, outside_server: FakeServer, inside_server: FakeServer
) -> None:
    profile = {"profile": {"writes": True, "prompt_version": "answer-2", "judges": True}}
    assert admin.put("/answer-profile", profile).status_code == 200
    ask(admin, LEAVE)
    assert outside_server.exchanges == []
    assert next(exchange.body["max_tokens"] for exchange in inside_server.exchanges) == 4


def test_model_that_became_external_receives_no_forbidden_messages(
    mia: Caller, secret: Document, outside_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the choice of a model had missed the rule: messages are checked again before sending."""
    monkeypatch.setattr(
        "retrieval.conversations.model_routing.RoutedChat.for_documents", lambda self, _documents: self.chat
    )
    answer = ask(mia, LEAVE)
    assert (answer["mode"], outside_server.exchanges) == ("extractive", [])


def test_setting_decides_for_bases_without_their_own_rule(
    mia: Caller, public: Document, outside_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cairn.library.outside_models._is_forbidden_by_default", lambda: True)
    ask(mia, PARKING)
    assert outside_server.exchanges == []
    KnowledgeBase.objects.filter(pk=public.knowledge_base_id).update(outside_models="allow")
    ask(mia, PARKING)
    assert OPEN in sent_to(outside_server)


def test_erased_rule_does_not_permit_an_outside_model(
    mia: Caller, secret: Document, public: Document, outside_server: FakeServer, inside_server: FakeServer
) -> None:
    first = ask(mia, LEAVE)
    Message.objects.filter(pk=first["id"]).update(
        trace={"hits": [{"document": "00000000-0000-4000-8000-000000000000", "chunk": "", "score": 1}]}
    )
    secret.citations.all().delete()
    visitors = [str(public.knowledge_base_id)]
    ask(mia, PARKING, conversation=first["conversation"], knowledge_bases=visitors)
    assert (outside_server.exchanges, OPEN in sent_to(inside_server)) == ([], True)


def test_retiring_the_external_model_activates_the_internal_one(
    admin: Caller, mia: Caller, public: Document, outside_server: FakeServer, inside_server: FakeServer
) -> None:
    row = RegisteredModel.objects.get(name="cloud")
    assert admin.post("/models/cloud/retire", {"version": row.version}).status_code == 200
    assert route_of(ask(mia, PARKING)) == {"model": "mixtral", "location": "inside", "reason": ""}
    assert outside_server.exchanges == []


def test_managers_forbid_external_models_and_only_admins_allow_them(
    admin: Caller, mia: Caller, base: KnowledgeBase, document: Document
) -> None:
    path = f"/knowledge-bases/{base.id}"
    assert mia.get(path).json()["outside_models"] == "default"
    assert mia.patch(path, {"outside_models": "forbid"}).json()["outside_models"] == "forbid"
    for rule in ("allow", "default"):
        assert_problem(mia.patch(path, {"outside_models": rule}), 403, "forbidden")
    assert admin.patch(path, {"outside_models": "allow"}).status_code == 200
    event = Event.objects.filter(action="knowledge_base.changed").latest("at")
    assert event.detail["outside_models"] == "allow"


def test_editors_forbid_external_models_for_a_document_and_managers_allow_them(
    rob: Caller, mia: Caller, document: Document, grant: Callable[[Caller, Role], None]
) -> None:
    grant(rob, Role.EDITOR)
    path = f"/documents/{document.id}"
    assert rob.patch(path, {"forbids_outside_models": True}).json()["forbids_outside_models"] is True
    assert_problem(rob.patch(path, {"forbids_outside_models": False}), 403, "forbidden")
    assert mia.patch(path, {"forbids_outside_models": False}).json()["forbids_outside_models"] is False


def test_forbidden_documents_correct_no_spelling_for_an_external_model(
    mia: Caller, public: Document, secret: Document, outside_server: FakeServer
) -> None:
    question = "Where is parking free for emplojees?"
    assert ask(mia, question)["spelling"] == []
    KnowledgeBase.objects.update(outside_models="allow")
    assert ask(mia, question)["spelling"] == [{"typed": "emplojees", "searched": "employees"}]
