"""Ids of things that belong to others, in paths, queries, bodies and forms: as if they were of nothing."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile

from cairn.access.models import AccessCheck, Role
from cairn.access.services import grant_give, readers_replace
from cairn.accounts.models import ApiKey
from cairn.accounts.services import api_key_create
from cairn.library.models import Document, KnowledgeBase
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from ingestion.imports.services import import_open
from ingestion.models import Job, Receipt, Watch
from retrieval.conversations.services import conversation_start
from retrieval.engine import Engine
from retrieval.evaluation.gold_file import Kind
from retrieval.evaluation.models import EvaluationRun, GoldQuestion
from retrieval.models import Message, MessageState
from tests.bases import make_base
from tests.principals import SETUP
from tests.web.api.conftest import Caller, caller_for, indexed

ABSENT = "7d1f6a0c-93e8-4b51-a2c4-d5e6f7081923"
OBJECTS = {
    "knowledge_base_id", "document_id", "receipt_id", "import_id", "watch_id", "job_id", "conversation_id",
    "message_id", "evaluation_id", "run_id", "gold_question_id", "question_id", "key_id", "slug",
    "share_id",
}  # fmt: skip
CHANGING = {"content-length", "date", "expires", "x-request-id"}


def visible_response(response: Any, *ids: str) -> tuple[int, str, dict[str, str]]:
    """Return everything the caller learns, except the id that they sent and fresh tokens."""
    text = response.content.decode()
    for each in ids:
        text = text.replace(each, "ID")
    text = re.sub(r'"took_ms": ?[\d.]+|name="csrfmiddlewaretoken" value="\w+"|content="\w{64}"', "", text)
    headers = {name.lower(): value for name, value in response.items() if name.lower() not in CHANGING}
    return response.status_code, text, headers


@dataclass(frozen=True, slots=True)
class Belongings:
    """Objects in one knowledge base, or of its manager."""

    base: KnowledgeBase
    ids: dict[str, str]


@pytest.fixture
def otto(db: None) -> Caller:
    """Manages another knowledge base."""
    return caller_for("otto")


@pytest.fixture
def otto_belongings(otto: Caller, parts: Engine) -> Belongings:
    return belongings(otto, "Elsewhere", parts)


@pytest.fixture
def mia_belongings(mia: Caller, parts: Engine) -> Belongings:
    return belongings(mia, "Mine", parts)


@pytest.fixture
def more_mia_belongings(mia: Caller, parts: Engine) -> Belongings:
    return belongings(mia, "Also mine", parts)


def belongings(caller: Caller, name: str, parts: Engine) -> Belongings:
    base = make_base(name=name, principal=caller.principal)
    submitted = document_submit(
        Upload(SimpleUploadedFile("a.md", name.encode()), "a.md"),
        knowledge_base=base,
        principal=caller.principal,
    )
    document = submitted.document
    [chunk] = indexed(document, parts, f"The leave rules of {name} are long.")
    Job.objects.filter(version__document=document).update(stage="failed")
    conversation = conversation_start(principal=caller.principal, question=f"About {name}?")
    message = Message.objects.create(
        conversation=conversation, question=f"About {name}?", state=MessageState.DONE
    )
    sha256 = "a" * 64
    run = EvaluationRun.objects.create(
        knowledge_base=base, name=name, gold_name="g", gold_sha256=sha256, questions=0, right=0
    )
    gold = GoldQuestion.objects.create(
        knowledge_base=base, question=f"What of {name}?", kind=Kind.UNANSWERABLE
    )
    ids = {
        "base": base.id,
        "document": document.id,
        "chunk": chunk.id,
        "job": Job.objects.get(version__document=document).id,
        "import": import_open(knowledge_base=base, label=name, user=caller.user.id).id,
        "watch": Watch.objects.create(knowledge_base=base, path=f"/srv/{name}").id,
        "receipt": Receipt.objects.create(object="document:1", requested_by=caller.user).id,
        "conversation": conversation.id,
        "message": message.id,
        "run": run.id,
        "gold": gold.id,
        "key": api_key_create(user=caller.user, label=name)[0].id,
    }
    return Belongings(base, {kind: str(each) for kind, each in ids.items()})


COUNTING = {"sessions", "audit", "limits", "statistics"}


def rows() -> dict[str, list[Any]]:
    """Everything in the database, but when keys were used, and what is counted and put on record."""
    ApiKey.objects.update(last_used_at=None)
    models = [model for model in apps.get_models() if model._meta.app_label not in COUNTING]
    return {model._meta.label: list(model._default_manager.order_by("pk").values()) for model in models}


Send = Callable[[str], Any]


def alike(send: Send, theirs: str, *statuses: int) -> Any:
    """Sends the id of theirs, and one of nothing: the answers are the same, and nothing changes."""
    before = rows()
    for_theirs, for_nothing = send(theirs), send(ABSENT)
    assert visible_response(for_theirs, theirs) == visible_response(for_nothing, ABSENT)
    assert for_theirs.status_code in statuses, for_theirs.content
    assert rows() == before
    return for_theirs


def outcome(**fields: Any) -> dict[str, Any]:
    values = {
        "id": "a",
        "kind": "paraphrase",
        "question": "Why?",
        "right": True,
        "refused": False,
        "answer": "So",
    }
    return {**values, **fields}


QUERIES = [
    ("/jobs?document={}", "document"),
    ("/jobs?knowledge_base={}", "base"),
    ("/jobs?import={}", "import"),
    ("/knowledge-bases/BASE/documents?parent={}", "document"),
    ("/evaluations?knowledge_base={}", "base"),
]


@pytest.mark.parametrize(("path", "kind"), QUERIES)
def test_foreign_id_in_a_query_is_treated_as_unknown(
    mia: Caller, mia_belongings: Belongings, otto_belongings: Belongings, path: str, kind: str
) -> None:
    path = path.replace("BASE", mia_belongings.ids["base"])
    found = alike(lambda value: mia.get(path.format(value)), otto_belongings.ids[kind], 200)
    assert found.json()["items"] == []


GOLD = {"question": "Why?", "kind": "paraphrase"}
BODIES: list[tuple[str, str, str, Callable[[str], Any], int]] = [
    ("POST", "/jobs/retry", "job", lambda value: {"jobs": [value]}, 202),
    ("POST", "/jobs/retry", "base", lambda value: {"knowledge_base": value}, 202),
    ("POST", "/jobs/retry", "import", lambda value: {"import": value}, 202),
    ("POST", "/search", "base", lambda value: {"query": "leave rules", "knowledge_bases": [value]}, 404),
    ("POST", "/ask", "base", lambda value: {"question": "Why?", "knowledge_bases": [value]}, 404),
    ("POST", "/ask", "base",
     lambda value: {"question": "Why?", "knowledge_bases": [value], "stream": True}, 404),
    ("POST", "/search", "document",
     lambda value: {"query": "leave rules", "filters": {"document_ids": [value]}}, 200),
    ("POST", "/ask", "conversation", lambda value: {"question": "Why?", "conversation": value}, 404),
    ("POST", "/ask", "message", lambda value: {"question": "Why?", "parent": value}, 404),
    ("PATCH", "/conversations/CONVERSATION", "message", lambda value: {"current": value}, 404),
    ("POST", "/evaluations", "base", lambda value: {
        "knowledge_base": value, "name": "n", "gold": {"name": "g", "sha256": "a" * 64}, "measures": {},
        "outcomes": [outcome()]}, 404),
    ("POST", "/knowledge-bases/BASE/gold-questions", "document",
     lambda value: {**GOLD, "relevant": [value]}, 422),
    ("POST", "/knowledge-bases/BASE/gold-questions", "message",
     lambda value: {"question": "Why?", "kind": "unanswerable", "message": value}, 404),
    ("PATCH", "/gold-questions/GOLD", "document", lambda value: {**GOLD, "relevant": [value]}, 422),
    ("PUT", "/knowledge-bases/BASE/grants", "base",
     lambda value: [{"subject": f"user:{value}", "role": "reader"}], 422),
    ("PUT", "/conversations/CONVERSATION/share", "base",
     lambda value: {"subjects": [f"user:{value}"]}, 422),
    ("PATCH", "/documents/DOCUMENT", "base", lambda value: {"readers": [f"group:{value}"]}, 422),
    ("PATCH", "/documents/DOCUMENT", "document", lambda value: {"owner": value}, 422),
]  # fmt: skip


PLACES = (("BASE", "base"), ("GOLD", "gold"), ("DOCUMENT", "document"), ("CONVERSATION", "conversation"))


@pytest.mark.parametrize(("method", "path", "kind", "body", "status"), BODIES)
def test_foreign_id_in_a_body_is_treated_as_unknown(
    mia: Caller,
    mia_belongings: Belongings,
    otto_belongings: Belongings,
    method: str,
    path: str,
    kind: str,
    body: Any,
    status: int,
) -> None:
    """The last four take ids of people and groups: one of another kind of thing is nobody's."""
    for name in ("base", "gold", "document", "conversation"):
        path = path.replace(name.upper(), mia_belongings.ids[name])
    found = alike(lambda value: mia.send(method, path, body(value)), otto_belongings.ids[kind], status)
    assert "Elsewhere" not in found.content.decode()


