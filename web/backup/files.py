"""Originals and what was read of them, out of storage and back."""

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
from web.backup.layout import FILES, STORAGE_FOLDERS, Backup

_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """`sha256` is empty where the database does not know it."""

    name: str
    sha256: str = ""


def wanted_files(using: str) -> Iterator[Wanted]:
    """Not of documents that are being erased: they end with the restored install, too."""
    versions = DocumentVersion.objects.using(using).filter(
        document__deleted_at=None, document__knowledge_base__deleted_at=None
    )
    for version in versions.only("original", "rendition", "sha256").iterator():
        yield Wanted(version.original, version.sha256)
        if version.rendition:
            yield Wanted(version.rendition)
    for name in UploadPart.objects.using(using).values_list("name", flat=True).iterator():
        yield Wanted(name)


def copied(wanted: Wanted, target: Path) -> bool:
    """False if it is not there, or not what it should be."""
    if target.exists():
        return True
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = sha256()
    try:
        with default_storage.open(wanted.name) as source, target.open("xb") as stream:
            for block in source.chunks(_BLOCK):
                digest.update(block)
                stream.write(block)
    except FileNotFoundError:
        target.unlink(missing_ok=True)
        return False
    if _is_whole(wanted, target, digest.hexdigest()):
        return True
    target.unlink()
    return False


def _is_whole(wanted: Wanted, copy: Path, digest: str) -> bool:
    if wanted.sha256:
        return digest == wanted.sha256
    if not wanted.name.endswith(".gz"):
        return True
    try:
        with gzip.open(copy) as stream:
            while stream.read(_BLOCK):
                pass
    except (OSError, EOFError, zlib.error):  # it was just being written anew
        return False
    return True


def removed_except(kept: set[str], folder: Path) -> None:
    """What an earlier look wanted, and the last one does not any more."""
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).as_posix() not in kept:
            path.unlink()


def any_kept() -> bool:
    return any(next(_names(folder), None) for folder in STORAGE_FOLDERS)


def remove_all() -> None:
    """Also those that only the tables which go knew of."""
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
        with backup.opened(f"{FILES}/{name}") as stream:
            default_storage.save(name, File(stream))
        yield name
