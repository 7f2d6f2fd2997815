import json
from collections.abc import Iterator
from typing import Any

import pytest

from cairn.errors import Unavailable
from cairn.inference.reranking import open_reranker
from cairn.inference.reranking.deadline import TimelyReranker
from cairn.inference.reranking.remote import RemoteReranker
from cairn.settings import Environment
from tests.cairn.inference.server import Exchange, FakeServer


def lengths(exchange: Exchange) -> None:
    """Respond like Jina, Cohere and vLLM: best first."""
    rows = [
        {"index": index, "document": {"text": text}, "relevance_score": float(len(text))}
        for index, text in enumerate(exchange.body["documents"])
    ]
    rows.sort(key=lambda row: -float(row["relevance_score"]))
    exchange.answer({"id": "rerank-1", "model": "m", "usage": {"total_tokens": 9}, "results": rows})


def as_tei(exchange: Exchange) -> None:
    if "texts" not in exchange.body:
        exchange.answer({"error": "missing field `texts`"}, 422)
        return
    rows = [{"index": index, "score": float(len(text))} for index, text in enumerate(exchange.body["texts"])]
    exchange.answer(rows[::-1])


@pytest.fixture
def reranker(server: FakeServer) -> Iterator[TimelyReranker]:
    server.respond = lengths
    reranker = open_reranker(
        Environment(
            reranker_base_url=server.url,
            reranker_model="bge-reranker-v2-m3",
            reranker_api_key="secret",
            reranker_timeout_seconds=30,
        )
    )
    yield reranker
    reranker.close()


def test_texts_are_reranked_in_batches_and_ordered(server: FakeServer, reranker: TimelyReranker) -> None:
    texts = ["x" * n for n in range(1, 71)]
    assert reranker.scores("leave", texts) == [float(n) for n in range(1, 71)]
    assert [len(exchange.body["documents"]) for exchange in server.exchanges] == [32, 32, 6]
    first = server.exchanges[0]
    assert (first.path, first.authorization) == ("/v1/rerank", "Bearer secret")
    assert first.body == {
        "model": "bge-reranker-v2-m3", "query": "leave", "documents": texts[:32], "top_n": 32
    }  # fmt: skip
    assert reranker.name == "bge-reranker-v2-m3"


def test_tei_server_is_recognised_once(server: FakeServer, reranker: TimelyReranker) -> None:
    server.respond = as_tei
    for _ in range(2):
        assert reranker.scores("leave", ["a", "bb"]) == [1.0, 2.0]
    assert [max(exchange.body) for exchange in server.exchanges] == ["top_n", "truncate", "truncate"]


def test_empty_text_is_sent_as_a_placeholder(server: FakeServer, reranker: TimelyReranker) -> None:
    reranker.scores("leave", ["", " \n", "a"])
    assert server.exchanges[0].body["documents"] == ["-", "-", "a"]


RIGHT = [{"index": 0, "relevance_score": 0.5}, {"index": 1, "relevance_score": 0.25}]


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>",
        b"",
        b"[",
        None,
        3,
        "results",
        {},
        {"results": None},
        {"results": RIGHT[:1]},
        {"results": [*RIGHT, {"index": 2, "relevance_score": 0.1}]},
        {"results": [RIGHT[0], RIGHT[0]]},
        {"results": [RIGHT[0], {"index": 7, "relevance_score": 0.1}]},
        {"results": [RIGHT[0], {"index": -1, "relevance_score": 0.1}]},
        {"results": [RIGHT[0], {"index": 1}]},
        {"results": [RIGHT[0], {"index": 1, "relevance_score": None}]},
        {"results": [RIGHT[0], {"index": 1, "relevance_score": "high"}]},
        {"results": [RIGHT[0], {"relevance_score": 0.1}]},
        {"results": [RIGHT[0], 5]},
        json.dumps({"results": [RIGHT[0], {"index": 1, "relevance_score": float("nan")}]}).encode(),
        json.dumps({"results": [RIGHT[0], {"index": 1, "relevance_score": float("inf")}]}).encode(),
    ],
)
def test_damaged_response_gives_no_scores(server: FakeServer, reranker: TimelyReranker, answer: Any) -> None:
    server.respond = lambda exchange: exchange.answer(answer)
    with pytest.raises(Unavailable):
        reranker.scores("leave", ["a", "b"])
    assert len(server.exchanges) == 1


@pytest.mark.parametrize(("status", "tried"), [(500, 1), (503, 1), (401, 1), (404, 1), (302, 1), (422, 2)])
def test_refusal_reports_only_the_status(
    server: FakeServer, reranker: TimelyReranker, status: int, tried: int
) -> None:
    server.respond = lambda exchange: exchange.answer({"detail": exchange.body["query"]}, status)
    with pytest.raises(Unavailable, match=f"returned status {status}$"):
        reranker.scores("a question of somebody", ["a"])
    assert len(server.exchanges) == tried


def test_failure_after_the_first_batch_gives_no_scores(server: FakeServer, reranker: TimelyReranker) -> None:
    server.respond = lambda exchange: (
        lengths(exchange) if len(server.exchanges) < 2 else exchange.answer({}, 500)
    )
    with pytest.raises(Unavailable):
        reranker.scores("leave", ["a"] * 40)


def test_slow_server_is_not_awaited(server: FakeServer) -> None:
    server.respond = lambda exchange: exchange.wait_for_hangup()
    slow = TimelyReranker(RemoteReranker(server.url), seconds=0.2)
    with pytest.raises(Unavailable, match=r"longer than 0\.2 s"):
        slow.scores("leave", ["a"])
    slow.close()


def test_unreachable_reranker_is_unavailable(server: FakeServer) -> None:
    away = TimelyReranker(RemoteReranker("http://127.0.0.1:9"), seconds=30)
    with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:9/rerank can't be reached"):
        away.scores("leave", ["a"])
    away.close()


def test_model_name_is_not_sent_when_unset(server: FakeServer) -> None:
    server.respond = lengths
    reranker = RemoteReranker(f"{server.url}/")
    assert reranker.score("leave", ["a"], seconds=30) == [1.0]
    assert "model" not in server.exchanges[0].body
    assert server.exchanges[0].authorization is None
    assert reranker.name == f"{server.url}/rerank"
    reranker.close()
