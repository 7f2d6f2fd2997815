"""Documents whose source decides who may read them."""

import uuid
from collections.abc import Callable

import pytest

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.access.rules import documents_for
from cairn.access.services import grant_give
from cairn.access.source_access import AccessEntry, SourceAccess, SourcePerson
from cairn.access.source_services import (
    replace_source_people,
    set_source_access,
)
from cairn.accounts.models import User
from cairn.accounts.provisioning import identity_set
from cairn.library.models import Document, KnowledgeBase
from tests.bases import make_base
from tests.principals import SETUP

pytestmark = pytest.mark.django_db
SOURCE = uuid.UUID(int=24)


@pytest.fixture
def base(make_user: Callable[..., User]) -> KnowledgeBase:
    base = make_base(name="Files", principal=principal_for_user(make_user("manager")))
    grant_give(knowledge_base=base, subject="everyone", role=Role.READER, principal=SETUP)
    return base


@pytest.fixture
def document(base: KnowledgeBase) -> Document:
    return Document.objects.create(knowledge_base=base, source_key="plan.md", title="Plan", narrowed=True)


def allowing(*names: str) -> SourceAccess:
    return SourceAccess(levels=(tuple(AccessEntry(name) for name in names),))


def may_read(user: User, document: Document) -> bool:
    return documents_for(principal_for_user(user)).filter(pk=document.pk).exists()


def test_only_people_whom_the_source_allows_read(document: Document, make_user: Callable[..., User]) -> None:
    ada, bob = make_user("ada"), make_user("bob")
    for user in (ada, bob):
        identity_set(user, source="ldap", external_id=f"id-{user.username}", actor=None)
    people = [SourcePerson(f"S-{name}", name, directory_id=f"id-{name}") for name in ("ada", "bob")]
    counts = replace_source_people(SOURCE, people, directory="ldap", match_email=False)
    assert (counts.people, counts.groups, counts.linked) == (2, 0, 2)
    assert set_source_access(SOURCE, {document.pk: allowing("S-ada")}) == 1
    assert may_read(ada, document)
    assert not may_read(bob, document)
