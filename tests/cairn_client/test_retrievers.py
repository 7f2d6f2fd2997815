"""LlamaIndex and LangChain ask a running install by their own retrievers, with the rights of a key."""

import asyncio
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.runnables import RunnableLambda

from cairn_client import CairnRefused, CairnUnreachable
from cairn_client.langchain import CairnRetriever as LangChainRetriever
from cairn_client.llama_index import CairnRetriever as LlamaIndexRetriever
from tests.backends import free_port
from tests.servers import Server

pytestmark = [pytest.mark.models, pytest.mark.slow]
QUERY = "How do I upload documents?"


@pytest.fixture(scope="module")
def place(cairn_server: Server) -> dict[str, str]:
    return {"url": cairn_server.url, "key": cairn_server.key()}


def llama(place: dict[str, str], **given: Any) -> LlamaIndexRetriever:
    return LlamaIndexRetriever(**place, **given)


def langchain(place: dict[str, str], **given: Any) -> LangChainRetriever:
    return LangChainRetriever(**place, **given)


def test_llama_index_retrieves(place: dict[str, str]) -> None:
    found = llama(place, knowledge_bases=["cairn-help"], top_k=3).retrieve(QUERY)
    assert len(found) == 3
    assert [node.score for node in found] == sorted((node.score or 0 for node in found), reverse=True)
    assert found[0].node.metadata["url"].startswith(f"{place['url']}/")
    assert "upload" in found[0].node.get_content().lower()
    again = asyncio.run(llama(place, knowledge_bases=["cairn-help"], top_k=3).aretrieve(QUERY))
    assert [node.node.node_id for node in again] == [node.node.node_id for node in found]


def test_langchain_retrieves_and_is_part_of_a_chain(place: dict[str, str]) -> None:
    retriever = langchain(place, top_k=2)
    found = retriever.invoke(QUERY)
    assert len(found) == 2
    assert found[0].metadata["score"] >= found[1].metadata["score"]
    assert [d.id for d in asyncio.run(retriever.ainvoke(QUERY))] == [d.id for d in found]

    def titles(documents: list[Document]) -> list[str]:
        return [document.metadata["title"] for document in documents]

    assert (retriever | RunnableLambda(titles)).invoke(QUERY) == titles(found)
    assert place["key"] not in repr(retriever)


def test_filters_narrow(place: dict[str, str]) -> None:
    (best,) = llama(place, top_k=1).retrieve(QUERY)
    only = {"document_ids": [best.node.metadata["document"]]}
    assert {n.node.metadata["document"] for n in llama(place, filters=only).retrieve("evaluation")} == {
        best.node.metadata["document"]
    }
    assert langchain(place, filters={"tags": ["nobody-has-this"]}).invoke(QUERY) == []


def test_client_errors_have_status_and_code(place: dict[str, str]) -> None:
    with pytest.raises(CairnRefused) as refused:
        llama(place | {"key": "wrong"}).retrieve(QUERY)
    assert (refused.value.status, refused.value.code) == (401, "not_signed_in")
    with pytest.raises(CairnRefused) as absent:
        langchain(place, knowledge_bases=["nowhere"]).invoke(QUERY)
    assert absent.value.status == 404
    with pytest.raises(CairnRefused) as wrong:
        asyncio.run(langchain(place, filters={"colour": "red"}).ainvoke(QUERY))
    assert wrong.value.status == 422
    with pytest.raises(CairnUnreachable, match="does not answer"):
        llama(place | {"url": f"http://127.0.0.1:{free_port()}"}).retrieve(QUERY)
