"""Cairn's own help beside other documents, as people who ask over HTTP notice it."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from cairn.access.models import Role
from cairn.access.services import grant_give
from cairn.library.models import Document, KnowledgeBase
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from retrieval.engine import Engine
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
    """Return the documents whose passages the answer was written from or that it names as near."""
    response = caller.post("/ask", {"question": question, "stream": True, **body})
    sources = next(data for name, data in events(streamed(response)) if name == "sources")
    return {each["document"] for each in sources}


def test_the_help_does_not_follow_other_documents(rob: Caller, manual: Document, rules: Document) -> None:
    assert evidence(rob, QUESTION) == {str(rules.id)}


def test_the_help_counts_where_it_is_best(rob: Caller, manual: Document, rules: Document) -> None:
    assert str(manual.id) in evidence(rob, ABOUT_HELP)


def test_the_help_counts_if_the_question_mentions_cairn(
    rob: Caller, manual: Document, rules: Document
) -> None:
    assert evidence(rob, f"{QUESTION} Does Cairn know?") == {str(rules.id), str(manual.id)}


def test_the_help_counts_where_it_was_named(rob: Caller, manual: Document, rules: Document) -> None:
    named = [manual.knowledge_base.slug, rules.knowledge_base.slug]
    assert evidence(rob, QUESTION, knowledge_bases=named) == {str(rules.id), str(manual.id)}


def test_a_search_finds_the_help_as_before(rob: Caller, manual: Document, rules: Document) -> None:
    results = rob.post("/search", {"query": QUESTION}).json()["results"]
    assert [each["document"] for each in results] == [str(rules.id), str(manual.id)]


def test_a_knowledge_base_that_is_only_called_like_the_help_counts(
    rob: Caller, manual: Document, rules: Document
) -> None:
    KnowledgeBase.objects.update(help_for="")
    assert evidence(rob, QUESTION) == {str(rules.id), str(manual.id)}
