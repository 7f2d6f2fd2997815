"""The playground explains a search, for managers within their bases; admins may search as another user."""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.access.services import grant_give, knowledge_base_create, readers_replace
from cairn.accounts.models import User
from cairn.accounts.services import user_update
from cairn.audit.models import Event
from cairn.library.models import Document, KnowledgeBase
from cairn.limits.concurrency import slot_take
from cairn.limits.models import Slot
from cairn.limits.rules import Measure, allowance_of
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from retrieval.conversations.services import conversation_start
from retrieval.engine import Engine, use
from retrieval.gaps.models import GapQuestion
from retrieval.models import Conversation, Message
from retrieval.statistics.models import AskedQuestion
from retrieval.types import Answer
from tests.fakes import FakeChat, FakeEmbedder, FakeReranker
from tests.principals import SETUP
from tests.web.api.conftest import indexed
from tests.web.pages.conftest import text_of
from web.pages.console import playground

SignIn = Callable[[User], Client]
PAGE = "/admin/playground"
QUESTION = {"question": "How many days of leave do employees get?"}


@pytest.fixture
def leave(document: Document, engine_override: Engine) -> Document:
    indexed(
        document,
        engine_override,
        "Employees get 25 days of leave a year.",
        "The best bicycles are parked behind the house.",
    )
    return document


@pytest.fixture
def secret(admin: User, engine_override: Engine) -> Document:
    base = knowledge_base_create(name="Board", principal=principal_for_user(admin))
    file = SimpleUploadedFile("umbra.md", b"x")
    found = document_submit(
        Upload(file, "umbra.md", title="Umbra"), knowledge_base=base, principal=principal_for_user(admin)
    ).document
    indexed(found, engine_override, "Leave of employees ends with the Umbra merger.")
    return found


def column(html: str, name: str) -> str:
    return html.partition(f'aria-labelledby="column-{name}"')[2].partition("</section>")[0]


def ranks(html: str) -> list[str]:
    return re.findall(r'<p class="ranked-text break">([^<]+)', html)


def test_playground_needs_a_manager(
    signed_in: SignIn, rob: User, leave: Document, grant: Callable[[User, Role], None]
) -> None:
    grant(rob, Role.EDITOR)
    for answer in (signed_in(rob).get(PAGE), signed_in(rob).post(PAGE, QUESTION)):
        assert answer.status_code == 403


def test_playground_shows_each_ranking(signed_in: SignIn, mia: User, leave: Document) -> None:
    html = text_of(signed_in(mia).post(PAGE, QUESTION))
    for name in ("dense", "hybrid"):
        assert ranks(column(html, name))[0].startswith("Employees get 25 days")
    assert len(ranks(column(html, "bm25"))) == 1, "the other passage has none of the words"
    assert "meaning 1, words 1" in column(html, "hybrid")
    assert "Employees get 25 days" in html.partition("Evidence</h3>")[2].partition("</section>")[0]
    assert "<code>near</code>" in html
    assert "Index query" in html
    assert "No reranker is configured" in html
    assert not Message.objects.exists(), "nothing is kept"


def test_reranker_has_a_column(
    signed_in: SignIn, mia: User, leave: Document, engine_override: Engine
) -> None:
    with use(replace(engine_override, reranker=FakeReranker("best"))):
        html = text_of(signed_in(mia).post(PAGE, QUESTION))
    assert ranks(column(html, "reranked"))[0].startswith("The best bicycles")
    assert "combined 2" in column(html, "reranked")


def test_playground_searches_only_managed_knowledge_bases(
    signed_in: SignIn, mia: User, leave: Document, secret: Document
) -> None:
    """Even where they read more."""
    board = secret.knowledge_base
    grant_give(knowledge_base=board, subject=f"user:{mia.id}", role=Role.READER, principal=SETUP)
    client = signed_in(mia)
    for asked in (QUESTION, {**QUESTION, "kb": "board"}):
        html = text_of(client.post(PAGE, asked))
        assert "Umbra" not in html
        assert "Board" not in html
    grant_give(knowledge_base=board, subject=f"user:{mia.id}", role=Role.MANAGER, principal=SETUP)
    assert "Umbra" in text_of(client.post(PAGE, QUESTION))
    assert "Umbra" not in text_of(client.post(PAGE, {**QUESTION, "kb": "handbook"}))


