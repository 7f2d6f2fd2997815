"""Messages with password links, and attempts to send them. `web.mail.password_links` sends them."""

from datetime import timedelta
from itertools import islice
from typing import Final

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop

from cairn.accounts.models import PasswordLink, PasswordMail, User
from cairn.audit.models import Event
from cairn.audit.services import record
from cairn.errors import Conflict
from cairn.messages import CodedMessage

PAUSES: Final = (1, 2, 4, 8, 15, 30, 60, 60)
"""Minutes after each failed attempt; the first attempts span some hours of outage."""
REPEAT_MINUTES: Final = 5
"""People who forgot their password get one message in this time, however often it is requested."""
RESET_DAYS: Final = 1
PER_DAY: Final = 5
"""Messages requested for a person that are sent in 24 hours."""
PEOPLE: Final = 10
"""People who get a message for one request, if many have the same address."""
NO_ADDRESS: Final = gettext_noop("This user has no email address.")


def password_mail_request(
    user: User, *, days: int, language: str, site: str, actor: User | None
) -> PasswordMail:
    """Have a link sent to the user's address. Raises Conflict without an address, or for a disabled user."""
    if not user.is_active:
        raise Conflict(gettext_noop("This account is disabled. Enable it first."))
    if not user.email:
        raise Conflict(NO_ADDRESS)
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
    """Have links sent to users with this user name or address who have a password or were invited to set one;
    return how many.

    Nobody gets another message within `REPEAT_MINUTES`, nor more than `PER_DAY`.
    """
    recently = timezone.now() - timedelta(minutes=REPEAT_MINUTES)
    named = Q(username__iexact=name) | Q(email__iexact=name)
    found = User.objects.active().filter(named).exclude(email="")
    found = found.exclude(password_mail__created_at__gt=recently).order_by("pk")
    people = list(islice((user for user in found.iterator() if _may_request(user)), PEOPLE))
    for user in people:
        password_mail_request(user, days=RESET_DAYS, language=language, site=site, actor=None)
    return len(people)


def _may_request(user: User) -> bool:
    mail = PasswordMail.objects.filter(user=user).first()
    if mail and mail.requested_by_id and not mail.sent_at and mail.attempts < len(PAUSES):
        return False  # an admin's message is on its way
    if not user.has_usable_password() and not _has_ended_invitation(user, mail):
        return False
    requests = Event.objects.matching(
        action="password_mail.requested", subject=f"user:{user.pk}", since=timezone.now() - timedelta(days=1)
    )
    return requests.filter(actor=None).count() < PER_DAY


def _has_ended_invitation(user: User, mail: PasswordMail | None) -> bool:
    """Return whether an admin invited the user to set a first password, with a link that has expired, or that
    was replaced by one that the user asked for. People from directories have no use for a password."""
    link = PasswordLink.objects.filter(user=user).first()
    if link is None or user.identities.exists():
        return False
    own = mail and not mail.requested_by_id and mail.sent_at and link.created_at <= mail.sent_at
    return bool(own) or link.expires_at <= timezone.now()


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
