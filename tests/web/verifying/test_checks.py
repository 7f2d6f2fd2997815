"""Access checks pass without leaks, and find planted ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db.models import Q
from django.test import Client

from cairn.access import permissions, selectors
from cairn.access.models import AccessCheck, AccessList, AccessListEntry, CheckArtifact, SourceSubject
from cairn.access.permissions import knowledge_bases_for
from cairn.accounts.models import ApiKey, Group, User
from cairn.accounts.services import user_create
from cairn.audit.models import Event
from cairn.library.models import Document, KnowledgeBase
from cairn.limits.models import Limit
from cairn.limits.rules import Measure
from ingestion import broker
from ingestion.parse.sandbox.pool import ParserPool
from ingestion.selectors import Job
from retrieval.conversations import services
from retrieval.engine import Engine
from retrieval.models import Conversation
from retrieval.search import hybrid_search
from tests.bases import make_base
from tests.web.api.conftest import Caller, assert_problem
from tests.web.working import files_on_disk, work_at_once
from web.access_checks import canary_check
from web.access_checks import services as running
from web.access_checks.canary_check import Outcome
from web.api.library import documents
from web.http import authentication
from web.tasks import verify_access, verify_access_due

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
Check = Callable[[], AccessCheck]


@pytest.fixture(autouse=True)
def worker(
    monkeypatch: pytest.MonkeyPatch, pool: ParserPool, parts: Engine, settings: Any, tmp_path: Path
) -> None:
    files_on_disk(settings, tmp_path / "files")
    work_at_once(monkeypatch, pool, {"web.verify_access": verify_access})
    monkeypatch.setattr(canary_check, "LOOK_SECONDS", 0.01)


@pytest.fixture
def check(admin: Caller) -> Check:
    def run() -> AccessCheck:
        answer = admin.post("/access-checks", {})
        assert answer.status_code == 202, answer.content
        return AccessCheck.objects.get(pk=answer.json()["id"])

    return run


def test_canary_is_found_by_no_stranger_and_removed(check: Check, admin: Caller) -> None:
    Limit.objects.create(values=dict.fromkeys(Measure, 0))  # of everyone, but not of those who check
    done = check()
    assert (done.state, done.leaks, done.error) == ("passed", [], "")
    assert done.probes > 500
    shown = admin.get(f"/access-checks/{done.id}").json()
    assert (shown["state"], shown["requested_by"]) == ("passed", str(admin.user.id))
    assert admin.get("/access-checks").json()["items"] == [shown]
    assert "cairn_access_leaks 0.0" in Client().get("/metrics").content.decode()
    assert set(User.objects.all()) == {admin.user}
    assert not Group.objects.exists()
    assert not ApiKey.objects.exclude(user=admin.user).exists()
    assert not CheckArtifact.objects.exists()
    assert not SourceSubject.objects.exists()
    assert not AccessList.objects.exists()
    assert not KnowledgeBase.objects.filter(deleted_at=None).exists()
    assert not Conversation.objects.exists()
    shown = Event.objects.not_of_checks().exclude(actor=None, action__in=["user.created", "key.created"])
    assert list(shown.order_by("id").values_list("action", "actor")) == [
        ("access_check.started", admin.user.id),
        ("access_check.ended", None),
    ]
    assert Event.objects.filter(action="question.asked", detail__access_check=str(done.id)).exists()


def rule_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Narrowing is no longer looked at."""
    monkeypatch.setattr(permissions, "_match_unrestricted", lambda _principal: Q(pk__isnull=False))


def recheck_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search trusts the index, and asks it for everything."""
    chunks_for = hybrid_search.chunks_for

    def everything(principal: Any, *_: Any) -> Any:
        base = KnowledgeBase.objects.values_list("id", flat=True)
        return selectors.Scope(principal, frozenset(base), frozenset(base), principal.tokens)

    monkeypatch.setattr("web.api.conversations.search.scope_for", everything)
    monkeypatch.setattr(
        hybrid_search,
        "chunks_for",
        lambda scope, ids: chunks_for(scope, ids).model.objects.filter(id__in=ids),
    )


def lookup_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document's original is opened by its id alone."""
    find = documents.document_for

    def any_document(principal: Any, value: object, **role: Any) -> Document:
        return find(principal, value, **role) if role else Document.objects.with_versions().get(pk=value)

    monkeypatch.setattr(documents, "document_for", any_document)


def owner_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "conversations_for", lambda _principal: Conversation.objects.all())
    monkeypatch.setattr(
        "retrieval.conversations.search.conversations_for", lambda _principal: Conversation.objects.all()
    )


def jobs_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = Job.objects.select_related("version__document")
    monkeypatch.setattr("web.api.library.jobs.jobs_for", lambda _principal: everything.all())


def counts_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    def of_all(principal: Any) -> Any:
        return Document.objects.present().filter(knowledge_base__in=knowledge_bases_for(principal))

    monkeypatch.setattr("web.api.knowledge_bases.documents_for", of_all)


def key_limits_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    real = authentication.principal_for_key

    def unlimited(key: ApiKey) -> Any:
        key.knowledge_bases = None
        return real(key)

    monkeypatch.setattr(authentication, "principal_for_key", unlimited)


