"""One-time links with which users set their first or a new password."""

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_noop

from cairn.accounts.models import PasswordLink, User
from cairn.accounts.services import require_valid_password
from cairn.audit.services import record
from cairn.errors import Conflict, NotFound

LINK_NOT_VALID = gettext_noop(
    "This link has expired or was already used. Ask an administrator for a new one."
)


def password_link_create(user: User, *, days: int, actor: User | None) -> tuple[PasswordLink, str]:
    """Return a new link and its token, which is stored nowhere. Any earlier link of the user ends.

    `actor`: an admin; None for a user who forgot the password.
    """
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        # Locked, so that the link either ends with a change of the address or is made after it.
        current = User.objects.active().select_for_update().filter(pk=user.pk).first()
        if current is None:
            raise Conflict(gettext_noop("This account is disabled. Enable it first."))
        values = {
            "digest": _digest(token),
            "state": current.get_session_auth_hash(),
            "created_at": timezone.now(),
            "expires_at": timezone.now() + timedelta(days=days),
        }
        link, _ = PasswordLink.objects.update_or_create(user=current, defaults=values)
        link.user = current
        record(
            "password_link.created", actor=actor.pk if actor else None, subject=f"user:{user.pk}", days=days
        )
    return link, token


def password_link_revoke(user: User, *, actor: User) -> None:
    """Raises NotFound if the user has no link."""
    with transaction.atomic():
        if not PasswordLink.objects.filter(user=user).delete()[0]:
            raise NotFound
        record("password_link.revoked", actor=actor.pk, subject=f"user:{user.pk}")


def password_link_find(token: str) -> User:
    """Return the user of a valid link. Raises NotFound."""
    found = PasswordLink.objects.filter(digest=_digest(token), expires_at__gt=timezone.now())
    link = found.select_related("user").first()
    if link is None or not is_usable(link):
        raise NotFound(LINK_NOT_VALID)
    return link.user


def password_link_use(token: str, password: str) -> User:
    """Set the password. Raises NotFound for an invalid link, which a used one is, and InvalidInput."""
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=password_link_find(token).pk)
        if password_link_find(token).pk != user.pk:  # somebody else may have used it in between
            raise NotFound(LINK_NOT_VALID)
        require_valid_password(password)
        user.set_password(password)
        user.save(update_fields=["password"])
        PasswordLink.objects.filter(user=user).delete()
        record("password_link.used", actor=user.pk, subject=f"user:{user.pk}")
    return user


def is_usable(link: PasswordLink) -> bool:
    user = link.user
    same = constant_time_compare(link.state, user.get_session_auth_hash())
    return user.is_active and same and link.expires_at > timezone.now()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
