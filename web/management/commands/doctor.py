"""Check that the installation has everything it needs."""

import sys
from dataclasses import asdict
from typing import Any

from cairn.settings import environment
from web.cli.doctor import Finding, findings, versions
from web.cli.settings_list import Setting, settings_list
from web.management.base import FAILED, CairnCommand


class Command(CairnCommand):
    help = "Check the configuration, the services Cairn needs and optional programs."

    def handle(self, *_args: Any, **options: Any) -> None:
        known = settings_list(environment())
        found = []
        for finding in findings():
            found.append(finding)
            if not options["as_json"]:
                self._print(finding)
        healthy = all(finding.ok or finding.optional for finding in found)
        if options["as_json"]:
            self.write_json(_answer(found, known, healthy=healthy))
        else:
            self._list(known)
        if not healthy:
            sys.exit(FAILED)

    def _print(self, finding: Finding) -> None:
        self.stdout.write(f"{self._mark(finding)}  {finding.name:<16} {finding.detail}")

    def _mark(self, finding: Finding) -> str:
        if finding.ok:
            return self.style.SUCCESS("ok     ")
        return self.style.WARNING("without") if finding.optional else self.style.ERROR("MISSING")

    def _list(self, known: list[Setting]) -> None:
        self.stdout.write("")
        for name, found in versions().items():
            self.stdout.write(f"{name:<24} {found}")
        self.stdout.write("")
        for setting in known:
            self.stdout.write(f"{setting.name:<24} {setting.value or '-':<28} {setting.origin}")


def _answer(found: list[Finding], known: list[Setting], *, healthy: bool) -> dict[str, Any]:
    return {
        "ok": healthy,
        "checks": [asdict(finding) for finding in found],
        "versions": versions(),
        "settings": [asdict(setting) for setting in known],
    }
