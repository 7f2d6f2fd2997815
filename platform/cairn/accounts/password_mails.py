"""Messages with password links, and attempts to send them. `web.mail.password_links` sends them."""

from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop

from cairn.accounts.models import PasswordMail, User
from cairn.audit.services import record
from cairn.errors import Conflict
from cairn.messages import CodedMessage

PAUSES: Final = (1, 2, 4, 8, 15, 30, 60, 60)
"""Minutes after each failed attempt; the first attempts span some hours of outage."""
REPEAT_MINUTES: Final = 5
"""People who forgot their password get one message in this time, however often somebody asks for it."""
RESET_DAYS: Final = 1


def password_mail_request(
    user: User, *, days: int, language: str, site: str, actor: User | None
) -> PasswordMail:
    """Have a link sent to the user's address. Raises Conflict without an address, or for a disabled user."""
    if not user.is_active:
        raise Conflict(gettext_noop("This account is disabled. Enable it first."))
    if not user.email:
        raise Conflict(gettext_noop("This user has no email address."))
    values = {
        "is_invitation": not user.has_usable_password(),
        "language": user.language or language,
        "site": site,
        "days": days,
        "requested_by": actor,
        "created_at": timezone.now(),
        "not_before": timezone.now(),
        "attempts": 0,
        "sent_at": None,
        "error": "",
    }
    with transaction.atomic():
        mail, _ = PasswordMail.objects.update_or_create(user=user, defaults=values)
        record(
            "password_mail.requested", actor=actor.pk if actor else None, subject=f"user:{user.pk}", days=days
        )
    return mail


def password_resets_request(name: str, *, language: str, site: str) -> int:
    """Have links sent to users with this user name or address who have a password; return how many.

    Nobody gets another message within `REPEAT_MINUTES`.
    """
    recently = timezone.now() - timedelta(minutes=REPEAT_MINUTES)
    named = Q(username__iexact=name) | Q(email__iexact=name)
    found = (
        User.objects.active().filter(named).exclude(email="").exclude(password_mail__created_at__gt=recently)
    )
    people = [user for user in found.order_by("pk") if user.has_usable_password()]
    for user in people:
        password_mail_request(user, days=RESET_DAYS, language=language, site=site, actor=None)
    return len(people)


def find_due_mails() -> "QuerySet[PasswordMail]":
    waiting = PasswordMail.objects.filter(
        sent_at=None, attempts__lt=len(PAUSES), not_before__lte=timezone.now()
    )
    return waiting.select_related("user", "requested_by").order_by("not_before", "pk")


def mail_claim(mail: PasswordMail) -> bool:
    """Count an attempt, and return whether nobody else is sending it. After a crash, it is due again."""
    pause = timedelta(minutes=PAUSES[min(mail.attempts, len(PAUSES) - 1)])
    mine = PasswordMail.objects.filter(
        pk=mail.pk, attempts=mail.attempts, created_at=mail.created_at, sent_at=None
    )
    return bool(mine.update(attempts=F("attempts") + 1, not_before=timezone.now() + pause))


def mail_succeed(mail: PasswordMail) -> None:
    PasswordMail.objects.filter(pk=mail.pk, created_at=mail.created_at).update(
        sent_at=timezone.now(), error=""
    )


def mail_fail(mail: PasswordMail, error: CodedMessage, *, is_final: bool) -> None:
    """Record why an attempt failed. `is_final`: others would fail, too."""
    final = {"attempts": len(PAUSES)} if is_final else {}
    PasswordMail.objects.filter(pk=mail.pk, created_at=mail.created_at).update(error=error, **final)
