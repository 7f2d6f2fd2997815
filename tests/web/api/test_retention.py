"""Expired data is deleted automatically, with a receipt."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as configured
from django.test import Client
from django.utils import timezone

from cairn.access.models import Role
from cairn.audit.models import Event
from cairn.library.models import Document, DocumentVersion, KnowledgeBase
from cairn.settings import environment
from ingestion import broker
from ingestion.erasure import retention
from ingestion.erasure.documents import erase
from ingestion.models import Receipt
from ingestion.tasks import apply_retention
from retrieval.conversations.services import conversation_start
from retrieval.engine import Engine
from retrieval.models import Conversation
from tests.web.api.conftest import Caller, assert_problem


def aged(document: Document, days: int) -> None:
    long_ago = timezone.now() - timedelta(days=days)
    DocumentVersion.objects.filter(document=document).update(created_at=long_ago)


@pytest.fixture
def old(document: Document) -> Document:
    aged(document, 31)
    return document


def test_retention_preview_shows_expired_documents_to_managers(
    mia: Caller, rob: Caller, grant: Callable[[Caller, Role], None], base: KnowledgeBase, old: Document
) -> None:
    path = f"/knowledge-bases/{base.id}"
    assert mia.get(path).json()["retention_days"] is None
    effects = [mia.get(f"{path}/retention/effect?days={days}").json() for days in (30, 32)]
    assert effects == [{"documents": 1}, {"documents": 0}]
    apply_retention()
    assert Document.objects.present().count() == 1
    grant(rob, Role.EDITOR)
    assert_problem(rob.get(f"{path}/retention/effect?days=30"), 403, "forbidden")
    assert_problem(rob.patch(path, {"retention_days": 30}), 403, "forbidden")
    assert mia.patch(path, {"retention_days": 30}).json()["retention_days"] == 30
    event = Event.objects.get(action="knowledge_base.retention")
    assert (event.actor, event.detail) == (mia.user.id, {"days": 30})
    assert mia.patch(path, {"retention_days": None}).json()["retention_days"] is None


@pytest.mark.parametrize("days", [0, -1, 36_501, 1.5, "30", True])
def test_invalid_retention_days_are_rejected(mia: Caller, base: KnowledgeBase, days: Any) -> None:
    assert_problem(mia.patch(f"/knowledge-bases/{base.id}", {"retention_days": days}), 422, "invalid")


def test_expired_documents_are_deleted_by_schedule_with_a_receipt(
    mia: Caller,
    base: KnowledgeBase,
    old: Document,
    parts: Engine,
    django_capture_on_commit_callbacks: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mia.upload(str(base.id), "young.md", b"# Young")
    mia.patch(f"/knowledge-bases/{base.id}", {"retention_days": 30})
    sent: list[tuple[str, object]] = []
    monkeypatch.setattr(broker, "send", lambda task, _where, *args: sent.append((task, *args)))
    with django_capture_on_commit_callbacks(execute=True):
        apply_retention()
    receipt = Receipt.objects.get()
    assert sent == [("ingestion.erase", str(receipt.id))]
    assert (receipt.object, receipt.requested_by) == (f"document:{old.id}", None)
    assert mia.get(f"/documents/{old.id}").status_code == 404
    assert [row.title for row in Document.objects.present()] == ["young.md"]
    apply_retention()
    assert Receipt.objects.count() == 1
    erase(receipt.id, parts.index)
    assert not Document.objects.filter(pk=old.pk).exists()


def test_new_version_restarts_the_retention_period(mia: Caller, base: KnowledgeBase, old: Document) -> None:
    assert retention.find_expired(base, 30).count() == 1
    mia.upload(str(base.id), "leave.md", b"# Leave\n\n30 days a year.")
    assert retention.find_expired(base, 30).count() == 0


def conversations_kept(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    changed = environment().model_copy(update={"conversation_retention_days": days})
    monkeypatch.setattr(retention, "effective_environment", lambda: changed)


@pytest.mark.parametrize(("days", "left"), [(0, 2), (30, 1), (41, 2)])
def test_inactive_conversations_expire(
    mia: Caller, days: int, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation_start(principal=mia.principal, question="Young?")
    old = conversation_start(principal=mia.principal, question="Old?")
    Conversation.objects.filter(pk=old.pk).update(updated_at=timezone.now() - timedelta(days=40))
    conversations_kept(monkeypatch, days)
    apply_retention()
    assert Conversation.objects.count() == left
    assert Event.objects.filter(action="conversations.expired").exists() == (left == 1)


def test_retention_runs_on_a_schedule() -> None:
    scheduled = configured.CELERY_BEAT_SCHEDULE.values()
    assert {"task": "ingestion.apply_retention", "schedule": 600.0} in scheduled


def test_console_shows_how_many_documents_would_expire(
    mia: Caller, base: KnowledgeBase, old: Document
) -> None:
    client = Client()
    client.force_login(mia.user)
    path = f"/admin/knowledge-bases/{base.slug}/retention"

    def told(days: str) -> str:
        return client.get(path, {"retention_days": days}).content.decode()

    assert "1 document</strong> will be deleted" in told("30")
    assert "No documents are that old" in told("32")
    assert "Documents are never deleted" in told("")
    assert "Documents are never deleted" in told("-5")
    assert path in client.get(f"/admin/knowledge-bases/{base.slug}").content.decode()
