"""A ZIP as a folder: what it holds is listed here, and read as documents of their own."""

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cairn.errors import DocumentRejected, Rejection
from cairn.library.rendition import Rendition
from ingestion.parse import archive, part_names, reject
from ingestion.parse.build import LIST_ITEM, RenditionBuilder
from ingestion.parse.limits import Limits
from ingestion.parse.text import clean

_BOUNDS: Final = archive.Bounds(member=2 << 30, total=2 << 30)
_UTF8_NAME: Final = 0x800
_LEFT_OUT: Final = frozenset(("__macosx", "thumbs.db", "desktop.ini"))
_SEPARATORS: Final = re.compile(r"[/\\]+")
_REFUSED: Final = {Rejection.PASSWORD_PROTECTED: "protected by a password"}
_UNITS: Final = ("bytes", "KB", "MB", "GB")


@dataclass(frozen=True, slots=True)
class Member:
    """`place` is that in the archive's directory."""

    name: str
    place: int


def parse(path: Path, limits: Limits) -> Rendition:
    """Raises DocumentRejected if none of its files can be had; `read` says it of each that cannot."""
    surveyed = archive.survey(path, "archive", _BOUNDS)
    found = members(path)
    if not found:
        raise reject.no_text("The archive holds no files. Pack the files anew and upload that.")
    sizes = [surveyed[member.place] for member in found]
    _require_some(sizes)
    builder = RenditionBuilder(limits)
    for member, size in zip(found, sizes, strict=True):
        builder.add(LIST_ITEM, f"{member.name} ({_readable(size)})")
    return builder.build()


def _require_some(sizes: Sequence[int | DocumentRejected]) -> None:
    refused = [size for size in sizes if isinstance(size, DocumentRejected)]
    if len(refused) == len(sizes):
        encrypted = refused[0].reason is Rejection.PASSWORD_PROTECTED
        raise reject.protected("archive") if encrypted else reject.damaged("archive")


def members(path: Path) -> list[Member]:
    """The files that people put in, under names that differ."""
    return _directory(path).members


@dataclass(frozen=True, slots=True)
class _Directory:
    opened: zipfile.ZipFile
    members: list[Member]


_kept: dict[tuple[object, ...], _Directory] = {}
"""The last one: its files are asked for one by one."""


def _directory(path: Path) -> _Directory:
    about = path.stat()
    key = (path, about.st_ino, about.st_mtime_ns, about.st_size)
    if key not in _kept:
        while _kept:
            _kept.popitem()[1].opened.close()
        _kept[key] = _read_directory(path)
    return _kept[key]


def _read_directory(path: Path) -> _Directory:
    opened = zipfile.ZipFile(path)
    shown = [(place, name) for place, name in enumerate(map(_name, opened.infolist())) if name]
    names = part_names.told_apart([name for _, name in shown])
    return _Directory(opened, [Member(name, place) for (place, _), name in zip(shown, names, strict=True)])


def read(path: Path, part: int, largest: int) -> bytes:
    """Raises DocumentRejected for a member that is larger, damaged or protected by a password."""
    try:
        directory = _directory(path)
        entry = directory.opened.infolist()[directory.members[part].place]
        if archive.is_encrypted(entry):
            raise reject.protected(archive.MEMBER)
        with directory.opened.open(entry) as stream:
            content = stream.read(largest + 1)
    except (*archive.BROKEN_ZIP, IndexError, RuntimeError) as error:
        raise reject.damaged(archive.MEMBER) from error
    if len(content) > largest:
        raise reject.part_too_large(largest)
    return content


def _name(entry: zipfile.ZipInfo) -> str:
    """Its path; empty for what is a folder, hidden, or put there by the system."""
    parts = [part.strip() for part in _SEPARATORS.split(clean(_decoded(entry)).replace("\n", " "))]
    parts = [part for part in parts if part not in ("", ".")]
    if entry.is_dir() or any(_is_left_out(part) for part in parts):
        return ""
    return "/".join(parts)


def _decoded(entry: zipfile.ZipInfo) -> str:
    """Many programs write UTF-8 without saying so."""
    if entry.flag_bits & _UTF8_NAME:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename


def _is_left_out(part: str) -> bool:
    return part.startswith((".", "~$")) or part.lower() in _LEFT_OUT


def _readable(size: int | DocumentRejected) -> str:
    """As people say it: 640 bytes, 2.4 MB."""
    if isinstance(size, DocumentRejected):
        return _REFUSED.get(size.reason, "damaged")
    amount = float(size)
    for unit in _UNITS:
        if amount < 1000 or unit == _UNITS[-1]:
            break
        amount /= 1000
    return f"{size} bytes" if unit == _UNITS[0] else f"{amount:.1f} {unit}"
