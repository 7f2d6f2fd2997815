"""Audience of a knowledge base or document: who may read it, and why.

`cairn.access.permissions` answers the opposite question, what one person may read. Tests compare the two.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from cairn.access.directory import list_users
from cairn.access.models import DocumentReader, Grant, Role
from cairn.access.services import find_synced_access
from cairn.access.source_audience import SourceDecision, explain_source_access, match_allowed
from cairn.accounts.models import Group, User
from cairn.library.models import Document, KnowledgeBase

ADMIN = "admin"
"""Pseudo subject for access without a grant: admins manage every knowledge base."""


@dataclass(frozen=True, slots=True)
class AccessPath:
    """One reason for access: a grant to the person, to one of their groups or to everyone, or being an
    admin."""

    subject: str
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Access:
    """A person's access to a knowledge base. `role` is the highest of all paths, None without any."""

    user: UUID
    username: str
    is_active: bool
    via: tuple[AccessPath, ...]
    label: str = ""

    @property
    def role(self) -> Role | None:
        return max((way.role for way in self.via), key=lambda role: role.rank, default=None)


@dataclass(frozen=True, slots=True)
class Restriction:
    """A restriction to selected readers, on the document itself or on one that contains it.

    `passes` lists what admits the person: names of readers, "manager" or "admin". Empty means no access. If
    a source decides, `is_synced`, and `refusal` says why it doesn't let the person read.
    """

    document: UUID
    title: str
    passes: tuple[str, ...]
    is_synced: bool = False
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class DocumentAccess:
    access: Access
    restrictions: tuple[Restriction, ...]

    @property
    def may_read(self) -> bool:
        granted = self.access.is_active and self.access.role is not None
        return granted and all(restriction.passes for restriction in self.restrictions)


def people_in(base: KnowledgeBase) -> "QuerySet[User]":
    """Return the active people who may read the knowledge base, including admins."""
    return list_users().filter(_has_role(base, tuple(Role)), is_active=True)


def people_with_role(base: KnowledgeBase, role: Role) -> "QuerySet[User]":
    """Return the active people who have at least this role in the knowledge base, including admins."""
    roles = [each for each in Role if each.allows(role)]
    return list_users().filter(_has_role(base, roles), is_active=True)


def people_reading(document: Document) -> "QuerySet[User]":
    """Return the active people who may read the document."""
    people = people_in(document.knowledge_base)
    manages = _has_role(document.knowledge_base, (Role.MANAGER,))
    for narrowed in _find_restricted(document):
        people = people.filter(manages | _match_readers(narrowed))
    return people


def _match_readers(narrowed: Document) -> Q:
    synced = find_synced_access(narrowed)
    if synced is None:
        return _match_named_users(DocumentReader.objects.filter(document=narrowed))
    return match_allowed(synced)


def _has_role(base: KnowledgeBase, roles: Collection[Role]) -> Q:
    if base.conversation is not None:
        return Q(pk=base.owner_id) if Role.READER in roles and base.owner_id else Q(pk__in=())
    grants = Grant.objects.filter(knowledge_base=base, role__in=roles)
    if grants.filter(user=None, group=None).exists():
        return ~Q(pk__in=())  # matches anyone; an empty Q would vanish in an "or"
    return Q(is_admin=True) | _match_named_users(grants)


def _match_named_users(rows: "QuerySet[Any]") -> Q:
    """Match users that grants, or readers of a document, name directly or through a group."""
    members = Group.members.through.objects.filter(group__in=rows.filter(group__isnull=False).values("group"))
    return Q(pk__in=rows.filter(user__isnull=False).values("user")) | Q(pk__in=members.values("user"))


def _find_restricted(document: Document) -> list[Document]:
    around = [document]
    while around[-1].parent is not None:
        around.append(around[-1].parent)
    return [each for each in around if each.narrowed]


def access_of(people: Iterable[User], base: KnowledgeBase) -> list[Access]:
    """Return each person's access to the knowledge base, in four queries for any number of people."""
    users = list(people)
    if base.conversation is not None:
        return [_access_to_own_files(user, base) for user in users]
    grants = list(Grant.objects.filter(knowledge_base=base).select_related("user", "group"))
    memberships = _memberships(users, [grant.group_id for grant in grants if grant.group_id])
    return [
        Access(
            user.id,
            user.username,
            user.is_active,
            tuple(_access_paths(user, grants, memberships)),
            user.label,
        )
        for user in users
    ]


def _access_to_own_files(user: User, base: KnowledgeBase) -> Access:
    """Return a person's access to the files of a conversation, which only its owner has."""
    own = AccessPath(f"user:{user.id}", user.username, Role.READER)
    via = (own,) if user.id == base.owner_id else ()
    return Access(user.id, user.username, user.is_active, via, user.label)


def _memberships(users: Collection[User], groups: Collection[UUID]) -> set[tuple[UUID, UUID]]:
    through = Group.members.through.objects.filter(user__in=users, group__in=groups)
    return set(through.values_list("user_id", "group_id"))


def _access_paths(
    user: User, grants: Iterable[Grant], memberships: set[tuple[UUID, UUID]]
) -> Iterator[AccessPath]:
    if user.is_admin:
        yield AccessPath(ADMIN, "Administrator", Role.MANAGER)
    for grant in grants:
        role = Role(grant.role)
        if grant.user_id == user.id:
            yield AccessPath(grant.subject, user.username, role)
        elif grant.group and (user.id, grant.group.id) in memberships:
            yield AccessPath(grant.subject, str(grant.group), role)
        elif grant.user_id is None and grant.group_id is None:
            yield AccessPath(grant.subject, "Everyone who can sign in", role)


def document_access_of(people: Iterable[User], document: Document) -> list[DocumentAccess]:
    """Return each person's access to the document: through its knowledge base, and past each restriction."""
    users = list(people)
    found = access_of(users, document.knowledge_base)
    restrictions = [_restrictions(each, users, found) for each in _find_restricted(document)]
    return [DocumentAccess(access, tuple(each[access.user] for each in restrictions)) for access in found]


def _restrictions(
    document: Document, users: Collection[User], found: Iterable[Access]
) -> Mapping[UUID, Restriction]:
    """Return the restriction of the document as it concerns each user."""
    synced = find_synced_access(document)
    if synced is not None:
        decisions = explain_source_access(synced, users)
        return {each.user: _synced_restriction(document, each, decisions[each.user]) for each in found}
    readers = list(document.readers.select_related("user", "group"))
    memberships = _memberships(users, [reader.group_id for reader in readers if reader.group_id])
    return {each.user: _restriction(document, readers, each, memberships) for each in found}


def _synced_restriction(document: Document, access: Access, decision: SourceDecision) -> Restriction:
    passes = tuple(dict.fromkeys([*_managing(access), *decision.names]))
    refusal = "" if passes else decision.refusal
    return Restriction(document.id, document.title, passes, is_synced=True, refusal=refusal)


def _managing(access: Access) -> list[str]:
    return ["admin" if way.subject == ADMIN else "manager" for way in access.via if way.role == Role.MANAGER]


def _restriction(
    document: Document,
    readers: Iterable[DocumentReader],
    access: Access,
    memberships: set[tuple[UUID, UUID]],
) -> Restriction:
    named = [
        str(reader.group) if reader.group else access.username
        for reader in readers
        if reader.user_id == access.user or (access.user, reader.group_id) in memberships
    ]
    return Restriction(document.id, document.title, tuple(dict.fromkeys([*_managing(access), *named])))
