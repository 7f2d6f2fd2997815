"""A retriever for LlamaIndex (llama-index-core)."""

from typing import Any

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from cairn_client.client import Cairn, Passage


class CairnRetriever(BaseRetriever):
    """Retriever for LlamaIndex. Its arguments are those of `Cairn`."""

    def __init__(self, url: str, key: str, **given: Any) -> None:
        self._cairn = Cairn(url, key, **given)
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [_node(passage) for passage in self._cairn.search(query_bundle.query_str)]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [_node(passage) for passage in await self._cairn.asearch(query_bundle.query_str)]


def _node(passage: Passage) -> NodeWithScore:
    node = TextNode(id_=passage.id, text=passage.text, metadata=passage.metadata)
    return NodeWithScore(node=node, score=passage.score)
