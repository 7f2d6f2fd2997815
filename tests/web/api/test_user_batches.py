"""Users found by their properties, and changed many at a time."""

from typing import Any

import pytest
from django.test import Client

from cairn.accounts.bulk import users_set_active
from cairn.accounts.external_groups import groups_replace
from cairn.accounts.models import User
from cairn.accounts.services import group_create
from cairn.audit.models import Event
from cairn.errors import Conflict
from tests.web.api.conftest import Caller, assert_problem

ABSENT = "00000000-0000-0000-0000-000000000001"


def _names(admin: Caller, query: str) -> list[str]:
    return [user["username"] for user in admin.get(f"/users?{query}").json()["items"]]


def _batch(admin: Caller, action: str, *users: Any, **more: str) -> Any:
    ids = [str(getattr(user, "id", user)) for user in users]
    return admin.post("/users/batch", {"action": action, "users": ids, **more})


def _events(action: str = "user.changed") -> list[tuple[str, dict[str, Any]]]:
    return list(Event.objects.filter(action=action).order_by("id").values_list("subject", "detail"))


def test_users_are_found_by_name_group_and_rights(admin: Caller, mia: Caller, rob: Caller) -> None:
    team = group_create(name="Staff", members=[rob.user.id])
    User.objects.filter(pk=mia.user.pk).update(is_active=False)
    assert _names(admin, "q=I") == ["mia"]
    assert _names(admin, "q=%25") == []
    assert _names(admin, f"group={team.id}") == ["rob"]
    assert _names(admin, "group=nonsense") == []
    assert _names(admin, "is_active=false") == ["mia"]
    assert _names(admin, "is_admin=true") == ["ada"]
    assert _names(admin, f"q=o&group={team.id}&is_active=true&is_admin=false") == ["rob"]


def test_groups_are_found_by_name_and_source(admin: Caller, rob: Caller) -> None:
    group_create(name="Staff")
    groups_replace(rob.user, source="scim", names=["Staff", "Sales"])
    counts = [len(admin.get(f"/groups?{q}").json()["items"]) for q in ("q=sta", "source=", "source=scim")]
    assert counts == [2, 1, 2]


def test_many_are_disabled_and_enabled_with_an_event_each(admin: Caller, mia: Caller, rob: Caller) -> None:
    browser = Client()
    browser.force_login(rob.user)
    assert browser.get("/").status_code == 200
    response = _batch(admin, "deactivate", mia.user, rob.user, ABSENT)
    assert response.status_code == 200
    assert response.json() == {
        "changed": 2, "unchanged": 0,
        "skipped": [{"id": ABSENT, "detail": "This user no longer exists."}],
    }  # fmt: skip
    changed = {f"user:{mia.user.id}", f"user:{rob.user.id}"}
    assert {subject for subject, _ in _events()} == changed
    assert all(detail["is_active"] is False for _, detail in _events())
    assert _batch(admin, "activate", mia.user, rob.user).json()["changed"] == 2
    assert browser.get("/").status_code == 302  # the session has ended for good
    assert _batch(admin, "activate", mia.user).json() == {"changed": 0, "unchanged": 1, "skipped": []}
    assert len(_events()) == 4


def test_batch_does_not_disable_the_requesting_admin(admin: Caller, rob: Caller) -> None:
    result = _batch(admin, "deactivate", admin.user, rob.user).json()
    assert result["changed"] == 1
    assert [skipped["id"] for skipped in result["skipped"]] == [str(admin.user.id)]
    assert User.objects.get(pk=admin.user.pk).is_active


def test_disabling_the_last_admin_changes_no_account(admin: Caller, rob: Caller) -> None:
    """A former admin disables the last one: nothing is changed."""
    other = User.objects.create_user("eve", is_admin=True)
    User.objects.filter(pk=admin.user.pk).update(is_admin=False)
    with pytest.raises(Conflict):
        users_set_active([other.pk, rob.user.pk], is_active=False, actor=admin.user.id)
    assert User.objects.active().filter(pk__in=[other.pk, rob.user.pk]).count() == 2
    assert _events() == []


def test_batch_adds_and_removes_group_members(admin: Caller, mia: Caller, rob: Caller) -> None:
    team = group_create(name="Staff", members=[rob.user.id])
    join = _batch(admin, "add_to_group", mia.user, rob.user, group=str(team.id))
    assert join.json() == {"changed": 1, "unchanged": 1, "skipped": []}
    assert _events() == [(f"user:{mia.user.id}", {"fields": [], "joined": [str(team.id)]})]
    leave = _batch(admin, "remove_from_group", mia.user, rob.user, group=str(team.id))
    assert leave.json()["changed"] == 2
    assert not team.members.exists()
    assert [detail for _, detail in _events()[1:]] == [{"fields": [], "left": [str(team.id)]}] * 2


def test_batch_rejects_directory_and_unknown_groups(admin: Caller, rob: Caller) -> None:
    groups_replace(rob.user, source="scim", names=["Staff"])
    theirs = rob.user.member_of.get()
    for action in ("add_to_group", "remove_from_group"):
        assert_problem(_batch(admin, action, admin.user, group=str(theirs.id)), 409, "managed_elsewhere")
        for group in ("", "nonsense", ABSENT):
            assert_problem(_batch(admin, action, rob.user, group=group), 422, "invalid")
    assert list(theirs.members.all()) == [rob.user]


@pytest.mark.parametrize(
    "body",
    [
        {"action": "delete", "users": [ABSENT]},
        {"action": "activate", "users": []},
        {"action": "activate", "users": [ABSENT] * 201},
        {"action": "activate"},
    ],
)
def test_invalid_batches_are_refused(admin: Caller, body: dict[str, Any]) -> None:
    assert_problem(admin.post("/users/batch", body), 422, "invalid")
