"""Audit events for changes of second factors."""

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.signals import (
    authentication_failed,
    authenticator_added,
    authenticator_removed,
    authenticator_reset,
)
from django.dispatch import receiver

from cairn.accounts.models import User
from cairn.audit.services import record


@receiver(authenticator_added, dispatch_uid="second_factor.added")
def record_factor_added(user: User, authenticator: Authenticator, **_: Any) -> None:
    _record("second_factor.added", user, authenticator)


@receiver(authenticator_removed, dispatch_uid="second_factor.removed")
def record_factor_removed(user: User, authenticator: Authenticator, **_: Any) -> None:
    _record("second_factor.removed", user, authenticator)


@receiver(authenticator_reset, dispatch_uid="second_factor.renewed")
def record_factor_renewed(user: User, authenticator: Authenticator, **_: Any) -> None:
    _record("second_factor.renewed", user, authenticator)


@receiver(authentication_failed, dispatch_uid="second_factor.failed")
def record_factor_failed(user: User, authenticator: Authenticator, **_: Any) -> None:
    _record("second_factor.failed", user, authenticator)


def _record(action: str, user: User, authenticator: Authenticator) -> None:
    record(action, actor=user.id, subject=f"user:{user.id}", kind=str(authenticator.type))
