"""Print a lock file for pip, which also accepts wheels in the folders that pip was told to look in.

    locked.py development >requirements.txt

A machine without the package index is given wheels in a folder (`PIP_FIND_LINKS`). Who configured that
folder trusts it, and a wheel there may be a build of its own, such as PyTorch without CUDA. So a wheel of
the locked version in such a folder takes the place of the one in the index.

Runs on the bare system Python, so it uses the standard library only.
"""

import hashlib
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parents[1] / "requirements"
ENTRY: Final = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)


def locked(name: str) -> str:
    """The text of the lock file `name`; without one there is nothing to install."""
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    paths = (path for folder in local_folders() for path in folder.glob("*.whl") if _fits(path))
    wheels = {_identity(path): path for path in paths}
    return ENTRY.sub(lambda found: _refer(found, wheels), text) if wheels else text


def _refer(found: "re.Match[str]", wheels: dict[tuple[str, str], Path]) -> str:
    """The entry, or a reference to the file. pip would prefer the index, whose links name digests."""
    path = wheels.get((_normalized(found[1]), found[2]))
    return f"{found[1]} @ {path.resolve().as_uri()} --hash=sha256:{_digest(path)}" if path else found[0]


def _fits(path: Path) -> bool:
    """Whether the wheel is for this Python and processor."""
    *_, python, _, system = path.stem.split("-")
    pythons = {f"cp{sys.version_info.major}{sys.version_info.minor}", "py3"}
    return not pythons.isdisjoint(python.split(".")) and system.endswith(("any", platform.machine()))


def _identity(path: Path) -> tuple[str, str]:
    """Name and version of a wheel. A local label such as `+cpu` is no part of the version in a lock file."""
    name, version, *_ = path.name.split("-")
    return _normalized(name), version.partition("+")[0]


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def local_folders() -> Iterator[Path]:
    """Folders that pip's own configuration or environment names as sources of wheels."""
    pip = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(pip, capture_output=True, text=True, check=False).stdout  # noqa: S603
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        if name.endswith("find-links"):
            for place in shlex.split(value.replace("\\n", " ")):
                yield from (Path(each) for each in place.split() if Path(each).is_dir())


if __name__ == "__main__":
    sys.stdout.write(locked(sys.argv[1]))