PLANTED = [
    (rule_forgotten, "reader", "document", "title"),
    (rule_forgotten, "editor", "titles in lists", "file name"),
    (rule_forgotten, "reader", "document/pages/1.png", "that it is there"),
    (lookup_forgotten, "revoked reader", "document/content", "text"),
    (owner_forgotten, "outsider", "list of conversations", "conversation"),
    (owner_forgotten, "outsider", "page of a conversation", "that it is there"),
    (jobs_forgotten, "expelled member", "list of jobs", "title"),
    (counts_forgotten, "reader", "count of documents", "that it is there"),
    (key_limits_forgotten, "limited key", "question", "text"),
    (recheck_forgotten, "outsider", "search", "text"),
    (recheck_forgotten, "editor", "bm25 search", "title"),
]
"""What is forgotten, and a leak that the check has to find."""


def test_planted_leaks_are_found(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    for plant in dict.fromkeys(plant for plant, *_ in PLANTED):
        plant(monkeypatch)
    done = check()
    assert done.state == "leaked"
    found = {(leak["who"], leak["how"], leak["what"]) for leak in done.leaks}
    assert {(who, how, what) for _, who, how, what in PLANTED} - found == set()
    monkeypatch.undo()
    metrics = Client().get("/metrics").content.decode()
    assert f"cairn_access_leaks {len(done.leaks)}.0" in metrics


def test_ignored_denial_of_a_source_is_found(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries of sources that deny are no longer looked at."""
    real = permissions.documents_allowing

    def without_denials(user: UUID) -> Any:
        AccessListEntry.objects.filter(allow=False).delete()
        return real(user)

    monkeypatch.setattr(permissions, "documents_allowing", without_denials)
    done = check()
    assert done.state == "leaked"
    found = {(leak["who"], leak["how"], leak["what"]) for leak in done.leaks}
    assert {("reader", "document/content", "text"), ("editor", "titles in lists", "file name")} <= found
    assert {who for who, _, _ in found} == {"reader", "editor"}
    assert not SourceSubject.objects.exists()


def test_leak_is_shown_to_admins_on_every_console_page(
    admin: Caller,
    mia: Caller,
) -> None:
    AccessCheck.objects.create(state="leaked", leaks=[{"who": "reader", "how": "search", "what": "text"}])
    AccessCheck.objects.create(state="failed", error="The check was interrupted.")
    browser = Client()
    browser.force_login(admin.user)
    for path in ("/admin/users", "/admin/groups", "/admin/knowledge-bases"):
        assert "The last access check found a leak." in browser.get(path).content.decode()
    page = browser.get("/admin/access-checks").content.decode()
    assert "Reader: search returned text" in page
    assert "The check was interrupted." in page
    browser.force_login(mia.user)
    assert browser.get("/admin/access-checks").status_code == 403
    assert_problem(mia.get("/access-checks"), 403, "forbidden")
    assert_problem(mia.post("/access-checks", {}), 403, "forbidden")


def test_uncheckable_access_fails_the_check(check: Check, parts: Engine) -> None:
    """The index has lost everything: that nobody finds a canary proves nothing then."""
    object.__setattr__(parts, "index", _Empty(parts.index))
    done = check()
    assert done.state == "failed"
    assert "did not find it" in done.error
    assert User.objects.count() == 1
    assert not CheckArtifact.objects.exists()


class _Empty:
    def __init__(self, index: Any) -> None:
        self._index = index

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    def query(self, *args: Any, **arguments: Any) -> Any:
        return self._index.query(
            *args, **{**arguments, "scope": selectors.Scope(arguments["scope"].principal)}
        )


def test_access_checks_run_one_at_a_time_and_on_schedule(
    admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(broker, "send", lambda task, _where, *_args: sent.append(task))
    verify_access_due()
    assert sent == ["web.verify_access"]
    verify_access_due()
    assert sent == ["web.verify_access"]
    assert_problem(admin.post("/access-checks", {}), 409, "conflict")
    row = AccessCheck.objects.get()
    AccessCheck.objects.filter(pk=row.pk).update(created_at=row.created_at.replace(year=2020))
    verify_access_due()
    assert sent == ["web.verify_access"] * 2
    row.refresh_from_db()
    assert (row.state, row.error) == ("failed", "The check was interrupted.")
    assert Event.objects.filter(action="access_check.started").count() == 2


def test_real_document_is_not_found_without_access(
    check: Check,
    mia: Caller,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user_create(username="nosy")
    base = str(make_base(name="Pay", principal=mia.principal).id)
    assert mia.upload(base, "pay.md", b"# Pay\n\nThe director earns 90,000.").status_code == 202
    monkeypatch.setattr(running, "check_canaries", lambda _check: Outcome(0, []))
    done = check()
    assert (done.state, done.spots) == ("passed", 1)
    monkeypatch.setattr(permissions, "_grants", lambda _principal, _role: permissions.Grant.objects.all())
    done = check()
    assert [leak["how"] for leak in done.leaks] == ["search for a real document"]
