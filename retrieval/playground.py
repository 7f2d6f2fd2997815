"""Explanation of a search: results of each leg, fusion, reranking and evidence."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar
from uuid import UUID

from cairn.access.scope import Scope
from cairn.access.selectors import chunks_for
from cairn.errors import CairnError
from cairn.inference.embedding.cache import CachingEmbedder
from cairn.settings import environment
from retrieval.answering.prompts.evidence import Passage, deduplicate
from retrieval.answering.protocols import Judgement
from retrieval.answering.query.understand import understand
from retrieval.conversations.answer_models import answer_profile, answerability_of, evidence_budget
from retrieval.conversations.ask import EVIDENCE_HITS
from retrieval.engine import Engine
from retrieval.index.protocol import Candidates, Filters
from retrieval.search.answer_search import search_for_answer
from retrieval.search.bm25 import query_sparse
from retrieval.search.fusion import Ranking, rank_candidates
from retrieval.search.hybrid_search import MIN_CANDIDATES, clean_query, hit_of
from retrieval.search.reranking import rerank_depth, rerank_hits, select_reranker
from retrieval.types import Hit, Scores

T = TypeVar("T")
WAYS: Final = (Ranking.DENSE, Ranking.BM25, Ranking.HYBRID)


@dataclass(slots=True)
class Clock:
    """Milliseconds by step, in the order in which they were done."""

    steps: dict[str, float] = field(default_factory=dict)

    def time_step(self, step: str, work: Callable[[], T]) -> T:
        began = time.perf_counter()
        try:
            return work()
        finally:
            self.steps[step] = (time.perf_counter() - began) * 1000


@dataclass(frozen=True, slots=True)
class Explanation:
    """Steps of a search. `by_ranking`: hits of each, best first. `reranked` is empty without a reranker.
    `dropped`: candidates of the index that SQL turned away. `evidence` is None if the language model, which
    counts tokens, is away."""

    standalone: str
    by_ranking: dict[Ranking, list[Hit]]
    reranked: list[Hit]
    dropped: int
    found: Sequence[Hit]
    evidence: list[Passage] | None
    judgement: Judgement
    milliseconds: dict[str, float]


def explain(question: str, *, scope: Scope, filters: Filters, engine: Engine, limit: int) -> Explanation:
    """`found`, `evidence` and `judgement` are what an answer would begin with. Raises InvalidInput for a
    blank question, Unavailable without an embedding model or index."""
    clock, engine = Clock(), engine.for_answers()
    standalone = understand(clean_query(question), (), None).standalone
    candidates, terms = _candidates(standalone, scope, filters, engine, clock)
    rankings = {way: rank_candidates(candidates, way, depth=MIN_CANDIDATES, terms=terms) for way in WAYS}
    hits = clock.time_step("check", lambda: _hits(rankings[Ranking.HYBRID], scope))
    by_ranking = {way: _first(found, hits, limit) for way, found in rankings.items()}
    reranker = select_reranker(standalone, engine.reranker)
    chosen = _first(rankings[Ranking.HYBRID], hits, rerank_depth(EVIDENCE_HITS, reranker))
    ordered = clock.time_step("rerank", lambda: rerank_hits(standalone, chosen, reranker))
    found = deduplicate(
        search_for_answer(
            standalone, scope=scope, filters=filters, limit=EVIDENCE_HITS, engine=engine, question=question
        )
    )
    judgement = clock.time_step("judge", lambda: _judge_answerability(standalone, found, engine))
    return Explanation(
        standalone=standalone,
        by_ranking=by_ranking,
        reranked=ordered[:limit] if engine.reranker else [],
        dropped=len(rankings[Ranking.HYBRID]) - len(hits),
        found=found,
        evidence=_evidence(standalone, found, engine),
        judgement=judgement,
        milliseconds=clock.steps,
    )


def find_hidden_hits(
    question: str, *, reader: Scope, looker: Scope, filters: Filters, engine: Engine
) -> list[Hit]:
    """Return what the looker's search finds and the reader may not read, best first."""
    standalone = understand(clean_query(question), (), None).standalone
    candidates, terms = _candidates(standalone, looker, filters, engine, Clock())
    fused = rank_candidates(candidates, Ranking.HYBRID, depth=MIN_CANDIDATES, terms=terms)
    seen = _hits(fused, looker)
    readable = set(chunks_for(reader, list(seen)).order_by().values_list("id", flat=True)) if seen else set()
    return [hit for hit in _first(fused, seen, len(fused)) if hit.chunk not in readable]


def _candidates(
    text: str, scope: Scope, filters: Filters, engine: Engine, clock: Clock
) -> tuple[Candidates, int]:
    dense = clock.time_step("embed", lambda: engine.embedder.embed_query(text))
    sparse = query_sparse(text)
    if not scope:
        return Candidates(), len(sparse.indices)
    found = clock.time_step(
        "index",
        lambda: engine.index.query(dense, sparse, scope=scope, filters=filters, limit=MIN_CANDIDATES),
    )
    return found, len(sparse.indices)


def _hits(found: Sequence[tuple[UUID, Scores]], scope: Scope) -> dict[UUID, Hit]:
    """Return the hits that may be read now."""
    scores = dict(found)
    rows = chunks_for(scope, list(scores)).order_by().in_bulk() if scores else {}
    return {chunk: hit_of(row, scores[chunk]) for chunk, row in rows.items()}


def _first(found: Sequence[tuple[UUID, Scores]], hits: dict[UUID, Hit], limit: int) -> list[Hit]:
    return [hits[chunk] for chunk, _scores in found if chunk in hits][:limit]


def _judge_answerability(question: str, found: Sequence[Hit], engine: Engine) -> Judgement:
    embedder = CachingEmbedder(engine.embedder)
    return answerability_of(replace(engine, embedder=embedder)).judge(question, found)


def _evidence(question: str, found: Sequence[Hit], engine: Engine) -> list[Passage] | None:
    try:
        budget = evidence_budget(
            engine.chat, environment().answer_max_tokens, answer_profile(writes=engine.writes_answers)
        )
        return budget.select_passages(question, found)
    except CairnError:
        return None
