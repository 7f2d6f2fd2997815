"""Assistants in the chat and in the administration."""

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from cairn.access.models import Grant, Role
from cairn.access.principals import principal_for_user
from cairn.accounts.models import User
from cairn.library.models import Document, KnowledgeBase
from cairn.settings import environment
from retrieval.assistants.models import Assistant
from retrieval.assistants.services import assistant_create
from retrieval.models import Conversation, Message
from tests.bases import make_base
from tests.web.pages.conftest import text_of

SignIn = Callable[[User], Client]
Give = Callable[[User, Role], None]


@pytest.fixture
def assistant(admin: User, base: KnowledgeBase) -> Assistant:
    return assistant_create(
        principal=principal_for_user(admin),
        name="Leave",
        description="About <b>leave</b>",
        instructions="Answer briefly.",
        knowledge_bases=[base.slug],
        subjects=["everyone"],
        starter_questions=["How much may I give?"],
    )


def many(base: KnowledgeBase, count: int) -> None:
    rows = Assistant.objects.bulk_create(
        Assistant(name=f"Assistant {n:05}", slug=f"a-{n}", everyone=True) for n in range(count)
    )
    links = Assistant.knowledge_bases.through
    links.objects.bulk_create(links(assistant=row, knowledgebase=base) for row in rows)


def cards(client: Client, address: str = "/", **query: Any) -> list[str]:
    return re.findall(r'class="suggestion" href="/\?assistant=([^"]+)"', text_of(client.get(address, query)))


def test_start_page_lists_usable_assistants(
    signed_in: SignIn, rob: User, assistant: Assistant, grant: Give
) -> None:
    client = signed_in(rob)
    assert cards(client) == []
    grant(rob, Role.READER)
    assert cards(client) == [assistant.slug]
    assert "About &lt;b&gt;leave&lt;/b&gt;" in text_of(client.get("/"))
    assert "Answer briefly." not in text_of(client.get("/"))


def test_new_assistant_chat_shows_its_questions_and_knowledge_bases(
    signed_in: SignIn, admin: User, assistant: Assistant, ready: Document
) -> None:
    other = make_base(name="Payroll", principal=principal_for_user(admin))
    client = signed_in(admin)
    html = text_of(client.get("/", {"assistant": assistant.slug}))
    assert f'data-assistant="{assistant.id}"' in html
    assert re.findall(r'data-ask="([^"]*)"', html) == ["How much may I give?"]
    assert str(ready.knowledge_base_id) in html
    assert str(other.id) not in html
    mentioned = text_of(client.get("/mentions", {"q": "", "assistant": assistant.slug}))
    assert re.findall(r'data-name="([^"]*)"', mentioned) == ["Handbook"]


def test_unshared_assistant_is_not_found(
    signed_in: SignIn, rob: User, mia: User, base: KnowledgeBase, grant: Give
) -> None:
    made = assistant_create(principal=principal_for_user(mia), name="Hidden", knowledge_bases=[base.slug])
    grant(rob, Role.READER)
    client = signed_in(rob)
    for address in (f"/?assistant={made.slug}", f"/?assistant={made.id}", "/?assistant=nobody"):
        assert client.get(address).status_code == 404
    assert client.get("/mentions", {"assistant": made.slug}).status_code == 404
    assert client.get(f"/admin/assistants/{made.id}").status_code == 404


def test_assistant_page_without_access_hides_knowledge_base_names(
    signed_in: SignIn, rob: User, assistant: Assistant
) -> None:
    html = text_of(signed_in(rob).get("/", {"assistant": assistant.slug}))
    assert "You don’t have access to any of this assistant’s knowledge bases" in html
    assert "Handbook" not in html
    assert re.search(r'<textarea id="question"[^>]* disabled', html)


def _with_assistant(message: Message, assistant: Assistant) -> UUID:
    rows = Conversation.objects.filter(pk=message.conversation_id)
    rows.update(assistant=assistant, assistant_name=assistant.name)
    return message.conversation_id


def test_conversation_is_readable_after_deletion_of_its_assistant(
    signed_in: SignIn, mia: User, assistant: Assistant, answered: Callable[..., Message]
) -> None:
    message = answered(mia)
    address = f"/conversations/{_with_assistant(message, assistant)}"
    client = signed_in(mia)
    html = text_of(client.get(address))
    assert re.search(r'id="conversation-assistant">.*Leave</span>', html)
    assert f'data-assistant="{assistant.id}"' in html
    again = text_of(client.get("/", {"again": str(message.id)}))
    assert f'data-assistant="{assistant.id}"' in again
    assistant.delete()
    html = text_of(client.get(address))
    assert re.search(r'id="conversation-assistant">.*Leave</span>', html)
    assert "This assistant is no longer available to you." in html
    assert re.search(r'<textarea id="question"[^>]* disabled', html)
    assert "Up to 40 hours" in html


@pytest.mark.slow
def test_thousands_are_searched_page_by_page(
    signed_in: SignIn, rob: User, base: KnowledgeBase, grant: Give, django_assert_max_num_queries: Any
) -> None:
    many(base, 10_000)
    grant(rob, Role.READER)
    client = signed_in(rob)
    assert len(cards(client)) == 6
    assert 'href="/assistants"' in text_of(client.get("/"))
    with django_assert_max_num_queries(40):
        assert len(cards(client, "/assistants")) == 50
    assert cards(client, "/assistants", page=2)[0] == "a-50"
    assert cards(client, "/assistants", q="09999") == ["a-9999"]
    Grant.objects.filter(user=rob).delete()
    assert cards(client, "/assistants") == []


def test_assistants_page_lists_editable_assistants(
    signed_in: SignIn, admin: User, mia: User, rob: User, assistant: Assistant
) -> None:
    assert ">Leave</a>" in text_of(signed_in(admin).get("/admin/assistants"))
    own = signed_in(mia)
    assert ">Leave</a>" not in text_of(own.get("/admin/assistants"))
    assert own.get(f"/admin/assistants/{assistant.id}").status_code == 403
    assert own.get("/admin/assistants/new").status_code == 200
    assert signed_in(rob).get("/admin/assistants").status_code == 403


def test_assistant_form_warns_when_instructions_have_no_effect(
    signed_in: SignIn, admin: User, assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = signed_in(admin)
    html = text_of(client.get(f"/admin/assistants/{assistant.id}"))
    for text in ("Answer briefly.", "How much may I give?", "Handbook", "Everyone who can sign in"):
        assert text in html
    assert 'name="version" value="1"' in html
    assert "instructions have no effect" in html
    monkeypatch.setattr(
        "web.pages.console.assistants.effective_environment",
        lambda: environment().model_copy(update={"answer_style": "written"}),
    )
    assert "instructions have no effect" not in text_of(client.get(f"/admin/assistants/{assistant.id}"))
