# ruff: noqa: RUF001 - names that look alike are the subject of this module
"""Acceptable user names, lookalike names, and what happens to lookalikes that existed before."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.db.migrations.executor import MigrationExecutor

from cairn.accounts.confusable_names import acceptable_name, check_name, name_skeleton, normalize_name
from cairn.accounts.models import User
from cairn.accounts.services import distinguishable_name, user_create, user_update
from cairn.errors import InvalidInput, Taken

BEFORE, AFTER = [("accounts", "0008_command_keys")], [("accounts", "0009_name_skeletons")]


@pytest.mark.parametrize(
    "name",
    ["bob", "al1", "Олег", "Ελένη", "山田", "佐々木", "たなかハナコ", "山田ゆうサーバー", "김철수", "li李",
     "josé", "Đỗ", "çağdaş", "علی", "דוד", "नमन", "олег@example.com", "a.b-c_d+e@f"],
)  # fmt: skip
def test_names_in_one_script_are_accepted(name: str) -> None:
    check_name(normalize_name(name))
    assert acceptable_name(name) == normalize_name(name)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("аlice", "lice"),
        ("Олегa", "Олег"),
        ("山田Ю", "山田"),
        ("alice.", "alice"),
        ("..", ""),
        ("alice\u3164", "alice"),
        ("b〇b", "bb"),
        ("ꭺlice", "lice"),
        ("a०", "a"),
        ("а@аb", "а@а"),
    ],
)
def test_mixed_script_name_is_rejected_with_an_acceptable_alternative(name: str, instead: str) -> None:
    with pytest.raises(InvalidInput, match="User names can’t"):
        check_name(normalize_name(name))
    assert acceptable_name(name) == instead
    check_name(instead)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alice", "аӏісе"),
        ("ALICE", "alice"),
        ("Олег", "олег"),
        ("nova", "ηονα"),
        ("alice", "ɑlıce"),
        ("weiß", "WEISS"),
        ("josé", "jose\u0301"),
        ("ロ", "口"),
        ("ali7", "ali\u0667"),
        ("alice", "alice."),
    ],
)
def test_lookalike_names_have_the_same_skeleton(one: str, other: str) -> None:
    assert name_skeleton(one) == name_skeleton(other)


def test_names_that_differ_have_skeletons_that_differ() -> None:
    names = [
        "alice",
        "alice2",
        "al.ice",
        "a-lice",
        "all",
        "al1",
        "josé",
        "jose",
        "rob",
        "r0b",
        "Олег",
        "山田",
    ]
    assert len({name_skeleton(name) for name in names}) == len(names)


def test_skeletons_of_the_longest_names_fit_the_column() -> None:
    longest = User._meta.get_field("name_skeleton").max_length
    assert longest is not None
    assert max(len(name_skeleton(chr(code) * 150)) for code in range(0x20, 0x3000)) <= longest


@pytest.mark.django_db
def test_taken_name_gets_an_addition() -> None:
    user_create(username="alice")
    assert distinguishable_name("bob", addition="okta") == "bob"
    assert distinguishable_name("Alice", addition="okta") == "Alice.okta"
    assert distinguishable_name("аӏісе", addition="okta") == "аӏісе@okta"
    assert distinguishable_name("\u3164.", addition="okta") == "user"
    for wanted in ("alice", "аӏісе", "a" * 300):
        user_create(username=distinguishable_name(wanted, addition="okta"))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("renamed", [False, True])
def test_concurrent_lookalike_names_create_one_account(renamed: bool) -> None:
    user_create(username="admin", is_admin=True)
    barrier = threading.Barrier(2)
    people = [user_create(username=name) for name in ("bea", "carl")] if renamed else [None, None]

    def take(user: User | None, name: str) -> bool:
        barrier.wait()
        try:
            user_update(user, username=name) if user else user_create(username=name)
        except Taken:
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(take, people, ["alice", "аӏісе"])) == [False, True]
    assert User.objects.filter(name_skeleton="alice").count() == 1


@pytest.mark.django_db
def test_database_rejects_lookalike_names() -> None:
    User(username="alice").save()
    with pytest.raises(IntegrityError), transaction.atomic():
        User(username="аӏісе").save()
    User(username="bob").save()


def migrate(target: list[tuple[str, str]]) -> Any:
    executor = MigrationExecutor(connection)
    executor.migrate(target)
    return executor.loader.project_state(target).apps.get_model("accounts", "User")


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_migration_preserves_existing_lookalike_accounts() -> None:
    latest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    try:
        users = migrate(BEFORE)
        names = ["alice", "аӏісе", "ɑlice", "bob", "alice."]
        for name in names:
            users.objects.create(username=name)
        migrate(AFTER)
        migrate(latest)
        rows = User.objects.order_by("created_at")
        assert [(row.username, row.has_older_lookalike) for row in rows] == [
            (name, name not in {"alice", "bob"}) for name in names
        ]
        assert user_update(rows[1], is_admin=True).username == "аӏісе"
        rows[0].delete()
        with pytest.raises(Taken):
            user_create(username="alice")
    finally:
        migrate(latest)
