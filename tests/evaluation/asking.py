"""Asks the questions of one evaluation set in an installation with its documents."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cairn.access.principals import principal_for_user
from cairn.access.scope import Scope
from cairn.access.selectors import scope_for
from cairn.accounts.models import User
from cairn.answers import Verdict
from cairn.errors import error_coded
from cairn.inference.embedding.cache import CachingEmbedder
from cairn.settings import environment
from retrieval.answering import answer
from retrieval.answering.answerability.calibration import calibration_for
from retrieval.answering.protocols import Answerability, Judgement
from retrieval.answering.text.refusals import ReplyLanguage
from retrieval.calibration_store import calibration_of
from retrieval.conversations.answer_models import (
    answer_profile,
    answer_reranker_name,
    answerability_of,
    evidence_budget,
)
from retrieval.conversations.ask import EVIDENCE_HITS
from retrieval.engine import Engine, get_engine
from retrieval.evaluation.gold_file import GoldQuestion
from retrieval.evaluation.metrics import QuestionOutcome
from retrieval.passages.locations import locate_quote
from retrieval.search.hybrid_search import search
from retrieval.types import Failed, Hit, Sources, Started, Turn
from tests.evaluation.results import Result, result_of
from tests.evaluation.sets import write_documents
from web.cli.api_client import Api
from web.cli.evaluation_client import outcomes_of
from web.cli.folder_upload import Summary, Tick, ingest, knowledge_base_ensure
from web.cli.local_files import find_files
from web.cli.progress_bar import progress_bar
from web.cli.server_connection import client
from web.processes.progress_report import SilentReporter

_DEPTH = 100  # passages; of one document there may be many


def ask_set(
    name: str, questions: Sequence[GoldQuestion], documents: Path, *, judgements: bool
) -> list[Result]:
    """Ingest what has changed and ask. `judgements`: search and judge answerability, but write no answers."""
    with (
        client(SilentReporter(), command="make evaluate") as connected,
        progress_bar(sys.stderr) as tick,
    ):
        base = knowledge_base_ensure(connected.api, name)
        _ingest(connected.api, base, write_documents(name, documents), tick)
        engine = get_engine()
        found = (
            _judge_all(base, questions, engine, tick)
            if judgements
            else outcomes_of(connected.api, base, questions, tick)
        )
        return [result_of(outcome, _rate_with(engine), generated=not judgements) for outcome in found]


def _ingest(api: Api, base: str, paths: list[Path], tick: Tick) -> None:
    summary = Summary()
    ingest(api, base, find_files(paths), summary, tick, wait_for=True, prune=False)
    for failure in summary.failed:
        sys.stderr.write(f"{failure.source_uri}: {failure.code}: {failure.message}\n")


def _rate_with(engine: Engine) -> Callable[[Mapping[str, float]], float]:
    own, model, reranker = calibration_of(engine.generation), engine.embedder.model, answer_reranker_name()

    def rate(signals: Mapping[str, float]) -> float:
        return calibration_for(model, signals, own=own, reranker=reranker).probability(signals)

    return rate


def _judge_all(
    base: str, questions: Sequence[GoldQuestion], engine: Engine, tick: Tick
) -> Iterator[QuestionOutcome]:
    admin = User.objects.active().filter(is_admin=True).first()
    assert admin is not None
    scope = scope_for(principal_for_user(admin), [base])
    for done, question in enumerate(questions):
        tick("Judging", done, len(questions))
        yield judge_question(question, scope, engine)
    tick("Judging", len(questions), len(questions))


@dataclass(frozen=True, slots=True)
class RecordingJudge:
    judge_evidence: Answerability
    judgements: list[Judgement] = field(default_factory=list)

    def judge(
        self, question: str, evidence: Sequence[Hit], language: ReplyLanguage | None = None
    ) -> Judgement:
        judgement = self.judge_evidence.judge(question, evidence, language)
        self.judgements.append(judgement)
        return judgement


def judge_question(question: GoldQuestion, scope: Scope, engine: Engine) -> QuestionOutcome:
    """Run the answer pipeline until it has sources to answer from, or none."""
    finding = replace(engine.for_answers(), embedder=CachingEmbedder(engine.embedder))
    profile = answer_profile(writes=engine.writes_answers)
    budget = evidence_budget(engine.chat, environment().answer_max_tokens, profile)
    judge = RecordingJudge(answerability_of(finding, budget if profile.judges else None))

    def find(query: str) -> list[Hit]:
        return search(query, scope=scope, limit=EVIDENCE_HITS, engine=finding)

    events = answer(
        question.question,
        search=find,
        chat=engine.chat,
        embedder=finding.embedder,
        locate=locate_quote,
        history=[Turn(earlier, "") for earlier in question.history],
        evidence=budget,
        answerability=judge,
        writes=profile.writes,
        rewrites=environment().rewrites_questions,
    )
    standalone, refused = question.question, True
    for event in events:
        match event:
            case Started():
                standalone = event.standalone_question
            case Failed():
                raise error_coded(event.code, event.message)
            case Sources():
                refused = not event.hits
                break
    hits = search(standalone, scope=scope, limit=_DEPTH, engine=engine) if standalone else []
    return QuestionOutcome(
        question=question,
        standalone=standalone,
        ranking=tuple(dict.fromkeys(hit.source_uri for hit in hits)),
        answer="",
        verdict=Verdict.REFUSED if refused else "",
        cited=(),
        search_ms=0.0,
        answer_ms=0.0,
        signals=judge.judgements[0].signals if len(judge.judgements) == 1 else {},
    )
