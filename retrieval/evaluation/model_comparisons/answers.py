"""Comparison of two models over gold questions: right, unanswered or wrong, with intervals and a test."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from statistics import median
from typing import Any, Final

from cairn.access.scope import Scope
from retrieval.conversations.ask import answer_unstored
from retrieval.engine import Engine
from retrieval.evaluation.gold_file import GoldQuestion
from retrieval.evaluation.metrics import QuestionOutcome
from retrieval.evaluation.run_comparison import change_of
from retrieval.evaluation.significance import Interval, PairedTest, compare_changes, exact_interval
from retrieval.types import Answer, Turn

MODELS: Final = ("first", "second")


class ComparedResult(StrEnum):
    """Result of a compared model on a question. An answer to a question that no document answers is wrong."""

    RIGHT = "right"
    UNANSWERED = "unanswered"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class ResultCount:
    """How many questions had a result, their share, and its 95 % interval."""

    questions: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """`answer_ms`: the median time until a whole answer; None without questions."""

    results: Mapping[ComparedResult, ResultCount]
    answer_ms: float | None


@dataclass(frozen=True, slots=True)
class ComparisonSummary:
    """`test`: of the second model against the first; None without questions."""

    questions: int
    models: Mapping[str, ModelSummary]
    test: PairedTest | None


def ask_both(
    question: GoldQuestion,
    *,
    scope: Scope,
    engines: Mapping[str, Engine],
    cancelled: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Ask both models the question, and return what they did, without their words. Raises Unavailable when
    `cancelled`."""
    row: dict[str, Any] = {"id": question.id, "kind": question.kind.value, "question": question.question}
    for name in MODELS:
        ask = partial(answer_unstored, scope=scope, engine=engines[name], cancelled=cancelled)
        row[name] = _ask(question, ask)
    return row


def _ask(question: GoldQuestion, ask: Callable[..., Answer]) -> dict[str, Any]:
    turns = list[Turn]()
    for earlier in question.history:
        turns.append(Turn(earlier, ask(earlier, history=turns).text))
    answer, milliseconds = _time_call(lambda: ask(question.question, history=turns))
    return {"result": _judge(question, answer).value, "milliseconds": milliseconds}


def _time_call(call: Callable[[], Answer]) -> tuple[Answer, int]:
    began = time.perf_counter()
    answer = call()
    return answer, round((time.perf_counter() - began) * 1000)


def _judge(question: GoldQuestion, answer: Answer) -> ComparedResult:
    outcome = QuestionOutcome(
        question=question,
        standalone=answer.standalone_question,
        ranking=(),
        answer=answer.text,
        verdict=answer.verdict,
        cited=(),
        search_ms=0,
        answer_ms=0,
    )
    if outcome.right:
        return ComparedResult.RIGHT
    return ComparedResult.UNANSWERED if outcome.refused else ComparedResult.WRONG


def summarize(rows: Sequence[Mapping[str, Any]]) -> ComparisonSummary:
    """Return counts with intervals for both models, and the paired test."""
    changes = [change_of(now=_is_right(row, "second"), before=_is_right(row, "first")) for row in rows]
    models = {name: _summarize_model([row[name] for row in rows]) for name in MODELS}
    return ComparisonSummary(len(rows), models, compare_changes(changes))


def _is_right(row: Mapping[str, Any], name: str) -> bool:
    return bool(row[name]["result"] == ComparedResult.RIGHT)


def _summarize_model(answers: Sequence[Mapping[str, Any]]) -> ModelSummary:
    found = [answer["result"] for answer in answers]
    times = [answer["milliseconds"] for answer in answers]
    counts = {result: _count(found.count(result.value), len(found)) for result in ComparedResult}
    return ModelSummary(counts, float(median(times)) if times else None)


def _count(hits: int, total: int) -> ResultCount:
    interval = exact_interval(hits, total) if total else Interval(0.0, 1.0)
    return ResultCount(hits, hits / total if total else 0.0, interval.low, interval.high)
