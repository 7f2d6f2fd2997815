"""Media types of ZIP and OLE files by their contents. Office formats use both."""

import mmap
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Final

import olefile

from ingestion.parse.archives import zip_guard
from ingestion.parse.core import formats

_LONGEST_MIMETYPE: Final = 100
_ENCRYPTED: Final = "EncryptedPackage"
_BY_MEMBER: Final = (
    ("word/document", formats.DOCX),
    ("ppt/presentation", formats.PPTX),
    ("xl/workbook", formats.XLSX),
    ("visio/document", "application/vnd.visio"),
    ("index/document.iwa", "application/vnd.apple.iwork"),
    ("index.apxl", "application/vnd.apple.iwork"),
    ("androidmanifest.xml", "application/vnd.android.package-archive"),
    ("meta-inf/manifest.mf", "application/java-archive"),
)
# Formats known by a member are left out: any ZIP file can declare to be one.
_DECLARED: Final = {one.media_type for one in formats.FORMATS if one.container is formats.Container.ZIP} - {
    formats.ZIP,
    *(kind for _, kind in _BY_MEMBER),
}
_BY_STREAM: Final = (
    ("worddocument", formats.DOC),
    ("powerpoint document", formats.PPT),
    ("workbook", formats.XLS),
    ("book", formats.XLS),
    ("__properties_version1.0", formats.MSG),
)


def zip_type(path: Path) -> str | None:
    """Return the media type of a ZIP file, or None if it cannot be opened."""
    members = zip_guard.names(path)
    if members is None:
        return None
    if "mimetype" in members and (declared := _mimetype(path)):
        return declared
    names = [name.lower() for name in members]
    return next((kind for start, kind in _BY_MEMBER if _any_starts(names, start)), formats.ZIP)


def _any_starts(names: Collection[str], start: str) -> bool:
    return any(name.startswith(start) for name in names)


def _mimetype(path: Path) -> str | None:
    """Return the type that OpenDocument and EPUB files declare. Templates count as documents."""
    try:
        with zipfile.ZipFile(path) as opened, opened.open("mimetype") as stream:
            declared = stream.read(_LONGEST_MIMETYPE).decode("ascii", "replace").strip().lower()
    except (*zip_guard.BROKEN_ZIP, RuntimeError):
        return None
    known = declared.startswith("application/vnd.oasis.opendocument.") or declared in _DECLARED
    return declared.removesuffix("-template") if known else None


def ole_type(path: Path) -> str | None:
    """Return the media type of an OLE file, or None if its directory is unreadable."""
    try:
        with olefile.OleFileIO(str(path)) as opened:
            names = {entry[0].lower() for entry in opened.listdir()}
    except (OSError, ValueError, IndexError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return next((kind for name, kind in _BY_STREAM if name in names), formats.OLE)


def is_encrypted(path: Path) -> bool:
    """Return whether an OLE file contains an encrypted Office document."""
    needle = _ENCRYPTED.encode("utf-16-le")
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(needle) >= 0
