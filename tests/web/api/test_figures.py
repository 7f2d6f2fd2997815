"""Question statistics are written with the answer: what it is about, but no text."""

from collections.abc import Callable

import pytest
from django.utils import timezone

from cairn.access.models import Role
from cairn.access.services import grant_give, knowledge_base_create
from cairn.library.models import Document, KnowledgeBase
from retrieval.engine import Engine
from retrieval.models import Message
from retrieval.statistics.models import AskedBase, AskedQuestion, DocumentUse
from tests.fakes import FakeChat
from tests.principals import SETUP
from tests.web.api.conftest import Caller, indexed

QUESTION = "How many days of leave do employees get a year?"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def leave(document: Document, parts: Engine) -> Document:
    indexed(document, parts, "Employees get 25 days of leave a year.")
    return document


@pytest.fixture
def elsewhere(admin: Caller, mia: Caller) -> KnowledgeBase:
    """A document without relevant text that mia can read."""
    base = knowledge_base_create(name="Elsewhere", principal=admin.principal)
    grant_give(knowledge_base=base, subject=f"user:{mia.user.id}", role=Role.READER, principal=SETUP)
    return base


def bases_of(question: str) -> set[str]:
    about = AskedBase.objects.filter(question__message__question=question)
    return set(about.values_list("knowledge_base__name", flat=True))


def test_question_statistics_belong_to_the_cited_knowledge_base(
    mia: Caller, leave: Document, elsewhere: KnowledgeBase
) -> None:
    answer = mia.post("/ask", {"question": QUESTION}).json()
    figures = AskedQuestion.objects.get()
    assert bases_of(QUESTION) == {"Handbook"}
    assert (figures.verdict, figures.model, figures.user) == ("supported", "fake-chat", mia.user.id)
    assert figures.completion_tokens == answer["usage"]["completion_tokens"]
    assert figures.total_ms == round(answer["timings"]["total_ms"])
    assert figures.second == int(Message.objects.get().created_at.timestamp())


def test_statistics_of_a_refusal_belong_to_the_nearest_knowledge_base(
    mia: Caller, leave: Document, elsewhere: KnowledgeBase
) -> None:
    question = "Who painted the ceiling of the chapel?"
    assert mia.post("/ask", {"question": question}).json()["verdict"] == "refused"
    assert bases_of(question) == {"Handbook"}


def test_statistics_without_hits_belong_to_the_searched_knowledge_base(
    mia: Caller, leave: Document, elsewhere: KnowledgeBase
) -> None:
    mia.post("/ask", {"question": QUESTION, "knowledge_bases": [str(elsewhere.id)]})
    assert bases_of(QUESTION) == {"Elsewhere"}


def test_question_in_an_unreadable_base_is_not_counted_for_it(
    mia: Caller, rob: Caller, leave: Document
) -> None:
    refused = rob.post("/ask", {"question": QUESTION, "knowledge_bases": [str(leave.knowledge_base_id)]})
    assert refused.status_code == 404
    assert bases_of(QUESTION) == set()


def test_failed_question_is_counted_without_a_verdict(mia: Caller, leave: Document, parts: Engine) -> None:
    parts.embedder.broken = True  # type: ignore[attr-defined] # the fake's
    mia.post("/ask", {"question": QUESTION})
    assert AskedQuestion.objects.get().verdict == ""


def test_feedback_is_counted_in_statistics(mia: Caller, leave: Document) -> None:
    answer = mia.post("/ask", {"question": QUESTION}).json()
    for rating in ("up", "down"):
        mia.post(f"/messages/{answer['id']}/feedback", {"rating": rating})
        assert AskedQuestion.objects.get().rating == rating


def test_deleting_a_conversation_deletes_its_question_statistics(mia: Caller, leave: Document) -> None:
    answer = mia.post("/ask", {"question": QUESTION}).json()
    mia.delete(f"/conversations/{answer['conversation']}")
    assert not AskedQuestion.objects.exists()
    assert not AskedBase.objects.exists()


def test_document_use_records_the_dates_of_citing_and_opening(
    mia: Caller, leave: Document, parts: Engine, grant: Callable[[Caller, Role], None]
) -> None:
    assert isinstance(parts.chat, FakeChat)
    assert not DocumentUse.objects.exists()
    mia.post("/ask", {"question": QUESTION})
    today = timezone.now().date()
    assert DocumentUse.objects.values_list("cited_on", "opened_on").get() == (today, None)
    mia.get(f"/documents/{leave.id}/rendition")
    assert DocumentUse.objects.values_list("cited_on", "opened_on").get() == (today, today)
    mia.post("/ask", {"question": QUESTION})
    assert DocumentUse.objects.values_list("cited_on", "opened_on").get() == (today, today)
