"""Searching, without an answer being written."""

import time
from datetime import UTC, datetime
from typing import Annotated

from django.http import HttpRequest
from ninja import Router
from pydantic import Field

from cairn.access.lookup import scope_for
from cairn.limits.counting import search_count
from retrieval.fusion import Ranking
from retrieval.index.protocol import Filters
from retrieval.search import search as passages_for
from web.api import fields
from web.api.fields import Body, Id, SourceUri, Tag, id_or_nobody
from web.api.schemas import Found, Hit
from web.auth import needs, principal_of

router = Router(tags=["Search"])


class FiltersIn(Body):
    """All of them hold; `tags`: any of them. Times without a zone are UTC."""

    source_uri: SourceUri | None = None
    tags: Annotated[list[Tag], Field(min_length=1, max_length=50)] | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    document_ids: fields.SomeIds | None = None

    def as_filters(self) -> Filters:
        ids = self.document_ids
        return Filters(
            source_uri=self.source_uri,
            tags=None if self.tags is None else tuple(self.tags),
            created_after=_seconds(self.created_after),
            created_before=_seconds(self.created_before),
            document_ids=None if ids is None else tuple(map(id_or_nobody, ids)),
        )


def _seconds(moment: datetime | None) -> float | None:
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


class SearchQuery(Body):
    """`knowledge_bases` absent: all I may read. `ranking`: `dense` (cosine alone), `bm25` and `rrf`
    (reciprocal rank fusion, k = 60) are there to compare the default with."""

    query: fields.Query
    knowledge_bases: Annotated[list[Id], Field(min_length=1, max_length=200)] | None = None
    top_k: fields.Count = Field(10, ge=1, le=100)
    filters: FiltersIn = FiltersIn()
    ranking: Ranking = Ranking.HYBRID


@router.post("", response=Found, auth=needs("search", "ask", reads=True))
def search(request: HttpRequest, payload: SearchQuery) -> Found:
    """Passages I may read, best first."""
    principal = principal_of(request)
    search_count(principal)
    began = time.perf_counter()
    hits = passages_for(
        payload.query,
        scope=scope_for(principal, payload.knowledge_bases),
        filters=payload.filters.as_filters(),
        limit=payload.top_k,
        ranking=payload.ranking,
    )
    took = (time.perf_counter() - began) * 1000
    return Found(results=[Hit.of(hit) for hit in hits], took_ms=round(took, 1))