def test_managers_cannot_search_as_another_user(
    signed_in: SignIn, admin: User, mia: User, leave: Document
) -> None:
    client = signed_in(mia)
    assert "As user" not in text_of(client.get(PAGE))
    answer = client.post(PAGE, {**QUESTION, "person": admin.username})
    assert answer.status_code == 403
    assert "25 days" not in text_of(answer)
    assert not Event.objects.filter(action="playground.searched_as").exists()


def test_admins_see_hits_hidden_from_a_user(
    signed_in: SignIn, admin: User, mia: User, leave: Document, secret: Document
) -> None:
    html = text_of(signed_in(admin).post(PAGE, {**QUESTION, "person": "MIA"}))
    kept = html.partition('aria-labelledby="hidden-title"')[2].partition("</section>")[0]
    assert "Umbra merger" in kept
    assert "25 days" not in kept
    assert ">1</span>" in kept
    assert "Umbra" not in column(html, "hybrid")
    event = Event.objects.get(action="playground.searched_as")
    assert (event.actor, event.subject, event.detail) == (admin.id, f"user:{mia.id}", {})


def test_playground_lists_a_restricted_document_as_hidden(
    signed_in: SignIn, admin: User, rob: User, leave: Document, grant: Callable[[User, Role], None]
) -> None:
    grant(rob, Role.READER)
    client = signed_in(admin)
    before = text_of(client.post(PAGE, {**QUESTION, "person": "rob"}))
    assert "25 days" in column(before, "hybrid")
    readers_replace(document=leave, readers=[], actor=None)
    after = text_of(client.post(PAGE, {**QUESTION, "person": "rob"}))
    assert "25 days" not in column(after, "hybrid")
    assert "25 days" in after.partition('aria-labelledby="hidden-title"')[2].partition("</section>")[0]


@pytest.mark.parametrize("person", ["nobody", "<script>alert(1)</script>", "mia"])
def test_playground_rejects_unknown_or_disabled_users(
    signed_in: SignIn, admin: User, mia: User, leave: Document, person: str
) -> None:
    user_update(mia, is_active=False)
    answer = signed_in(admin).post(PAGE, {**QUESTION, "person": person})
    assert answer.status_code == 422
    assert "No active user has this name." in text_of(answer)
    assert "25 days" not in text_of(answer)
    assert "<script>alert" not in text_of(answer)


def test_hits_missing_in_the_database_are_counted_for_admins(
    signed_in: SignIn, admin: User, mia: User, leave: Document
) -> None:
    Document.objects.filter(pk=leave.pk).update(active_version=None)
    told = "2 index results were dropped"
    assert told in text_of(signed_in(admin).post(PAGE, QUESTION))
    html = text_of(signed_in(mia).post(PAGE, QUESTION))
    assert "index results were dropped" not in html
    assert "25 days" not in html


@pytest.mark.parametrize("question", ["", "  \0 "])
def test_playground_requires_a_question(signed_in: SignIn, mia: User, leave: Document, question: str) -> None:
    answer = signed_in(mia).post(PAGE, {"question": question})
    assert answer.status_code == 422
    assert "The query is empty." in text_of(answer)


def test_playground_shows_an_unavailable_model(
    signed_in: SignIn, mia: User, leave: Document, engine_override: Engine
) -> None:
    assert isinstance(engine_override.embedder, FakeEmbedder)
    engine_override.embedder.broken = True
    answer = signed_in(mia).post(PAGE, QUESTION)
    assert answer.status_code == 503
    assert "The embedding model is not reachable." in text_of(answer)


def test_playground_without_hits_has_messages(
    signed_in: SignIn, mia: User, base: KnowledgeBase, engine_override: Engine
) -> None:
    html = text_of(signed_in(mia).post(PAGE, QUESTION))
    assert "Answerable" in html
    assert html.count("Nothing.") == 3


