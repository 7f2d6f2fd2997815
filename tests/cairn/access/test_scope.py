"""Grants, narrowing and revocation, as every search and lookup sees them."""

import uuid

import pytest

from cairn.access.models import Role
from cairn.access.permissions import documents_for, knowledge_bases_for
from cairn.access.principals import principal_for_key, principal_for_user
from cairn.access.scope import Principal
from cairn.access.selectors import chunks_for, document_for, knowledge_base_for, scope_for
from cairn.access.services import grant_give, grants_replace, knowledge_base_create, readers_replace
from cairn.accounts.models import User
from cairn.accounts.services import api_key_create, api_key_find, group_create, user_create
from cairn.errors import Forbidden, NotFound, NotSignedIn
from cairn.library.models import Chunk, Document, DocumentVersion, KnowledgeBase, VersionState
from tests.principals import SETUP

pytestmark = pytest.mark.django_db


def someone(name: str, **fields: bool) -> User:
    return user_create(username=name, **fields)


def asking(user: User) -> Principal:
    return principal_for_user(User.objects.get(pk=user.pk))


@pytest.fixture
def admin() -> User:
    return someone("root", is_admin=True)


@pytest.fixture
def base(admin: User) -> KnowledgeBase:
    return knowledge_base_create(name="Handbook", principal=asking(admin))


def make_document(base: KnowledgeBase, name: str = "a.md") -> tuple[Document, Chunk]:
    document = Document.objects.create(knowledge_base=base, source_key=name, title=name)
    version = DocumentVersion.objects.create(
        document=document, number=1, filename=name, size=1, sha256="0", state=VersionState.READY
    )
    document.active_version = document.latest_version = version
    document.save()
    chunk = Chunk.objects.create(id=uuid.uuid4(), version=version, ordinal=0, text="t", tokens=1, sha256="0")
    return document, chunk


def visible(user: User, chunk: Chunk) -> bool:
    return chunks_for(scope_for(asking(user)), [chunk.id]).exists()


def test_user_without_a_grant_reads_nothing(base: KnowledgeBase) -> None:
    document, chunk = make_document(base)
    stranger = someone("stranger")
    assert not scope_for(asking(stranger))
    assert not visible(stranger, chunk)
    assert not knowledge_bases_for(asking(stranger)).exists()
    with pytest.raises(NotFound):
        document_for(asking(stranger), document.id)
    with pytest.raises(NotFound):
        knowledge_base_for(asking(stranger), base.id)


@pytest.mark.parametrize("subject", ["user", "group", "everyone"])
def test_grant_gives_access_until_it_is_removed(base: KnowledgeBase, subject: str) -> None:
    document, chunk = make_document(base)
    reader = someone("reader")
    group = group_create(name="staff", members=[reader.id])
    text = {"user": f"user:{reader.id}", "group": f"group:{group.id}", "everyone": "everyone"}[subject]
    grant_give(knowledge_base=base, subject=text, role=Role.READER, principal=SETUP)
    assert visible(reader, chunk)
    assert document_for(asking(reader), document.id) == document
    grants_replace(knowledge_base=base, grants=[], principal=SETUP)
    assert not visible(reader, chunk)


def test_leaving_a_group_ends_access_at_the_next_question(base: KnowledgeBase) -> None:
    _, chunk = make_document(base)
    reader = someone("reader")
    group = group_create(name="staff", members=[reader.id])
    grant_give(knowledge_base=base, subject=f"group:{group.id}", role=Role.READER, principal=SETUP)
    assert visible(reader, chunk)
    group.members.clear()
    assert not visible(reader, chunk)


def test_scope_from_before_a_revocation_returns_nothing(base: KnowledgeBase) -> None:
    _, chunk = make_document(base)
    reader = someone("reader")
    grant_give(knowledge_base=base, subject=f"user:{reader.id}", role=Role.READER, principal=SETUP)
    scope = scope_for(asking(reader))
    grants_replace(knowledge_base=base, grants=[], principal=SETUP)
    assert not chunks_for(scope, [chunk.id]).exists()


def test_insufficient_role_is_forbidden_instead_of_not_found(base: KnowledgeBase) -> None:
    reader = someone("reader")
    grant_give(knowledge_base=base, subject=f"user:{reader.id}", role=Role.READER, principal=SETUP)
    with pytest.raises(Forbidden):
        knowledge_base_for(asking(reader), base.id, role=Role.EDITOR)


