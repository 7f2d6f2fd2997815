"""Calibration and judging, which few evaluations need and which import slowly; loaded by name."""

from collections.abc import Sequence
from uuid import UUID

from cairn.inference.judge import judge_model
from cairn.library.outside_models import find_forbidden_outside, is_anything_forbidden_outside_in
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


def judge_outcomes(outcomes: Sequence[QuestionOutcome], base: str, tick: Tick) -> list[QuestionOutcome]:
    """Judge answers from a knowledge base with the configured model, an outside one only if it may read all
    of it. Raises ConfigurationError if half configured."""
    model = judge_model(environment())
    if model is None:
        return list(outcomes)
    allowed = [may_be_judged(each, base) for each in outcomes]
    judged = [each for each, is_allowed in zip(outcomes, allowed, strict=True) if is_allowed]
    results = iter(Judge(model).judge_outcomes(judged, tick) if judged else ())
    return [next(results) if is_allowed else each for each, is_allowed in zip(outcomes, allowed, strict=True)]


def may_be_judged(outcome: QuestionOutcome, base: str) -> bool:
    """Return whether the judge may read an answer and the passages behind it.

    Text without a citation may come from any document in the knowledge base.
    """
    if environment().judge_location == "inside":
        return True
    if is_anything_forbidden_outside_in([UUID(base)]):
        return False
    return not find_forbidden_outside({UUID(document) for document in outcome.documents})
