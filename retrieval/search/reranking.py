"""The order that a reranker gives to what was found. It sees only hits that the asker may read."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from opentelemetry.trace import Span

from cairn.errors import ConfigurationError, Unavailable
from cairn.inference.protocols import Reranker
from cairn.telemetry.metrics import count_model_failure
from cairn.telemetry.openinference import RERANKER_MODEL, DocumentList, SpanKind, document_attributes
from cairn.telemetry.throttled_log import ThrottledLogger
from cairn.telemetry.tracing import step
from retrieval.search.traced_documents import traced_documents
from retrieval.types import Hit

_trouble = ThrottledLogger(logging.getLogger(__name__))


def rerank_hits(query: str, hits: Sequence[Hit], reranker: Reranker | None) -> list[Hit]:
    """Rerank all hits; keep their order if the reranker fails or is late."""
    if reranker is None or not hits:
        return list(hits)
    try:
        with step("rerank", kind=SpanKind.RERANKER, attributes={RERANKER_MODEL: reranker.name}) as span:
            ordered = _by_score(hits, reranker.scores(query, [_read_text(hit) for hit in hits]))
            if span.is_recording():
                _trace(span, hits, ordered)
            return ordered
    except (Unavailable, ConfigurationError) as error:
        count_model_failure("reranker")
        _trouble.warn(f"not reranked: {error.message}")
        return list(hits)


def _by_score(hits: Sequence[Hit], scores: Sequence[float]) -> list[Hit]:
    scored = [
        replace(hit, scores=replace(hit.scores, rerank=score))
        for hit, score in zip(hits, scores, strict=True)
    ]
    return sorted(scored, key=lambda hit: -hit.score)


def _trace(span: Span, hits: Sequence[Hit], ordered: Sequence[Hit]) -> None:
    for documents, found in ((DocumentList.RERANKER_INPUT, hits), (DocumentList.RERANKER_OUTPUT, ordered)):
        span.set_attributes(document_attributes(documents, traced_documents(found)))


def _read_text(hit: Hit) -> str:
    """Return the text with its headings, as it is embedded."""
    return f"{' > '.join((hit.title, *hit.section))}\n{hit.text}"