def test_playground_text_is_escaped(
    signed_in: SignIn, mia: User, document: Document, engine_override: Engine
) -> None:
    indexed(document, engine_override, "<img src=x onerror=alert(1)> days of leave")
    document.title = "<script>alert(1)</script>"
    document.save()
    html = text_of(signed_in(mia).post(PAGE, {"question": "<svg onload=alert(1)> leave"}))
    assert "&lt;img src=x" in html
    for tag in ("<img src=x", "<script>alert", "<svg onload"):
        assert tag not in html


@pytest.fixture
def answering(leave: Document, engine_override: Engine) -> Iterator[None]:
    with use(replace(engine_override, chat=FakeChat("Employees get 25 days of leave a year [1]."))):
        yield


def test_admins_see_the_answer_of_another_user(
    signed_in: SignIn, admin: User, mia: User, answering: None, secret: Document
) -> None:
    """Nothing is stored except an audit entry without the question."""
    asked = {**QUESTION, "person": "mia", "answer": "yes"}
    html = text_of(signed_in(admin).post(PAGE, asked))
    tried = html.partition('aria-labelledby="tried-title"')[2].partition("</section>")[0]
    assert "25 days" in tried
    assert "Umbra" not in tried
    assert not Message.objects.exists()
    assert not Conversation.objects.exists()
    assert not AskedQuestion.objects.exists()
    assert not GapQuestion.objects.exists()
    event = Event.objects.get(action="playground.asked_as")
    assert (event.actor, event.subject, event.detail) == (admin.id, f"user:{mia.id}", {})


def test_earlier_conversations_of_that_person_are_not_used(
    signed_in: SignIn, admin: User, mia: User, answering: None
) -> None:
    """A follow-up that only they could understand is not completed from what they asked before."""
    own = conversation_start(principal=principal_for_user(mia), question="Leave")
    earlier = {"answer": "They get 25 days.", "state": "done", "verdict": "supported"}
    Message.objects.create(conversation=own, question="How much leave do zookeepers get?", **earlier)
    before = list(Message.objects.values())
    html = text_of(signed_in(admin).post(PAGE, {"question": "And why?", "person": "mia", "answer": "yes"}))
    assert "zookeepers" not in html
    assert list(Message.objects.values()) == before


def test_playground_answer_uses_and_releases_a_slot(
    signed_in: SignIn, admin: User, answering: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, asked = signed_in(admin), {**QUESTION, "answer": "yes"}
    taken: list[int] = []
    real = playground.answer_again

    def answer_and_count(**given: Any) -> Answer:
        taken.append(Slot.objects.count())
        return real(**given)

    monkeypatch.setattr(playground, "answer_again", answer_and_count)
    assert client.post(PAGE, asked).status_code == 200
    assert (taken, Slot.objects.count()) == ([1], 0)
    principal = principal_for_user(admin)
    most = allowance_of(principal).most[Measure.STREAMS_AT_ONCE]
    assert most is not None
    leases = [slot_take(principal, allowance_of(principal)) for _ in range(most)]
    assert client.post(PAGE, asked).status_code == 429
    assert taken == [1]
    leases[0].release()
    assert client.post(PAGE, asked).status_code == 200


def test_playground_answer_ends_at_shutdown(
    signed_in: SignIn, admin: User, answering: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(playground, "ending", threading.Event())
    playground.ending.set()
    response = signed_in(admin).post(PAGE, {**QUESTION, "answer": "yes"})
    assert response.status_code == 503
    assert not Slot.objects.exists()


def test_only_admins_have_answers_tried(signed_in: SignIn, mia: User, leave: Document) -> None:
    client = signed_in(mia)
    assert 'name="answer"' not in text_of(client.get(PAGE))
    assert client.post(PAGE, {**QUESTION, "answer": "yes"}).status_code == 403
    assert not Event.objects.filter(action="playground.asked_as").exists()
