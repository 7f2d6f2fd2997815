"""Fits the shipped weights of answerability: `python -m tests.evaluation.fit tune.json > calibration.json`.

The input is what `make evaluate ARGS="--judgements --sets product,operations --json tune.json"` writes.
Results of sets that are reported are refused.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from cairn.settings.env import PACKAGED_RERANKER
from retrieval.answering.answerability.calibration import Calibration
from retrieval.evaluation.calibration_fit import fit_calibration, measure_refusals
from tests.evaluation.results import Result
from tests.evaluation.sets import TUNED
from tests.evaluation.table import read_report

MAX_REFUSED_SHARE: Final = 0.08  # of answerable questions
_EMBEDDER: Final = "all-MiniLM-L6-v2"
FITTED: Final = (
    (_EMBEDDER, PACKAGED_RERANKER, ("relevance", "near", "uncounted")),
    (_EMBEDDER, "", ("words", "near", "uncounted")),
    ("", PACKAGED_RERANKER, ("relevance", "uncounted")),
    ("", "", ("words", "uncounted")),
)
"""Embedding model, reranker and signals of each calibration. Cosines of an unknown embedding model mean
nothing."""
_SET_BY_HAND: Final = {"unnamed": -4.0}
"""Too few questions name what no passage names to fit it: six of the unanswerable ones, five of the others.
One town's rate is still not another's."""
_STEPS: Final = 200


def fit_shipped(results: Mapping[str, Sequence[Result]]) -> list[dict[str, Any]]:
    """Raises ValueError for results of a set that isn't there to tune on."""
    if foreign := sorted(set(results) - set(TUNED)):
        message = f"no sets to tune on: {', '.join(foreign)}"
        raise ValueError(message)
    rows = [each for found in results.values() for each in found if each.signals]
    return [_fit(rows, sorted(results), *entry) for entry in FITTED]


def _fit(
    rows: Sequence[Result], sets: Sequence[str], embedder: str, reranker: str, names: Sequence[str]
) -> dict[str, Any]:
    known = [row for row in rows if all(name in row.signals for name in names)]
    fit = fit_calibration(
        [row.signals for row in known],
        [row.answerable for row in known],
        names=names,
        max_refused=MAX_REFUSED_SHARE,
    )
    unseen = f"cross-validated refusal F1 {fit.refusal_f1:.2f} at {fit.wrongly_refused:.2f} wrongly refused"
    sys.stderr.write(f"{embedder or 'any'}, {reranker or 'no reranker'}: {len(known)} questions, {unseen}\n")
    where = {"embedder": embedder, "reranker": reranker, "fitted_on": list(sets)}
    weights = {**fit.calibration.weights, **_SET_BY_HAND}
    calibration = fit.calibration.model_copy(update={"weights": weights})
    return {**where, **calibration.model_dump(), "threshold": choose_threshold(calibration, known)}


def choose_threshold(calibration: Calibration, rows: Sequence[Result]) -> float:
    """Return the threshold of best refusal F1 that wrongly refuses few enough of the answerable questions."""
    probabilities = np.array([calibration.probability(row.signals) for row in rows])
    truth = np.array([row.answerable for row in rows])

    def rate(threshold: float) -> tuple[bool, float]:
        f1, refused = measure_refusals(probabilities < threshold, truth)
        return refused <= MAX_REFUSED_SHARE, f1

    return max((step / _STEPS for step in range(_STEPS)), key=rate)


if __name__ == "__main__":
    report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.stdout.write(f"{json.dumps(fit_shipped(read_report(report)), indent=2)}\n")
