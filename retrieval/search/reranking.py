"""Reranking of search hits. The reranker gets only hits that the asker may read.

One that doesn't support the language of the query isn't called, and gets no hits in other languages than its
own: its scores would be noise.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

from opentelemetry.trace import Span

from cairn.errors import CairnError, ConfigurationError, Unavailable
from cairn.inference.protocols import Reranker
from cairn.telemetry.metrics import count_model_failure
from cairn.telemetry.span_attributes import RERANKER_MODEL, DocumentList, SpanKind, document_attributes
from cairn.telemetry.throttled_log import ThrottledLogger
from cairn.telemetry.tracing import step
from retrieval.answering.grounding.reranker_languages import (
    SAMPLE_CHARACTERS,
    is_foreign,
    is_foreign_passage,
    supports_language,
)
from retrieval.answering.text.lexicon import list_words
from retrieval.search.traced_documents import traced_documents
from retrieval.types import Hit

RERANKED_PER_HIT = 4
MIN_RERANKED, MAX_RERANKED = 30, 100
MAX_KEYWORDS = 4
MIN_SHARED_WORDS = 2 / 3
"""Share of a query's words that hits in its language contain; fitted on `product`, `operations`, `squad`."""

_trouble = ThrottledLogger(logging.getLogger(__name__))


def select_reranker(query: str, reranker: Reranker | None) -> Reranker | None:
    """Return the reranker if it can be loaded and may read the language of the query."""
    try:
        if reranker is None or not reranker.max_texts or is_foreign(reranker, query):
            return None
        return reranker
    except (Unavailable, ConfigurationError) as error:
        _report_failure(error)
        return None


def rerank_depth(limit: int, reranker: Reranker | None = None) -> int:
    """Return how many hits to choose `limit` from."""
    depth = min(MAX_RERANKED, max(MIN_RERANKED, RERANKED_PER_HIT * limit))
    return max(limit, depth if reranker is None else min(depth, reranker.max_texts))


def rerank_hits(query: str, hits: Sequence[Hit], reranker: Reranker | None) -> list[Hit]:
    """Rerank the first hits, as many as the reranker takes; the others follow in their order.

    Hits in a language that it does not read keep their places, and all of them do if it fails or is late.
    """
    if reranker is None or not hits:
        return list(hits)
    try:
        chosen, others = hits[: reranker.max_texts], hits[reranker.max_texts :]
        foreign = [is_foreign_passage(reranker, hit) for hit in chosen]
        readable = [hit for hit, skip in zip(chosen, foreign, strict=True) if not skip]
        if not _can_compare(query, readable, reranker, is_mixed=any(foreign)):
            return list(hits)
        ordered = iter(_score_hits(query, readable, reranker))
        ranked = [hit if skip else next(ordered) for hit, skip in zip(chosen, foreign, strict=True)]
        return [*ranked, *others]
    except (Unavailable, ConfigurationError) as error:
        _report_failure(error)
        return list(hits)


def _score_hits(query: str, hits: Sequence[Hit], reranker: Reranker) -> list[Hit]:
    with step("rerank", kind=SpanKind.RERANKER, attributes={RERANKER_MODEL: reranker.name}) as span:
        ordered = _by_score(hits, reranker.scores(query, [hit.headed_text for hit in hits]))
        if span.is_recording():
            _trace(span, hits, ordered)
        return ordered


def _can_compare(query: str, hits: Sequence[Hit], reranker: Reranker, *, is_mixed: bool) -> bool:
    """Return whether the query is in the language of the hits, which the reranker reads.

    Function words show the language of most queries. Keywords have none, and the hits alone decide unless
    others are in another language (`is_mixed`). Longer queries without them ("make text bigger in the app")
    are in another language if the hits lack their words.
    """
    if not supports_language(reranker, "\n".join(hit.headed_text[:SAMPLE_CHARACTERS] for hit in hits)):
        return False
    is_keywords = len(query.split()) <= MAX_KEYWORDS
    if supports_language(reranker, query) or (is_keywords and not is_mixed):
        return True
    words = set(list_words(query))
    found = words.intersection(list_words("\n".join(hit.headed_text for hit in hits)))
    return len(found) >= MIN_SHARED_WORDS * len(words)


def _report_failure(error: CairnError) -> None:
    count_model_failure("reranker")
    _trouble.warn(f"not reranked: {error.message}")


def _by_score(hits: Sequence[Hit], scores: Sequence[float]) -> list[Hit]:
    scored = [
        replace(hit, scores=replace(hit.scores, rerank=score))
        for hit, score in zip(hits, scores, strict=True)
    ]
    return sorted(scored, key=lambda hit: -hit.score)


def _trace(span: Span, hits: Sequence[Hit], ordered: Sequence[Hit]) -> None:
    for documents, found in ((DocumentList.RERANKER_INPUT, hits), (DocumentList.RERANKER_OUTPUT, ordered)):
        span.set_attributes(document_attributes(documents, traced_documents(found)))
