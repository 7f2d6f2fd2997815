"""Calibration and judging, which few evaluations need and which import slowly; loaded by name."""

from collections.abc import Sequence

from cairn.inference.judge import judge_model
from cairn.settings import environment
from retrieval.evaluation.calibration_fit import fit_calibration
from retrieval.evaluation.llm_judge import Judge
from retrieval.evaluation.metrics import QuestionOutcome
from web.cli.api_client import Api, Json
from web.cli.folder_upload import Tick


def calibrate(api: Api, outcomes: Sequence[QuestionOutcome]) -> Json:
    """Fit and activate answerability weights."""
    judged = [outcome for outcome in outcomes if outcome.signals]
    fit = fit_calibration(
        [outcome.signals for outcome in judged], [outcome.question.answerable for outcome in judged]
    )
    stored = api.put("/api/v1/index/calibration", fit.calibration.model_dump())
    return {**stored, "refusal_f1": fit.refusal_f1, "wrongly_refused": fit.wrongly_refused}


def judge_outcomes(outcomes: Sequence[QuestionOutcome], tick: Tick) -> list[QuestionOutcome]:
    """Judge outcomes with the configured model. Raises ConfigurationError if half configured."""
    model = judge_model(environment())
    return Judge(model).judge_outcomes(outcomes, tick) if model else list(outcomes)
