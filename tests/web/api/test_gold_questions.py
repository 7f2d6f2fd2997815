import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from cairn.access.models import Role
from cairn.library.models import Document, KnowledgeBase
from ingestion.erasure.documents import erase
from retrieval.engine import Engine
from retrieval.evaluation.gold_file import gold_questions
from retrieval.evaluation.gold_questions import forget_document
from tests.bases import make_base
from tests.web.api.conftest import Caller, Response, assert_problem, caller_for, indexed

ABSENT = "00000000-0000-0000-0000-000000000001"
TEXT = "Employees get 25 days of leave a year."
asks = pytest.mark.django_db(transaction=True)  # the answer is written in a thread of its own


@pytest.fixture
def leave(document: Document, parts: Engine) -> Document:
    indexed(document, parts, TEXT)
    return document


def add(caller: Caller, base: KnowledgeBase, **fields: Any) -> Response:
    body = {"question": "How many days off?", **fields}
    return caller.post(f"/knowledge-bases/{base.id}/gold-questions", body)


def exported(caller: Caller, base: KnowledgeBase) -> list[dict[str, Any]]:
    response = caller.get(f"/knowledge-bases/{base.id}/gold-questions.jsonl")
    assert response["Content-Disposition"] == f'attachment; filename="{base.slug}.jsonl"'
    return [json.loads(line) for line in response.content.decode().splitlines()]


def test_gold_questions_are_exported_in_the_evaluation_format(
    mia: Caller, base: KnowledgeBase, leave: Document
) -> None:
    made = add(mia, base, kind="code", relevant=[str(leave.id)], must_contain=["25 days"], history=["Hello?"])
    assert made.status_code == 201, made.content
    add(mia, base, question="What is the moon made of?", kind="unanswerable")
    found, refused = gold_questions(map(json.dumps, exported(mia, base)))
    assert (found.id, found.question, found.kind) == (made.json()["id"], "How many days off?", "code")
    assert (found.relevant, found.must_contain, found.history) == (("leave.md",), ("25 days",), ("Hello?",))
    assert not refused.answerable


@asks
def test_gold_question_quotes_come_from_its_message(
    mia: Caller, base: KnowledgeBase, leave: Document
) -> None:
    answer = mia.post("/ask", {"question": "How many days of leave do employees get?"}).json()
    assert answer["citations"]
    made = add(mia, base, relevant=[str(leave.id)], message=answer["id"]).json()
    assert made["relevant"][0]["quotes"] == [citation["quote"] for citation in answer["citations"]]
    assert exported(mia, base)[0]["quotes"] == made["relevant"][0]["quotes"]
    changed = mia.patch(f"/gold-questions/{made['id']}", {"relevant": [str(leave.id)], "kind": "typo"}).json()
    assert changed["relevant"] == made["relevant"]
    assert changed["kind"] == "typo"


@asks
def test_gold_question_update_restores_no_erased_text(
    mia: Caller, base: KnowledgeBase, leave: Document
) -> None:
    other = mia.upload(str(base.id), "other.md", b"Other words.").json()["document"]["id"]
    made = add(mia, base, relevant=[str(leave.id), other], must_contain=["25 days"]).json()
    found = []

    def look(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if found == [True]:  # it has been read
            found.append(False)
            forget_document(leave.id)
            leave.delete()
        found.extend([True] * (not found and sql.startswith('SELECT "evaluation_goldquestion"')))
        return execute(sql, *rest)

    with connection.execute_wrapper(look):
        changed = mia.patch(f"/gold-questions/{made['id']}", {"question": "How many days?"})
    assert changed.status_code == 200, changed.content
    assert (changed.json()["question"], changed.json()["must_contain"]) == ("How many days?", [])


@asks
def test_gold_question_from_another_users_message_is_not_found(
    mia: Caller, rob: Caller, base: KnowledgeBase, leave: Document, grant: Callable[..., None]
) -> None:
    grant(rob, Role.READER)
    theirs = rob.post("/ask", {"question": "How many days of leave do employees get?"}).json()
    answer = add(mia, base, relevant=[str(leave.id)], message=theirs["id"])
    assert_problem(answer, 404, "not_found")


def test_gold_questions_are_for_managers(
    mia: Caller, rob: Caller, base: KnowledgeBase, leave: Document, grant: Callable[..., None]
) -> None:
    made = add(mia, base, relevant=[str(leave.id)]).json()
    path = f"/knowledge-bases/{base.id}/gold-questions"
    for role, wanted in ((None, 404), (Role.READER, 403), (Role.EDITOR, 403)):
        if role:
            grant(rob, role)
        assert rob.get(path).status_code == rob.get(f"{path}.jsonl").status_code == wanted
        assert add(rob, base, kind="unanswerable").status_code == wanted
        for method in ("GET", "PATCH", "DELETE"):
            body = {} if method == "PATCH" else None
            assert rob.send(method, f"/gold-questions/{made['id']}", body).status_code == 404
    asks = caller_for("kay", is_admin=True, scopes=["ask", "search"])
    assert_problem(asks.get(path), 403, "forbidden")
    assert mia.delete(f"/gold-questions/{made['id']}").status_code == 200
    assert mia.get(path).json()["items"] == []


@pytest.mark.parametrize(
    "fields",
    [
        {}, {"kind": "unanswerable", "must_contain": ["x"]}, {"relevant": [ABSENT]}, {"relevant": ["no id"]},
        {"kind": "hard", "relevant": [ABSENT]}, {"question": " "}, {"kind": "unanswerable", "colour": "red"},
        {"kind": "unanswerable", "history": [""]}, {"relevant": [ABSENT] * 51},
    ],
)  # fmt: skip
def test_invalid_gold_question_is_rejected(
    mia: Caller, base: KnowledgeBase, parts: Engine, fields: dict[str, Any]
) -> None:
    assert_problem(add(mia, base, **fields), 422, "invalid")


def test_gold_question_cannot_name_documents_of_other_knowledge_bases(
    mia: Caller, base: KnowledgeBase, leave: Document
) -> None:
    other = make_base(name="Other", principal=mia.principal)
    assert_problem(add(mia, other, relevant=[str(leave.id)]), 422, "invalid")
    made = add(mia, base, relevant=[str(leave.id)]).json()
    unanswerable = mia.patch(f"/gold-questions/{made['id']}", {"kind": "near_miss"})
    assert_problem(unanswerable, 422, "invalid")
    assert mia.get(f"/gold-questions/{made['id']}").json()["kind"] == "paraphrase"
    changed = mia.patch(f"/gold-questions/{made['id']}", {"kind": "near_miss", "relevant": []})
    assert changed.json()["relevant"] == []


@asks
def test_gold_question_with_a_deleted_document_is_not_exported(
    mia: Caller, base: KnowledgeBase, leave: Document, parts: Engine
) -> None:
    answer = mia.post("/ask", {"question": "How many days of leave do employees get?"}).json()
    made = add(mia, base, relevant=[str(leave.id)], message=answer["id"]).json()
    assert made["complete"]
    receipt = mia.delete(f"/documents/{leave.id}").json()["receipt"]
    for _ in ("deleted", "erased"):
        left = mia.get(f"/gold-questions/{made['id']}").json()
        assert (left["complete"], left["relevant"]) == (False, [])
        assert exported(mia, base) == []
        erase(receipt["id"], parts.index)
