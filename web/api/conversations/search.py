"""Search without a generated answer."""

import time
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Annotated
from uuid import UUID

from django.db.models import F
from django.http import HttpRequest
from ninja import Router
from pydantic import Field

from cairn.access.permissions import documents_for
from cairn.access.scope import Principal
from cairn.access.selectors import requested_knowledge_bases, scope_for
from cairn.library.document_filters import DocumentFilter, filter_documents
from cairn.limits.rate_limits import search_count
from retrieval import types as found
from retrieval.engine import get_engine
from retrieval.index.protocol import Filters
from retrieval.search.fusion import Ranking
from retrieval.search.hybrid_search import search as passages_for
from retrieval.search.spelling import SpellingScope, search_corrected
from web.api.framework import fields
from web.api.framework.fields import NO_MATCH, Body, Id, Moment, SourceUri, Tag, parse_id_or_no_match
from web.api.schemas import Found, Hit, SpellingCorrection
from web.http.authentication import needs, principal_of

router = Router(tags=["Search"])
UPDATED_AT_MOST = 5000


class FiltersIn(Body):
    """Filters, combined with AND; `tags`: any of them. Times without a zone are UTC."""

    source_uri: SourceUri | None = None
    tags: Annotated[list[Tag], Field(min_length=1, max_length=50)] | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    updated_after: Moment | None = Field(
        None, description="Only documents with a newer current version; at most the latest 5,000"
    )
    document_ids: fields.SomeIds | None = None

    def requested_knowledge_bases(
        self, principal: Principal, requested: Sequence[str] | None
    ) -> Collection[UUID] | None:
        ids = (
            None
            if self.document_ids is None
            else [parse_id_or_no_match(value) for value in self.document_ids]
        )
        return requested_knowledge_bases(principal, requested, ids)

    def as_filters(self, principal: Principal) -> Filters:
        ids = None if self.document_ids is None else tuple(map(parse_id_or_no_match, self.document_ids))
        if self.updated_after is not None:
            ids = _find_updated_documents(principal, self.updated_after, ids) or (NO_MATCH,)
        return Filters(
            source_uri=self.source_uri,
            tags=None if self.tags is None else tuple(self.tags),
            created_after=_seconds(self.created_after),
            created_before=_seconds(self.created_before),
            document_ids=ids,
        )


def _seconds(moment: datetime | None) -> float | None:
    """Convert to seconds, for any year. Without a zone the time is UTC."""
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _find_updated_documents(
    principal: Principal, after: datetime, among: Sequence[UUID] | None
) -> tuple[UUID, ...]:
    """Return documents updated in the period from SQL: the index only has the first upload time."""
    rows = filter_documents(documents_for(principal), DocumentFilter(updated_after=after))
    rows = rows if among is None else rows.filter(pk__in=among)
    return tuple(rows.order_by(F("changed").desc()).values_list("id", flat=True)[:UPDATED_AT_MOST])


class SearchQuery(Body):
    """`knowledge_bases`: ids or slugs. Absent: all I may read; without unofficial ones if the installation
    excludes them (`UNOFFICIAL_KNOWLEDGE_BASES`). `ranking`: `dense` (cosine alone), `bm25` and `rrf`
    (reciprocal rank fusion, k = 60) are there to compare the default with."""

    query: fields.Query
    knowledge_bases: Annotated[list[Id], Field(min_length=1, max_length=200)] | None = None
    top_k: fields.Count = Field(10, ge=1, le=100)
    filters: FiltersIn = FiltersIn()
    ranking: Ranking = Ranking.HYBRID


@router.post("", summary="Search passages", response=Found, auth=needs("search", reads=True))
def search(request: HttpRequest, payload: SearchQuery) -> Found:
    """Returns passages you may read, best first.

    Words that no passage found has are corrected with words of passages that you may read, and named in
    `spelling`. Words in quotation marks are never corrected.
    """
    principal = principal_of(request)
    search_count(principal)
    began = time.perf_counter()
    hits, spelling = _find_passages(payload, principal)
    took = (time.perf_counter() - began) * 1000
    return Found(
        results=[Hit.of(hit) for hit in hits],
        spelling=[SpellingCorrection.model_validate(asdict(each)) for each in spelling],
        took_ms=round(took, 1),
    )


def _find_passages(
    payload: SearchQuery, principal: Principal
) -> tuple[Sequence[found.Hit], Sequence[found.SpellingCorrection]]:
    """Search, with corrected spelling only in the default ranking: the others are there to be compared."""
    scope = scope_for(
        principal, payload.filters.requested_knowledge_bases(principal, payload.knowledge_bases)
    )
    filters, engine = payload.filters.as_filters(principal), get_engine()
    run = partial(
        passages_for,
        scope=scope,
        filters=filters,
        limit=payload.top_k,
        ranking=payload.ranking,
        engine=engine,
    )
    if payload.ranking is not Ranking.HYBRID:
        return run(payload.query), ()
    return search_corrected(payload.query, run, SpellingScope(scope, filters, engine))
