"""Authentication backend for people in an LDAP directory."""

import logging
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.backends import BaseBackend
from django.db import transaction
from django.http import HttpRequest

from cairn.accounts.confusable_names import acceptable_name, normalize_name
from cairn.accounts.external_groups import groups_replace
from cairn.accounts.ldap.directory import Directory, LdapPerson
from cairn.accounts.models import User
from cairn.accounts.provisioning import identity_set, profile_fill
from cairn.accounts.services import distinguishable_name, name_is_taken, user_create, user_update
from cairn.errors import InvalidInput

log = logging.getLogger(__name__)

LDAP = "ldap"


class LdapBackend(BaseBackend):
    """Comes after the accounts that were made here: their passwords are never sent to the directory."""

    def authenticate(
        self,
        request: HttpRequest | None,  # noqa: ARG002
        username: str | None = None,
        password: str | None = None,
        **_: Any,
    ) -> User | None:
        """Raises Unavailable if the directory does not answer."""
        if settings.LDAP is None or not username or not password or _is_local_username(username):
            return None
        found = Directory(settings.LDAP).find(username, password)
        return _find_or_create_user(found) if found else None

    def get_user(self, user_id: UUID) -> User | None:
        return User.objects.active().filter(pk=user_id).first()


def _is_local_username(username: str) -> bool:
    return User.objects.filter(username__iexact=username).exclude(identities__source=LDAP).exists()


def _find_or_create_user(found: LdapPerson) -> User | None:
    """Identify the user by the directory's id alone: the name could belong to another user here."""
    user = User.objects.filter(identities__source=LDAP, identities__external_id=found.external_id).first()
    if user is not None and not user.is_active:
        return None
    try:
        with transaction.atomic():
            user = _update_username(user, found) if user else _create_user(found)
            user = profile_fill(user, display_name=found.display_name, email=found.email)
            groups_replace(user, source=LDAP, names=found.groups)
    except InvalidInput as error:
        log.warning("LDAP user rejected: %s", error.message)
        return None
    return user


def _create_user(found: LdapPerson) -> User:
    """Raises Taken if another user has the name. A name that only looks like another one gets a suffix."""
    taken = User.objects.filter(username__iexact=found.username).exists()
    name = found.username if taken else distinguishable_name(found.username, addition=LDAP)
    user = user_create(username=name)
    identity_set(user, source=LDAP, external_id=found.external_id, actor=None)
    return user


def _update_username(user: User, found: LdapPerson) -> User:
    """Take over the directory's name, unless it could be mistaken for somebody else's here.

    Raises Taken if somebody else here has exactly that name.
    """
    name = normalize_name(found.username)
    if user.username == name:
        return user
    if User.objects.exclude(pk=user.pk).filter(username__iexact=name).exists():
        return user_update(user, username=name)
    if acceptable_name(name) != name or name_is_taken(name, by_other_than=user):
        return user
    return user_update(user, username=name)
