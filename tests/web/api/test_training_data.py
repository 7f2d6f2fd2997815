"""`manage.py models export-training-data`: what is exported, to whom, and what is left out."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from cairn.access.models import Role
from cairn.access.services import grants_replace
from cairn.audit.models import Event
from cairn.library.models import Document, KnowledgeBase
from ingestion.documents.conversation_files import open_base
from retrieval.engine import Engine
from retrieval.models import Conversation, Message
from tests.web.api.conftest import Caller, indexed
from tests.web.api.test_gaps import LUNCH, ask, only_gap, publish, refused, ria, working

__all__ = ["ria", "working"]

QUESTION = "How many days of leave do employees get a year?"
TEXT = "Employees get 25 days of leave a year."
ANSWER = "Lunch is at noon."
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def leave(document: Document, parts: Engine) -> Document:
    indexed(document, parts, TEXT)
    Document.objects.filter(pk=document.pk).update(metadata={"license": "CC-BY-4.0"})
    return document


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Export as a user; returns the command's output, and the rows of both sides by format."""

    def run(username: str, **options: Any) -> dict[str, Any]:
        folder, output = tmp_path / f"export-{username}", io.StringIO()
        call_command(
            "models",
            "export-training-data",
            str(folder),
            user=username,
            as_json=True,
            stdout=output,
            **options,
        )
        found: dict[str, Any] = json.loads(output.getvalue())
        for kind in ("chat", "preference"):
            texts = [path.read_text() for path in sorted(folder.glob(f"*.{kind}.jsonl"))]
            found[kind] = [json.loads(line) for line in "".join(texts).strip().split("\n") if line]
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
        return found

    return run


def approve(caller: Caller, question: str = QUESTION, **more: Any) -> dict[str, Any]:
    answer = ask(caller, question, **more)
    assert answer["verdict"] == "supported", answer
    caller.post(f"/messages/{answer['id']}/feedback", {"rating": "up"})
    return answer


def test_approved_answer_is_exported_with_passages_and_licence(
    export: Callable[..., dict[str, Any]], mia: Caller, leave: Document
) -> None:
    answer = approve(mia)
    found = export("mia")
    (row,) = found["chat"]
    assert [message["role"] for message in row["messages"]] == ["system", "user", "assistant"]
    assert TEXT in row["messages"][1]["content"]
    assert QUESTION in row["messages"][1]["content"]
    assert row["messages"][2]["content"] == answer["answer"]
    assert row["metadata"]["origin"] == "approved_answer"
    (document,) = row["metadata"]["documents"]
    assert (document["id"], document["licence"]) == (str(leave.id), "CC-BY-4.0")
    assert Event.objects.get(action="training_data.exported").detail == {"rows": 1}


def test_conversations_of_others_are_not_exported(
    export: Callable[..., dict[str, Any]], mia: Caller, ria: Caller, leave: Document
) -> None:
    approve(ria)
    assert export("mia")["chat"] == []
    assert len(export("ria")["chat"]) == 1


def test_temporary_chats_are_not_exported(
    export: Callable[..., dict[str, Any]], mia: Caller, leave: Document
) -> None:
    temporary = mia.post("/conversations", {"temporary": True}).json()["id"]
    approve(mia, conversation=temporary)
    assert export("mia")["chat"] == []


def test_conversation_files_are_not_exported(
    export: Callable[..., dict[str, Any]], mia: Caller, leave: Document
) -> None:
    answer = approve(mia)
    files = open_base(Conversation.objects.get(pk=answer["conversation"]), mia.principal)
    Document.objects.filter(pk=leave.pk).update(knowledge_base=files)
    found = export("mia")
    assert (found["chat"], found["excluded"]) == ([], {"passages that changed or that you may not read": 1})


def test_unreadable_and_erased_documents_are_not_exported(
    export: Callable[..., dict[str, Any]],
    mia: Caller,
    ria: Caller,
    base: KnowledgeBase,
    leave: Document,
    parts: Engine,
) -> None:
    approve(ria)
    manager = f"user:{mia.principal.user}"
    grants_replace(knowledge_base=base, grants=[(manager, Role.MANAGER)], principal=mia.principal)
    found = export("ria")
    assert (found["chat"], found["excluded"]) == ([], {"passages that changed or that you may not read": 1})


