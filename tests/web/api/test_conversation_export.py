"""A conversation as a file, less what its owner may not read any more."""

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any
from xml.etree import ElementTree
from zipfile import ZipFile

import pypdfium2
import pytest
from django.http import HttpResponse
from markdown_it import MarkdownIt

from cairn.access.models import Grant, Role
from cairn.audit.models import Event
from cairn.library.models import Document, KnowledgeBase
from retrieval.conversations.services import WITHHELD, conversation_start
from retrieval.engine import Engine
from retrieval.models import Citation, Conversation, Message, MessageState
from tests.web.api.conftest import Caller, assert_problem, indexed
from web.api.conversations.conversation_export import MEDIA_TYPES
from web.exports.answer_blocks import blocks_of, plain_block
from web.exports.pdf import write_pdf
from web.exports.word import write_word

WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"

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


def test_markdown_export_has_sources_quotes_and_verdicts(rob: Caller, message: Message) -> None:
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


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("Write to \\<hr@example.org> as \\<a href=x>.", "Write to <hr@example.org> as <a href=x>."),
        (
            "See \\[HR](https://hr.example.org) \\<!-- now -->.",
            "See [HR](https://hr.example.org) <!-- now -->.",
        ),
        ("Write `\\<b >` or \\\\\\<b >.", "Write \\<b > or \\<b >."),
        ("Not \\\\<a href=x>here</a>, [a](/b)<a href=x> or ![a](/b).", "Not \\here, a or a."),
    ],
)
def test_markdown_export_preserves_escaped_text(
    rob: Caller, message: Message, answer: str, shown: str
) -> None:
    message.answer = answer
    message.save()
    text = exported(rob, message).content.decode().partition("\n## ")[2].split("\n\n")[1]
    (paragraph,) = [token for token in MarkdownIt().parse(text) if token.type == "inline"]
    assert {token.type for token in paragraph.children or ()} <= {"text", "text_special", "code_inline"}
    assert "".join(token.content for token in paragraph.children or ()) == shown


def test_json_export_matches_the_api(rob: Caller, message: Message) -> None:
    answer = exported(rob, message, "json")
    assert answer["Content-Type"] == "application/json"
    assert answer["Content-Disposition"].endswith('.json"')
    told = json.loads(answer.content)
    shown = rob.get(f"/conversations/{message.conversation_id}").json()
    assert told.keys() == {*shown, "files", "exported_at"}
    assert told["files"] == []
    [saved], [seen] = told["messages"], shown["messages"]
    assert {**saved, "created_at": ""} == {**seen, "created_at": ""}
    assert saved["citations"][0]["quote"] == QUOTE


def text_in(answer: Any, form: str) -> str:
    """The text of a file, read by another library than wrote it."""
    if form == "pdf":
        with pypdfium2.PdfDocument(answer.content) as document:
            pages = [page.get_textpage().get_text_range() for page in document]
        return " ".join(" ".join(pages).split())
    if form == "docx":
        with ZipFile(BytesIO(answer.content)) as file:
            root = ElementTree.fromstring(file.read("word/document.xml"))
        return "\n".join("".join(paragraph.itertext()) for paragraph in root.iter(f"{WORD}p"))
    return str(answer.content.decode())


@pytest.mark.parametrize("form", ["pdf", "docx"])
def test_document_export_has_sources_quotes_and_verdicts(rob: Caller, message: Message, form: str) -> None:
    answer = exported(rob, message, form)
    assert answer["Content-Type"] == MEDIA_TYPES[form]
    assert answer["Content-Disposition"] == f'attachment; filename="how-many-days-script.{form}"'
    text = text_in(answer, form)
    assert text.startswith("How *many* days?/..\\")
    for part in (
        "Exported from Cairn, ", "25 days [1].", "Supported. Every sentence is supported by a source.",
        "Sources:", "[1] Leave # rules, page 2, version 1, Handbook", "for *everybody* ![x](/x)",
    ):  # fmt: skip
        assert part in text


@pytest.mark.parametrize("form", ["pdf", "docx"])
@pytest.mark.parametrize(
    "hostile",
    [
        "".join(map(chr, range(0x300))), "\ud800", "[" * 5000, "- " * 500, "W" * 20_000, "*a **b " * 500,
        "|" + "W" * 300 + "|b|\n|-|-|\n" + ("|" + "W" * 300 + "|b|\n") * 3,
        "|" + "a|" * 50 + "\n|" + "-|" * 50 + "\n|" + "b|" * 50,
        "日本語 עברית العربية 😀", "<w:p>&amp;</w:p>", "",
    ],
    ids=range(11),
)  # fmt: skip
def test_hostile_content_becomes_text(form: str, hostile: str) -> None:
    blocks = [plain_block("title", hostile), *blocks_of(hostile), plain_block("quote", f"{hostile} end")]
    written = {"pdf": write_pdf, "docx": write_word}[form](hostile, blocks)
    assert "end" in text_in(HttpResponse(written), form)


