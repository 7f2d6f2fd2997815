"""Items of a source as rows of a table, whatever names the source has for them."""

import hashlib
from datetime import UTC, datetime
from typing import Any, Final

from cairn.hidden_characters import visible
from cairn.messages import CodedMessage
from ingestion.documents.upload import clean_filename
from ingestion.models import SourceItem
from ingestion.sources.protocol import MAX_ID_LENGTH, Item

MAX_VERSION_LENGTH: Final = 200
MAX_PATH_LENGTH: Final = 1000
_MAX_SIZE: Final = 2**63 - 1
_REFUSED: Final = "refused"

LISTED_FIELDS: Final = (
    "name", "title", "uri", "container", "version", "access_version", "size", "modified",
)  # fmt: skip
"""Fields of a row that come from a listing."""


def is_storable(item: Item) -> bool:
    """Return whether the item can be stored so that its source recognises it again."""
    texts = {item.id: MAX_ID_LENGTH, item.uri: MAX_PATH_LENGTH, item.container: MAX_PATH_LENGTH}
    return bool(item.id) and all(_fits(text, limit) for text, limit in texts.items())


def fields_of(item: Item) -> dict[str, Any]:
    """Return the fields of the item's row. Names lose hidden characters, and versions that are too long
    become digests."""
    return {
        "name": clean_filename(item.name),
        "title": visible(item.title).strip()[:500],
        "uri": item.uri,
        "container": item.container,
        "version": _short_version(item.version),
        "access_version": _short_version(item.access_version),
        "size": item.size if item.size is not None and 0 <= item.size <= _MAX_SIZE else None,
        "modified": _make_aware(item.modified),
    }


def unstorable_id(item: Item) -> str:
    return f"sha256:{_digest(item.id)}"


def unstorable_fields(item: Item) -> dict[str, Any]:
    """Return the fields of a row for an item that can't be imported, so that people can find it."""
    return {
        **fields_of(item),
        "uri": visible(item.uri)[:MAX_PATH_LENGTH],
        "container": visible(item.container)[:MAX_PATH_LENGTH],
        "version": _REFUSED,
        "synced_version": _REFUSED,
        "error": CodedMessage("source_item_unstorable"),
    }


def item_of(row: SourceItem) -> Item:
    return Item(
        id=row.external_id,
        name=row.name,
        uri=row.uri,
        version=row.version,
        container=row.container,
        access_version=row.access_version,
        title=row.title,
        size=row.size,
        modified=row.modified,
    )


def _fits(text: str, limit: int) -> bool:
    if len(text) > limit or "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _short_version(version: str) -> str:
    return version if _fits(version, MAX_VERSION_LENGTH) else f"sha256:{_digest(version)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _make_aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
