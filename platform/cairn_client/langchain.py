"""A retriever for LangChain (langchain-core)."""

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import SecretStr

from cairn_client.client import Cairn, Passage


class CairnRetriever(BaseRetriever):
    """Retriever for LangChain. Its fields are the arguments of `Cairn`."""

    url: str
    key: SecretStr
    knowledge_bases: Sequence[str] = ()
    filters: Mapping[str, Any] = {}
    top_k: int = 8
    timeout: float = 60

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002
    ) -> list[Document]:
        return [_document(passage) for passage in self._cairn.search(query)]

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,  # noqa: ARG002
    ) -> list[Document]:
        return [_document(passage) for passage in await self._cairn.asearch(query)]

    @property
    def _cairn(self) -> Cairn:
        return Cairn(
            self.url,
            self.key.get_secret_value(),
            knowledge_bases=self.knowledge_bases,
            filters=self.filters,
            top_k=self.top_k,
            timeout=self.timeout,
        )


def _document(passage: Passage) -> Document:
    metadata = {**passage.metadata, "score": passage.score}
    return Document(id=passage.id, page_content=passage.text, metadata=metadata)
