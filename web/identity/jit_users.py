"""Just-in-time provisioning of people who sign in with an identity provider."""

import logging
import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import F

from cairn.accounts.confusable_names import normalize_name
from cairn.accounts.external_groups import groups_replace
from cairn.accounts.models import Identity, User
from cairn.accounts.provisioning import profile_fill
from cairn.accounts.services import distinguishable_name, user_create, user_update
from cairn.errors import Conflict
from cairn.settings.identity import IdentityProvider

log = logging.getLogger(__name__)
Claims = Mapping[str, Any]
_UNUSUAL = re.compile(r"[^\w.@+-]+")


def groups_in(provider: IdentityProvider, claims: Claims) -> frozenset[str]:
    return frozenset(_texts(claims.get(provider.groups)))


def may_enter(provider: IdentityProvider, groups: frozenset[str]) -> bool:
    return not provider.allowed_groups or not provider.allowed_groups.isdisjoint(groups)


def find_scim_user(provider: IdentityProvider, claims: Claims) -> User | None:
    """Return the user with the SCIM id in the claims. Names and addresses are never used."""
    external_id = _text(claims.get(provider.scim)) if provider.scim else ""
    found = Identity.objects.filter(source="scim", external_id=external_id).select_related("user").first()
    return found.user if found and external_id else None


def user_arrived(provider: IdentityProvider, claims: Claims) -> User:
    """Create an account. A name that is taken, or looks like another, gets a suffix."""
    username = _text(claims.get(provider.username)) or _text(claims.get("email")).partition("@")[0]
    name = distinguishable_name(_UNUSUAL.sub("-", normalize_name(username)).strip("-"), addition=provider.id)
    return profile_complete(user_create(username=name), provider, claims)


def profile_complete(user: User, provider: IdentityProvider, claims: Claims) -> User:
    """Fill in the display name and address if they are empty, at every sign-in.

    An address that the provider hasn't verified stays out: people of sources may be linked by it.
    """
    display_name, email = _text(claims.get(provider.display_name)), _text(claims.get("email"))
    email = "" if _is_unverified(claims) else email
    return profile_fill(user, display_name=display_name, email=email)


def rights_set(user: User, provider: IdentityProvider, groups: frozenset[str]) -> None:
    """Apply the provider's groups and admin flag, at every sign-in."""
    groups_replace(user, source=provider.source, names=groups)
    if provider.admin_group and user.is_admin != (provider.admin_group in groups):
        try:
            user_update(user, is_admin=provider.admin_group in groups)
        except Conflict:
            log.warning(
                "%s does not list user %s as an admin, but there is no other one", provider.source, user.id
            )


def rights_withdraw(provider: IdentityProvider, *, actor: UUID | None) -> None:
    """End the sessions of the people of a provider that is no longer used, and take away its groups.

    If it named admins, they no longer are, except for the last one.
    """
    people = User.objects.filter(socialaccount__provider=provider.source)
    people_ids = list(people.values_list("pk", flat=True))
    for user in people.filter(member_of__source=provider.source).distinct():
        groups_replace(user, source=provider.source, names=())
    for user in people.filter(is_admin=True) if provider.admin_group else ():
        try:
            user_update(user, is_admin=False, actor=actor)
        except Conflict:
            log.warning("%s is no longer used, but user %s is the only admin", provider.source, user.pk)
    User.objects.filter(pk__in=people_ids).update(session_generation=F("session_generation") + 1)


def _is_unverified(claims: Claims) -> bool:
    """Return whether the provider says anything but that the address is verified; some say so in a text."""
    verified = claims.get("email_verified", True)
    return verified is not True and _text(verified).lower() != "true"


def _texts(value: object) -> list[str]:
    return [_text(each) for each in value] if isinstance(value, list | tuple) else [_text(value)]


def _text(value: object) -> str:
    """Return the text, also from a SAML list of one."""
    if isinstance(value, list | tuple):
        return _text(value[0]) if value else ""
    return value.strip() if isinstance(value, str) and "\0" not in value else ""
