"""Change limits. A change takes effect with its commit, for the next request."""

from collections.abc import Mapping
from uuid import UUID

from django.db import transaction

from cairn.access.services import parse_subject
from cairn.accounts.models import ApiKey, User
from cairn.audit.services import record
from cairn.errors import InvalidInput
from cairn.limits.models import Limit
from cairn.limits.rules import NOTHING_LIMITED, Measure, Most


def limit_set(*, subject: str, values: Mapping[Measure, Most], actor: UUID | None) -> Limit | None:
    """Replace all limits of the subject. Empty values remove them, so that inherited limits apply."""
    user, group, key = _subject(subject)
    with transaction.atomic():
        Limit.objects.filter(user=user, group=group, key=key).delete()
        limit = (
            Limit.objects.create(user_id=user, group_id=group, key_id=key, values=dict(values))
            if values
            else None
        )
        record("limits.changed", actor=actor, subject=f"limits:{subject}", values=dict(values))
    return limit


def _subject(text: str) -> tuple[UUID | None, UUID | None, UUID | None]:
    kind, _, value = text.partition(":")
    if kind != "key":
        return *parse_subject(text), None
    try:
        key = UUID(value)
    except ValueError as error:
        raise InvalidInput(f"“{text}” isn’t key:ID.") from error
    if not ApiKey.objects.filter(pk=key, revoked_at=None).exists():
        raise InvalidInput(f"“{text}” isn’t a key.")
    return None, None, key


def limit_lift(subject: User | ApiKey) -> None:
    """Remove all limits from a temporary account or key of Cairn itself."""
    named = {"user": subject} if isinstance(subject, User) else {"key": subject}
    Limit.objects.create(**named, values=dict(NOTHING_LIMITED))
