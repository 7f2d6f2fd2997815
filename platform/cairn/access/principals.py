"""Principals of signed-in users and API keys."""

from dataclasses import replace
from uuid import UUID

from django.utils.translation import gettext_noop

from cairn.access.scope import Principal
from cairn.accounts.models import ApiKey, Group, User
from cairn.errors import Forbidden, NotSignedIn


def _groups_of(user: User) -> frozenset[UUID]:
    return frozenset(Group.objects.filter(members=user).values_list("id", flat=True))


def principal_for_user(user: User) -> Principal:
    if not user.is_active:
        raise NotSignedIn
    return Principal(user.id, user.username, user.is_admin, _groups_of(user), display_name=user.display_name)


def principal_viewed_as(user: User, *, viewer: User) -> Principal:
    """Return the principal of an admin who views Cairn as the user. Raises NotSignedIn if either is not
    allowed."""
    if not (viewer.is_active and viewer.is_admin):
        raise NotSignedIn
    return replace(principal_for_user(user), viewer=viewer.id)


def principal_for_background_work(user: User) -> Principal:
    """Return the principal for work that the user started earlier. It continues after the account is
    closed."""
    return Principal(user.id, user.username, user.is_admin, _groups_of(user))


def principal_for_key(key: ApiKey) -> Principal:
    if not key.user.is_active:
        raise NotSignedIn
    return Principal(
        key.user.id,
        key.user.username,
        key.user.is_admin,
        _groups_of(key.user),
        key=key.id,
        key_scopes=frozenset(key.scopes),
        key_bases=None if key.knowledge_bases is None else frozenset(map(UUID, key.knowledge_bases)),
        command=key.for_command,
        display_name=key.user.display_name,
    )


def has_key_scope(principal: Principal, *scopes: str) -> bool:
    """Return whether a key has one of the scopes. A signed-in user needs none."""
    return principal.key_scopes is None or not principal.key_scopes.isdisjoint(scopes)


def require_key_scope(principal: Principal, *scopes: str) -> None:
    """Raise Forbidden unless the key has one of the scopes. A signed-in user needs none."""
    if not has_key_scope(principal, *scopes):
        raise Forbidden(f"This key lacks the scope “{scopes[0]}”.")


def require_admin(principal: Principal) -> None:
    require_key_scope(principal, "admin")
    if not principal.is_admin:
        raise Forbidden(gettext_noop("Only administrators can do this."))
    require_unlimited(principal)


def require_unlimited(principal: Principal) -> None:
    """Raise Forbidden for a key that is limited to some knowledge bases. Call it for anything outside a
    single one."""
    if principal.key_bases is not None:
        raise Forbidden(gettext_noop("This key only works for some knowledge bases."))


def require_not_viewing(principal: Principal) -> None:
    """Raise Forbidden for an admin who views Cairn as somebody else."""
    if principal.viewer is not None:
        raise Forbidden(
            gettext_noop("You can’t change anything while viewing Cairn as someone else."), code="read_only"
        )


def can_create_knowledge_bases(principal: Principal) -> bool:
    """Admins may create knowledge bases, and so may members of the groups that an admin selected for it.

    An API key also needs the scope `manage` and must not be limited to some knowledge bases.
    """
    if principal.key_bases is not None:
        return False
    if principal.key_scopes is not None and "manage" not in principal.key_scopes:
        return False
    return (
        principal.is_admin
        or Group.objects.filter(members=principal.user, can_create_knowledge_bases=True).exists()
    )


def require_can_create_knowledge_bases(principal: Principal) -> None:
    require_key_scope(principal, "manage")
    require_unlimited(principal)
    require_not_viewing(principal)
    if not can_create_knowledge_bases(principal):
        raise Forbidden(
            gettext_noop(
                "You don’t have permission to create knowledge bases. Ask an administrator to create one "
                "or to give one of your groups permission."
            )
        )