def test_verified_answer_is_preferred_to_the_rejected_refusal(
    export: Callable[..., dict[str, Any]],
    parts: Engine,
    working: None,
    base: KnowledgeBase,
    mia: Caller,
    ria: Caller,
) -> None:
    refused(ria, LUNCH, base)
    Message.objects.update(answer="Lunch is at noon, I suppose.")
    assert publish(mia, str(only_gap(mia)["id"]), base, wordings=["When do we eat?"]).status_code == 200
    found = export("ria")
    prompts = " ".join(row["messages"][1]["content"] for row in found["chat"])
    assert len(found["chat"]) == 2, "the title and the other wording"
    assert LUNCH in prompts
    assert "When do we eat?" in prompts
    assert {row["metadata"]["origin"] for row in found["chat"]} == {"verified_answer"}
    assert all(row["messages"][2]["content"].endswith("[1]") for row in found["chat"])
    assert {row["rejected"][0]["content"] for row in found["preference"]} == {"Lunch is at noon, I suppose."}


def test_foreign_and_temporary_answers_are_never_rejected_examples(
    export: Callable[..., dict[str, Any]],
    parts: Engine,
    working: None,
    base: KnowledgeBase,
    mia: Caller,
    ria: Caller,
) -> None:
    for caller in (mia, ria):
        refused(caller, LUNCH, base)
    for text, caller in (("Private to Mia.", mia), ("Private to Ria.", ria)):
        Message.objects.filter(conversation__user=caller.user).update(answer=text)
    assert publish(mia, str(only_gap(mia)["id"]), base).status_code == 200
    assert [row["rejected"][0]["content"] for row in export("ria")["preference"]] == ["Private to Ria."]
    Conversation.objects.filter(user=mia.user).update(temporary=True)
    assert export("mia")["preference"] == []


def test_gold_questions_are_exported_to_managers_with_quotes(
    export: Callable[..., dict[str, Any]], mia: Caller, ria: Caller, base: KnowledgeBase, leave: Document
) -> None:
    answer = ask(mia, QUESTION)
    fields = {"question": QUESTION, "relevant": [str(leave.id)], "message": answer["id"]}
    assert mia.post(f"/knowledge-bases/{base.id}/gold-questions", fields).status_code == 201
    bare = {"question": "What else?", "relevant": [str(leave.id)]}
    assert mia.post(f"/knowledge-bases/{base.id}/gold-questions", bare).status_code == 201
    found = export("mia", kb=[base.slug])
    (row,) = found["chat"]
    assert row["messages"][2]["content"] == f"{TEXT} [1]"
    assert found["excluded"] == {"gold questions without quotes from their documents": 1}
    assert export("ria")["chat"] == []


def test_erased_document_is_not_exported(
    export: Callable[..., dict[str, Any]], mia: Caller, leave: Document
) -> None:
    approve(mia)
    assert mia.delete(f"/documents/{leave.id}").status_code in {200, 202, 204}
    found = export("mia")
    assert found["chat"] == []
    assert TEXT not in json.dumps(found)


@pytest.mark.parametrize("options", [{"user": "nobody"}, {"user": "mia", "kb": ["unknown"]}])
def test_unknown_names_are_refused(tmp_path: Path, mia: Caller, options: dict[str, Any]) -> None:
    errors = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("models", "export-training-data", str(tmp_path / "new"), stderr=errors, **options)
    assert "error:" in errors.getvalue()
    assert not (tmp_path / "new").exists()


def test_existing_files_are_never_overwritten(tmp_path: Path, mia: Caller) -> None:
    (tmp_path / "train.chat.jsonl").write_text("mine")
    errors = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("models", "export-training-data", str(tmp_path), user="mia", stderr=errors)
    assert "isn’t empty" in errors.getvalue()
    assert (tmp_path / "train.chat.jsonl").read_text() == "mine"
