"""Groups of a directory next to those of the installation."""

import pytest

from cairn.accounts.external_groups import groups_replace
from cairn.accounts.models import Group, User
from cairn.accounts.services import group_create, group_update, user_create, user_update
from cairn.errors import Conflict

pytestmark = pytest.mark.django_db


def memberships(user: User) -> set[tuple[str, str]]:
    return set(user.member_of.values_list("source", "name"))


def test_directory_group_name_does_not_join_a_local_group() -> None:
    user = user_create(username="ada")
    ours = group_create(name="Finance")

    groups_replace(user, source="oidc:okta", names=["Finance", " ", "x" * 151])

    assert memberships(user) == {("oidc:okta", "Finance")}
    assert not ours.members.exists()


def test_each_directory_changes_only_its_own_memberships() -> None:
    user = user_create(username="ada", groups=[group_create(name="Finance").id])
    groups_replace(user, source="oidc:okta", names=["A", "B"])
    groups_replace(user, source="ldap", names=["A"])

    groups_replace(user, source="oidc:okta", names=["B", "C"])

    assert memberships(user) == {("", "Finance"), ("ldap", "A"), ("oidc:okta", "B"), ("oidc:okta", "C")}


def test_admin_changes_local_groups_and_preserves_directory_groups() -> None:
    user = user_create(username="ada", is_admin=True)
    groups_replace(user, source="ldap", names=["A"])

    user_update(user, groups=[group_create(name="Finance").id])

    assert memberships(user) == {("", "Finance"), ("ldap", "A")}


def test_admins_cannot_add_members_to_a_directory_group() -> None:
    groups_replace(user_create(username="ada"), source="ldap", names=["A"])
    kept = Group.objects.get(source="ldap")
    eve = user_create(username="eve", is_admin=True)

    with pytest.raises(Conflict, match="managed in a directory"):
        user_update(eve, groups=[kept.id])
    with pytest.raises(Conflict, match="managed in a directory"):
        group_update(kept, members=[eve.id])

    assert not memberships(eve)
