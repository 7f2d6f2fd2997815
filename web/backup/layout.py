"""What a backup consists of: a folder whose every file is in SHA256SUMS, which is written last."""

import json
import os
from collections.abc import Iterator
from datetime import datetime
from hashlib import file_digest
from pathlib import Path
from typing import Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from cairn.errors import InvalidInput

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
SUMS: Final = "SHA256SUMS"
SQLITE: Final = "database.sqlite3"
POSTGRESQL: Final = "database.dump"
FILES: Final = "files"
IDS: Final = "vectors.ids"
NUMBERS: Final = "vectors.f32"
GOLD: Final = "gold.json"
KEPT_KEY: Final = "secret_key"  # the name of a file
AUDIT_HEAD: Final = "audit_head.json"
PRIVATE: Final = 0o600


class Generation(BaseModel):
    """Of the index that answered: the model that made the vectors."""

    id: UUID
    name: str
    embedding_model: str
    dimension: int


class Manifest(BaseModel):
    """`missing`: files and vectors that could not be had, though the database names them."""

    model_config = ConfigDict(extra="forbid")

    format: int = FORMAT
    cairn: str
    made_at: datetime
    database: Literal["sqlite", "postgresql"]
    migrations: list[str]
    generation: Generation | None
    documents: int
    files: int
    vectors: int
    secret_key: bool
    missing: list[str]


def seal(folder: Path, manifest: Manifest) -> None:
    """After this it is whole. Everything is on the disk before the list of it is."""
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
    lines = []
    for path in _files(folder):
        path.chmod(PRIVATE)
        lines.append(f"{_digest(path)}  {path.relative_to(folder).as_posix()}\n")
        sync(path)
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")
    (folder / SUMS).chmod(PRIVATE)
    sync(folder / SUMS)
    sync(folder)


def verified(folder: Path) -> Manifest:
    """Raises InvalidInput unless it is whole, and each file is as it was written."""
    expected = _sums(folder)
    found = {path.relative_to(folder).as_posix(): path for path in _files(folder) if path.name != SUMS}
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise InvalidInput(f"The backup {folder} lacks {name}.")
        if name not in expected:
            raise InvalidInput(f"The backup {folder} has a file that is not its own: {name}.")
        if _digest(found[name]) != expected[name]:
            raise InvalidInput(f"In the backup {folder} the file {name} is not as it was written.")
    return _manifest(folder)


def _sums(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InvalidInput(f"{folder} is no backup that was finished: it has no {SUMS}.") from error
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _manifest(folder: Path) -> Manifest:
    try:
        said = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if said["format"] != FORMAT:
            raise InvalidInput(
                f"The backup was made by Cairn {said.get('cairn')} in a format that this one does not read."
            )
        return Manifest.model_validate(said)
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise InvalidInput(f"{folder / MANIFEST} cannot be read.") from error


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise InvalidInput(f"{path} is no plain file.")
        if path.is_file():
            yield path


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Until the disk has a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