@pytest.mark.parametrize("whose", ["otto_belongings", "more_mia_belongings"])
def test_import_accepts_nothing_for_another_knowledge_base(
    mia: Caller, mia_belongings: Belongings, whose: str, request: pytest.FixtureRequest
) -> None:
    """Neither one of others, nor one of mine into another knowledge base."""
    batch = request.getfixturevalue(whose).ids["import"]
    base, document = mia_belongings.ids["base"], mia_belongings.ids["document"]
    alike(lambda value: mia.upload(base, "b.md", b"b", **{"import": value}), batch, 404)
    alike(lambda value: mia.delete(f"/documents/{document}?import={value}"), batch, 404)
    assert mia.get(f"/documents/{document}").status_code == 200


@pytest.mark.parametrize("whose", ["otto_belongings", "more_mia_belongings"])
def test_gold_question_accepts_only_documents_of_its_knowledge_base(
    mia: Caller, mia_belongings: Belongings, whose: str, request: pytest.FixtureRequest
) -> None:
    document = request.getfixturevalue(whose).ids["document"]
    base = mia_belongings.ids["base"]
    alike(
        lambda value: mia.post(f"/knowledge-bases/{base}/gold-questions", {**GOLD, "relevant": [value]}),
        document,
        422,
    )


def test_evaluation_answers_about_foreign_documents_are_not_stored(
    mia: Caller, mia_belongings: Belongings, otto_belongings: Belongings
) -> None:
    def stored(document: str) -> Any:
        body = {
            "knowledge_base": mia_belongings.ids["base"],
            "name": "n",
            "gold": {"name": "g", "sha256": "a" * 64},
            "measures": {},
            "outcomes": [outcome(documents=[document], answer="They said so.")],
        }
        made = mia.post("/evaluations", body)
        assert made.status_code == 201, made.content
        return mia.get(f"/evaluations/{made.json()['id']}").json()["outcomes"][0]["answer"]

    assert stored(otto_belongings.ids["document"]) == stored(ABSENT) != "They said so."


