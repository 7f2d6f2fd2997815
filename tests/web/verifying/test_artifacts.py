"""Objects created by an access check are removed by id; objects with similar names are not touched."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from cairn.access.models import AccessCheck, ArtifactKind, CheckArtifact
from cairn.access.principals import principal_for_user
from cairn.access.services import knowledge_base_create
from cairn.accounts.models import Group, User
from cairn.accounts.services import group_create, user_create
from cairn.audit.models import Event
from cairn.library.models import KnowledgeBase
from ingestion.documents.services import knowledge_base_delete
from ingestion.erasure.receipts import receipts_close
from ingestion.models import Receipt
from tests.web.api.conftest import Caller
from web.access_checks import artifacts
from web.access_checks.artifacts import (
    create_group,
    create_knowledge_base,
    create_user,
    find_possible_leftovers,
    remove_all_artifacts,
)
from web.access_checks.services import check_begin
from web.tasks import verify_access_due

pytestmark = pytest.mark.django_db(transaction=True)
Step = Callable[[AccessCheck], object]
NAME = "access-check-0123abcd"


@pytest.fixture
def check(admin: Caller) -> AccessCheck:
    return AccessCheck.objects.create()


def create_everything(check: AccessCheck) -> None:
    user = create_user(check, f"{NAME}-insider")
    create_group(check, f"{NAME} members", user)
    create_knowledge_base(check, f"{NAME} shared", replace(principal_for_user(user), is_admin=True))


def present() -> tuple[set[str], set[str], set[str]]:
    return (
        set(KnowledgeBase.objects.filter(deleted_at=None).values_list("name", flat=True)),
        set(Group.objects.values_list("name", flat=True)),
        set(User.objects.values_list("username", flat=True)),
    )


def killed(step: Step, check: AccessCheck) -> None:
    """Runs it in a process that is killed: nothing of Python gets to tidy up."""
    connections.close_all()
    child = os.fork()
    if child == 0:
        try:
            step(check)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL


def kill_here(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_only_objects_created_by_a_killed_check_are_removed(check: AccessCheck, admin: Caller) -> None:
    knowledge_base_create(name="Access check procedures", principal=admin.principal)
    group_create(name="access-check-team")
    user_create(username="access-check-auditor")
    before = present()
    killed(create_everything, check)
    assert CheckArtifact.objects.count() == 3
    assert all(len(now) == len(then) + 1 for now, then in zip(present(), before, strict=True))
    remove_all_artifacts()
    assert present() == before
    assert not CheckArtifact.objects.exists()


@pytest.mark.parametrize("service", ["user_create", "group_create", "knowledge_base_create"])
def test_object_is_not_created_unless_it_is_listed_for_removal(
    check: AccessCheck, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    before = present()
    kinds = ("user_create", "group_create", "knowledge_base_create")
    original, calls = artifacts._track, iter(kinds)

    def track(*arguments: object) -> None:
        if next(calls) == service:
            kill_here()
        original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(artifacts, "_track", track)
    killed(create_everything, check)
    assert CheckArtifact.objects.count() == kinds.index(service)
    assert sum(map(len, present())) == sum(map(len, before)) + kinds.index(service)
    remove_all_artifacts()
    assert present() == before


def test_killed_removal_is_finished_by_the_next(check: AccessCheck, monkeypatch: pytest.MonkeyPatch) -> None:
    before = present()
    create_everything(check)
    with monkeypatch.context() as patched:
        patched.setattr(artifacts, "group_delete", kill_here)
        killed(lambda _: remove_all_artifacts(), check)
    kinds = set(CheckArtifact.objects.values_list("kind", flat=True))
    assert kinds == {ArtifactKind.GROUP, ArtifactKind.USER}
    remove_all_artifacts()
    assert present() == before
    assert Receipt.objects.filter(object__contains="knowledge-base:").count() == 1


def test_removal_of_check_artifacts_is_audited(check: AccessCheck, admin: Caller) -> None:
    create_everything(check)
    remove_all_artifacts()
    removed = Event.objects.filter(action="access_check.removed", subject=f"access-check:{check.id}")
    assert [event.detail["kind"] for event in removed.order_by("id")] == ["knowledge_base", "group", "user"]
    actions = ("access_check.removed", "erasure.requested", "erasure.done", "group.deleted", "user.deleted")
    assert set(Event.objects.filter(action__in=actions).values_list("action", flat=True)) == set(actions)
    assert not Event.objects.filter(action__in=actions).exclude(actor=None).exists()
    assert set(Receipt.objects.values_list("requested_by", flat=True)) == {None}
    assert not Event.objects.filter(actor=admin.user.id).exists()


def test_removal_events_are_marked_even_if_a_worker_completes_them(
    check: AccessCheck, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion.erasure.receipts.scrub", lambda: True)
    create_everything(check)
    own = knowledge_base_create(name="Own", principal=admin.principal)
    remove_all_artifacts()
    knowledge_base_delete(knowledge_base=own, principal=admin.principal)
    Receipt.objects.filter(waits_for__isnull=True).update(waits_for={})
    receipts_close()
    erasures = Event.objects.filter(action__startswith="erasure.")
    assert erasures.filter(action="erasure.done").count() == 3
    unmarked = erasures.not_of_checks()
    assert set(unmarked.values_list("action", "subject")) == {
        ("erasure.requested", f"knowledge-base:{own.id}"),
        ("erasure.done", f"knowledge-base:{own.id}"),
    }


def test_undeletable_artifact_stays_listed_and_others_are_removed(check: AccessCheck, admin: Caller) -> None:
    """The last active admin can't be deleted, whoever put them on the list."""
    CheckArtifact.objects.create(check_run=check, kind=ArtifactKind.USER, object_id=admin.user.id)
    create_everything(check)
    remove_all_artifacts()
    assert [row.object_id for row in CheckArtifact.objects.all()] == [admin.user.id]
    assert User.objects.filter(pk=admin.user.id).exists()


