"""Evaluation with gold questions over REST."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict
from typing import Final, TypeVar

from cairn.errors import InvalidInput
from retrieval.evaluation.gold_file import GoldQuestion, GoldSet
from retrieval.evaluation.metrics import Measures, QuestionOutcome, by_kind, by_ranking, measures
from retrieval.evaluation.question_results import Asked
from retrieval.evaluation.run_comparison import Change, differences, ids_of
from retrieval.evaluation.significance import compare_pairs
from retrieval.search.fusion import Ranking
from retrieval.types import AnswerProfile
from web.cli.api_client import Api, Json
from web.cli.folder_upload import Tick

_DEPTH: Final = 100  # passages; of one document there may be many
_T = TypeVar("_T")


def outcomes_of(
    api: Api,
    base: str,
    questions: Sequence[GoldQuestion],
    tick: Tick,
    *,
    rankings: Collection[Ranking] = (),
    profile: AnswerProfile | None = None,
) -> Iterator[QuestionOutcome]:
    """Yield outcomes of questions. `rankings` are additional rankings to search with, for comparison.
    `profile`: how the language model is used, if not as usual."""
    for done, question in enumerate(questions):
        tick("Asking", done, len(questions))
        yield _outcome(api, base, question, rankings, profile)
    tick("Asking", len(questions), len(questions))


def _outcome(
    api: Api,
    base: str,
    question: GoldQuestion,
    rankings: Collection[Ranking],
    profile: AnswerProfile | None,
) -> QuestionOutcome:
    answer, answer_ms = _ask_question(api, base, question, profile)
    standalone = str(answer["standalone_question"])
    hits, search_ms = _time_call(lambda: _hits(api, base, standalone, Ranking.HYBRID))
    return QuestionOutcome(
        question=question,
        standalone=standalone,
        ranking=_documents(hits),
        answer=str(answer["answer"]),
        verdict=str(answer["verdict"]),
        cited=tuple(citation["source_uri"] for citation in answer["citations"]),
        documents=tuple(citation["document"] for citation in answer["citations"]),
        quotes=tuple(citation["quote"] for citation in answer["citations"]),
        passages=_passages(answer, hits),
        search_ms=search_ms,
        first_token_ms=answer["timings"]["first_token_ms"],
        answer_ms=answer_ms,
        signals=answer["signals"],
        others={way: _documents(_hits(api, base, standalone, way)) for way in rankings},
    )


def _hits(api: Api, base: str, query: str, ranking: Ranking) -> list[Json]:
    body = {"query": query, "knowledge_bases": [base], "top_k": _DEPTH, "ranking": ranking}
    found: list[Json] = api.post("/api/v1/search", body)["results"]
    return found


def _documents(hits: Sequence[Json]) -> tuple[str, ...]:
    """Return documents ranked by their best passages."""
    return tuple(dict.fromkeys(hit["source_uri"] for hit in hits))


def _passages(answer: Json, hits: Sequence[Json]) -> tuple[str, ...]:
    """Return cited passages: their whole text if they were retrieved, else the quotes."""
    texts = {hit["chunk"]: hit["text"] for hit in hits}
    cited = (texts.get(each["chunk"], each["quote"]) for each in answer["citations"])
    return tuple(dict.fromkeys(cited))


def _ask_question(
    api: Api, base: str, question: GoldQuestion, profile: AnswerProfile | None
) -> tuple[Json, float]:
    """Ask a question in a temporary conversation."""
    conversation: Json = {}
    unwatched: Json = {"knowledge_bases": [base], "pass_on": False, "background": True}
    if profile is not None:
        unwatched["profile"] = asdict(profile)
    try:
        for earlier in question.history:
            body = {"question": earlier, **unwatched, **conversation}
            conversation = _conversation(api.post("/api/v1/ask", body))
        body = {"question": question.question, **unwatched, **conversation}
        answer, milliseconds = _time_call(lambda: api.post("/api/v1/ask", body))
        conversation = _conversation(answer)
        return answer, milliseconds
    finally:
        if conversation:
            api.delete(f"/api/v1/conversations/{conversation['conversation']}")


def _conversation(answer: Json) -> Json:
    return {"conversation": answer["conversation"]}


def _time_call(call: Callable[[], _T]) -> tuple[_T, float]:
    began = time.perf_counter()
    result = call()
    return result, (time.perf_counter() - began) * 1000


def report(outcomes: Sequence[QuestionOutcome]) -> Json:
    """Build the report, which is printed and used as a baseline."""
    return {
        "questions": len(outcomes),
        "measures": _round_measures(measures(outcomes)),
        "by_kind": {kind: _round_measures(found) for kind, found in by_kind(outcomes).items()},
        "rankings": {ranking: _round_measures(found) for ranking, found in by_ranking(outcomes).items()},
        "outcomes": [_dump_outcome(outcome) for outcome in outcomes],
    }


def load_gold_set(api: Api, base: str, name: str) -> GoldSet:
    """Load the knowledge base's gold questions. Raises InvalidInput if there are none."""
    items = api.pages(f"/api/v1/knowledge-bases/{base}/gold-questions")
    questions = [_gold_question(item) for item in items if item["complete"]]
    if not questions:
        raise InvalidInput("This knowledge base has no gold questions. Specify a file, or create some.")
    return GoldSet(name, questions)


def _gold_question(item: Json) -> GoldQuestion:
    return GoldQuestion(
        **{field: item[field] for field in ("id", "question", "kind", "history", "must_contain")},
        relevant=tuple(source["source_uri"] for source in item["relevant"]),
        quotes=tuple(quote for source in item["relevant"] for quote in source["quotes"]),
    )


def store(api: Api, base: str, name: str, gold: GoldSet, run: Json) -> Json:
    """Store the run and return it."""
    content = {part: run[part] for part in ("measures", "by_kind", "rankings", "outcomes")}
    about = {"knowledge_base": base, "name": name, "gold": {"name": gold.name, "sha256": gold.sha256}}
    return api.post("/api/v1/evaluations", {**about, **content})


def _round_measures(found: Measures) -> Measures:
    return {name: None if value is None else round(value, 4) for name, value in found.items()}


def _dump_outcome(outcome: QuestionOutcome) -> Json:
    question = outcome.question
    places = [outcome.ranking.index(uri) + 1 for uri in question.relevant if uri in outcome.ranking]
    asked = Asked(
        id=question.id,
        kind=question.kind,
        question=question.question,
        standalone_question=outcome.standalone,
        right=outcome.right,
        refused=outcome.refused,
        verdict=outcome.verdict,
        answer=outcome.answer,
        rank=min(places, default=None),
        quoted=outcome.quoted,
        faithfulness=outcome.faithfulness,
        relevancy=outcome.relevancy,
        cited=tuple(dict.fromkeys(outcome.cited)),
        documents=tuple(dict.fromkeys(outcome.documents)),
        relevant=question.relevant,
    )
    return asked.model_dump(mode="json")


def changes(now: Json, before: Json) -> Json:
    """Return ids of questions that are right now but were not before, and vice versa, and a paired test."""
    found = differences(_parse_outcomes(now), _parse_outcomes(before))
    test = compare_pairs(found)
    return {
        **{change.value: ids_of(found, change) for change in (Change.BETTER, Change.WORSE)},
        "paired_test": None if test is None else {**asdict(test), "is_worse": test.is_worse},
    }


def _parse_outcomes(run: Json) -> list[Asked]:
    return [Asked.model_validate(outcome) for outcome in run["outcomes"]]
