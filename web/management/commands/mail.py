"""Test the outgoing mail server."""

import argparse
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from web.mail.check import check_mail_server, send_test_mail
from web.management.base import FAILED, CairnCommand


class Command(CairnCommand):
    help = "Check the outgoing mail server, or send a test message."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        check = actions.add_parser("check", help="connect and sign in, without sending anything")
        test = actions.add_parser("test", help="send a test message")
        test.add_argument("address", metavar="ADDRESS", help="address to send it to")
        for action in (check, test):
            action.add_argument("--json", action="store_true", dest="as_json", default=argparse.SUPPRESS)

    def handle(self, *_args: Any, **options: Any) -> None:
        verdict = send_test_mail(options["address"]) if options["action"] == "test" else check_mail_server()
        if options["as_json"]:
            self.write_json(asdict(verdict))
        elif verdict.ok:
            self.stdout.write(self.style.SUCCESS(verdict.message))
        if not verdict.ok:
            if options["as_json"]:
                sys.exit(FAILED)
            self.fail(verdict.message)
