"""Reset second factors, for an admin who lost theirs without another admin."""

from typing import Any

from django.core.management.base import CommandParser

from cairn.accounts.models import User
from cairn.errors import InvalidInput
from web.identity.second_factor import second_factor_reset
from web.management.base import CairnCommand


class Command(CairnCommand):
    help = "Remove a user's second factors and end their sessions."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def handle(self, *_args: Any, **options: Any) -> None:
        user = User.objects.filter(username__iexact=options["username"]).first()
        if user is None:
            raise InvalidInput(f"There's no user named “{options['username']}”.")
        removed = second_factor_reset(user, actor=None)
        self.stdout.write(f"{user.username} no longer has a second factor ({removed} removed).")
