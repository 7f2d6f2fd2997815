"""LlamaIndex embeddings behind our protocol by dotted path, and ours behind LlamaIndex's."""

import asyncio
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.embeddings.mock_embed_model import MockEmbedding

from cairn.errors import ConfigurationError, Unavailable
from cairn.inference.embedding import open_embedder
from cairn.inference.embedding.llama_index import CairnEmbedding, LlamaIndexEmbedder
from cairn.inference.embedding.local import LocalEmbedder
from cairn.inference.protocols import Embedder
from cairn.settings import Environment


def mock_embedding() -> MockEmbedding:
    return MockEmbedding(embed_dim=8, model_name="mock", embed_batch_size=4)


class Lengths(MockEmbedding):
    """A vector that shows its text's length and whether it was embedded as a query."""

    embed_dim: int = 3
    calls: list[list[str]] = []

    def __init__(self) -> None:
        super().__init__(embed_dim=3, embed_batch_size=4)

    def _get_query_embedding(self, query: str) -> list[float]:
        return [float(len(query)), 1.0, 1.0]

    def _get_text_embedding(self, text: str) -> list[float]:
        return [float(len(text)), 1.0, 0.0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        self.calls.append(texts)
        return [self._get_text_embedding(text) for text in texts]


class Broken(Lengths):
    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        raise OSError("no such host")


class LosesSome(Lengths):
    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return super()._get_text_embeddings(texts)[1:]


class Slow(Lengths):
    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        time.sleep(0.01)
        return super()._get_text_embeddings(texts)


def opened(name: str, module: str = __name__) -> Embedder:
    return open_embedder(Environment(embedding_model=f"{module}.{name}"))


def test_llama_index_embedding_is_loaded_by_dotted_path() -> None:
    embedder = opened("mock_embedding")
    assert isinstance(embedder, LlamaIndexEmbedder)
    assert (embedder.dimension, embedder.max_tokens, embedder.batching.texts) == (8, 512, 4)
    assert embedder.model == f"{__name__}.mock_embedding:mock"
    vectors = embedder.embed_documents(["a", "b"])
    assert (vectors.shape, vectors.dtype) == ((2, 8), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(embedder.embed_query("a"), vectors[0])
    assert embedder.embed_documents([]).shape == (0, 8)
    assert embedder.count_tokens(["", "one two"]) == [0, 3]


def test_documents_are_batched_in_order_and_queries_embedded_as_queries() -> None:
    embedding = Lengths()
    embedder = LlamaIndexEmbedder(embedding, dotted="x.Lengths")
    vectors = embedder.embed_documents(["x" * length for length in range(1, 11)])
    assert [len(batch) for batch in embedding.calls] == [4, 4, 2]
    np.testing.assert_allclose(vectors[:, 0] / vectors[:, 1], range(1, 11), rtol=1e-5)
    assert embedder.embed_query("abc")[2] > 0
    embedder.embed_documents(["", " "])
    assert embedding.calls[-1] == ["-", "-"]


@pytest.mark.parametrize(
    ("name", "problem"), [("Broken", r"Broken failed \(\w+\)\.$"), ("LosesSome", "a vector for each")]
)
def test_failed_embedding_is_unavailable(name: str, problem: str) -> None:
    embedder = opened(name)
    with pytest.raises(Unavailable, match=problem):
        embedder.embed_documents(["a", "b"])


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("nowhere", "Embedding"),
        (__name__, "Missing"),
        ("llama_index.core.embeddings.mock_embed_model", "MockEmbedding"),
        ("uuid", "uuid4"),
    ],
)
def test_invalid_embedding_path_is_named(module: str, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"EMBEDDING_MODEL {module}.{name}"):
        opened(name, module)


def test_folder_name_with_dots_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bge.small").mkdir()
    with pytest.raises(ConfigurationError, match=r"modules\.json"):
        open_embedder(Environment(embedding_model="bge.small"))


def test_query_precedes_the_next_document_batch() -> None:
    """The first batch waits until the query does; without precedence the second batch would be next."""
    done: list[str] = []
    embedding, began, go_on = Lengths(), threading.Event(), threading.Event()
    embedder = LlamaIndexEmbedder(embedding, dotted="x.Lengths")

    def slow_batch(texts: list[str]) -> list[list[float]]:
        began.set()
        assert go_on.wait(10)
        done.append("batch")
        return [[1.0, 0.0, 0.0] for _ in texts]

    def embed_query(query: str) -> list[float]:
        done.append("query")
        return [1.0, 0.0, 0.0]

    embedding.__dict__.update(_get_text_embeddings=slow_batch, _get_query_embedding=embed_query)
    documents = threading.Thread(target=embedder.embed_documents, args=(["x"] * 8,))
    query = threading.Thread(target=embedder.embed_query, args=("q",))
    documents.start()
    assert began.wait(10)
    query.start()
    while not embedder._turn._waiting_queries:
        time.sleep(0.001)
    go_on.set()
    query.join()
    documents.join()
    assert done == ["batch", "query", "batch"]


@pytest.mark.models
def test_our_embedder_serves_a_llama_index_program(embedder: LocalEmbedder) -> None:
    ours = CairnEmbedding(embedder)
    texts = ["Cats sleep most of the day.", "The train leaves at noon."]
    assert (ours.model_name, ours.embed_batch_size) == (embedder.model, embedder.batching.texts)
    np.testing.assert_allclose(ours.get_query_embedding("cats"), embedder.embed_query("cats"), atol=1e-6)
    batch = ours.get_text_embedding_batch(texts)
    np.testing.assert_allclose(batch, embedder.embed_documents(texts), atol=1e-6)
    np.testing.assert_allclose(asyncio.run(ours.aget_text_embedding_batch(texts)), batch, atol=1e-6)
    np.testing.assert_allclose(
        asyncio.run(ours.aget_query_embedding("cats")), ours.get_query_embedding("cats")
    )
    index = VectorStoreIndex.from_documents([Document(text=text) for text in texts], embed_model=ours)
    (found,) = index.as_retriever(similarity_top_k=1).retrieve("When does my train go?")
    assert found.node.get_content() == texts[1]


@pytest.mark.models
def test_combined_adapters_change_nothing(embedder: LocalEmbedder) -> None:
    there_and_back = LlamaIndexEmbedder(CairnEmbedding(embedder), dotted="x.Ours")
    texts = [f"Text number {number}" for number in range(40)]
    np.testing.assert_allclose(
        there_and_back.embed_documents(texts), embedder.embed_documents(texts), atol=1e-3
    )
    assert there_and_back.dimension == embedder.dimension


def test_document_embeddings_take_turns() -> None:
    """A long document requests again immediately after each batch, but others get their turn after a few."""
    embedding = Slow()
    embedder = LlamaIndexEmbedder(embedding, dotted="x.Slow")
    long = threading.Thread(target=embedder.embed_documents, args=(["long"] * 400,))
    long.start()
    while len(embedding.calls) < 3:
        time.sleep(0.005)
    before = len(embedding.calls)
    embedder.embed_documents(["short"])
    assert embedding.calls.index(["short"]) - before < 5
    long.join()
