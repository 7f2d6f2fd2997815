"""Create an API key for another system."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser
from django.db import OperationalError
from django.utils import timezone

from cairn.access.selectors import require_official
from cairn.accounts.models import ApiKey, KeyScope, User
from cairn.accounts.services import api_key_create
from cairn.errors import InvalidInput
from cairn.library.models import KnowledgeBase
from web.management.base import CairnCommand

LONGEST_DAYS = 3650


class Command(CairnCommand):
    help = "Create an API key that acts for a user. It is shown only once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", required=True, metavar="NAME")
        parser.add_argument("--name", required=True, metavar="LABEL", help="what the key is used for")
        parser.add_argument(
            "--scope", action="append", choices=KeyScope.values, help="can be repeated (default: all)"
        )

        parser.add_argument(
            "--kb",
            action="append",
            metavar="SLUG",
            help="limit the key to this knowledge base; can be repeated (default: all)",
        )
        parser.add_argument(
            "--days", type=int, metavar="N", help="days until the key expires (default: never)"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            user = User.objects.filter(username__iexact=options["user"]).first()
        except OperationalError as error:
            raise InvalidInput("There's no database yet. Start Cairn once.") from error
        if user is None:
            raise InvalidInput(f"There's no user named “{options['user']}”.")
        row, key = api_key_create(
            user=user,
            label=options["name"],
            scopes=options["scope"],
            knowledge_bases=_find_official_ids(options["kb"]),
            expires_at=_expiry(options["days"]),
        )
        if options["as_json"]:
            self.write_json(_as_json(row, key, user))
        else:
            self.stdout.write(key)


def _find_official_ids(slugs: list[str] | None) -> list[UUID] | None:
    """Return ids of official knowledge bases. Slugs of unofficial ones are ambiguous in trust, so they are
    refused.
    """
    if slugs is None:
        return None
    return [_official(slug).id for slug in dict.fromkeys(slugs)]


def _official(slug: str) -> KnowledgeBase:
    base = KnowledgeBase.objects.present().filter(slug=slug).select_related("owner").first()
    if base is None:
        raise InvalidInput(f"There is no knowledge base “{slug}”.")
    require_official(base)
    return base


def _expiry(days: int | None) -> datetime | None:
    if days is None:
        return None
    if not 1 <= days <= LONGEST_DAYS:
        raise InvalidInput(f"A key lives for 1 to {LONGEST_DAYS} days.")
    return timezone.now() + timedelta(days=days)


def _as_json(row: ApiKey, key: str, user: User) -> dict[str, object]:
    return {
        "key": key,
        "id": str(row.id),
        "user": user.username,
        "scopes": row.scopes,
        "knowledge_bases": row.knowledge_bases,
        "expires_at": row.expires_at.isoformat() if row.expires_at else None,
    }
