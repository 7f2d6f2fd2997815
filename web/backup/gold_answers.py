"""Questions asked before a backup and after its restore, which must give the same answers."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from retrieval.evaluation.gold_file import GoldQuestion
from retrieval.evaluation.metrics import QuestionOutcome
from web.backup.manifest import GOLD
from web.cli.api_client import Api
from web.cli.evaluation_client import outcomes_of
from web.cli.folder_upload import Tick, knowledge_base_id

_PLACES: Final = 10  # documents of a ranking that are compared


def ask_questions(
    api: Api, slug: str, base: str, questions: Sequence[GoldQuestion], tick: Tick
) -> dict[str, Any]:
    return {
        "knowledge_base": slug,
        "questions": [question.model_dump(mode="json") for question in questions],
        "answers": [_answer(outcome) for outcome in outcomes_of(api, base, questions, tick)],
    }


def _answer(outcome: QuestionOutcome) -> dict[str, Any]:
    return {
        "verdict": outcome.verdict,
        "answer": outcome.answer,
        "cited": list(outcome.cited),
        "quotes": list(outcome.quotes),
        "found": list(outcome.ranking[:_PLACES]),
    }


def differing(api: Api, folder: Path, tick: Tick) -> Iterator[str]:
    """Return ids of questions with different answers."""
    before = json.loads((folder / GOLD).read_text(encoding="utf-8"))
    questions = [GoldQuestion.model_validate(question) for question in before["questions"]]
    base = knowledge_base_id(api, before["knowledge_base"])
    if base is None:
        yield from (question.id for question in questions)
        return
    now = ask_questions(api, before["knowledge_base"], base, questions, tick)
    for question, was, is_ in zip(questions, before["answers"], now["answers"], strict=True):
        if was != is_:
            yield question.id
