"""How old is what a document says? By its metadata, else by a year in its names, else by its upload."""

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
class Dating:
    """`value`: an ISO date, or a year alone; `basis`: where it was found."""

    value: str
    basis: Basis


def dating(hit: Hit) -> Dating:
    return own_date(hit) or Dating(hit.updated_at.date().isoformat(), "upload")


def own_date(hit: Hit) -> Dating | None:
    """Not that of its upload, which says when it came here and nothing of what it tells."""
    if hit.dated:
        return Dating(hit.dated, "metadata")
    named: tuple[tuple[Basis, str], ...] = (
        ("title", hit.title),
        ("section", " ".join(hit.section)),
        ("source", hit.source_uri),
    )
    years = ((basis, _YEAR.findall(text)) for basis, text in named)
    return next((Dating(found[-1], basis) for basis, found in years if found), None)


def date_said(metadata: Mapping[str, object]) -> str:
    """An ISO date or a year; empty where the metadata, which anybody may have written, hold none."""
    told = {name.casefold().replace("-", "_"): value for name, value in metadata.items()}
    return next((said for name in _NAMES if (said := _read(told.get(name)))), "")


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
