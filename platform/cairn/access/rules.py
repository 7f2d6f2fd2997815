"""Who may read what, as SQL. Every read goes through one of these querysets.

They look the grants up when they run, so what was revoked a moment ago counts.
"""

from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from cairn.access.models import DocumentReader, Grant, Role
from cairn.access.scope import Principal
from cairn.accounts.models import Group
from cairn.library.models import NESTED_AT_MOST, Document, DocumentQuerySet, KnowledgeBase


def names(principal: Principal) -> Q:
    """A row whose `user` is the principal, or whose `group` is one of theirs.

    A subquery: hundreds of ids take Django longer than the database needs for all the rest."""
    groups = Group.members.through.objects.filter(user=principal.user).values("group")
    return Q(user=principal.user) | Q(group__in=groups)


def _grants(principal: Principal, role: Role) -> "QuerySet[Grant]":
    """Grants that give the principal at least this role."""
    subject = Q(user=None, group=None) | names(principal)
    grants = Grant.objects.filter(subject, role__in=[r for r in Role if r.allows(role)])
    return grants if principal.key_bases is None else grants.filter(knowledge_base__in=principal.key_bases)


def _present(principal: Principal) -> "QuerySet[KnowledgeBase]":
    """Those that are there and that the principal's key, if it is one, may touch."""
    present = KnowledgeBase.objects.filter(deleted_at=None)
    return present if principal.key_bases is None else present.filter(id__in=principal.key_bases)


def knowledge_bases_for(principal: Principal, *, role: Role = Role.READER) -> "QuerySet[KnowledgeBase]":
    present = _present(principal)
    if principal.command and role is not Role.READER:
        present = present.filter(official=True)
    if principal.is_admin:
        return present
    return present.filter(id__in=_grants(principal, role).values("knowledge_base"))


def documents_for(principal: Principal, *, role: Role = Role.READER) -> DocumentQuerySet:
    """Documents of knowledge bases where the principal has the role, less those narrowed to others."""
    documents = Document.objects.present().filter(
        knowledge_base__in=knowledge_bases_for(principal, role=role)
    )
    if principal.is_admin:
        return documents
    managed = knowledge_bases_for(principal, role=Role.MANAGER)
    return documents.filter(Q(knowledge_base__in=managed) | _open_to(principal))


def _open_to(principal: Principal) -> Q:
    """Neither the document nor any that it lies in is narrowed to others.

    One subquery over the whole chain: Django takes milliseconds to write down one for each container.
    """
    mine = DocumentReader.objects.filter(names(principal))
    containers = ["__".join(["parent"] * depth) for depth in range(1, NESTED_AT_MOST + 1)]
    chain = [OuterRef("id"), *(OuterRef(f"{container}_id") for container in containers)]
    narrowed = Document.objects.filter(narrowed=True, id__in=chain)  # type: ignore[misc]  # stubs know ids alone
    return ~Q(Exists(narrowed.exclude(id__in=mine.values("document"))))


def role_in(principal: Principal, knowledge_base: KnowledgeBase) -> Role | None:
    """The highest role the principal has there; admins manage everything, but see `Principal.command`."""
    if principal.command and not knowledge_base.official:
        return Role.READER if knowledge_bases_for(principal).filter(pk=knowledge_base.pk).exists() else None
    if principal.is_admin:
        return Role.MANAGER if _present(principal).filter(pk=knowledge_base.pk).exists() else None
    granted = _grants(principal, Role.READER).filter(knowledge_base=knowledge_base)
    roles = [Role(value) for value in granted.values_list("role", flat=True)]
    return max(roles, key=lambda role: role.rank, default=None)


def roles_in(principal: Principal, *, official_only: bool = False) -> dict[UUID, Role]:
    """The principal's role by knowledge base id, of those that are there, in one query."""
    if principal.is_admin:
        present = _present(principal)
        present = present.filter(official=True) if official_only else present
        return dict.fromkeys(present.values_list("id", flat=True), Role.MANAGER)
    granted = _grants(principal, Role.READER).filter(knowledge_base__deleted_at=None)
    granted = granted.filter(knowledge_base__official=True) if official_only else granted
    roles: dict[UUID, Role] = {}
    for base, value in granted.values_list("knowledge_base", "role"):
        role = Role(value)
        if (held := roles.get(base)) is None or role.rank > held.rank:
            roles[base] = role
    return roles
