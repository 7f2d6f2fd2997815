"""Cairn's own help beside other documents, as people who ask over HTTP notice it."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from cairn.access.models import Role
from cairn.access.services import grant_give
from cairn.accounts.models import User
from cairn.library.models import Document, KnowledgeBase
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from retrieval.engine import Engine
from retrieval.suggestions.models import Suggestion
from tests.bases import make_base
from tests.principals import SETUP
from tests.web.api.conftest import Caller, events, indexed, streamed
from web.data_dir.help_documents import sample_load

pytestmark = pytest.mark.django_db(transaction=True)

HELP = "People leave conversations open for days, and a year later they are still there."
RULES = "Employees get 25 days of leave a year."
QUESTION = "How many days of leave do employees get a year?"
ABOUT_HELP = "Are conversations still there a year later?"


@pytest.fixture
def manual(admin: Caller, parts: Engine, tmp_path: Path) -> Document:
    (tmp_path / "use").mkdir()
    (tmp_path / "use" / "conversations.md").write_text("# Conversations")
    sample_load(tmp_path)
    document = Document.objects.get(source_uri="docs/use/conversations.md")
    indexed(document, parts, HELP)
    return document


@pytest.fixture
def rules(mia: Caller, rob: Caller, parts: Engine) -> Document:
    base = make_base(name="Rules", principal=mia.principal)
    grant_give(knowledge_base=base, subject=f"user:{rob.user.id}", role=Role.READER, principal=SETUP)
    file = SimpleUploadedFile("rules.md", b"# Rules")
    document = document_submit(
        Upload(file, "rules.md"), knowledge_base=base, principal=mia.principal
    ).document
    indexed(document, parts, RULES)
    return document


def evidence(caller: Caller, question: str, **body: Any) -> set[str]:
    """Return the documents whose passages the answer was written from or lists as nearest."""
    response = caller.post("/ask", {"question": question, "stream": True, **body})
    sources = next(data for name, data in events(streamed(response)) if name == "sources")
    return {each["document"] for each in sources}


def test_help_is_not_evidence_after_other_documents(rob: Caller, manual: Document, rules: Document) -> None:
    assert evidence(rob, QUESTION) == {str(rules.id)}


def test_help_is_evidence_as_the_best_hit(rob: Caller, manual: Document, rules: Document) -> None:
    assert str(manual.id) in evidence(rob, ABOUT_HELP)


def test_help_is_evidence_if_the_question_mentions_cairn(
    rob: Caller, manual: Document, rules: Document
) -> None:
    assert evidence(rob, f"{QUESTION} Does Cairn know?") == {str(rules.id), str(manual.id)}


def test_help_is_evidence_if_its_knowledge_base_is_selected(
    rob: Caller, manual: Document, rules: Document
) -> None:
    named = [manual.knowledge_base.slug, rules.knowledge_base.slug]
    assert evidence(rob, QUESTION, knowledge_bases=named) == {str(rules.id), str(manual.id)}


def test_search_includes_help(rob: Caller, manual: Document, rules: Document) -> None:
    results = rob.post("/search", {"query": QUESTION}).json()["results"]
    assert [each["document"] for each in results] == [str(rules.id), str(manual.id)]


def test_knowledge_base_with_the_name_of_the_help_is_not_treated_as_help(
    rob: Caller, manual: Document, rules: Document
) -> None:
    KnowledgeBase.objects.update(help_for="")
    assert evidence(rob, QUESTION) == {str(rules.id), str(manual.id)}


IN_GERMAN = "Sind Unterhaltungen ein Jahr später noch da?"
IN_ENGLISH = "Are conversations still there a year later?"
KEYWORDS = "Unterhaltungen conversations"
TEXTS = {
    "en": f"{HELP} {IN_GERMAN} Nobody except their owner can find or open deleted ones.",
    "de": f"{IN_GERMAN} {IN_ENGLISH} Angeheftete stehen in der Seitenleiste oben, gelöschte findet niemand.",
}
"""Words of both languages, so that each page is found by questions in the other one, too."""


@pytest.fixture
def translated(admin: Caller, parts: Engine, tmp_path: Path) -> dict[str, Document]:
    """Return a page of the help in each language."""
    for page in ("use", "de/use"):
        (tmp_path / page).mkdir(parents=True)
        (tmp_path / page / "conversations.md").write_text(f"# Conversations of {page}")
    sample_load(tmp_path)
    pages = {
        "en": Document.objects.get(source_uri="docs/use/conversations.md"),
        "de": Document.objects.get(source_uri="docs/de/use/conversations.md"),
    }
    for language, text in TEXTS.items():
        indexed(pages[language], parts, text)
    return pages


def languages(caller: Caller, pages: dict[str, Document], question: str, **body: Any) -> set[str]:
    """Return the languages of the passages that were found, whether or not they answered the question."""
    response = caller.post("/ask", {"question": question, "stream": True, **body})
    sent = dict(events(streamed(response)))
    found = {each["document"] for each in [*sent["sources"], *sent["done"]["nearest"]]}
    return {language for language, page in pages.items() if str(page.id) in found}


@pytest.mark.parametrize(("question", "language"), [(IN_GERMAN, "de"), (IN_ENGLISH, "en")])
@pytest.mark.parametrize("pages_in", ["en", "de", ""])
def test_help_answers_in_the_language_of_the_question(
    rob: Caller, translated: dict[str, Document], question: str, language: str, pages_in: str
) -> None:
    User.objects.filter(pk=rob.user.pk).update(language=pages_in)
    assert languages(rob, translated, question) == {language}


@pytest.mark.parametrize("pages_in", ["en", "de"])
def test_keywords_find_the_help_in_the_language_of_pages(
    rob: Caller, translated: dict[str, Document], pages_in: str
) -> None:
    User.objects.filter(pk=rob.user.pk).update(language=pages_in)
    assert languages(rob, translated, KEYWORDS) == {pages_in}


@pytest.mark.parametrize(
    ("question", "language"), [("Seitenleiste Unterhaltungen", "de"), ("owner conversations", "en")]
)
def test_keyword_question_finds_help_in_one_language(
    rob: Caller, translated: dict[str, Document], question: str, language: str
) -> None:
    assert languages(rob, translated, question) == {language}


def test_english_help_answers_until_german_help_is_ready(
    rob: Caller, translated: dict[str, Document]
) -> None:
    Document.objects.filter(pk=translated["de"].pk).update(active_version=None)
    assert languages(rob, translated, IN_GERMAN) == {"en"}


def test_help_in_another_language_answers_if_the_users_language_is_unreadable(
    rob: Caller, translated: dict[str, Document]
) -> None:
    translated["de"].knowledge_base.grants.all().delete()
    assert languages(rob, translated, IN_GERMAN) == {"en"}


def test_explicitly_chosen_help_answers_in_any_language(rob: Caller, translated: dict[str, Document]) -> None:
    english = translated["en"].knowledge_base.slug
    assert languages(rob, translated, IN_GERMAN, knowledge_bases=[english]) == {"en"}
    both = [english, translated["de"].knowledge_base.slug]
    assert languages(rob, translated, IN_GERMAN, knowledge_bases=both) == {"de"}


def test_search_finds_the_help_in_both_languages(rob: Caller, translated: dict[str, Document]) -> None:
    results = rob.post("/search", {"query": IN_ENGLISH}).json()["results"]
    assert {each["document"] for each in results} == {str(page.id) for page in translated.values()}


def test_new_chat_suggests_help_questions_in_the_interface_language(
    rob: Caller, translated: dict[str, Document]
) -> None:
    for page in translated.values():
        question = f"What is in {page.source_uri}?"
        Suggestion.objects.create(document=page, knowledge_base=page.knowledge_base, question=question)
    rob.client.force_login(rob.user)
    for language, page in translated.items():
        User.objects.filter(pk=rob.user.pk).update(language=language)
        shown = rob.client.get("/").content.decode()
        listed = {each for each in translated.values() if f"What is in {each.source_uri}?" in shown}
        assert listed == {page}


@pytest.mark.parametrize(("greeting", "language"), [("Guten Tag!", "de"), ("Good morning!", "en")])
def test_reply_to_a_greeting_suggests_help_questions_in_its_language(
    rob: Caller, translated: dict[str, Document], greeting: str, language: str
) -> None:
    for page in translated.values():
        question = f"What is in {page.source_uri}?"
        Suggestion.objects.create(document=page, knowledge_base=page.knowledge_base, question=question)
    reply = rob.post("/ask", {"question": greeting}).json()
    questions = rob.get(f"/messages/{reply['id']}/suggestions").json()["questions"]
    assert questions == [f"What is in {translated[language].source_uri}?"]


def test_suggestions_come_from_help_only_if_nothing_else_has_any(
    rob: Caller, manual: Document, rules: Document
) -> None:
    Suggestion.objects.create(document=manual, knowledge_base=manual.knowledge_base, question="About Cairn?")
    rob.client.force_login(rob.user)
    KnowledgeBase.objects.filter(pk=rules.knowledge_base_id).update(official=False)
    shown = rob.client.get("/").content.decode()
    assert "About Cairn?" in shown
    assert "tag-unofficial" not in shown.partition("suggestions-label")[2].partition("</p>")[0]
    Suggestion.objects.create(document=rules, knowledge_base=rules.knowledge_base, question="About leave?")
    for official in (True, False):
        KnowledgeBase.objects.filter(pk=rules.knowledge_base_id).update(official=official)
        shown = rob.client.get("/").content.decode()
        assert "About leave?" in shown
        assert "About Cairn?" not in shown
        label = shown.partition("suggestions-label")[2].partition("</p>")[0]
        assert ("tag-unofficial" in label) is not official
        reply = rob.post("/ask", {"question": "Good morning!"}).json()
        assert rob.get(f"/messages/{reply['id']}/suggestions").json()["questions"] == ["About leave?"]
