"""Layout and verification of backups: a folder with all files listed in SHA256SUMS, which is signed.

A restored database brings accounts, keys and permissions, and a PostgreSQL dump is SQL that is executed. So
no content is used before the signature was checked with a key that is not in the backup.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import file_digest, sha256
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from tempfile import SpooledTemporaryFile
from typing import IO, Final, Literal
from uuid import UUID

from django.conf import settings
from pydantic import BaseModel, ConfigDict, ValidationError

from cairn.errors import InvalidInput
from web.backup.key import BackupKey

FORMAT: Final = 2
READABLE_FORMATS: Final = (1, 2)
MANIFEST: Final = "manifest.json"
SUMS: Final = "SHA256SUMS"
SIGNATURE: Final = "SHA256SUMS.hmac"
SQLITE: Final = "database.sqlite3"
POSTGRESQL: Final = "database.dump"
FILES: Final = "files"
IDS: Final = "vectors.ids"
NUMBERS: Final = "vectors.f32"
GOLD: Final = "gold.json"
KEY_FILE: Final = "secret_key"  # the name of a file
AUDIT_HEAD: Final = "audit_head.json"
PRIVATE: Final = 0o600
STORAGE_FOLDERS: Final = ("originals", "renditions", "parts", "pages")
"""Everything that Cairn stores in its file storage."""
_TOP_LEVEL: Final = {MANIFEST, SQLITE, POSTGRESQL, IDS, NUMBERS, GOLD, KEY_FILE, AUDIT_HEAD}
_STORED: Final = re.compile(rf"{FILES}/({'|'.join(STORAGE_FOLDERS)})(/(?!\.\.?(/|$))[\w.-]+)+", re.ASCII)
_UNLISTED: Final = {SUMS, SIGNATURE}
_BLOCK: Final = 1 << 20
_IN_MEMORY: Final = 8 << 20


class Generation(BaseModel):
    """The active index generation, with the model of its vectors."""

    id: UUID
    name: str
    embedding_model: str
    dimension: int


class Manifest(BaseModel):
    """Description of a backup. `missing`: files and vectors in the database that were unavailable."""

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


class Unauthenticated(InvalidInput):
    """The origin of the backup cannot be verified. The operator may decide to trust it."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A verified backup. `authentic` is False if the operator trusts it without a valid signature."""

    folder: Path
    manifest: Manifest
    digests: dict[str, str]
    authentic: bool

    def stored_names(self) -> list[str]:
        """Names of files in Cairn's storage."""
        prefix = f"{FILES}/"
        return [name.removeprefix(prefix) for name in sorted(self.digests) if name.startswith(prefix)]

    def copy(self, name: str, target: Path) -> None:
        """Copy a file, readable by its owner only. Raises InvalidInput if it changed after verification."""
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, PRIVATE)
        with os.fdopen(descriptor, "wb") as stream:
            self._copy(name, stream)

    @contextmanager
    def open_copy(self, name: str) -> Iterator[IO[bytes]]:
        """Open a private copy that nobody can change. Raises as `copy` does."""
        with SpooledTemporaryFile(max_size=_IN_MEMORY, dir=settings.FILE_UPLOAD_TEMP_DIR) as copy:
            self._copy(name, copy)
            copy.seek(0)
            yield copy

    def _copy(self, name: str, target: IO[bytes]) -> None:
        if name not in self.digests:
            raise InvalidInput(f"The backup {self.folder} is missing {name}.")
        digest = sha256()
        with (self.folder / name).open("rb") as source:
            while block := source.read(_BLOCK):
                digest.update(block)
                target.write(block)
        if digest.hexdigest() != self.digests[name]:
            raise InvalidInput(f"{self.folder / name} changed while the backup was being restored.")


def seal(folder: Path, manifest: Manifest, key: BackupKey) -> None:
    """Complete the backup. All other files are synced before the list and its signature are written."""
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
    lines = []
    for name, path in _files(folder).items():
        path.chmod(PRIVATE)
        lines.append(f"{_digest(path)}  {name}\n")
        sync(path)
    content = "".join(lines).encode()
    _write(folder / SUMS, content)
    _write(folder / SIGNATURE, f"{key.id} {key.sign(content)}\n".encode())
    sync(folder)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(PRIVATE)
    sync(path)


