import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from cairn.accounts.models import ApiKey, User
from cairn.accounts.services import (
    api_key_create,
    api_key_find,
    api_key_revoke,
    group_create,
    group_update,
    user_create,
    user_delete,
    user_update,
)
from cairn.errors import Conflict, InvalidInput, NotFound

pytestmark = pytest.mark.django_db


def test_api_key_is_stored_only_as_a_digest() -> None:
    row, key = api_key_create(user=user_create(username="ada"), label="script")
    assert key.startswith(row.prefix)
    kept = " ".join(str(value) for value in ApiKey.objects.values().get().values())
    assert key.removeprefix(row.prefix + "_") not in kept
    assert api_key_find(key) == row
    assert api_key_find(key + "x") is None


def test_revoked_and_expired_api_keys_are_not_found() -> None:
    user = user_create(username="ada")
    row, key = api_key_create(user=user, label="script")
    api_key_revoke(user=user, key_id=row.id)
    assert api_key_find(key) is None
    _, old = api_key_create(user=user, label="old", expires_at=timezone.now() - timedelta(seconds=1))
    assert api_key_find(old) is None


def test_api_key_of_another_user_cannot_be_revoked() -> None:
    row, key = api_key_create(user=user_create(username="ada"), label="script")
    with pytest.raises(NotFound):
        api_key_revoke(user=user_create(username="bob"), key_id=row.id)
    assert api_key_find(key) == row


@pytest.mark.parametrize("scopes", [["rule"], []])
def test_unknown_or_missing_scopes_are_rejected(scopes: list[str]) -> None:
    with pytest.raises(InvalidInput):
        api_key_create(user=user_create(username="ada"), label="x", scopes=scopes)


def test_user_names_are_unique_regardless_of_case() -> None:
    user_create(username="Ada")
    with pytest.raises(Conflict):
        user_create(username="ada")


@pytest.mark.parametrize("name", ["", "a b", "x" * 151, "<b>"])
def test_invalid_user_names_are_rejected(name: str) -> None:
    with pytest.raises(InvalidInput):
        user_create(username=name)


def test_weak_password_is_rejected_and_creates_no_user() -> None:
    with pytest.raises(InvalidInput):
        user_create(username="ada", password="password")
    assert not User.objects.exists()


@pytest.mark.parametrize(
    "act",
    [
        lambda admin: user_update(admin, is_admin=False),
        lambda admin: user_update(admin, is_active=False),
        user_delete,
    ],
    ids=["demote", "disable", "delete"],
)
def test_last_admin_cannot_be_removed(act: Callable[[User], object]) -> None:
    admin = user_create(username="root", is_admin=True)
    with pytest.raises(Conflict):
        act(admin)
    assert User.objects.filter(is_admin=True, is_active=True).count() == 1


def test_group_with_an_unknown_member_is_rejected() -> None:
    user = user_create(username="ada")
    group = group_create(name="staff", members=[user.id])
    with pytest.raises(InvalidInput):
        group_update(group, members=[group.id])
    assert list(group.members.all()) == [user]


@pytest.mark.django_db(transaction=True)
def test_concurrent_demotion_of_two_admins_leaves_one() -> None:
    """On PostgreSQL, both transactions saw the other admin until both had committed."""
    pair = [user_create(username=name, is_admin=True) for name in ("ada", "bea")]
    barrier = threading.Barrier(2)

    def demote(user: User) -> bool:
        barrier.wait()
        try:
            user_update(user, is_admin=False)
        except Conflict:
            return False
        finally:
            connections.close_all()
        return True

    for _ in range(10):
        User.objects.update(is_admin=True)
        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(demote, pair)) == [False, True]
        assert User.objects.filter(is_admin=True).count() == 1
