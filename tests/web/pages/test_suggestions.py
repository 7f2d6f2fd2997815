"""Example questions about documents that the user may read at that moment."""

from collections.abc import Callable

import pytest
from django.test import Client

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.access.services import readers_replace
from cairn.accounts.models import User
from cairn.library.models import Document, KnowledgeBase
from ingestion.documents.services import document_delete, document_update
from retrieval.evaluation.models import GoldQuestion
from retrieval.suggestions.curated import examples_replace
from retrieval.suggestions.models import Suggestion
from retrieval.suggestions.services import suggestions_for, suggestions_replace
from tests.bases import make_base
from tests.web.pages.conftest import text_of

SignIn = Callable[[User], Client]
Grant = Callable[[User, Role], None]
QUESTION = "What should I know about Giving leave?"


@pytest.fixture
def suggested(ready: Document) -> Document:
    suggestions_replace(ready)
    return ready


def test_suggestions_are_visible_only_to_readers_of_the_document(
    signed_in: SignIn, mia: User, rob: User, suggested: Document, grant: Grant
) -> None:
    assert QUESTION in text_of(signed_in(mia).get("/"))
    assert QUESTION not in text_of(signed_in(rob).get("/"))
    grant(rob, Role.READER)
    assert QUESTION in text_of(signed_in(rob).get("/"))
    readers_replace(document=suggested, readers=[], actor=None)
    assert QUESTION not in text_of(signed_in(rob).get("/"))
    assert suggestions_for(principal_for_user(rob), document=suggested) == []
    assert QUESTION in text_of(signed_in(mia).get("/"))


def test_deleting_a_document_deletes_its_suggestions(
    signed_in: SignIn, mia: User, suggested: Document
) -> None:
    document_delete(document=suggested, principal=principal_for_user(mia))
    assert QUESTION not in text_of(signed_in(mia).get("/"))
    suggested.delete()
    assert not Suggestion.objects.exists()


def test_suggestions_use_the_current_title_and_version(mia: User, suggested: Document) -> None:
    principal = principal_for_user(mia)
    document_update(document=suggested, principal=principal, changes={"title": "Holidays"})
    assert suggestions_for(principal) == [QUESTION]
    document_update(document=suggested, principal=principal, changes={"title": "Giving leave"})
    assert suggestions_for(principal) == []  # a heading that repeats the title is no topic of its own


def test_suggestions_are_limited_to_the_selected_knowledge_base_or_document(
    signed_in: SignIn, mia: User, suggested: Document
) -> None:
    other = make_base(name="Travel", principal=principal_for_user(mia))
    assert QUESTION not in text_of(signed_in(mia).get(f"/?kb={other.slug}"))
    assert QUESTION in text_of(signed_in(mia).get("/?kb=handbook"))
    assert QUESTION in text_of(signed_in(mia).get(f"/?document={suggested.id}"))


def test_suggestions_alternate_between_knowledge_bases(mia: User, suggested: Document) -> None:
    """A few of many in one knowledge base; different ones each time, and never more than fit."""
    principal = principal_for_user(mia)
    other = make_base(name="Travel", principal=principal)
    for base in (suggested.knowledge_base, other):
        _many(base)
    for _ in range(5):
        picked = suggestions_for(principal)
        assert len(picked) == len(set(picked)) == 6
        assert {question.split()[0] for question in picked} >= {"Handbook", "Travel"}


def test_gold_questions_are_suggested_to_readers_of_all_their_documents(
    mia: User, rob: User, suggested: Document, grant: Grant
) -> None:
    written = "How is leave given away?"
    base = suggested.knowledge_base
    other = Document.objects.create(
        knowledge_base=base, source_key="o", title="Other", active_version=suggested.active_version
    )
    gold = GoldQuestion.objects.create(knowledge_base=base, question=written, kind="paraphrase")
    GoldQuestion.objects.create(knowledge_base=base, question="And what of lunch?", kind="unanswerable")
    for document in (suggested, other):
        gold.sources.create(document=document)
    grant(rob, Role.READER)
    assert suggestions_for(principal_for_user(rob))[0] == written
    readers_replace(document=other, readers=[], actor=None)
    assert written not in suggestions_for(principal_for_user(rob))
    assert "And what of lunch?" not in suggestions_for(principal_for_user(mia))
    gold.history = ["What of leave?"]
    gold.save()
    assert written not in suggestions_for(principal_for_user(mia))


def _many(base: KnowledgeBase) -> None:
    for number in range(40):
        document = Document.objects.create(knowledge_base=base, source_key=f"{number}", title=f"{number}")
        version = document.versions.create(number=1, filename="x", size=1, sha256="x", state="ready")
        Document.objects.filter(pk=document.pk).update(active_version=version)
        Suggestion.objects.create(document=document, knowledge_base=base, question=f"{base.name} {number}?")


def test_managers_see_their_example_questions(
    signed_in: SignIn, mia: User, rob: User, base: KnowledgeBase, grant: Grant
) -> None:
    chosen = ["Who gets <leave>?", "When?"]
    examples_replace(knowledge_base=base, questions=chosen, principal=principal_for_user(mia))
    shown = text_of(signed_in(mia).get("/admin/knowledge-bases/handbook"))
    assert "Who gets &lt;leave&gt;?\nWhen?</textarea>" in shown
    grant(rob, Role.READER)
    assert 'data-ask="Who gets &lt;leave&gt;?"' in text_of(signed_in(rob).get("/"))