def test_schedule_removes_objects_of_an_interrupted_check(
    check: AccessCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.tasks.check_due", lambda: False)
    create_everything(check)
    verify_access_due()
    assert CheckArtifact.objects.count() == 3  # it may still be running
    CheckArtifact.objects.update(created_at=timezone.now() - timedelta(minutes=16))
    verify_access_due()
    assert not CheckArtifact.objects.exists()
    assert not User.objects.filter(username=f"{NAME}-insider").exists()


def test_possible_leftovers_of_earlier_versions_are_listed_and_preserved(
    check: AccessCheck, admin: Caller
) -> None:
    group_create(name="access-check-team")
    group_create(name="access-check-89abcdef members")
    user_create(username="access-check-89abcdef-insider")
    create_everything(check)
    found = {(leftover.kind, leftover.name) for leftover in find_possible_leftovers()}
    assert found == {
        (ArtifactKind.GROUP, "access-check-89abcdef members"),
        (ArtifactKind.USER, "access-check-89abcdef-insider"),
    }
    admin.client.force_login(admin.user)
    page = admin.client.get("/admin/access-checks").content.decode()
    assert "access-check-89abcdef-insider" in page
    assert "access-check-team" not in page
    remove_all_artifacts()
    assert User.objects.filter(username="access-check-89abcdef-insider").exists()


def test_deleting_an_old_check_removes_its_objects(
    check: AccessCheck, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.access_checks.services.MAX_STORED_CHECKS", 0)
    create_everything(check)
    AccessCheck.objects.filter(pk=check.pk).update(created_at=timezone.now() - timedelta(hours=1))
    monkeypatch.setattr("web.access_checks.services._send", lambda _check: None)
    check_begin(requested_by=None)  # which ends the old one
    assert not AccessCheck.objects.filter(pk=check.pk).exists()
    remove_all_artifacts()
    assert not CheckArtifact.objects.exists()
    assert not Group.objects.filter(name=f"{NAME} members").exists()
