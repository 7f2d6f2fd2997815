from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cairn.errors import ConfigurationError, Unavailable
from cairn.inference.judge import judge_model
from cairn.settings import Environment
from retrieval.evaluation.gold_file import GoldQuestion
from retrieval.evaluation.llm_judge import Judge
from retrieval.evaluation.metrics import QuestionOutcome, measures
from tests.cairn.inference.server import Exchange, FakeServer
from tests.models import judge_answer, judge_respond


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        server.respond = judge_respond
        yield server


def judge(server: FakeServer, **settings: Any) -> Judge:
    model = judge_model(
        Environment(judge_base_url=server.url, judge_model="large", judge_api_key="s3cret", **settings)
    )
    assert model is not None
    return Judge(model)


def outcome(answer: str, *passages: str, verdict: str = "supported") -> QuestionOutcome:
    asked = GoldQuestion(id=answer or "nothing", question="Where do visitors park?", relevant=("a",))
    return QuestionOutcome(
        question=asked, standalone=asked.question, ranking=(), answer=answer, verdict=verdict,
        cited=(), passages=passages, search_ms=1, answer_ms=1,
    )  # fmt: skip


def judged(judge: Judge, *outcomes: QuestionOutcome) -> list[QuestionOutcome]:
    return judge.judge_outcomes(outcomes, lambda _what, _done, _total: None)


def test_answers_are_judged_by_their_passages(server: FakeServer) -> None:
    outcomes = judged(
        judge(server),
        outcome("visitors park on Elm Street", "All visitors park on Elm Street, garage B."),
        outcome("a permit is free", "All visitors park on Elm Street, garage B."),
        outcome("visitors park anywhere"),
        outcome("", verdict="refused"),
    )
    assert [(each.faithfulness, each.relevancy) for each in outcomes] == [
        (1, 1),
        (0, 0),
        (0, 0),
        (None, None),
    ]
    found = measures(outcomes)
    assert found["faithfulness"] == pytest.approx(1 / 3)
    assert found["relevancy"] == pytest.approx(1 / 3)
    assert {exchange.authorization for exchange in server.exchanges} == {"Bearer s3cret"}
    assert {exchange.body["model"] for exchange in server.exchanges} == {"large"}


def test_judging_reports_progress_per_answer(server: FakeServer) -> None:
    ticks = []
    outcomes = [outcome(f"answer {n}", "text") for n in range(9)]
    judge(server).judge_outcomes(outcomes, lambda *tick: ticks.append(tick))
    assert ticks == [("Judging", n, 9) for n in range(1, 10)]


def says(text: str) -> Callable[[Exchange], None]:
    return lambda exchange: judge_answer(exchange, text)


@pytest.mark.parametrize(
    ("text", "score"),
    [("Answer: yes.", 1), ("NO, as of yesterday", 0), ("I know nothing.", None), ("", None)],
)
def test_only_a_plain_verdict_counts(server: FakeServer, text: str, score: int | None) -> None:
    server.respond = says(text)
    [result] = judged(judge(server), outcome("an answer", "a passage"))
    assert result.faithfulness == result.relevancy == score


def test_failing_judge_is_named(server: FakeServer) -> None:
    server.respond = lambda exchange: exchange.answer({"error": {"message": "no room"}}, 500)
    with pytest.raises(Unavailable, match=r"The judge isn't responding: .*no room"):
        judged(judge(server), outcome("an answer", "a passage"))


def test_judge_requires_address_and_model() -> None:
    assert judge_model(Environment()) is None
    for half in ({"judge_base_url": "http://127.0.0.1:9/v1"}, {"judge_model": "large"}):
        with pytest.raises(ConfigurationError):
            judge_model(Environment(**half))
