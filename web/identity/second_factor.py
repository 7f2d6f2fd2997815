"""Users with second factors, and users who need one."""

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest

from cairn.accounts.models import User
from cairn.audit.services import record
from web.identity.configured_providers import has_second_factor_at_provider

KINDS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


def has_second_factor(user: User) -> bool:
    return bool(Authenticator.objects.filter(user=user, type__in=KINDS).exists())


def second_factor_missing(request: HttpRequest, user: User) -> bool:
    return (
        must_have_second_factor(user)
        and not has_second_factor(user)
        and not has_second_factor_at_provider(request)
    )


def must_have_second_factor(user: User) -> bool:
    required: str = settings.REQUIRE_MFA
    return required == "everyone" or (required == "admins" and user.is_admin)


def second_factor_reset(user: User, *, actor: User | None) -> int:
    """Remove all second factors and end all sessions of a user. Returns the number removed."""
    with transaction.atomic():
        removed, _ = Authenticator.objects.filter(user=user).delete()
        User.objects.filter(pk=user.pk).update(session_generation=F("session_generation") + 1)
        record("second_factor.reset", actor=actor.id if actor else None, subject=f"user:{user.id}")
    return int(removed)
