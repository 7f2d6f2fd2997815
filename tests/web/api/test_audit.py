"""The audit log over REST: what gets on record, who may read it, and its files."""

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.http import urlencode

from cairn.access.models import Role
from cairn.accounts.models import User
from cairn.accounts.services import api_key_create
from cairn.audit.models import Event
from cairn.audit.services import record
from cairn.library.models import Document, KnowledgeBase
from retrieval.engine import Engine
from tests.web.api.conftest import Caller, assert_problem, caller_for, indexed, streamed
from web.exports.audit_log import cell


def actions(caller: Caller) -> list[str]:
    """Return the caller's actions, oldest first."""
    return list(Event.objects.filter(actor=caller.user.id).order_by("id").values_list("action", flat=True))


def found(admin: Caller, **query: Any) -> list[dict[str, Any]]:
    answer = admin.get(f"/audit?{urlencode(query)}")
    assert answer.status_code == 200, answer.content
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


@pytest.mark.parametrize("path", ["/audit", "/audit/export?format=csv"])
def test_only_admins_read_the_audit_log(admin: Caller, mia: Caller, base: KnowledgeBase, path: str) -> None:
    weak = Caller(admin.user, api_key_create(user=admin.user, label="weak", scopes=["manage"])[1])
    limited = Caller(
        admin.user, api_key_create(user=admin.user, label="limited", knowledge_bases=[base.id])[1]
    )
    for caller in (mia, weak, limited):
        assert_problem(caller.get(path), 403, "forbidden")
    assert Client().get(f"/api/v1{path}").status_code == 401


def test_audit_log_is_filtered_and_paged_newest_first(admin: Caller) -> None:
    actor, subject = uuid4(), f"kb:{uuid4()}"
    for n in range(5):
        record("grant.given", actor=actor, subject=subject, n=n)
    record("grants.replaced", actor=actor, subject=f"kb:{uuid4()}")
    first = admin.get(f"/audit?{urlencode({'actor': actor, 'action': 'grant', 'limit': 3})}").json()
    assert [event["detail"]["n"] for event in first["items"]] == [4, 3, 2]
    rest = found(admin, actor=actor, action="grant", cursor=first["next_cursor"])
    assert [event["detail"]["n"] for event in rest] == [1, 0]
    for named in (subject, subject.removeprefix("kb:")):
        assert len(found(admin, subject=named)) == 5
    now = timezone.now()
    assert len(found(admin, actor=actor, until=(now + timedelta(seconds=9)).isoformat())) == 6
    assert found(admin, actor=actor, since=(now + timedelta(seconds=9)).isoformat()) == []
    assert found(admin, actor="nobody") == []


@pytest.mark.parametrize("query", ["since=yesterday", "since=2026-01-01T00:00:00", "cursor=x!", "limit=0"])
def test_invalid_audit_filters_are_rejected(admin: Caller, query: str) -> None:
    assert_problem(admin.get(f"/audit?{query}"), 422, "invalid")


def test_people_groups_and_keys_are_on_record(admin: Caller) -> None:
    group = admin.post("/groups", {"name": "Staff"}).json()["id"]
    user = admin.post("/users", {"username": "new", "groups": [group]}).json()["id"]
    admin.patch(f"/users/{user}", {"is_admin": True, "password": "a long enough passphrase"})
    admin.patch(f"/groups/{group}", {"members": []})
    admin.delete(f"/groups/{group}")
    admin.delete(f"/users/{user}")
    assert actions(admin) == [
        "group.created", "user.created", "user.changed", "group.changed", "group.deleted", "user.deleted",
        "erasure.done",
    ]  # fmt: skip
    changed = found(admin, action="user.changed", subject=f"user:{user}")[0]
    assert changed["detail"] == {"fields": ["password"], "is_admin": True}


@pytest.mark.django_db(transaction=True)
def test_audit_log_has_questions_without_their_text(
    mia: Caller, base: KnowledgeBase, document: Document, parts: Engine
) -> None:
    indexed(document, parts, "Employees get 25 days of leave a year.")
    answer = mia.post("/ask", {"question": "How many days?", "knowledge_bases": [str(base.id)]}).json()
    event = Event.objects.get(action="question.asked")
    assert (event.actor, event.subject) == (mia.user.id, f"message:{answer['id']}")
    assert event.detail == {"conversation": answer["conversation"], "knowledge_bases": [str(base.id)]}
    mia.delete(f"/conversations/{answer['conversation']}")
    assert actions(mia)[-1] == "conversation.deleted"


def test_documents_opened_and_downloaded_are_on_record(
    mia: Caller, rob: Caller, grant: Callable[[Caller, Role], None], document: Document, parts: Engine
) -> None:
    indexed(document, parts, "Employees get 25 days of leave a year.")
    assert rob.get(f"/documents/{document.id}/chunks").status_code == 404
    assert actions(rob) == []
    grant(rob, Role.READER)
    rob.get(f"/documents/{document.id}")
    for _ in range(2):
        rob.get(f"/documents/{document.id}/chunks")
    for _ in range(2):
        rob.get(f"/documents/{document.id}/content")
    assert actions(rob) == ["document.opened", "document.downloaded", "document.downloaded"]


def test_audit_log_has_sign_ins_and_sign_outs(make_user: Callable[..., User]) -> None:
    user, client = make_user("una"), Client()
    for username in ("una", "hunter2"):
        client.post("/login", {"username": username, "password": "wrong"})
    client.post("/login", {"username": "una", "password": "a long enough passphrase"})
    client.post("/logout")
    told = Event.objects.exclude(action="user.created").order_by("id")
    me = f"user:{user.id}"
    assert list(told.values_list("action", "actor", "subject", "detail")) == [
        ("sign_in.failed", None, me, {}),
        ("sign_in.failed", None, "", {}),
        ("sign_in", user.id, me, {}),
        ("sign_out", user.id, me, {}),
    ]


def test_audit_export_is_complete_and_audited(admin: Caller) -> None:
    evil = caller_for("@evil")
    record("grant.given", actor=evil.user.id, subject="kb:1", to="everyone")
    record("made.up", actor=None)
    lines = streamed(admin.get("/audit/export")).decode().splitlines()
    events = [json.loads(line) for line in lines]
    kept = Event.objects.order_by("id").values_list("action", flat=True)
    assert [event["action"] for event in events] == list(kept)
    table = streamed(admin.get("/audit/export?format=csv&action=grant"))
    rows = list(csv.DictReader(io.StringIO(table.decode())))
    assert [(row["actor_name"], row["subject"], row["detail"]) for row in rows] == [
        ("'@evil", "kb:1", '{"to": "everyone"}')
    ]
    assert actions(admin)[-2:] == ["audit.exported", "audit.exported"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_csv_cell_is_not_a_formula(start: str) -> None:
    assert cell(f"{start}1") == f"'{start}1"


def test_csv_cells_without_formulas_are_unchanged() -> None:
    assert [cell(value) for value in (None, 7, "a=b", "")] == ["", "7", "a=b", ""]
