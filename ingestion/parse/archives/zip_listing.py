"""ZIP archives as folders: they are parsed into a listing, and members become documents of their own."""

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cairn.errors import DocumentRejected, Rejection
from cairn.library.rendition import Rendition
from cairn.messages import CodedMessage
from ingestion.parse.archives import embedded_names, zip_guard
from ingestion.parse.core import failures
from ingestion.parse.core.limits import Limits
from ingestion.parse.core.rendition_builder import LIST_ITEM, RenditionBuilder
from ingestion.parse.text.cleaning import clean

_BOUNDS: Final = zip_guard.Bounds(member=2 << 30, total=2 << 30)
_UTF8_NAME: Final = 0x800
_LEFT_OUT: Final = frozenset(("__macosx", "thumbs.db", "desktop.ini"))
_SEPARATORS: Final = re.compile(r"[/\\]+")
_REFUSED: Final = {Rejection.PASSWORD_PROTECTED: "protected by a password"}
_UNITS: Final = ("bytes", "KB", "MB", "GB")


@dataclass(frozen=True, slots=True)
class Member:
    """A file in the archive. `place` is its index in the archive's directory."""

    name: str
    place: int


def parse(path: Path, limits: Limits) -> Rendition:
    """Build the listing. Raises DocumentRejected if no member is readable; `read` reports individual ones."""
    surveyed = zip_guard.survey(path, "archive", _BOUNDS)
    found = members(path)
    if not found:
        raise failures.no_text(CodedMessage("archive_is_empty"))
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
        raise failures.protected("archive") if encrypted else failures.damaged("archive")


def members(path: Path) -> list[Member]:
    """Members that are user files, with unique names."""
    return _directory(path).members


@dataclass(frozen=True, slots=True)
class _Directory:
    opened: zipfile.ZipFile
    members: list[Member]


_cache: dict[tuple[object, ...], _Directory] = {}
"""The last one: its files are asked for one by one."""


def _directory(path: Path) -> _Directory:
    about = path.stat()
    key = (path, about.st_ino, about.st_mtime_ns, about.st_size)
    if key not in _cache:
        while _cache:
            _cache.popitem()[1].opened.close()
        _cache[key] = _read_directory(path)
    return _cache[key]


def _read_directory(path: Path) -> _Directory:
    opened = zipfile.ZipFile(path)
    shown = [(place, name) for place, name in enumerate(map(_name, opened.infolist())) if name]
    names = embedded_names.make_unique([name for _, name in shown])
    return _Directory(opened, [Member(name, place) for (place, _), name in zip(shown, names, strict=True)])


def read(path: Path, part: int, largest: int) -> bytes:
    """Read a member. Raises DocumentRejected if it is too large, damaged or encrypted."""
    try:
        directory = _directory(path)
        entry = directory.opened.infolist()[directory.members[part].place]
        if zip_guard.is_encrypted(entry):
            raise failures.protected(zip_guard.MEMBER)
        with directory.opened.open(entry) as stream:
            content = stream.read(largest + 1)
    except (*zip_guard.BROKEN_ZIP, IndexError, RuntimeError) as error:
        raise failures.damaged(zip_guard.MEMBER) from error
    if len(content) > largest:
        raise failures.part_too_large(largest)
    return content


def _name(entry: zipfile.ZipInfo) -> str:
    """Return the member's path, or an empty string for folders, hidden files and system files."""
    parts = [part.strip() for part in _SEPARATORS.split(clean(_decode_name(entry)).replace("\n", " "))]
    parts = [part for part in parts if part not in ("", ".")]
    if entry.is_dir() or any(_is_left_out(part) for part in parts):
        return ""
    return "/".join(parts)


def _decode_name(entry: zipfile.ZipInfo) -> str:
    """Decode UTF-8 also without its flag, which many programs do not set."""
    if entry.flag_bits & _UTF8_NAME:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename


def _is_left_out(part: str) -> bool:
    return part.startswith((".", "~$")) or part.lower() in _LEFT_OUT


def _readable(size: int | DocumentRejected) -> str:
    """Format a size for people: 640 bytes, 2.4 MB."""
    if isinstance(size, DocumentRejected):
        return _REFUSED.get(size.reason, "damaged")
    amount = float(size)
    for unit in _UNITS:
        if amount < 1000 or unit == _UNITS[-1]:
            break
        amount /= 1000
    return f"{size} bytes" if unit == _UNITS[0] else f"{amount:.1f} {unit}"
