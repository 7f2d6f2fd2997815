"""Cairn's search as a LlamaIndex retriever in the same process."""

from typing import Any

from asgiref.sync import sync_to_async
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeRelationship, NodeWithScore, QueryBundle, RelatedNodeInfo, TextNode

from cairn.access.scope import Scope
from retrieval.engine import Engine
from retrieval.index.protocol import Filters
from retrieval.search.hybrid_search import NO_FILTERS, search
from retrieval.types import Hit

_SHOWN_TO_MODELS = ("title", "section", "location")


class CairnRetriever(BaseRetriever):
    """Retrieves passages in the scope, found and ranked by `search` as for pages, MCP, REST and answers.

    `engine`: the models and the index, by default the active ones.
    """

    def __init__(
        self,
        scope: Scope,
        *,
        filters: Filters = NO_FILTERS,
        limit: int = 10,
        engine: Engine | None = None,
        **options: Any,
    ) -> None:
        self._scope = scope
        self._filters = filters
        self._limit = limit
        self._engine = engine
        super().__init__(**options)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        hits = search(
            query_bundle.query_str,
            scope=self._scope,
            filters=self._filters,
            limit=self._limit,
            engine=self._engine,
        )
        return [node_of(hit) for hit in hits]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await sync_to_async(self._retrieve)(query_bundle)


def node_of(hit: Hit) -> NodeWithScore:
    """Return a hit as a node. Language models see the title, headings and place, and not the ids."""
    metadata = _metadata(hit)
    excluded = [name for name in metadata if name not in _SHOWN_TO_MODELS]
    node = TextNode(
        id_=str(hit.chunk),
        text=hit.text,
        metadata=metadata,
        excluded_embed_metadata_keys=excluded,
        excluded_llm_metadata_keys=excluded,
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=str(hit.document))},
    )
    return NodeWithScore(node=node, score=hit.score)


def _metadata(hit: Hit) -> dict[str, Any]:
    return {
        "document": str(hit.document),
        "title": hit.title,
        "knowledge_base": str(hit.knowledge_base),
        "knowledge_base_name": hit.knowledge_base_name,
        "source_uri": hit.source_uri,
        "page": hit.page,
        "location": hit.location,
        "section": list(hit.section),
        "updated_at": hit.updated_at.isoformat(),
    }