def test_highest_of_several_roles_applies(base: KnowledgeBase) -> None:
    reader = someone("reader")
    grant_give(knowledge_base=base, subject="everyone", role=Role.READER, principal=SETUP)
    grant_give(knowledge_base=base, subject=f"user:{reader.id}", role=Role.MANAGER, principal=SETUP)
    assert knowledge_base_for(asking(reader), base.id, role=Role.MANAGER) == base
    assert scope_for(asking(reader)).managed == {base.id}


def test_restricted_document_is_visible_only_to_its_readers_and_managers(base: KnowledgeBase) -> None:
    document, chunk = make_document(base)
    named, other, editor = someone("named"), someone("other"), someone("editor")
    manager = someone("manager")
    grant_give(knowledge_base=base, subject="everyone", role=Role.READER, principal=SETUP)
    grant_give(knowledge_base=base, subject=f"user:{editor.id}", role=Role.EDITOR, principal=SETUP)
    grant_give(knowledge_base=base, subject=f"user:{manager.id}", role=Role.MANAGER, principal=SETUP)
    readers_replace(document=document, readers=[f"user:{named.id}"], actor=None)
    seen = {user.username: visible(user, chunk) for user in (named, other, editor, manager)}
    assert seen == {"named": True, "other": False, "editor": False, "manager": True}
    assert not documents_for(asking(other)).exists()


def test_narrowing_never_widens(base: KnowledgeBase) -> None:
    document, chunk = make_document(base)
    outsider = someone("outsider")
    readers_replace(document=document, readers=[f"user:{outsider.id}"], actor=None)
    assert not visible(outsider, chunk)


def test_adding_everyone_to_the_readers_ends_the_restriction(base: KnowledgeBase) -> None:
    document, chunk = make_document(base)
    reader = someone("reader")
    grant_give(knowledge_base=base, subject="everyone", role=Role.READER, principal=SETUP)
    readers_replace(document=document, readers=[], actor=None)
    assert not visible(reader, chunk)
    readers_replace(document=document, readers=["everyone"], actor=None)
    assert visible(reader, chunk)


def test_only_the_active_version_answers(base: KnowledgeBase, admin: User) -> None:
    document, chunk = make_document(base)
    newer = DocumentVersion.objects.create(
        document=document, number=2, filename="a.md", size=1, sha256="1", state=VersionState.READY
    )
    waiting = Chunk.objects.create(id=uuid.uuid4(), version=newer, ordinal=0, text="n", tokens=1, sha256="1")
    assert visible(admin, chunk)
    assert not visible(admin, waiting)
    Document.objects.filter(pk=document.pk).update(active_version=newer)
    assert not visible(admin, chunk)
    assert visible(admin, waiting)


@pytest.mark.parametrize("gone", ["document", "knowledge base"])
def test_deleted_document_or_knowledge_base_is_hidden_immediately(
    base: KnowledgeBase, admin: User, gone: str
) -> None:
    document, chunk = make_document(base)
    target = document if gone == "document" else base
    target.deleted_at = document.created_at
    target.save()
    assert not visible(admin, chunk)
    assert not documents_for(asking(admin)).exists()


def test_scope_contains_only_requested_and_readable_knowledge_bases(base: KnowledgeBase, admin: User) -> None:
    other = knowledge_base_create(name="Other", principal=asking(admin))
    reader = someone("reader")
    grant_give(knowledge_base=base, subject=f"user:{reader.id}", role=Role.READER, principal=SETUP)
    assert scope_for(asking(reader), [base.id, other.id]).readable == {base.id}
    assert not scope_for(asking(reader), [other.id])
    assert not scope_for(asking(reader), ["no such id"])
    assert not scope_for(asking(reader), [])


def test_disabled_user_and_their_api_keys_are_rejected() -> None:
    user = someone("leaver")
    _, key = api_key_create(user=user, label="script")
    found = api_key_find(key)
    assert found is not None
    assert principal_for_key(found).user == user.id
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert api_key_find(key) is None
    with pytest.raises(NotSignedIn):
        asking(user)
