"""`POST /retrieval`: passages of one knowledge base in Dify's format."""

from functools import partial
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import NinjaAPI
from pydantic import BaseModel, Field

from cairn.access.permissions import documents_for
from cairn.access.scope import Principal
from cairn.access.selectors import knowledge_base_for, scope_for
from cairn.library.models import KnowledgeBase
from cairn.limits.rate_limits import search_count
from retrieval.engine import get_engine
from retrieval.index.protocol import Filters
from retrieval.search.hybrid_search import search
from retrieval.search.spelling import SpellingScope, search_corrected
from retrieval.types import Hit
from web.api.framework import fields
from web.api.framework.problems import add_error_handlers
from web.api.framework.request_parser import StrictParser
from web.api.schemas import passage_url
from web.http.authentication import BearerKey, principal_of
from web.protocols.dify.conditions import MetadataCondition
from web.protocols.dify.errors import error_response

MOST = 100

api = NinjaAPI(
    title="Cairn for Dify",
    urls_namespace="dify",
    docs_url=None,
    openapi_url=None,
    auth=[BearerKey("search")],
    parser=StrictParser(),
)
add_error_handlers(api, error_response)


class RetrievalSetting(BaseModel):
    """Settings chosen in Dify. Values above `MOST` are capped instead of refused."""

    top_k: Annotated[int, Field(ge=1)] = 5
    score_threshold: Annotated[float, Field(ge=0, le=1)] | None = None


class Retrieval(BaseModel):
    """A request. `knowledge_id`: the slug or the id of a knowledge base. Other fields of Dify are ignored."""

    knowledge_id: fields.Id
    query: fields.Query
    retrieval_setting: RetrievalSetting = RetrievalSetting()
    metadata_condition: MetadataCondition | None = None


@api.post("/retrieval")
def retrieval(request: HttpRequest, payload: Retrieval) -> dict[str, Any]:
    principal = principal_of(request)
    base = knowledge_base_for(principal, payload.knowledge_id)
    search_count(principal)
    scope, filters = scope_for(principal, [base.id]), _filters(principal, base, payload.metadata_condition)
    engine, limit = get_engine(), min(MOST, payload.retrieval_setting.top_k)
    run = partial(search, scope=scope, filters=filters, limit=limit, engine=engine)
    hits, _ = search_corrected(payload.query, run, SpellingScope(scope, filters, engine))
    least, origin = payload.retrieval_setting.score_threshold or 0.0, request.build_absolute_uri("/")
    records = [_record(hit, origin.rstrip("/")) for hit in hits]
    return {"records": [record for record in records if record["score"] >= least]}


def _filters(principal: Principal, base: KnowledgeBase, condition: MetadataCondition | None) -> Filters:
    if condition is None or not condition.conditions:
        return Filters()
    rows = documents_for(principal).filter(knowledge_base=base).values_list("id", "title", "metadata")
    return Filters(
        document_ids=tuple(
            document for document, title, metadata in rows if condition.fit({"title": title, **metadata})
        )
    )


def _record(hit: Hit, origin: str) -> dict[str, Any]:
    """Return a record with a score from 0 to 1, which Dify requires; Cairn's can be higher."""
    return {
        "content": hit.text,
        "score": round(min(1.0, max(0.0, hit.score)), 4),
        "title": hit.title,
        "metadata": {
            "path": f"{origin}{passage_url(hit.document, hit.chunk)}",
            "description": ", ".join(filter(None, (*hit.section[-1:], hit.location))),
            "document_id": str(hit.document),
            "chunk_id": str(hit.chunk),
            "source_uri": hit.source_uri,
            "knowledge_base_name": hit.knowledge_base_name,
            "knowledge_base_owner": hit.knowledge_base_owner.username if hit.knowledge_base_owner else None,
            "official": hit.official,
            "page": hit.page,
        },
    }
