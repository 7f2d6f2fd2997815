"""Finds documents by the name that a message gives them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Length

from cairn.library.document_filters import contains
from cairn.library.models import DocumentQuerySet
from retrieval.intents.catalogue import Catalogue

MAX_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class NamedDocuments:
    """`best`: ids of the best matches, best first. `is_exact`: the first one has exactly this name, and it
    alone."""

    count: int
    best: Sequence[UUID]
    is_exact: bool

    @property
    def only(self) -> UUID | None:
        """The document that the name can only mean; None if there are several, or none."""
        return self.best[0] if self.count == 1 or self.is_exact else None


def find_named_documents(catalogue: Catalogue, name: str) -> NamedDocuments:
    """Return documents with all words of the name in the title; failing that, in path, file name or tags."""
    words = catalogue.prefixes(name)
    rows = catalogue.rows(words)
    exact = list(_match_exactly(rows, name).values_list("pk", flat=True)[:MAX_NAMED])
    titled = rows
    for word in words:
        titled = titled.filter(contains("title", word))
    found = titled if titled.exists() else rows
    nearest = found.exclude(pk__in=exact).order_by(Length("title"), "title", "id")
    best = [*exact, *nearest.values_list("pk", flat=True)[:MAX_NAMED]][:MAX_NAMED]
    return NamedDocuments(max(found.count(), len(exact)), best, is_exact=len(exact) == 1)


def _match_exactly(rows: DocumentQuerySet, name: str) -> DocumentQuerySet:
    stem = PurePath(name).stem if "." in name else name
    named = Q(title__iexact=name) | Q(active_version__filename__iexact=name) | Q(source_uri__iexact=name)
    return rows.filter(named | Q(title__iexact=stem))