def verify(folder: Path, *, key: BackupKey | None, allow_unauthenticated: bool = False) -> Backup:
    """Raise InvalidInput unless the backup is complete, signed with `key`, and unchanged.

    `allow_unauthenticated` accepts a backup without a signature, or signed with another key. One with this
    key's id and a wrong signature was tampered with, and is always refused.
    """
    content = _sums(folder)
    authentic = _is_authentic(folder, content, key, allow_unauthenticated=allow_unauthenticated)
    digests = _parse_sums(content, folder)
    found = _files(folder)
    for name in sorted(digests.keys() | found.keys()):
        _require_unchanged(folder, name, digests.get(name), found.get(name))
    return Backup(folder, _manifest(folder, digests), digests, authentic)


def _sums(folder: Path) -> bytes:
    try:
        return (folder / SUMS).read_bytes()
    except OSError as error:
        raise InvalidInput(f"{folder} isn't a complete backup: {SUMS} is missing.") from error


def _is_authentic(
    folder: Path, content: bytes, key: BackupKey | None, *, allow_unauthenticated: bool
) -> bool:
    key_id, signature = _signature(folder)
    if key is not None and key.id == key_id:
        if not key.verify(content, signature):
            raise InvalidInput(
                f"The backup {folder} has been changed since it was made: its signature is wrong."
            )
        return True
    if not allow_unauthenticated:
        raise Unauthenticated(_why_not_authentic(folder, key, key_id))
    return False


def _signature(folder: Path) -> tuple[str, str]:
    """Return key id and signature; both empty if unsigned."""
    try:
        text = (folder / SIGNATURE).read_text(encoding="ascii")
    except FileNotFoundError:
        return "", ""
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{folder / SIGNATURE} can't be read.") from error
    key_id, _, signature = text.strip().partition(" ")
    return key_id, signature


def _why_not_authentic(folder: Path, key: BackupKey | None, key_id: str) -> str:
    if not key_id:
        why = "it is not signed. Either an older version of Cairn made it, or its signature was removed"
    elif key is None:
        why = (
            "the key that it was signed with is not here. Set BACKUP_KEY to it, or put the file backup_key "
            "in DATA_DIR"
        )
    else:
        why = (
            "it was signed with another key. Set BACKUP_KEY to that key, or put it in DATA_DIR as backup_key"
        )
    return (
        f"Nobody can tell whether the backup {folder} has been manipulated: {why}. A manipulated backup can "
        "take over this server. Only if nobody else could write to it, restore it with "
        "--allow-unauthenticated."
    )


def _parse_sums(content: bytes, folder: Path) -> dict[str, str]:
    try:
        pairs = [line.split("  ", 1) for line in content.decode().split("\n") if line]
        return {name: digest for digest, name in pairs}
    except (UnicodeDecodeError, ValueError) as error:
        raise InvalidInput(f"{folder / SUMS} can't be read.") from error


def _require_unchanged(folder: Path, name: str, digest: str | None, path: Path | None) -> None:
    if path is None:
        raise InvalidInput(f"The backup {folder} is missing {name}.")
    if digest is None or not _is_expected(name):
        raise InvalidInput(f"The backup {folder} contains an unexpected file: {name}.")
    if _digest(path) != digest:
        raise InvalidInput(
            f"The file {name} in the backup {folder} has changed since the backup was created."
        )


def _is_expected(name: str) -> bool:
    return name in _TOP_LEVEL or _STORED.fullmatch(name) is not None


def _manifest(folder: Path, digests: dict[str, str]) -> Manifest:
    try:
        content = (folder / MANIFEST).read_bytes()
        if sha256(content).hexdigest() != digests.get(MANIFEST):
            raise InvalidInput(f"The backup {folder} is missing {MANIFEST}.")
        data = json.loads(content)
        if data["format"] not in READABLE_FORMATS:
            raise InvalidInput(
                f"The backup was made by Cairn {data.get('cairn')} in a format that this version cannot read."
            )
        return Manifest.model_validate(data)
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise InvalidInput(f"{folder / MANIFEST} can't be read.") from error


def _files(folder: Path) -> dict[str, Path]:
    """Return all files by name, except the list and its signature. Raises InvalidInput for links."""
    found = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if not (S_ISREG(mode) or S_ISDIR(mode)):
            raise InvalidInput(f"{path} is neither a plain file nor a folder.")
        name = path.relative_to(folder).as_posix()
        if S_ISREG(mode) and name not in _UNLISTED:
            found[name] = path
    return found


def measure_size(folder: Path) -> int:
    """Return the size of all files in bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Flush a file, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
