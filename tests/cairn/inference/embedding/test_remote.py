import math
from collections.abc import Iterator
from itertools import count

import numpy as np
import pytest

from cairn.errors import ConfigurationError, Unavailable
from cairn.inference.embedding import remote
from cairn.inference.embedding.remote import RemoteEmbedder
from cairn.settings import Environment
from tests.cairn.inference.server import Exchange, FakeServer


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_FIRST_WAIT", 0)


@pytest.fixture
def embedder(server: FakeServer) -> Iterator[RemoteEmbedder]:
    server.respond = lengths
    embedder = RemoteEmbedder(server.url, model="bge-m3", api_key="secret")
    yield embedder
    embedder.close()


def lengths(exchange: Exchange) -> None:
    """Return the text's length as its vector, so that the order can be checked; rows come back reversed."""
    rows = [
        {"index": index, "embedding": [float(len(text)), 1.0, 0.0]}
        for index, text in enumerate(exchange.body["input"])
    ]
    exchange.answer({"data": rows[::-1]})


def test_documents_are_sent_in_batches_and_ordered(server: FakeServer, embedder: RemoteEmbedder) -> None:
    texts = ["x" * length for length in range(1, 151)]
    vectors = embedder.embed_documents(texts)
    assert [len(exchange.body["input"]) for exchange in server.exchanges] == [64, 64, 22]
    assert {exchange.path for exchange in server.exchanges} == {"/v1/embeddings"}
    assert {exchange.body["model"] for exchange in server.exchanges} == {"bge-m3"}
    assert {exchange.authorization for exchange in server.exchanges} == {"Bearer secret"}
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(vectors[:, 0] / vectors[:, 1], range(1, 151), rtol=1e-5)


def test_dimension_is_requested_once(server: FakeServer, embedder: RemoteEmbedder) -> None:
    assert [embedder.dimension, embedder.dimension] == [3, 3]
    assert len(server.exchanges) == 1
    assert embedder.embed_documents([]).shape == (0, 3)


def test_query_vector_is_normalised(embedder: RemoteEmbedder) -> None:
    assert embedder.embed_query("abc").tolist() == pytest.approx([3 / math.sqrt(10), 1 / math.sqrt(10), 0])


def test_empty_text_is_sent_as_a_placeholder(server: FakeServer, embedder: RemoteEmbedder) -> None:
    embedder.embed_documents(["", " ", "a"])
    assert server.exchanges[0].body["input"] == ["-", "-", "a"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_temporary_failure_is_retried(server: FakeServer, embedder: RemoteEmbedder, status: int) -> None:
    attempts = count()

    def flaky(exchange: Exchange) -> None:
        lengths(exchange) if next(attempts) == 2 else exchange.answer({"error": "busy"}, status)

    server.respond = flaky
    assert embedder.embed_query("abc").shape == (3,)
    assert len(server.exchanges) == 3


def test_lasting_failure_is_unavailable(server: FakeServer, embedder: RemoteEmbedder) -> None:
    server.respond = lambda exchange: exchange.answer({"error": "out of memory"}, 500)
    with pytest.raises(Unavailable, match=r"/v1/embeddings answers 500: .*out of memory"):
        embedder.embed_query("abc")
    assert len(server.exchanges) == 3


@pytest.mark.parametrize("status", [400, 401, 404, 413])
def test_refused_request_is_not_repeated(server: FakeServer, embedder: RemoteEmbedder, status: int) -> None:
    server.respond = lambda exchange: exchange.answer({"error": "no such model"}, status)
    with pytest.raises(ConfigurationError, match="no such model") as caught:
        embedder.embed_query("abc")
    assert "secret" not in caught.value.message
    assert len(server.exchanges) == 1


def test_unreachable_embedding_server_is_unavailable() -> None:
    with FakeServer() as gone:
        embedder = RemoteEmbedder(gone.url, model="m")
    with pytest.raises(Unavailable, match="is not reachable"):
        embedder.embed_query("abc")
    embedder.close()


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        {},
        [],
        {"data": []},
        {"data": [{"index": 0, "embedding": None}]},
        {"data": [{"index": 0, "embedding": []}]},
        {"data": [{"index": 0, "embedding": [1, "x"]}]},
        b'{"data": [{"index": 0, "embedding": [NaN, 1]}]}',
        {"data": [{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [1, 2]}]},
    ],
)
def test_damaged_response_is_unavailable(server: FakeServer, embedder: RemoteEmbedder, body: object) -> None:
    server.respond = lambda exchange: exchange.answer(body)
    with pytest.raises(Unavailable, match="The embedding server at"):
        embedder.embed_query("abc")


def test_tokens_of_an_installed_model_are_counted() -> None:
    known = RemoteEmbedder.from_environment(Environment(embedding_base_url="http://127.0.0.1:1/v1"))
    assert known.count_tokens(["hello world"]) == [2]
    assert known.max_tokens == 254
    known.close()


def test_tokens_of_other_models_are_estimated(embedder: RemoteEmbedder) -> None:
    assert embedder.count_tokens(["hello world", ""]) == [5, 0]
    assert embedder.max_tokens == 512
