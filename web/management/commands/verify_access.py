"""Run an access check."""

import sys
import time
from typing import Any

from cairn.errors import CairnError
from web.cli.api_client import Api, Json
from web.cli.server_connection import client
from web.management.base import FAILED, SOME_FAILED, CairnCommand

CHECKS = "/api/v1/access-checks"
LOOK_SECONDS = 0.5
PATIENCE = 15 * 60.0


class Command(CairnCommand):
    help = (
        "Plant test documents and try every way to reach them as users without access; "
        "then search for real documents as users who can't read them. "
        f"Exit code {SOME_FAILED}: a leak was found."
    )

    def handle(self, *_args: Any, **options: Any) -> None:
        with client(self.reporter(options), command="manage.py verify_access") as connected:
            check = _run_check(connected.api)
        if options["as_json"]:
            self.write_json(check)
        else:
            self._print(check)
        if check["state"] != "passed":
            sys.exit(SOME_FAILED if check["state"] == "leaked" else FAILED)

    def _print(self, check: Json) -> None:
        if check["state"] == "failed":
            self.stderr.write(self.style.ERROR(f"error: {check['error']}"))
            return
        asked = f"{check['probes']} test requests, {check['spots']} searches for real documents"
        leaks = len(check["leaks"])
        self.stdout.write(f"{asked}: {leaks or 'no'} leak{'' if leaks == 1 else 's'}")
        for leak in check["leaks"]:
            self.stdout.write(self.style.ERROR(f"  {leak['who']}: {leak['how']} returned {leak['what']}"))


def _run_check(api: Api) -> Json:
    check, give_up = api.post(CHECKS, {}), time.monotonic() + PATIENCE
    while check["state"] == "running":
        if time.monotonic() > give_up:
            raise CairnError("No worker has picked up the check, or it's taking too long.")
        time.sleep(LOOK_SECONDS)
        check = api.get(f"{CHECKS}/{check['id']}")
    return check
