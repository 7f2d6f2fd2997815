"""Record sign-ins and sign-outs, by whichever method, from Django's signals."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver

from cairn.audit.services import record


@receiver(user_logged_in, dispatch_uid="audit.sign_in")
def _record_sign_in(user: Any, **_: Any) -> None:
    record("sign_in", actor=user.pk, subject=f"user:{user.pk}")


@receiver(user_logged_out, dispatch_uid="audit.sign_out")
def _record_sign_out(user: Any, **_: Any) -> None:
    if user is not None:
        record("sign_out", actor=user.pk, subject=f"user:{user.pk}")


@receiver(user_login_failed, dispatch_uid="audit.sign_in.failed")
def _record_failed_sign_in(credentials: dict[str, Any], **_: Any) -> None:
    """Record a failed sign-in. Unknown names are not stored: people type their password there."""
    name = str(credentials.get("username") or "").replace("\0", "")
    user = get_user_model()._default_manager.filter(username__iexact=name).first() if name else None
    record("sign_in.failed", actor=None, subject=f"user:{user.pk}" if user else "")