PAGES = [
    ("/library/documents/DOCUMENT?chunk={}", "chunk", 200),
    ("/admin/evaluation/runs/RUN/compare?with={}", "run", 404),
    ("/admin/evaluation/gold-questions/new?message={}", "message", 404),
    ("/conversations?current={}", "conversation", 200),
    ("/?again={}", "message", 404),
]


@pytest.mark.parametrize(("path", "kind", "status"), PAGES)
def test_foreign_id_in_a_page_address_is_treated_as_unknown(
    mia: Caller, mia_belongings: Belongings, otto_belongings: Belongings, path: str, kind: str, status: int
) -> None:
    mia.client.force_login(mia.user)
    path = path.replace("DOCUMENT", mia_belongings.ids["document"]).replace("RUN", mia_belongings.ids["run"])
    found = alike(lambda value: mia.client.get(path.format(value)), otto_belongings.ids[kind], status)
    assert "Elsewhere" not in found.content.decode()


def test_chunk_of_another_document_is_not_shown(
    mia: Caller, mia_belongings: Belongings, more_mia_belongings: Belongings
) -> None:
    mia.client.force_login(mia.user)
    page = f"/library/documents/{mia_belongings.ids['document']}?chunk="
    found = alike(lambda value: mia.client.get(page + value), more_mia_belongings.ids["chunk"], 200)
    assert "The leave rules of Also mine" not in found.content.decode()


