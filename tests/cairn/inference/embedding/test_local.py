"""MiniLM through OpenVINO against sentence-transformers itself."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from cairn.inference.embedding.local import LocalEmbedder, normalize_vectors
from cairn.inference.embedding.model_folder import EncoderFolder

pytestmark = pytest.mark.models
TEXTS = [
    "Voluntary leave transfer program",
    "Employees can donate annual leave to a colleague with a medical emergency. " * 3,
    "x",
    "",
    "Überstunden, façade, 有給休暇 und 🙂",
    "| rate | amount |\n| --- | --- |\n| lodging | $120.50 |\n" * 4,
    "word " * 2000,
]


@pytest.fixture(scope="module")
def reference(minilm: EncoderFolder) -> SentenceTransformer:
    return SentenceTransformer(str(minilm.path), device="cpu", local_files_only=True)


def cosines(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    return (left * right).sum(axis=-1)


@pytest.mark.slow
def test_document_vectors_equal_sentence_transformers(
    embedder: LocalEmbedder, reference: SentenceTransformer
) -> None:
    vectors = embedder.embed_documents(TEXTS)
    expected = reference.encode_document(TEXTS, normalize_embeddings=True)
    assert vectors.shape == (len(TEXTS), embedder.dimension) == (len(TEXTS), 384)
    assert vectors.dtype == np.float32
    assert cosines(vectors, np.asarray(expected)).min() > 0.9999


@pytest.mark.parametrize("text", TEXTS)
def test_query_vectors_equal_sentence_transformers(
    text: str, embedder: LocalEmbedder, reference: SentenceTransformer
) -> None:
    expected = reference.encode_query(text, normalize_embeddings=True)
    assert cosines(embedder.embed_query(text), np.asarray(expected)) > 0.9999


def test_vectors_reflect_meaning(embedder: LocalEmbedder) -> None:
    near, far = embedder.embed_documents(
        ["Giving vacation days to a sick coworker", "The pump is made of steel"]
    )
    query = embedder.embed_query("How do I donate annual leave to a colleague?")
    assert query @ near > 0.4 > 0.2 > query @ far


def test_text_over_the_token_limit_is_ignored(embedder: LocalEmbedder) -> None:
    fits = "hello " * embedder.max_tokens
    cut, same = embedder.embed_documents([fits + "steel pump", fits])
    assert cosines(cut, same) > 0.999999
    assert cosines(embedder.embed_query("hello " * 3_000_000), same) > 0.9999


def test_no_documents(embedder: LocalEmbedder) -> None:
    assert embedder.embed_documents([]).shape == (0, 384)


def test_embedder_knows_its_model_and_limits(embedder: LocalEmbedder, minilm: EncoderFolder) -> None:
    assert embedder.model == minilm.identity
    assert embedder.max_tokens == 254
    assert embedder.count_tokens(["hello world", ""]) == [2, 0]


def test_concurrent_embedding_is_thread_safe(embedder: LocalEmbedder) -> None:
    texts = [f"Paragraph {number} of the travel policy" for number in range(24)]
    expected = embedder.embed_documents(texts)

    def query(number: int) -> bool:
        return bool(cosines(embedder.embed_query(texts[number % 24]), expected[number % 24]) > 0.9999)

    def documents(_: int) -> bool:
        return bool(cosines(embedder.embed_documents(texts), expected).min() > 0.9999)

    with ThreadPoolExecutor(6) as pool:
        queries, batches = pool.map(query, range(96)), pool.map(documents, range(4))
    assert all(queries)
    assert all(batches)


def test_normalising_preserves_zero_vectors() -> None:
    rows = np.array([[3, 4], [0, 0]], np.float32)
    assert normalize_vectors(rows).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]
