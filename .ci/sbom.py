"""Write the software bill of materials of a server: `sbom.py FILE` (CycloneDX, JSON).

cyclonedx-py reads the installed packages with their licences; the lock file says which of them belong to
a server and which digests their files have.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

PROJECT: Final = Path(__file__).resolve().parents[1]
LOCKS: Final = ("server", "models")
ENTRY: Final = re.compile(r"^([\w.-]+)(?:\[[^]]*\])?==([^\s;]+)(.*(?:\n .*)*)", re.MULTILINE)
# Their metadata names no licence that cyclonedx-py recognises; these are the ones in their source.
LICENCES: Final = {
    "imapclient": "BSD-3-Clause",
    "protobuf": "BSD-3-Clause",
    "pypdfium2": "BSD-3-Clause AND Apache-2.0",
    "tiktoken": "MIT",
    "torchvision": "BSD-3-Clause",
    "transformers": "Apache-2.0",
}
PANDOC: Final[dict[str, Any]] = {
    "type": "application",
    "name": "pandoc",
    "version": "3.9",
    "description": "Program in the package pypandoc-binary, run as a process of its own.",
    "licenses": [{"expression": "GPL-2.0-or-later"}],
    "purl": "pkg:github/jgm/pandoc@3.9",
}


def locked_packages() -> dict[tuple[str, str], list[str]]:
    """SHA-256 digests of each package of a server, by its normalised name and its version."""
    found = {}
    for lock in LOCKS:
        text = (PROJECT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
        for name, version, rest in ENTRY.findall(text):
            found[name, version] = re.findall(r"sha256:(\w{64})", rest)
    return found


def installed_packages() -> dict[str, Any]:
    with tempfile.NamedTemporaryFile(suffix=".json") as written:
        command = [sys.executable, "-m", "cyclonedx_py", "environment", sys.executable]
        command += ["--pyproject", str(PROJECT / "pyproject.toml"), "--output-reproducible"]
        subprocess.run([*command, "--output-file", written.name], check=True)  # noqa: S603
        document: dict[str, Any] = json.load(written)
    return document


def main(target: Path) -> None:
    document, locked = installed_packages(), locked_packages()
    components = {_normalized(each["name"]): each for each in document["components"]}
    document["components"] = [
        _described(components[name], digests)
        for (name, version), digests in sorted(locked.items())
        if name in components and components[name]["version"].partition("+")[0] == version
    ] + [PANDOC]
    kept = {each.get("bom-ref") for each in document["components"]} | {"root-component"}
    document["dependencies"] = [
        {**each, "dependsOn": [ref for ref in each.get("dependsOn", ()) if ref in kept]}
        for each in document["dependencies"]
        if each["ref"] in kept
    ]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(document['components'])} components in {target}\n")


def _described(component: dict[str, Any], digests: list[str]) -> dict[str, Any]:
    """The component with a licence and the digests of its files."""
    name, version = _normalized(component["name"]), component["version"].partition("+")[0]
    licences = component.get("licenses") or [{"expression": LICENCES[name]}]
    source = {
        "type": "distribution",
        "url": f"https://pypi.org/project/{name}/{version}/",
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in digests],
    }
    return {
        **component,
        "version": version,
        "purl": f"pkg:pypi/{name}@{version}",
        "licenses": licences,
        "externalReferences": [source],
    }


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
