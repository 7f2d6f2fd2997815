"""Filters for documents by their properties, in an order that supports pagination."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.db.models import Case, Exists, IntegerField, OuterRef, Q, Value, When
from django.db.models.functions import Coalesce, Lower
from django.utils import timezone

from cairn.library.models import DocumentQuerySet, Tag

WORDS = 8
SOON = timedelta(days=30)
"""So long before its date a review is due."""


class Sort(StrEnum):
    RELEVANCE = "relevance"
    UPDATED = "updated"
    TITLE = "title"


class Review(StrEnum):
    """due: within a month, or overdue. unset: no date is set."""

    DUE = "due"
    OVERDUE = "overdue"
    UNSET = "unset"


@dataclass(frozen=True, slots=True)
class DocumentFilter:
    """Criteria that must all match. `text`: each word is in the title, source, file name or a tag.
    `media_types`: None for any. `updated_after`: the current version is newer."""

    text: str = ""
    knowledge_base: UUID | None = None
    media_types: Collection[str] | None = None
    owner: UUID | None = None
    updated_after: datetime | None = None
    review: Review | None = None
    status: str = ""
    tag: str = ""

    @property
    def words(self) -> list[str]:
        return self.text.split()[:WORDS]

    @property
    def narrows(self) -> bool:
        return self != DocumentFilter(text=self.text, knowledge_base=self.knowledge_base)


def filter_documents(rows: DocumentQuerySet, filters: DocumentFilter) -> DocumentQuerySet:
    """Filter documents and annotate the sort keys `changed`, `rank` and `name`."""
    rows = _apply_filters(_annotate_changed(rows), filters)
    for word in filters.words:
        rows = rows.filter(_matches_word(word))
    return rows.annotate(rank=_rank(filters.text.strip()), name=Lower("title"))


def _annotate_changed(rows: DocumentQuerySet) -> DocumentQuerySet:
    versions = ("active_version__created_at", "latest_version__created_at", "created_at")
    return rows.annotate(changed=Coalesce(*versions))


def _apply_filters(rows: DocumentQuerySet, filters: DocumentFilter) -> DocumentQuerySet:
    rows = rows.with_status(filters.status) if filters.status else rows
    rows = rows.tagged(filters.tag) if filters.tag else rows
    return rows.filter(
        _is("knowledge_base", filters.knowledge_base),
        _is("owner", filters.owner),
        _is("changed__gte", filters.updated_after),
        _of_type(filters.media_types),
        _to_review(filters.review),
    )


def _is(field: str, value: object) -> Q:
    return Q() if value is None else Q(**{field: value})


def _of_type(media_types: Collection[str] | None) -> Q:
    if media_types is None:
        return Q()
    latest = Q(active_version=None, latest_version__media_type__in=media_types)
    return Q(active_version__media_type__in=media_types) | latest


def _to_review(review: Review | None, today: date | None = None) -> Q:
    day = today or timezone.localdate()
    match review:
        case Review.DUE:
            return Q(review_by__lte=day + SOON)
        case Review.OVERDUE:
            return Q(review_by__lt=day)
        case Review.UNSET:
            return Q(review_by=None)
        case None:
            return Q()


def _matches_word(word: str) -> Q:
    tags = Tag.objects.filter(contains("name", word), document=OuterRef("pk"))
    names = contains("active_version__filename", word) | contains("latest_version__filename", word)
    return contains("title", word) | contains("source_uri", word) | names | Q(Exists(tags))


def contains(field: str, word: str) -> Q:
    """Match a field that contains the word, in upper or lower case.

    SQLite ignores case for ASCII letters only, so other words are tried in several spellings.
    """
    spellings = {word} if word.isascii() else {word, word.lower(), word.upper(), word.capitalize()}
    filters = Q()
    for spelling in spellings:
        filters |= Q(**{f"{field}__icontains": spelling})
    return filters


def _rank(text: str) -> Case:
    """3: that is the title. 2: the title begins so. 1: it stands in the title. 0: elsewhere."""
    if not text:
        return Case(default=Value(0), output_field=IntegerField())
    return Case(
        When(title__iexact=text, then=Value(3)),
        When(title__istartswith=text, then=Value(2)),
        When(title__icontains=text, then=Value(1)),
        default=Value(0),
        output_field=IntegerField(),
    )
