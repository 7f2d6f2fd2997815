"""What only some evaluations need, and what takes seconds to import: `evaluate` loads it by name."""

from collections.abc import Sequence

from cairn.inference.judge import judge_model
from cairn.settings import environment
from retrieval.evaluation.calibrating import fitted
from retrieval.evaluation.judging import Judge
from retrieval.evaluation.measures import QuestionOutcome
from web.runtime.api import Api, Json
from web.runtime.ingesting import Tick


def calibrate(api: Api, outcomes: Sequence[QuestionOutcome]) -> Json:
    """Fits the weights of answerability to what was asked, and has them count from now on."""
    judged = [outcome for outcome in outcomes if outcome.signals]
    fit = fitted([outcome.signals for outcome in judged], [outcome.question.answerable for outcome in judged])
    kept = api.put("/api/v1/index/calibration", fit.calibration.model_dump())
    return {**kept, "refusal_f1": fit.refusal_f1, "wrongly_refused": fit.wrongly_refused}


def judged(outcomes: Sequence[QuestionOutcome], tick: Tick) -> list[QuestionOutcome]:
    """By the judge that is configured. Raises ConfigurationError for half a configuration."""
    model = judge_model(environment())
    return Judge(model).judged(outcomes, tick) if model else list(outcomes)
