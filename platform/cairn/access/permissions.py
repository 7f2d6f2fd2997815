"""Decides who has permission to read which documents, and who has which role: all authorization starts here.

Django's `has_perm` isn't used. Instead of a `can_read(document)` for each object, `documents_for(principal)`
returns the rows that the principal may read, and `selectors` loads single objects from them.

Grants are looked up for each call, so revoking one takes effect immediately.
"""

from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_noop

from cairn.access.models import ArtifactKind, CheckArtifact, DocumentReader, Grant, Role
from cairn.access.principals import (
    has_key_scope,
    require_key_scope,
    require_not_viewing,
    require_unlimited,
)
from cairn.access.scope import Principal
from cairn.access.source_rules import documents_allowing
from cairn.accounts.models import Group
from cairn.errors import Forbidden
from cairn.library.models import MAX_NESTING_DEPTH, Document, DocumentQuerySet, KnowledgeBase


def match_principal(principal: Principal) -> Q:
    """Match rows whose `user` is the principal or whose `group` is one of theirs.

    It uses a subquery because Django takes longer for hundreds of ids than the database for everything else.
    """
    groups = Group.members.through.objects.filter(user=principal.user).values("group")
    return Q(user=principal.user) | Q(group__in=groups)


def _grants(principal: Principal, role: Role) -> "QuerySet[Grant]":
    """Return the grants that give the principal at least this role."""
    subject = Q(user=None, group=None) | match_principal(principal)
    grants = Grant.objects.filter(subject, role__in=[r for r in Role if r.allows(role)])
    return grants if principal.key_bases is None else grants.filter(knowledge_base__in=principal.key_bases)


def _live_knowledge_bases(principal: Principal) -> "QuerySet[KnowledgeBase]":
    """Return the knowledge bases of the library that are not deleted and, for an API key, not excluded by
    it."""
    bases = KnowledgeBase.objects.present().in_library()
    return bases if principal.key_bases is None else bases.filter(id__in=principal.key_bases)


def _administered_knowledge_bases(principal: Principal) -> "QuerySet[KnowledgeBase]":
    """Return what an admin may read without a grant: all but the knowledge bases of a running access check,
    which would turn up in every list and search. Grants alone open those, as the check tries them."""
    return _live_knowledge_bases(principal).exclude(
        id__in=CheckArtifact.objects.ids(ArtifactKind.KNOWLEDGE_BASE)
    )


def knowledge_bases_for(principal: Principal, *, role: Role = Role.READER) -> "QuerySet[KnowledgeBase]":
    bases = (
        _administered_knowledge_bases(principal) if principal.is_admin else _live_knowledge_bases(principal)
    )
    if principal.command and role is not Role.READER:
        bases = bases.filter(official=True)
    if principal.is_admin:
        return bases
    return bases.filter(id__in=_grants(principal, role).values("knowledge_base"))


def conversation_bases_for(principal: Principal) -> "QuerySet[KnowledgeBase]":
    """Return the knowledge bases with the files of the principal's own conversations.

    Nobody else may open them: no admin, not even one who views Cairn as the user, and no key that is limited
    to some knowledge bases.
    """
    own = KnowledgeBase.objects.present().filter(conversation__isnull=False, owner=principal.user)
    limited = principal.viewer or principal.command or principal.key_bases is not None
    return own.none() if limited else own


def documents_for(
    principal: Principal, *, role: Role = Role.READER, attached: bool = False
) -> DocumentQuerySet:
    """Return the documents of knowledge bases where the principal has the role, except those restricted to
    others. `attached`: also the files of the principal's own conversations."""
    places = Q(knowledge_base__in=knowledge_bases_for(principal, role=role))
    if attached:
        places |= Q(knowledge_base__in=conversation_bases_for(principal))
    documents = Document.objects.present().filter(places)
    if principal.is_admin:
        return documents
    managed = knowledge_bases_for(principal, role=Role.MANAGER)
    return documents.filter(Q(knowledge_base__in=managed) | _match_unrestricted(principal))


