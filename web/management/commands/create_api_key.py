"""A key for another system."""

from typing import Any

from django.core.management.base import CommandParser
from django.db import OperationalError

from cairn.accounts.models import KeyScope, User
from cairn.accounts.services import api_key_create
from cairn.errors import InvalidInput
from web.management.base import CairnCommand


class Command(CairnCommand):
    help = "Make an API key that acts for a user. It is shown once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", required=True, metavar="NAME")
        parser.add_argument("--name", required=True, metavar="LABEL", help="what the key is for")
        parser.add_argument(
            "--scope", action="append", choices=KeyScope.values, help="repeat for several; all if absent"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            user = User.objects.filter(username__iexact=options["user"]).first()
        except OperationalError as error:
            raise InvalidInput("There is no database yet: start Cairn once.") from error
        if user is None:
            raise InvalidInput(f"There is no user named “{options['user']}”.")
        row, key = api_key_create(user=user, label=options["name"], scopes=options["scope"])
        if options["as_json"]:
            self.write_json({"key": key, "id": str(row.id), "user": user.username, "scopes": row.scopes})
        else:
            self.stdout.write(key)
