"""Who may read something, and why: the rules seen from the side of what is read.

`cairn.access.rules` asks what one person may read; this asks which persons may read one thing. Tests hold
the two together.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from cairn.access.models import DocumentReader, Grant, Role
from cairn.accounts.models import Group, User
from cairn.library.models import Document, KnowledgeBase

ADMIN = "admin"
"""Stands for a grant's subject where nobody granted anything: admins manage every knowledge base."""


@dataclass(frozen=True, slots=True)
class Via:
    """One way in: a grant to the person, to a group they are in, or to everyone; or being an admin."""

    subject: str
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Access:
    """`role` is the highest of all the ways in; None: there is none."""

    user: UUID
    username: str
    is_active: bool
    via: tuple[Via, ...]

    @property
    def role(self) -> Role | None:
        return max((way.role for way in self.via), key=lambda role: role.rank, default=None)


@dataclass(frozen=True, slots=True)
class Narrowing:
    """A document that is narrowed, itself or around the one asked about, and what of it lets the person
    pass: names of its readers, "manager" or "admin"; none shuts them out."""

    document: UUID
    title: str
    passes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DocumentAccess:
    access: Access
    narrowings: tuple[Narrowing, ...]

    @property
    def may_read(self) -> bool:
        granted = self.access.is_active and self.access.role is not None
        return granted and all(narrowing.passes for narrowing in self.narrowings)


def people_in(base: KnowledgeBase) -> "QuerySet[User]":
    """Active people who may read the knowledge base, admins among them."""
    return User.objects.filter(_holds(base, tuple(Role)), is_active=True)


def people_holding(base: KnowledgeBase, role: Role) -> "QuerySet[User]":
    """Active people who have at least this role there, admins among them."""
    return User.objects.filter(_holds(base, [each for each in Role if each.allows(role)]), is_active=True)


def people_reading(document: Document) -> "QuerySet[User]":
    """Active people who may read the document."""
    people = people_in(document.knowledge_base)
    manages = _holds(document.knowledge_base, (Role.MANAGER,))
    for narrowed in _narrowed_around(document):
        people = people.filter(manages | _named(DocumentReader.objects.filter(document=narrowed)))
    return people


def _holds(base: KnowledgeBase, roles: Collection[Role]) -> Q:
    grants = Grant.objects.filter(knowledge_base=base, role__in=roles)
    if grants.filter(user=None, group=None).exists():
        return ~Q(pk__in=())  # anybody; an empty Q would vanish beside an "or"
    return Q(is_admin=True) | _named(grants)


def _named(rows: "QuerySet[Any]") -> Q:
    """Those whom grants, or readers of a document, name: themselves or a group of theirs."""
    members = Group.members.through.objects.filter(group__in=rows.filter(group__isnull=False).values("group"))
    return Q(pk__in=rows.filter(user__isnull=False).values("user")) | Q(pk__in=members.values("user"))


def _narrowed_around(document: Document) -> list[Document]:
    around = [document]
    while around[-1].parent is not None:
        around.append(around[-1].parent)
    return [each for each in around if each.narrowed]


def access_of(people: Iterable[User], base: KnowledgeBase) -> list[Access]:
    """Each person's ways into the knowledge base, in four queries however many people they are."""
    users = list(people)
    grants = list(Grant.objects.filter(knowledge_base=base).select_related("user", "group"))
    memberships = _memberships(users, [grant.group_id for grant in grants if grant.group_id])
    return [
        Access(user.id, user.username, user.is_active, tuple(_ways(user, grants, memberships)))
        for user in users
    ]


def _memberships(users: Collection[User], groups: Collection[UUID]) -> set[tuple[UUID, UUID]]:
    through = Group.members.through.objects.filter(user__in=users, group__in=groups)
    return set(through.values_list("user_id", "group_id"))


def _ways(user: User, grants: Iterable[Grant], memberships: set[tuple[UUID, UUID]]) -> Iterator[Via]:
    if user.is_admin:
        yield Via(ADMIN, "Administrator", Role.MANAGER)
    for grant in grants:
        role = Role(grant.role)
        if grant.user_id == user.id:
            yield Via(grant.subject, user.username, role)
        elif grant.group and (user.id, grant.group.id) in memberships:
            yield Via(grant.subject, str(grant.group), role)
        elif grant.user_id is None and grant.group_id is None:
            yield Via(grant.subject, "Everyone who can sign in", role)


def document_access_of(people: Iterable[User], document: Document) -> list[DocumentAccess]:
    """Each person's ways to the document: through its knowledge base, and past each narrowing."""
    users = list(people)
    narrowed = [(each, list(_readers(each))) for each in _narrowed_around(document)]
    groups = [reader.group_id for _, readers in narrowed for reader in readers if reader.group_id]
    memberships = _memberships(users, groups)
    return [
        DocumentAccess(
            access, tuple(_narrowing(each, readers, access, memberships) for each, readers in narrowed)
        )
        for access in access_of(users, document.knowledge_base)
    ]


def _readers(document: Document) -> "QuerySet[DocumentReader]":
    return document.readers.select_related("user", "group")


def _narrowing(
    document: Document,
    readers: Iterable[DocumentReader],
    access: Access,
    memberships: set[tuple[UUID, UUID]],
) -> Narrowing:
    managing = [
        "admin" if way.subject == ADMIN else "manager" for way in access.via if way.role == Role.MANAGER
    ]
    named = [
        str(reader.group) if reader.group else access.username
        for reader in readers
        if reader.user_id == access.user or (access.user, reader.group_id) in memberships
    ]
    return Narrowing(document.id, document.title, tuple(dict.fromkeys([*managing, *named])))
