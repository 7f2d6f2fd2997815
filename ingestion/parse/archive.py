"""Looks into a zip before a library trusts it: directories lie, so bytes are counted as they inflate."""

import zipfile
import zlib
from pathlib import Path
from typing import Final

from ingestion.parse import reject

_MAX_ENTRIES: Final = 10_000
_MAX_MEMBER: Final = 128 << 20
_MAX_TOTAL: Final = 512 << 20
_MAX_RATIO: Final = 200
_RATIO_FROM: Final = 16 << 20  # small files may compress as well as they like
_BLOCK: Final = 1 << 20
_ENCRYPTED: Final = 0x1

BROKEN_ZIP: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError)


def names(path: Path) -> list[str] | None:
    """Member names; None if the archive cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except BROKEN_ZIP:
        return None


def check(path: Path, kind: str) -> None:
    """Raises DocumentRejected unless every member inflates within bounds. Nothing is kept or written."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check_directory(archive, kind)
            _check_sizes(archive, path.stat().st_size)
    except BROKEN_ZIP as error:
        raise reject.damaged(kind) from error


def _check_directory(archive: zipfile.ZipFile, kind: str) -> None:
    members = archive.infolist()
    if len(members) > _MAX_ENTRIES:
        raise reject.unsafe_archive(f"it is an archive of more than {_MAX_ENTRIES:,} parts")
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise reject.protected(kind)
    if any(_escapes(member.filename) for member in members):
        raise reject.unsafe_archive("a part of it points outside the file")


def _escapes(name: str) -> bool:
    return name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/")


def _check_sizes(archive: zipfile.ZipFile, compressed: int) -> None:
    allowed = min(_MAX_TOTAL, max(_RATIO_FROM, compressed * _MAX_RATIO))
    total = 0
    for member in archive.infolist():
        size = 0
        with archive.open(member) as stream:
            while block := stream.read(_BLOCK):
                size += len(block)
                if size > _MAX_MEMBER or total + size > allowed:
                    raise reject.unsafe_archive("it would unpack to far more than its size")
        total += size
