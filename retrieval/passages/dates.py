"""The date of a document: from its metadata, else a year in its names, else its upload."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from retrieval.types import Hit

Basis = Literal["metadata", "title", "section", "source", "upload"]
_NAMES = (
    "effective", "effective_date", "valid_from", "date", "published", "publication_date", "last_modified",
    "modified", "updated", "last_updated", "created", "year",
)  # fmt: skip
_YEAR = re.compile(r"(?<![\d.])(?:19|20)\d\d(?![\d])")


@dataclass(frozen=True, slots=True)
class DocumentDate:
    """`value`: an ISO date or a year; `basis`: where it was found."""

    value: str
    basis: Basis


def document_date(hit: Hit) -> DocumentDate:
    return own_date(hit) or DocumentDate(hit.updated_at.date().isoformat(), "upload")


def own_date(hit: Hit) -> DocumentDate | None:
    """Return the document's own date, not that of its upload, which says nothing about the content."""
    if hit.dated:
        return DocumentDate(hit.dated, "metadata")
    named: tuple[tuple[Basis, str], ...] = (
        ("title", hit.title),
        ("section", " ".join(hit.section)),
        ("source", hit.source_uri),
    )
    years = ((basis, _YEAR.findall(text)) for basis, text in named)
    return next((DocumentDate(found[-1], basis) for basis, found in years if found), None)


def metadata_date(metadata: Mapping[str, object]) -> str:
    """Return an ISO date or a year, empty if the metadata, which anybody may have written, has none."""
    normalized = {name.casefold().replace("-", "_"): value for name, value in metadata.items()}
    return next((found for name in _NAMES if (found := _read(normalized.get(name)))), "")


def _read(value: object) -> str:
    text = str(value).strip()[:60] if isinstance(value, str | int) else ""
    for read in (_iso, _mail):
        try:
            return read(text).isoformat()
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    year = _YEAR.search(text)
    return year.group() if year else ""


def _iso(text: str) -> date:
    return datetime.fromisoformat(text).date() if "-" in text else date.fromisoformat("")


def _mail(text: str) -> date:
    return parsedate_to_datetime(text).date()
