"""Knowledge bases of people who may not create any themselves."""

from dataclasses import replace
from typing import Any

from cairn.access.scope import Principal
from cairn.access.services import knowledge_base_create
from cairn.accounts.models import Group
from cairn.library.models import KnowledgeBase


def make_base(*, name: str, principal: Principal, **fields: Any) -> KnowledgeBase:
    """An official knowledge base that the principal owns and manages, as if an admin had handed it over."""
    return knowledge_base_create(name=name, principal=replace(principal, is_admin=True), **fields)


def let_create(*users: object, name: str = "Creators") -> Group:
    """Lets ordinary users create knowledge bases, through a group."""
    group = Group.objects.create(name=name, can_create_knowledge_bases=True)
    group.members.set(users)
    return group
