"""Misspelt words of a question are corrected only with words of readable passages."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from cairn.access.models import Grant, Role
from cairn.access.selectors import scope_for
from cairn.access.services import readers_replace
from cairn.library.models import Document, KnowledgeBase
from ingestion.erasure.documents import erase
from retrieval.engine import Engine, get_engine
from retrieval.index.protocol import Filters
from retrieval.models import Message
from retrieval.search import spelling
from retrieval.search.hybrid_search import search
from retrieval.search.spelling import SpellingScope, find_spelling_corrections
from tests.web.api.conftest import Caller, indexed

pytestmark = pytest.mark.django_db(transaction=True)
MISSPELT = "How many days of leave do emplyoees get a year?"
CORRECTION = [{"typed": "emplyoees", "searched": "employees"}]
TEXTS = (
    "Employees get 25 days of leave a year.",
    "Bicycles are parked behind the house. Mister Hofmann has the keys to the cellar.",
    "The brochure B17500 is ordered from the printer.",
)


@pytest.fixture
def leave(document: Document, parts: Engine) -> Document:
    indexed(document, parts, *TEXTS)
    return document


def ask(caller: Caller, question: str) -> dict[str, Any]:
    response = caller.post("/ask", {"question": question})
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    return answer


def test_misspelt_word_is_corrected_with_a_notice(mia: Caller, leave: Document) -> None:
    answer = ask(mia, MISSPELT)
    assert answer["spelling"] == CORRECTION
    assert (answer["verdict"], answer["question"]) == ("supported", MISSPELT)
    assert mia.get(f"/conversations/{answer['conversation']}").json()["messages"] == [answer]


def test_searches_are_corrected_with_a_notice(mia: Caller, leave: Document) -> None:
    def find(**body: Any) -> dict[str, Any]:
        response = mia.post("/search", {"query": "wher are bicycels parkd", "top_k": 1, **body})
        assert response.status_code == 200, response.content
        found: dict[str, Any] = response.json()
        return found

    found = find()
    assert found["spelling"] == [{"typed": "bicycels", "searched": "bicycles"}]
    assert found["results"][0]["text"] == TEXTS[1]
    assert find(query='wher are "bicycels" parkd')["spelling"] == []
    assert find(ranking="dense")["spelling"] == []


def test_searches_ignore_words_of_unreadable_documents(
    mia: Caller, rob: Caller, base: KnowledgeBase, leave: Document, grant: Callable[[Caller, Role], None]
) -> None:
    grant(rob, Role.READER)
    secret = _second_document(mia, base)
    indexed(secret, get_engine(), "The takeover of Northwind is planned for a restructuring in May.")
    readers_replace(document=secret, readers=[f"user:{mia.user.id}"], actor=mia.user.id)
    query = {"query": "days of leave after the restructurng"}
    assert mia.post("/search", query).json()["spelling"]
    assert rob.post("/search", query).json()["spelling"] == []


def test_page_offers_the_original_spelling(mia: Caller, leave: Document) -> None:
    answer = ask(mia, MISSPELT)
    browser = Client()
    browser.force_login(mia.user)
    page = browser.get(f"/conversations/{answer['conversation']}").content.decode()
    assert "Searched for “employees” instead of “emplyoees”." in page
    assert 'data-ask="How many days of leave do &quot;emplyoees&quot; get a year?"' in page
    assert ask(mia, 'How many days of leave do "emplyoees" get a year?')["spelling"] == []


def test_correctly_spelt_question_needs_no_spelling_lookup(
    mia: Caller, leave: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spelling, "_look_up", lambda *_: pytest.fail("something was looked up"))
    assert ask(mia, "How many days of leave do employees get a year?")["spelling"] == []


@pytest.mark.parametrize(
    "question",
    [
        "Which keys to the cellar does Hoffmann have?",
        "How is the brochure B1750 ordered from the printer?",
        "Are BICYCLS parked behind the house?",
        "Are bikes parked behind the house?",
        "How many days of leave do employeez get a year?",
        "¿Cuántos días de vacaciones reciben los emploiees cada anualidad?",
    ],
    ids=["name", "code", "capitals", "another word", "ending", "other language"],
)
def test_plausible_words_are_not_corrected(mia: Caller, leave: Document, question: str) -> None:
    assert ask(mia, question)["spelling"] == []


def test_words_in_a_passage_are_not_corrected(mia: Caller, leave: Document, base: KnowledgeBase) -> None:
    other = _second_document(mia, base)
    indexed(
        other, get_engine(), *(f"Line {number} of an invoice." for number in range(9)), "An emplyoees index."
    )
    assert ask(mia, MISSPELT)["spelling"] == []


def test_spelling_ignores_words_of_unreadable_documents(
    mia: Caller, rob: Caller, base: KnowledgeBase, leave: Document, grant: Callable[[Caller, Role], None]
) -> None:
    """The index has not heard of the restriction yet: SQL decides."""
    grant(rob, Role.READER)
    secret = _second_document(mia, base)
    indexed(secret, get_engine(), "The takeover of Northwind is planned for a restructuring in May.")
    readers_replace(document=secret, readers=[f"user:{mia.user.id}"], actor=mia.user.id)
    question = "How many days of leave are there after the restructurng?"
    assert _corrections(mia, question) == [("restructurng", "restructuring")]
    assert _corrections(rob, question) == []
    assert ask(rob, question)["spelling"] == []


def test_correction_is_shown_only_with_access_to_its_passages(
    rob: Caller, leave: Document, grant: Callable[[Caller, Role], None]
) -> None:
    grant(rob, Role.READER)
    answer = ask(rob, MISSPELT)
    assert answer["spelling"] == CORRECTION
    Grant.objects.filter(user=rob.user).delete()
    [message] = rob.get(f"/conversations/{answer['conversation']}").json()["messages"]
    assert message["spelling"] == []


def test_correction_is_erased_with_the_retrieved_document(
    mia: Caller, leave: Document, base: KnowledgeBase, parts: Engine
) -> None:
    other = _second_document(mia, base)
    indexed(other, get_engine(), "Employees park their bicycles behind the house.")
    answer = ask(mia, MISSPELT)
    message = Message.objects.get(pk=answer["id"])
    assert str(other.id) in str(message.trace["hits"])
    assert [citation["document"] for citation in answer["citations"]] == [str(leave.id)]
    erase(mia.delete(f"/documents/{other.id}").json()["receipt"]["id"], parts.index)
    message.refresh_from_db()
    assert (message.answer, message.trace.get("spelling")) == (answer["answer"], None)


def _second_document(caller: Caller, base: KnowledgeBase) -> Document:
    response = caller.upload(str(base.id), "second.md", b"# Second")
    assert response.status_code == 202, response.content
    return Document.objects.with_versions().get(pk=response.json()["document"]["id"])


def _corrections(caller: Caller, question: str) -> list[tuple[str, str]]:
    scope, engine = scope_for(caller.principal), get_engine()
    hits = search(question, scope=scope, engine=engine)
    within = SpellingScope(scope, Filters(), engine)
    return [(each.typed, each.searched) for each in find_spelling_corrections(question, hits, within)]
