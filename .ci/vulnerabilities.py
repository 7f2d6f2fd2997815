"""Look up known vulnerabilities of the packages that are installed beside this Python.

Exits with 0 if there are none, with 1 if there are some, and with 3 if the package index could not be
asked: then nothing is known about any package. One package is looked up first, so that a machine without
network finds out quickly.
"""

import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

ASKED_FIRST = "django"
SECONDS = 600
NOT_CHECKED = 3


def audited(*arguments: str) -> list[dict[str, Any]] | None:
    """What pip-audit says of each package; None if it could not ask."""
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command, capture_output=True, text=True, check=False, timeout=SECONDS
        )
        return list(json.loads(done.stdout)["dependencies"])
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return None


def audited_first() -> list[dict[str, Any]] | None:
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "requirements.txt")
        listed.write_text(f"{ASKED_FIRST}=={version(ASKED_FIRST)}\n", encoding="utf-8")
        return audited("--disable-pip", "--no-deps", "--requirement", str(listed))


def is_known(package: dict[str, Any]) -> bool:
    return "skip_reason" not in package


def faults(packages: list[dict[str, Any]]) -> list[str]:
    return [
        f"{package['name']} {package['version']}: {fault['id']}, fixed in "
        f"{', '.join(fault['fix_versions']) or 'no version yet'}"
        for package in packages
        if is_known(package)
        for fault in package["vulns"]
    ]


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main() -> int:
    first = audited_first()
    packages = audited() if first and all(map(is_known, first)) else None
    if packages is None:
        say("NOT CHECKED: the package index is out of reach, so no package was checked for vulnerabilities")
        return NOT_CHECKED
    found = faults(packages)
    unknown = [package["name"] for package in packages if not is_known(package)]
    say(f"{len(packages) - len(unknown)} packages checked, {len(found)} known vulnerabilities")
    for line in (*found, *(f"not checked: {name}" for name in unknown)):
        say(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