def _match_unrestricted(principal: Principal) -> Q:
    """Match documents that neither themselves nor through a container are restricted to others, by readers or
    by their source.

    One subquery covers the whole chain: Django takes milliseconds to compile one per container. It is
    skipped for most documents, whose own row shows that they are neither restricted nor in a container.
    """
    mine = DocumentReader.objects.filter(match_principal(principal))
    containers = ["__".join(["parent"] * depth) for depth in range(1, MAX_NESTING_DEPTH + 1)]
    chain = [OuterRef("id"), *(OuterRef(f"{container}_id") for container in containers)]
    narrowed = Document.objects.filter(narrowed=True, id__in=chain)  # type: ignore[misc]  # stubs know ids alone
    others = narrowed.exclude(
        Q(id__in=mine.values("document")) | Q(id__in=documents_allowing(principal.user))
    )
    return Q(narrowed=False, parent=None) | ~Q(Exists(others))


def may_replace(principal: Principal, document: Document) -> bool:
    """Return whether the principal may upload a new version: editors who may read the document, and the
    owner of a conversation's files."""
    if document.knowledge_base.conversation is not None:
        return conversation_bases_for(principal).filter(pk=document.knowledge_base_id).exists()
    return documents_for(principal, role=Role.EDITOR).filter(pk=document.pk).exists()


def has_role_anywhere(principal: Principal, role: Role) -> bool:
    return principal.is_admin or knowledge_bases_for(principal, role=role).exists()


def can_create_assistants(principal: Principal) -> bool:
    """Admins and managers of a knowledge base may create assistants.

    An API key also needs the scope `manage` and must not be limited to some knowledge bases.
    """
    return (
        principal.key_bases is None
        and has_key_scope(principal, "manage")
        and has_role_anywhere(principal, Role.MANAGER)
    )


def require_can_create_assistants(principal: Principal) -> None:
    require_key_scope(principal, "manage")
    require_unlimited(principal)
    require_not_viewing(principal)
    if not can_create_assistants(principal):
        raise Forbidden(gettext_noop("Only administrators and managers of a knowledge base can do this."))


def role_in(principal: Principal, knowledge_base: KnowledgeBase) -> Role | None:
    """Return the principal's highest role there. Admins manage everything, but see `Principal.command` and
    `conversation_bases_for`."""
    if knowledge_base.conversation is not None:
        owns = conversation_bases_for(principal).filter(pk=knowledge_base.pk).exists()
        return Role.READER if owns else None
    if principal.command and not knowledge_base.official:
        return Role.READER if knowledge_bases_for(principal).filter(pk=knowledge_base.pk).exists() else None
    if principal.is_admin:
        administered = _administered_knowledge_bases(principal).filter(pk=knowledge_base.pk)
        return Role.MANAGER if administered.exists() else None
    granted = _grants(principal, Role.READER).filter(knowledge_base=knowledge_base)
    roles = [Role(value) for value in granted.values_list("role", flat=True)]
    return max(roles, key=lambda role: role.rank, default=None)


def roles_in(principal: Principal, *, official_only: bool = False) -> dict[UUID, Role]:
    """Return the principal's role by knowledge base id, without deleted knowledge bases, in one query."""
    if principal.is_admin:
        bases = _administered_knowledge_bases(principal)
        bases = bases.filter(official=True) if official_only else bases
        return dict.fromkeys(bases.values_list("id", flat=True), Role.MANAGER)
    granted = _grants(principal, Role.READER).filter(
        knowledge_base__deleted_at=None, knowledge_base__conversation=None
    )
    granted = granted.filter(knowledge_base__official=True) if official_only else granted
    roles: dict[UUID, Role] = {}
    for base, value in granted.values_list("knowledge_base", "role"):
        role = Role(value)
        if (current := roles.get(base)) is None or role.rank > current.rank:
            roles[base] = role
    return roles
