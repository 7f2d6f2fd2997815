"""Knowledge bases of an install from before slugs were reserved."""

from collections.abc import Callable
from importlib import import_module
from uuid import UUID, uuid4

import pytest
from django.apps import apps

from cairn.access.models import Grant, Role
from cairn.accounts.models import User
from cairn.accounts.services import user_delete, user_update
from cairn.audit.services import record
from cairn.library.models import KnowledgeBase, ReservedSlug

migration = import_module("cairn.access.migrations.0003_official")
MakeUser = Callable[..., User]


def base_of(slug: str, creator: UUID | None, *, manager: User | None = None) -> KnowledgeBase:
    base = KnowledgeBase.objects.create(name=slug, slug=slug)
    if creator:
        record("knowledge_base.created", actor=creator, subject=f"kb:{base.id}")
    if manager:
        Grant.objects.create(knowledge_base=base, user=manager, role=Role.MANAGER)
    return base


def migrated(base: KnowledgeBase) -> tuple[bool, UUID | None]:
    migration.mark_official(apps, None)
    base.refresh_from_db()
    return base.official, base.owner_id


@pytest.fixture
def ada(make_user: MakeUser) -> User:
    return make_user("ada", is_admin=True)


@pytest.fixture
def rob(make_user: MakeUser) -> User:
    return make_user("rob")


def test_knowledge_base_created_by_an_admin_becomes_official(ada: User, rob: User) -> None:
    assert migrated(base_of("a", ada.id)) == (True, ada.id)
    assert migrated(base_of("b", rob.id)) == (False, rob.id)


def test_knowledge_base_of_a_former_admin_becomes_official(ada: User, make_user: MakeUser) -> None:
    former = make_user("former", is_admin=True)
    base = base_of("a", former.id)
    user_update(former, is_admin=False)
    assert migrated(base) == (True, former.id)
    user_delete(former)
    assert migrated(base) == (True, None)


def test_knowledge_base_of_a_deleted_or_unknown_user_stays_unofficial(ada: User, rob: User) -> None:
    base, unknown = base_of("a", rob.id), base_of("b", uuid4())
    user_delete(rob)
    assert migrated(base) == (False, None)
    assert migrated(unknown) == (False, None)


def test_first_manager_decides_when_no_creator_is_recorded(ada: User, rob: User) -> None:
    base = base_of("a", None, manager=rob)
    Grant.objects.create(knowledge_base=base, user=ada, role=Role.MANAGER)
    assert migrated(base) == (False, rob.id)
    assert migrated(base_of("b", None)) == (True, None)


def test_migration_reserves_slugs_of_deleted_knowledge_bases(ada: User) -> None:
    base_of("a", ada.id)
    deleted = base_of("b", ada.id)
    KnowledgeBase.objects.filter(pk=deleted.pk).update(deleted_at=deleted.created_at)
    migrated(deleted)
    migrated(deleted)  # a second run changes nothing
    assert set(ReservedSlug.objects.values_list("slug", flat=True)) == {"a", "b"}
