"""Answers judged by a language model: do their passages support them, and do they answer the question?"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from llama_index.core.evaluation import BaseEvaluator, FaithfulnessEvaluator, RelevancyEvaluator

from cairn.errors import Unavailable
from cairn.inference.judge import JudgeModel
from retrieval.evaluation.metrics import QuestionOutcome

MAX_CONCURRENT_JUDGEMENTS: Final = 4
Tick = Callable[[str, int, int], None]
_VERDICT = re.compile(r"\b(yes|no)\b", re.IGNORECASE)


class Judge:
    """Judge of answers, for a single use: its connections are closed afterwards."""

    def __init__(self, model: JudgeModel) -> None:
        # Without an llm, both would ask OpenAI.
        self._faithfulness = FaithfulnessEvaluator(llm=model.llm)
        self._relevancy = RelevancyEvaluator(llm=model.llm)
        self._model = model

    def judge_outcomes(self, outcomes: Sequence[QuestionOutcome], tick: Tick) -> list[QuestionOutcome]:
        """Refusals are not judged. Raises Unavailable if the judge cannot be asked."""
        return asyncio.run(self._all(outcomes, tick))

    async def _all(self, outcomes: Sequence[QuestionOutcome], tick: Tick) -> list[QuestionOutcome]:
        turns, done = asyncio.Semaphore(MAX_CONCURRENT_JUDGEMENTS), 0

        async def one(outcome: QuestionOutcome) -> QuestionOutcome:
            nonlocal done
            async with turns:
                judged = outcome if outcome.refused else await self._judge_outcome(outcome)
            done += 1
            tick("Judging", done, len(outcomes))
            return judged

        async with self._model.http:
            return await asyncio.gather(*map(one, outcomes))

    async def _judge_outcome(self, outcome: QuestionOutcome) -> QuestionOutcome:
        faithfulness = await self._score(self._faithfulness, outcome)
        relevancy = await self._score(self._relevancy, outcome)
        return replace(outcome, faithfulness=faithfulness, relevancy=relevancy)

    async def _score(self, evaluator: BaseEvaluator, outcome: QuestionOutcome) -> float | None:
        """1 or 0, for an answer without passages always 0; None if the judge says neither yes nor no."""
        if not outcome.passages:
            return 0.0
        try:
            result = await evaluator.aevaluate(
                query=outcome.standalone, response=outcome.answer, contexts=outcome.passages
            )
        except self._model.failure as failure:
            raise Unavailable(f"The judge isn't responding: {failure}") from failure
        # The evaluators take a “yes” anywhere for one, also that of “yesterday”.
        verdict = _VERDICT.search(result.feedback or "")
        return None if verdict is None else float(verdict[0].lower() == "yes")
