"""Types of files that are documents, by extension and media type."""

from pathlib import PurePosixPath
from typing import Final

from ingestion.parse.core.formats import FORMATS, HTML, JPEG, JSON, JSON_LINES, PNG, TIFF, XML, ZIP

_NO_DOCUMENTS: Final = frozenset((HTML, XML, JSON, JSON_LINES, ZIP, PNG, JPEG, TIFF))
"""Media types that Cairn reads, but that are pages, or are rarely documents when pages link to them."""
_ENDINGS: Final = {
    each.media_type: each.endings[0] for each in FORMATS if each.media_type not in _NO_DOCUMENTS
}
_DOCUMENTS: Final = frozenset(
    ending for each in FORMATS if each.media_type not in _NO_DOCUMENTS for ending in each.endings
)
_SKIPPED: Final = frozenset(
    (
        *(".7z", ".apk", ".bin", ".bz2", ".deb", ".dmg", ".exe", ".gz", ".iso"),
        *(".jar", ".msi", ".rar", ".rpm", ".tar", ".tgz", ".xz", ".zip"),
        *(".avif", ".bmp", ".gif", ".ico", ".img", ".jpeg", ".jpg", ".png", ".svg", ".tif", ".tiff", ".webp"),
        *(".avi", ".m4a", ".m4v", ".mkv", ".mov", ".mp3"),
        *(".mp4", ".mpeg", ".ogg", ".swf", ".wav", ".webm", ".wmv"),
        *(".css", ".eot", ".ics", ".js", ".json", ".otf", ".rss", ".ttf", ".woff", ".woff2", ".xml"),
    )
)


def is_worth_request(name: str, *, files: bool) -> bool:
    """Return whether an address that ends with this name may be a page or, if chosen, a document."""
    extension = PurePosixPath(name).suffix.lower()
    return files if extension in _DOCUMENTS else extension not in _SKIPPED


def name_file(name: str, media_type: str) -> str:
    """Return the name of a document with an extension for its format, "" if it isn't a document."""
    if PurePosixPath(name).suffix.lower() in _DOCUMENTS:
        return name
    ending = _ENDINGS.get(media_type)
    return f"{name or 'index'}{ending}" if ending else ""
