"""A conversation as a file, less what its owner may not read any more."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from cairn.access.models import Grant, Role
from cairn.audit.models import Event
from cairn.library.models import Document, KnowledgeBase
from retrieval.conversations.services import WITHHELD, conversation_start
from retrieval.engine import Engine
from retrieval.models import Citation, Message, MessageState
from tests.web.api.conftest import Caller, assert_problem, indexed

QUOTE = "25 days a year,\nfor *everybody* ![x](/x)"


@pytest.fixture
def message(rob: Caller, grant: Callable[[Caller, Role], None], document: Document, parts: Engine) -> Message:
    grant(rob, Role.READER)
    (chunk,) = indexed(document, parts, QUOTE)
    title = "How *many* days?/..\\\r\n<script>"
    conversation = conversation_start(principal=rob.principal, question="x")
    conversation.title = title
    conversation.save()
    message = Message.objects.create(
        conversation=conversation, question=title, answer="**25** days [1].", state=MessageState.DONE,
        verdict="supported", reason="Every sentence is supported by a source.",
    )  # fmt: skip
    Citation.objects.create(
        message=message, marker=1, document=document, version=chunk.version_id, chunk=chunk.id,
        title="Leave # rules", page=2, quote=QUOTE,
    )  # fmt: skip
    return message


def exported(caller: Caller, message: Message, form: str = "markdown") -> Any:
    answer = caller.get(f"/conversations/{message.conversation_id}/export?format={form}")
    assert answer.status_code == 200, answer.content
    return answer


def test_as_markdown_with_sources_quotes_and_verdicts(rob: Caller, message: Message) -> None:
    answer = exported(rob, message)
    assert answer["Content-Type"] == "text/markdown; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="how-many-days-script.md"'
    text = answer.content.decode()
    assert text.startswith("# How \\*many\\* days?/..\\\\ \\<script\\>\n\nExported from Cairn, ")
    assert "\n## How \\*many\\*" in text
    assert "\n**25** days [1].\n" in text
    assert "\n*Supported. Every sentence is supported by a source.*\n" in text
    assert "\n[1] Leave \\# rules, page 2, version 1, Handbook\n" in text
    assert "\n> 25 days a year,\n> for \\*everybody\\* \\!\\[x\\]\\(/x\\)\n" in text


def test_as_json_as_the_api_tells_it(rob: Caller, message: Message) -> None:
    answer = exported(rob, message, "json")
    assert answer["Content-Type"] == "application/json"
    assert answer["Content-Disposition"].endswith('.json"')
    told = json.loads(answer.content)
    shown = rob.get(f"/conversations/{message.conversation_id}").json()
    assert told.keys() == {*shown, "exported_at"}
    [said], [seen] = told["messages"], shown["messages"]
    assert {**said, "created_at": ""} == {**seen, "created_at": ""}
    assert said["citations"][0]["quote"] == QUOTE


@pytest.mark.parametrize("form", ["markdown", "json"])
def test_what_may_not_be_read_any_more_stays_back(
    rob: Caller, base: KnowledgeBase, message: Message, form: str
) -> None:
    Grant.objects.filter(knowledge_base=base, user=rob.user).delete()
    text = exported(rob, message, form).content.decode()
    assert WITHHELD in text
    for hidden in ("25 days", "**25**", "rules", "everybody"):
        assert hidden not in text


def test_a_refusal_names_the_nearest(rob: Caller, document: Document, message: Message) -> None:
    Message.objects.create(
        conversation=message.conversation, parent=message, question="Lunch?", verdict="refused",
        state=MessageState.DONE, reason="The passages I found don’t mention “lunch”.",
        nearest=[{"document": str(document.id), "title": "Leave"}],
    )  # fmt: skip
    text = exported(rob, message).content.decode()
    assert "*Not found in your knowledge bases. The passages I found don’t mention “lunch”.*" in text
    assert text.endswith("Related documents:\n\n- Leave\n")


def test_a_title_without_letters_still_makes_a_name(rob: Caller, message: Message) -> None:
    rob.patch(f"/conversations/{message.conversation_id}", {"title": "../?"})
    assert exported(rob, message)["Content-Disposition"] == 'attachment; filename="conversation.md"'


def test_it_is_on_record_and_for_its_owner_only(rob: Caller, admin: Caller, message: Message) -> None:
    path = f"/conversations/{message.conversation_id}/export"
    exported(rob, message, "json")
    event = Event.objects.get(action="conversation.exported")
    assert (event.actor, event.subject) == (rob.user.id, f"conversation:{message.conversation_id}")
    assert event.detail == {"format": "json"}
    assert_problem(admin.get(path), 404, "not_found")
    assert_problem(rob.get(f"{path}?format=html"), 422, "invalid")