def test_pdf_export_warns_of_missing_characters() -> None:
    def text(words: str) -> str:
        return text_in(HttpResponse(write_pdf("x", [plain_block("title", words)])), "pdf")

    assert text("Πόσες ημέρες? Сколько дней?") == "Πόσες ημέρες? Сколько дней?"
    for words in ("日本語", "עברית"):
        assert "This PDF can’t show all characters correctly. Export to Word instead." in text(words)


@pytest.mark.parametrize("form", ["markdown", "json", "pdf", "docx"])
def test_single_answer_is_exported(rob: Caller, admin: Caller, message: Message, form: str) -> None:
    Message.objects.create(
        conversation=message.conversation, parent=message, question="Another?", state="done"
    )
    path = f"/messages/{message.id}/export?format={form}"
    answer = rob.get(path)
    text = text_in(answer, form)
    assert "days [1]." in text.replace("**", "")
    assert "Another?" not in text
    event = Event.objects.get(action="answer.exported")
    assert (event.actor, event.subject, event.detail) == (
        rob.user.id,
        f"message:{message.id}",
        {"format": form},
    )
    assert_problem(admin.get(path), 404, "not_found")


@pytest.mark.parametrize("path", ["/conversations/{conversation}/export", "/messages/{message}/export"])
@pytest.mark.parametrize("form", ["markdown", "json", "pdf", "docx"])
def test_export_withholds_answers_without_access(
    rob: Caller, base: KnowledgeBase, message: Message, form: str, path: str
) -> None:
    Grant.objects.filter(knowledge_base=base, user=rob.user).delete()
    address = path.format(conversation=message.conversation_id, message=message.id)
    text = text_in(rob.get(f"{address}?format={form}"), form)
    assert WITHHELD in text
    for hidden in ("25 days", "**25**", "rules", "everybody"):
        assert hidden not in text


def test_export_of_a_refusal_names_the_nearest_documents(
    rob: Caller, document: Document, message: Message
) -> None:
    Message.objects.create(
        conversation=message.conversation, parent=message, question="Lunch?", verdict="refused",
        state=MessageState.DONE, reason="The passages I found don’t mention “lunch”.",
        nearest=[{"document": str(document.id), "title": "Leave"}],
    )  # fmt: skip
    text = exported(rob, message).content.decode()
    assert "*Not found in your knowledge bases. The passages I found don’t mention “lunch”.*" in text
    assert text.endswith("Closest documents:\n\n- Leave\n")


def test_title_without_letters_gives_a_default_file_name(rob: Caller, message: Message) -> None:
    rob.patch(f"/conversations/{message.conversation_id}", {"title": "../?"})
    assert exported(rob, message)["Content-Disposition"] == 'attachment; filename="conversation.md"'


def test_conversation_export_is_audited_and_only_for_its_owner(
    rob: Caller, admin: Caller, message: Message
) -> None:
    path = f"/conversations/{message.conversation_id}/export"
    exported(rob, message, "json")
    event = Event.objects.get(action="conversation.exported")
    assert (event.actor, event.subject) == (rob.user.id, f"conversation:{message.conversation_id}")
    assert event.detail == {"format": "json"}
    assert_problem(admin.get(path), 404, "not_found")
    assert_problem(rob.get(f"{path}?format=html"), 422, "invalid")


@pytest.mark.parametrize("form", MEDIA_TYPES)
def test_export_of_a_single_answer_omits_the_conversation_title(
    rob: Caller, message: Message, form: str
) -> None:
    Conversation.objects.filter(pk=message.conversation_id).update(title="Severance in Kiel")
    answer = rob.get(f"/messages/{message.id}/export?format={form}")
    assert answer.status_code == 200, answer.content
    assert "Severance" not in text_in(answer, form)
    assert "severance" not in answer["Content-Disposition"]


@pytest.mark.parametrize("form", ["markdown", "pdf", "docx"])
def test_export_of_quotes_has_no_partial_verdict(rob: Caller, message: Message, form: str) -> None:
    reason = "These are direct quotes from the documents."
    Message.objects.filter(pk=message.pk).update(verdict="partial", mode="extractive", reason=reason)
    text = text_in(exported(rob, message, form), form)
    assert reason in text
    assert "Partly" not in text
