"""Copy stored files to and from a backup."""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from django.core.files.base import File
from django.core.files.storage import default_storage

from cairn.library.models import DocumentVersion
from ingestion.models import UploadPart
from web.backup.manifest import FILES, STORAGE_FOLDERS, Backup

_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A stored file. `sha256` is empty if the database does not have it."""

    name: str
    sha256: str = ""


def stored_files(using: str) -> Iterator[StoredFile]:
    """Yield stored files, except those of documents that are being erased."""
    versions = DocumentVersion.objects.using(using).filter(
        document__deleted_at=None, document__knowledge_base__deleted_at=None
    )
    for version in versions.only("original", "rendition", "sha256").iterator():
        yield StoredFile(version.original, version.sha256)
        if version.rendition:
            yield StoredFile(version.rendition)
    for name in UploadPart.objects.using(using).values_list("name", flat=True).iterator():
        yield StoredFile(name)


def copy_file(stored: StoredFile, target: Path) -> bool:
    """Copy a file. Returns False if it is missing or damaged."""
    if target.exists():
        return True
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = sha256()
    try:
        with default_storage.open(stored.name) as source, target.open("xb") as stream:
            for block in source.chunks(_BLOCK):
                digest.update(block)
                stream.write(block)
    except FileNotFoundError:
        target.unlink(missing_ok=True)
        return False
    if _is_complete(stored, target, digest.hexdigest()):
        return True
    target.unlink()
    return False


def _is_complete(stored: StoredFile, copy: Path, digest: str) -> bool:
    if stored.sha256:
        return digest == stored.sha256
    if not stored.name.endswith(".gz"):
        return True
    try:
        with gzip.open(copy) as stream:
            while stream.read(_BLOCK):
                pass
    except (OSError, EOFError, zlib.error):  # it was just being rewritten
        return False
    return True


def remove_except(names: set[str], folder: Path) -> None:
    """Remove files that the last snapshot no longer refers to."""
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).as_posix() not in names:
            path.unlink()


def has_files() -> bool:
    return any(next(_names(folder), None) for folder in STORAGE_FOLDERS)


def remove_all() -> None:
    """Remove all files, including those known only to the replaced tables."""
    for folder in STORAGE_FOLDERS:
        for name in _names(folder):
            default_storage.delete(name)


def _names(folder: str) -> Iterator[str]:
    try:
        folders, names = default_storage.listdir(folder)
    except FileNotFoundError:
        return
    yield from (f"{folder}/{name}" for name in names)
    for each in folders:
        yield from _names(f"{folder}/{each}")


def put_back(backup: Backup) -> Iterator[str]:
    for name in backup.stored_names():
        default_storage.delete(name)
        with backup.open_copy(f"{FILES}/{name}") as stream:
            default_storage.save(name, File(stream))
        yield name
