"""The chat: what is offered to whom, and what may still be shown of earlier answers."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db.models import F, QuerySet
from django.test import Client

from cairn.access.models import Grant, Role
from cairn.access.principals import principal_for_user
from cairn.access.services import readers_replace
from cairn.accounts.models import User
from cairn.library.models import Document, DocumentVersion, KnowledgeBase, VersionState
from ingestion.documents.services import knowledge_base_delete
from retrieval.models import Citation, Conversation, Message
from tests.bases import make_base
from tests.web.pages.conftest import SENTENCE, text_of
from web.data_dir import help_documents

SignIn = Callable[[User], Client]
Answered = Callable[..., Message]


def citations_in(html: str) -> list[dict[str, Any]]:
    [data] = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    found: list[dict[str, Any]] = json.loads(data)
    return found


def test_only_readable_knowledge_bases_are_offered(
    signed_in: SignIn, rob: User, base: KnowledgeBase, grant: Callable[[User, Role], None]
) -> None:
    before = text_of(signed_in(rob).get("/"))
    assert "Handbook" not in before
    assert "You don’t have access to any knowledge base yet" in before
    grant(rob, Role.READER)
    assert f'value="{base.id}"' in text_of(signed_in(rob).get("/"))


def test_admin_without_knowledge_bases_is_asked_to_create_one(signed_in: SignIn, admin: User) -> None:
    assert "Create your first knowledge base" in text_of(signed_in(admin).get("/"))


@pytest.fixture
def loading() -> Iterator[None]:
    """The state of a process that has not submitted the pages of the help yet."""
    help_documents.loading.set()
    yield
    help_documents.loading.clear()


def load_help(folder: Path) -> None:
    for path in ("use/asking.md", "operate/backups.md"):
        (folder / path).parent.mkdir()
        (folder / path).write_text("# Cairn")
    help_documents.sample_load(folder)


def make_ready(documents: QuerySet[Document]) -> None:
    DocumentVersion.objects.filter(document__in=documents).update(state=VersionState.READY)
    documents.update(active_version=F("latest_version"))


@pytest.mark.usefixtures("loading")
def test_home_page_shows_that_help_is_loading(
    signed_in: SignIn, admin: User, rob: User, tmp_path: Path
) -> None:
    for user in (admin, rob):
        html = text_of(signed_in(user).get("/"))
        assert "The help for Cairn is being prepared. In about a minute" in html
        assert "Create your first" not in html
        assert "Ask an administrator" not in html
    waiting = signed_in(admin).get("/help-loading?empty")
    assert "being prepared" in text_of(waiting)
    assert "HX-Refresh" not in waiting.headers
    load_help(tmp_path)
    assert signed_in(admin).get("/help-loading?empty").headers["HX-Refresh"] == "true"


def test_home_page_counts_ready_help_pages(signed_in: SignIn, admin: User, rob: User, tmp_path: Path) -> None:
    load_help(tmp_path)
    for user, total in ((admin, 2), (rob, 1)):
        assert f"0 of {total} pages are ready" in text_of(signed_in(user).get("/"))
    make_ready(Document.objects.filter(source_uri="docs/use/asking.md"))
    assert "1 of 2 pages are ready" in text_of(signed_in(admin).get("/help-loading"))
    done = text_of(signed_in(rob).get("/help-loading"))
    assert "The help for Cairn is ready" in done
    assert "hx-get" not in done
    assert "The help for Cairn" not in text_of(signed_in(rob).get("/"))


@pytest.mark.usefixtures("loading")
def test_home_page_does_not_wait_for_deleted_help(signed_in: SignIn, admin: User, tmp_path: Path) -> None:
    load_help(tmp_path)
    for base in KnowledgeBase.objects.all():
        knowledge_base_delete(knowledge_base=base, principal=principal_for_user(admin))
    assert "Create your first knowledge base" in text_of(signed_in(admin).get("/"))
    assert signed_in(admin).get("/help-loading?empty").headers["HX-Refresh"] == "true"


def test_link_can_choose_a_knowledge_base(signed_in: SignIn, mia: User, base: KnowledgeBase) -> None:
    box = rf'value="{base.id}" data-name="Handbook" checked'
    assert not re.search(box, text_of(signed_in(mia).get("/")))
    assert re.search(box, text_of(signed_in(mia).get("/?kb=handbook")))


def test_conversation_page_shows_its_answers(signed_in: SignIn, mia: User, answered: Answered) -> None:
    message = answered(mia)
    html = text_of(signed_in(mia).get(f"/conversations/{message.conversation_id}"))
    assert "How much may I give?" in html
    assert 'class="cite" data-marker="1" aria-label="Source 1: Leave rules"' in html
    assert "Supported by 1 passage<" in html
    [citation] = citations_in(html)
    assert citation["quote"] == SENTENCE
    assert citation["version"] == 1


def test_sources_are_listed_by_document(
    signed_in: SignIn, mia: User, ready: Document, answered: Answered
) -> None:
    message = answered(mia, answer="Up to 40 hours [1][2]. Ask early [3].")
    first = message.citations.get()
    other = Document.objects.create(knowledge_base=ready.knowledge_base, title="Pay <rules>")
    version = DocumentVersion.objects.create(document=other, number=1, size=1)
    other.active_version = other.latest_version = version
    other.save()
    for marker, document, page in ((2, other, 7), (3, ready, None)):
        assert document.active_version_id
        Citation.objects.create(
            message=message, marker=marker, document=document, version=document.active_version_id,
            chunk=first.chunk, title=document.title, page=page, location=f"page {page}" if page else "",
            quote=SENTENCE,
        )  # fmt: skip
    html = text_of(signed_in(mia).get(f"/messages/{message.id}/rendered"))
    listed = html.partition('<div class="sources"')[2].partition("</div>")[0]
    leave, pay = listed.split('<li class="source-document">')[1:]
    assert re.findall(r'data-marker="(\d)"', leave) == ["1", "3"]
    assert re.findall(r'data-marker="(\d)"', pay) == ["2"]
    assert f'href="/library/documents/{ready.id}">Leave rules</a>' in leave
    assert "Pay &lt;rules&gt;" in pay
    assert re.findall(r'source-where">([^<]*)<', leave + pay) == ["Giving leave", "Passage", "page 7"]


@pytest.mark.parametrize("path", ["/conversations/{conversation}", "/messages/{message}/rendered"])
def test_conversation_page_of_another_user_is_not_found(
    signed_in: SignIn, mia: User, admin: User, answered: Answered, path: str
) -> None:
    message = answered(mia)
    address = path.format(conversation=message.conversation_id, message=message.id)
    assert signed_in(mia).get(address).status_code == 200
    theirs = signed_in(admin).get(address)
    absent = signed_in(admin).get(path.format(conversation=admin.id, message=admin.id))
    assert theirs.status_code == absent.status_code == 404
    assert theirs.content == absent.content


def test_invalid_conversation_id_is_not_found(signed_in: SignIn, mia: User) -> None:
    assert signed_in(mia).get("/conversations/%00../x").status_code == 404
    assert signed_in(mia).get("/messages/1/rendered").status_code == 404


def test_sidebar_lists_own_conversations(signed_in: SignIn, mia: User, rob: User, answered: Answered) -> None:
    answered(mia, question="About leave")
    answered(rob, question="About pay")
    html = text_of(signed_in(mia).get("/conversations"))
    assert "About leave" in html
    assert "About pay" not in html


def test_sidebar_search_matches_questions(signed_in: SignIn, mia: User, answered: Answered) -> None:
    kept = answered(mia, question="About leave")
    Conversation.objects.filter(pk=kept.conversation_id).update(title="Something else")
    answered(mia, question="About pay")
    html = text_of(signed_in(mia).get("/conversations", {"q": "LEAVE"}))
    assert "Something else" in html
    assert "About pay" not in html
    assert "No conversations match" in text_of(signed_in(mia).get("/conversations", {"q": "zebra"}))


def test_answer_is_withheld_when_its_source_is_revoked(
    signed_in: SignIn, rob: User, answered: Answered, grant: Callable[[User, Role], None]
) -> None:
    grant(rob, Role.READER)
    message = answered(rob)
    address = f"/messages/{message.id}/rendered"
    assert "40 hours" in text_of(signed_in(rob).get(address))
    Grant.objects.filter(user=rob).delete()
    html = text_of(signed_in(rob).get(address))
    assert "40 hours" not in html
    assert "Leave rules" not in html
    assert citations_in(html) == []


def test_refusal_links_the_nearest_readable_documents(
    signed_in: SignIn, mia: User, rob: User, ready: Document, answered: Answered
) -> None:
    nearest = [{"document": str(ready.id), "title": ready.title}]
    fields = {"answer": "", "verdict": "refused", "reason": "Nothing on lunch.", "nearest": nearest}
    for user, shown in ((mia, True), (rob, False)):
        message = answered(user, **fields)
        message.citations.all().delete()
        html = text_of(signed_in(user).get(f"/messages/{message.id}/rendered"))
        assert "Not found in your knowledge bases" in html
        assert "Nothing on lunch." in html
        assert (f"/library/documents/{ready.id}" in html) is shown


def test_sentences_shown_without_support_are_listed(signed_in: SignIn, mia: User, answered: Answered) -> None:
    sentences = [
        {"text": "The form is green.", "supported": False, "markers": []},
        {"text": "Left out before.", "supported": False, "markers": []},
    ]
    message = answered(
        mia, answer="Up to 40 hours [1]. The form is green.", verdict="partial", sentences=sentences
    )
    html = text_of(signed_in(mia).get(f"/messages/{message.id}/rendered"))
    assert "<li>The form is green.</li>" in html
    assert "Left out before." not in html


def test_running_answer_is_rendered_for_following(signed_in: SignIn, mia: User, answered: Answered) -> None:
    message = answered(mia, state="running", answer="", verdict="")
    html = text_of(signed_in(mia).get(f"/messages/{message.id}/rendered"))
    assert "data-running" in html
    assert "answer-foot" not in html


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"state": "stopped"}, "Stopped"),
        ({"verdict": "partial", "mode": "extractive"}, "Quoted from 1 passage"),
        ({"verdict": "partial", "reason": "1 of 2 sentences."}, "1 of 2 sentences."),
        ({"state": "failed", "reason": "The model is away."}, "The model is away."),
    ],
)
def test_verdict_is_shown_in_words(
    signed_in: SignIn, mia: User, answered: Answered, fields: dict[str, str], line: str
) -> None:
    message = answered(mia, **fields)
    assert line in text_of(signed_in(mia).get(f"/messages/{message.id}/rendered"))


def test_conversation_text_is_escaped(signed_in: SignIn, rob: User, mia: User, answered: Answered) -> None:
    evil = "</script><script>alert(1)</script>"
    message = answered(mia, question=evil, answer=f"{evil} [1]")
    message.citations.update(quote=evil, title=evil)
    make_base(name=evil, principal=principal_for_user(mia))
    html = text_of(signed_in(mia).get(f"/conversations/{message.conversation_id}"))
    assert "<script>alert" not in html
    assert citations_in(html)[0]["quote"] == evil


def test_rewritten_question_is_shown(signed_in: SignIn, mia: User, answered: Answered) -> None:
    standalone = "How many hours of leave may I give? And <b>in part-time</b>?"
    message = answered(mia, question="And <b>in part-time</b>?", standalone_question=standalone)
    html = text_of(signed_in(mia).get(f"/messages/{message.id}/rendered"))
    assert "Searching for:" in html
    assert "How many hours of leave may I give? And &lt;b&gt;in part-time&lt;/b&gt;?</span>" in html
    assert "<b>" not in html


@pytest.mark.parametrize("standalone", ["", "How much may I give?", "How  much may\nI give? "])
def test_unchanged_question_shows_no_rewrite(
    signed_in: SignIn, mia: User, answered: Answered, standalone: str
) -> None:
    message = answered(mia, standalone_question=standalone)
    assert "Searching for" not in text_of(signed_in(mia).get(f"/messages/{message.id}/rendered"))


@pytest.mark.parametrize("mode", ["declined", "small_talk"])
def test_question_for_which_nothing_is_searched_shows_no_rewrite(
    signed_in: SignIn, mia: User, answered: Answered, mode: str
) -> None:
    message = answered(mia, question="Thanks", standalone_question="How much? Thanks", mode=mode, verdict="")
    assert "Searching for" not in text_of(signed_in(mia).get(f"/messages/{message.id}/rendered"))


def test_repeated_sentence_is_not_listed_as_unsupported(
    signed_in: SignIn, mia: User, answered: Answered
) -> None:
    sentence = {"text": "Up to 40 hours", "supported": True, "markers": [1], "reason": ""}
    again = {**sentence, "supported": False, "markers": [], "reason": "Said before."}
    message = answered(mia, verdict="partial", mode="generated", sentences=[sentence, again])
    assert "unsupported sentence" not in text_of(signed_in(mia).get(f"/messages/{message.id}/rendered"))


def test_link_can_limit_a_chat_to_a_document(
    signed_in: SignIn, mia: User, rob: User, ready: Document
) -> None:
    html = text_of(signed_in(mia).get(f"/?document={ready.id}"))
    assert f'data-document="{ready.id}" data-title="Leave rules"' in html
    absent = signed_in(rob).get("/?document=7d1f6a0c-93e8-4b51-a2c4-d5e6f7081923")
    there = signed_in(rob).get(f"/?document={ready.id}")
    assert (there.status_code, there.content) == (404, absent.content)


def test_tag_choices_come_from_readable_documents(
    signed_in: SignIn, mia: User, rob: User, ready: Document, grant: Callable[[User, Role], None]
) -> None:
    grant(rob, Role.READER)
    ready.tags.create(name="merger")
    assert "<option>merger</option>" in text_of(signed_in(rob).get("/"))
    readers_replace(document=ready, readers=[], actor=None)
    assert "merger" not in text_of(signed_in(rob).get("/"))
    assert "<option>merger</option>" in text_of(signed_in(mia).get("/"))


def test_document_list_answer_links_documents_and_library(
    signed_in: SignIn, mia: User, answered: Answered
) -> None:
    message = answered(mia)
    Message.objects.filter(pk=message.pk).update(
        trace={**message.trace, "intent": "list", "library_query": "q=leave&sort=title"}
    )
    html = text_of(signed_in(mia).get(f"/conversations/{message.conversation_id}"))
    assert "1 document shown<" in html
    assert '<a class="button" href="/library?q=leave&amp;sort=title">Show all in the library</a>' in html
    assert re.search(r'<a class="chip" href="/library/documents/[^"]+">', html)
    assert 'class="source"' not in html
