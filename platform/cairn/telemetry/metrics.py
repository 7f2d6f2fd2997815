"""Prometheus metrics of this process. Labels have few values, and never a name, an id or a text."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import Counter, Histogram

from cairn.answers import Verdict
from cairn.errors import CairnError, Rejection

_SHORT: Final = (0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12)
_LONG: Final = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 900)
VERDICTS: Final = (*Verdict, "stopped", "failed")
MODELS: Final = ("chat", "embedding", "reranker", "answer_reader", "grounding")
STAGES: Final = ("parse", "chunk", "embed", "index")
READY, OTHER = "ready", "other"
_OUTCOMES: Final = (READY, *(reason.value for reason in Rejection))

SEARCH_SECONDS = Histogram("cairn_search_seconds", "Time that a search takes", buckets=_SHORT)
FIRST_TOKEN_SECONDS = Histogram(
    "cairn_first_token_seconds", "Time from a question to the first words of its answer", buckets=_LONG
)
ANSWER_SECONDS = Histogram("cairn_answer_seconds", "Time from a question to its whole answer", buckets=_LONG)
_ANSWERS = Counter("cairn_answers", "Answers by verdict, and those that were stopped or failed", ["verdict"])
_MODEL_ERRORS = Counter("cairn_model_errors", "Calls of a model that failed", ["model"])
STAGE_SECONDS = Histogram(
    "cairn_stage_seconds", "Time that a stage of a document takes", ["stage"], buckets=_LONG
)
CHUNKS_INDEXED = Counter("cairn_chunks_indexed", "Chunks that were written to the vector index")
_JOB_OUTCOMES = Counter("cairn_job_outcomes", "Ingestion jobs that ended, by how", ["code"])

for _counter, _values in ((_ANSWERS, VERDICTS), (_MODEL_ERRORS, MODELS), (_JOB_OUTCOMES, _OUTCOMES)):
    for _value in _values:
        _counter.labels(_value)  # a rate needs a first value
for _stage in STAGES:
    STAGE_SECONDS.labels(_stage)


def count_answer(verdict: str) -> None:
    _ANSWERS.labels(verdict if verdict in VERDICTS else OTHER).inc()


def count_job(code: str) -> None:
    _JOB_OUTCOMES.labels(code if code in _OUTCOMES else OTHER).inc()


def count_model_failure(model: str) -> None:
    _MODEL_ERRORS.labels(model).inc()


@contextmanager
def counting_model_failures(model: str) -> Iterator[None]:
    try:
        yield
    except CairnError:
        count_model_failure(model)
        raise