def test_foreign_id_in_the_key_forms_is_treated_as_unknown(
    mia: Caller, mia_belongings: Belongings, otto_belongings: Belongings
) -> None:
    mia.client.force_login(mia.user)
    form = {"label": "k", "scopes": ["search"], "expires": "", "limited": "yes"}
    alike(
        lambda value: mia.client.post("/account/keys", {**form, "knowledge_bases": [value]}),
        otto_belongings.ids["base"],
        422,
    )
    alike(lambda value: mia.client.post(f"/account/keys/{value}/revoke"), otto_belongings.ids["key"], 404)
    key = ApiKey.objects.get(pk=otto_belongings.ids["key"])
    assert key.revoked_at is None


def test_ids_of_another_kind_are_unknown_to_admins_too(admin: Caller, mia_belongings: Belongings) -> None:
    """Ids of another kind are ids of nothing, for admins too."""
    for path, body in (
        ("/users", lambda value: {"username": "new", "groups": [value]}),
        ("/groups", lambda value: {"name": "new", "members": [value]}),
    ):
        alike(
            lambda value, path=path, body=body: admin.post(path, body(value)), mia_belongings.ids["base"], 422
        )
    assert not AccessCheck.objects.exists()


@pytest.fixture
def hidden(mia: Caller, mia_belongings: Belongings, rob: Caller) -> Belongings:
    """Objects of a knowledge base that rob edits, with a document restricted to others."""
    subject = f"user:{rob.user.id}"
    grant_give(knowledge_base=mia_belongings.base, subject=subject, role=Role.EDITOR, principal=SETUP)
    readers_replace(document=Document.objects.get(pk=mia_belongings.ids["document"]), readers=[], actor=None)
    return mia_belongings


def test_restricted_document_ids_are_unknown(rob: Caller, hidden: Belongings) -> None:
    document, job = hidden.ids["document"], hidden.ids["job"]
    own = import_open(knowledge_base=hidden.base, label="rob's", user=rob.user.id)
    for path in ("", "/content", "/rendition", "/chunks", "/pages/1.png", "?version=1"):
        alike(lambda value, path=path: rob.get(f"/documents/{value}{path}"), document, 404)
    alike(lambda value: rob.patch(f"/documents/{value}", {"title": "x"}), document, 404)
    alike(lambda value: rob.delete(f"/documents/{value}?import={own.id}"), document, 404)
    alike(lambda value: rob.get(f"/jobs?document={value}"), document, 200)
    for action in ("retry", "cancel"):
        alike(lambda value, action=action: rob.post(f"/jobs/{value}/{action}"), job, 404)
    alike(lambda value: rob.post("/jobs/retry", {"jobs": [value]}), job, 202)
    filters = {"query": "leave rules", "filters": {"document_ids": []}}
    alike(lambda value: rob.post("/search", {**filters, "filters": {"document_ids": [value]}}), document, 200)


def test_repeated_upload_does_not_reveal_a_document_restricted_since(
    mia: Caller, mia_belongings: Belongings, rob: Caller
) -> None:
    """The key belongs to a document that rob may no longer read."""
    grant_give(
        knowledge_base=mia_belongings.base, subject=f"user:{rob.user.id}", role=Role.EDITOR, principal=SETUP
    )

    def sent() -> Any:
        headers = {"Idempotency-Key": "once"}
        return rob.upload(mia_belongings.ids["base"], "b.md", b"b", headers=headers)

    document = sent().json()["document"]["id"]
    changed = mia.patch(f"/documents/{document}", {"title": "Not for rob", "readers": []})
    assert changed.status_code == 200
    again = sent()
    assert again.status_code == 409
    assert "Not for rob" not in again.content.decode()


@pytest.mark.parametrize("number", [1, 2])
def test_if_match_does_not_reveal_the_version_of_a_restricted_document(
    rob: Caller, hidden: Belongings, number: int
) -> None:
    """That a name is taken can't be hidden from editors, but its version can."""
    answer = rob.upload(hidden.ids["base"], "a.md", b"new", headers={"If-Match": f'"{number}"'})
    assert answer.status_code == 409
