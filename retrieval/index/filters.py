"""Filters for index queries, independent of the store. They preselect by permission what the index returns;
`cairn.access.permissions` decides.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from cairn.access.scope import Scope
from retrieval.index.protocol import Filters, Point

KNOWLEDGE_BASE, DOCUMENT, VERSION = "knowledge_base", "document", "version"
READERS, SOURCE_URI, TAGS, CREATED_AT = "readers", "source_uri", "tags", "created_at"

UUID_FIELDS = (DOCUMENT, VERSION)
KEYWORD_FIELDS = (READERS, SOURCE_URI, TAGS)


def payload(point: Point) -> dict[str, object]:
    return {
        KNOWLEDGE_BASE: str(point.knowledge_base),
        DOCUMENT: str(point.document),
        VERSION: str(point.version),
        SOURCE_URI: point.source_uri,
        CREATED_AT: point.created_at,
        **changeable(point.readers, point.tags),
    }


def changeable(readers: Iterable[str], tags: Iterable[str]) -> dict[str, object]:
    return {READERS: list(readers), TAGS: list(tags)}


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The field, or one of its values, is one of these. Without values nothing is."""

    field: str
    values: tuple[str, ...]

    @classmethod
    def of(cls, field: str, values: Iterable[str | UUID]) -> "AnyOf":
        """Build a condition without values that UTF-8 cannot encode: no stored text has them."""
        return cls(field, tuple(text for text in map(str, values) if _is_unicode(text)))


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A half-open range: from the first moment until just before the second."""

    field: str
    start: float | None
    end: float | None


@dataclass(frozen=True, slots=True)
class Conditions:
    """All of `every`, and at least one of `some`, which is never empty: stores take that for "any"."""

    every: tuple[AnyOf | TimeRange, ...]
    some: tuple[AnyOf, ...]


def build_permission_filter(scope: Scope) -> Conditions:
    by_token = AnyOf.of(READERS, scope.tokens)
    by_role = AnyOf.of(KNOWLEDGE_BASE, scope.managed & scope.readable)
    return Conditions(
        every=(AnyOf.of(KNOWLEDGE_BASE, scope.readable),),
        some=(by_token, by_role) if by_role.values else (by_token,),
    )


def narrow_conditions(allowed: Conditions, filters: Filters) -> Conditions:
    """Add the search filters to what is allowed."""
    return Conditions(every=(*allowed.every, *narrowing(filters)), some=allowed.some)


def narrowing(filters: Filters) -> Iterable[AnyOf | TimeRange]:
    if filters.source_uri is not None:
        yield AnyOf.of(SOURCE_URI, [filters.source_uri])
    if filters.tags is not None:
        yield AnyOf.of(TAGS, filters.tags)
    if filters.document_ids is not None:
        yield AnyOf.of(DOCUMENT, filters.document_ids)
    if filters.created_after is not None or filters.created_before is not None:
        yield TimeRange(CREATED_AT, filters.created_after, filters.created_before)


def of_document(document: UUID) -> AnyOf:
    return AnyOf.of(DOCUMENT, [document])


def of_version(version: UUID) -> AnyOf:
    return AnyOf.of(VERSION, [version])


def build_count_conditions(document: UUID | None, version: UUID | None) -> list[AnyOf]:
    """Return the conditions for counting; without arguments, all points."""
    by_document = [] if document is None else [of_document(document)]
    return by_document if version is None else [*by_document, of_version(version)]


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
