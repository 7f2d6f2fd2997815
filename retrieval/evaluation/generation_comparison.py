"""The same questions to two generations of the index: does the new one find as much?"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cairn.access.scope import Scope
from retrieval.engine import Engine
from retrieval.evaluation.gold_file import GoldQuestion
from retrieval.evaluation.metrics import Measures, QuestionOutcome, measures
from retrieval.search.hybrid_search import search

NAMES: Final = ("recall@5", "recall@20", "ndcg@10")
CLEARLY: Final = 0.02
"""What a measure has to lose to count; less is chance on a hundred questions."""
_DEPTH: Final = 100  # passages; of one document there may be many


@dataclass(frozen=True, slots=True)
class Comparison:
    """`worse`: the measures that lose clearly. Counts questions with an answer that need no conversation."""

    questions: int
    before: Measures
    after: Measures

    @property
    def worse(self) -> list[str]:
        pairs = {name: (self.before[name], self.after[name]) for name in NAMES}
        return [
            name
            for name, (was, now) in pairs.items()
            if was is not None and now is not None and was - now > CLEARLY
        ]


def compare(questions: Sequence[GoldQuestion], before: Engine, after: Engine, *, scope: Scope) -> Comparison:
    asked = [question for question in questions if question.answerable and not question.history]
    return Comparison(len(asked), _measure_engine(asked, before, scope), _measure_engine(asked, after, scope))


def _measure_engine(questions: Sequence[GoldQuestion], engine: Engine, scope: Scope) -> Measures:
    every = measures([_outcome(question, engine, scope) for question in questions])
    return {name: every[name] for name in NAMES}


def _outcome(question: GoldQuestion, engine: Engine, scope: Scope) -> QuestionOutcome:
    began = time.perf_counter()
    hits = search(question.question, scope=scope, limit=_DEPTH, engine=engine)
    return QuestionOutcome(
        question=question,
        standalone=question.question,
        ranking=tuple(dict.fromkeys(hit.source_uri for hit in hits)),
        answer="",
        verdict="",
        cited=(),
        search_ms=(time.perf_counter() - began) * 1000,
        answer_ms=0.0,
    )
