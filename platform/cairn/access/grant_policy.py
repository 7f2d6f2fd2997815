"""Rules about who may give access to whom.

Managers of a knowledge base choose its people. Access for everyone or for whole groups needs more: anyone
who could grant it could put text into everybody's answers.
"""

from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext_noop

from cairn.access.models import Role
from cairn.access.permissions import role_in
from cairn.access.scope import Principal
from cairn.accounts.models import Group
from cairn.errors import Forbidden
from cairn.library.models import KnowledgeBase
from cairn.messages import CodedMessage, Term

Subject = tuple[UUID | None, UUID | None]
"""A user id and a group id, at least one of which is None. Both None means everyone."""

EVERYONE_NEEDS_ADMIN = gettext_noop("Only administrators can give access to everyone.")


def may_grant_to_everyone(principal: Principal) -> bool:
    return principal.acts_as_admin


def groups_grantable_by(principal: Principal) -> "QuerySet[Group]":
    """Return the groups to which the principal may give access to a knowledge base that they manage."""
    if principal.acts_as_admin:
        return Group.objects.all()
    return Group.objects.filter(managers=principal.user)


def require_may_grant(
    principal: Principal,
    base: KnowledgeBase,
    requested: Mapping[Subject, Role],
    existing: Mapping[Subject, Role],
) -> None:
    """Raise Forbidden unless the principal may replace the grants `existing` with `requested`.

    Keeping, lowering or removing a grant only requires the role manager. Call this while the knowledge base
    is locked, so that `existing` is what the change really starts from.
    """
    if role_in(principal, base) != Role.MANAGER:
        raise Forbidden(CodedMessage("role_required", role=Term(Role.MANAGER)))
    raised = [subject for subject, role in requested.items() if _is_raised(role, existing.get(subject))]
    if (None, None) in raised and not may_grant_to_everyone(principal):
        raise Forbidden(EVERYONE_NEEDS_ADMIN)
    _require_groups(principal, {group for _, group in raised if group})


def require_may_open_assistant(
    principal: Principal, requested: Collection[Subject], existing: Collection[Subject]
) -> None:
    """Raise Forbidden unless the principal may offer an assistant to these subjects: the same rules as for
    grants, but only for new subjects, as an assistant gives access to nothing."""
    added = set(requested) - set(existing)
    if (None, None) in added and not may_grant_to_everyone(principal):
        raise Forbidden(EVERYONE_NEEDS_ADMIN)
    _require_groups(principal, {group for _, group in added if group})


def _is_raised(role: Role, before: Role | None) -> bool:
    return before is None or role.rank > before.rank


def _require_groups(principal: Principal, requested: Iterable[UUID]) -> None:
    refused = Group.objects.filter(id__in=requested).exclude(
        id__in=groups_grantable_by(principal).values("id")
    )
    group = refused.first()
    if group is not None:
        raise Forbidden(CodedMessage("group_admin_required", group=str(group)))
