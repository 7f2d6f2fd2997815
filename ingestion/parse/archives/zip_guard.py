"""Checks of ZIP archives. Their directories cannot be trusted, so bytes are counted during inflation."""

import copy
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cairn.errors import DocumentRejected, Rejection
from ingestion.parse.core import failures

_MAX_ENTRIES: Final = 10_000
_MAX_RATIO: Final = 200
_RATIO_FROM: Final = 16 << 20  # small files may compress as well as they like
_NO_SIZE: Final = 1 << 62
_BLOCK: Final = 1 << 20
_ENCRYPTED: Final = 0x1

MEMBER: Final = "file in the archive"
BROKEN_ZIP: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Maximum unpacked bytes of one member, and of all together."""

    member: int
    total: int


ONE_DOCUMENT: Final = Bounds(member=128 << 20, total=512 << 20)


def names(path: Path) -> list[str] | None:
    """Member names; None if the archive cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except BROKEN_ZIP:
        return None


def check(path: Path, kind: str) -> None:
    """Raise DocumentRejected unless all members of a one-document archive are readable and within bounds."""
    for found in survey(path, kind, ONE_DOCUMENT):
        if isinstance(found, DocumentRejected):
            encrypted = found.reason is Rejection.PASSWORD_PROTECTED
            raise failures.protected(kind) if encrypted else failures.damaged(kind)


def survey(path: Path, kind: str, bounds: Bounds) -> list[int | DocumentRejected]:
    """Return each member's true size, in the directory's order, or the reason why it is unreadable.

    Nothing is stored or written. Raises DocumentRejected if the whole archive is unsafe.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_directory(archive)
            return _sizes(archive, path.stat().st_size, bounds)
    except BROKEN_ZIP as error:
        raise failures.damaged(kind) from error


def is_encrypted(member: zipfile.ZipInfo) -> bool:
    return bool(member.flag_bits & _ENCRYPTED)


def _check_directory(archive: zipfile.ZipFile) -> None:
    members = archive.infolist()
    if len(members) > _MAX_ENTRIES:
        raise failures.unsafe_archive("unsafe_entries", number=_MAX_ENTRIES)
    if any(_escapes(member.filename) for member in members):
        raise failures.unsafe_archive("unsafe_path")
    if any(stat.S_ISLNK(member.external_attr >> 16) for member in members):
        raise failures.unsafe_archive("unsafe_link")


def _escapes(name: str) -> bool:
    return name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/")


def _sizes(archive: zipfile.ZipFile, compressed: int, bounds: Bounds) -> list[int | DocumentRejected]:
    allowed = min(bounds.total, max(_RATIO_FROM, compressed * _MAX_RATIO))
    found: list[int | DocumentRejected] = []
    for member in archive.infolist():
        size = _survey_member(archive, member, min(bounds.member, allowed))
        allowed -= size if isinstance(size, int) else 0
        found.append(size)
    return found


def _survey_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, allowed: int) -> int | DocumentRejected:
    if is_encrypted(member):
        return failures.protected(MEMBER)
    try:
        size = _size(archive, member, allowed)
    except BROKEN_ZIP:
        return failures.damaged(MEMBER)
    if size != member.file_size:
        raise failures.unsafe_archive("unsafe_content")
    return size


def _size(archive: zipfile.ZipFile, member: zipfile.ZipInfo, allowed: int) -> int:
    """Count the member's bytes until its data ends, regardless of the size in the directory."""
    unbelieved = copy.copy(member)
    unbelieved.file_size = _NO_SIZE
    size = 0
    with archive.open(unbelieved) as stream:
        while block := stream.read(_BLOCK):
            size += len(block)
            if size > allowed:
                raise failures.unsafe_archive("unsafe_size")
    return size
