"""The order that a reranker gives to what was found. It sees only hits that the asker may read."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from cairn.errors import ConfigurationError, Unavailable
from cairn.inference.protocols import Reranker
from cairn.telemetry.metrics import model_failed
from cairn.telemetry.throttled_log import ThrottledLogger
from retrieval.types import Hit

_trouble = ThrottledLogger(logging.getLogger(__name__))


def reranked(query: str, hits: Sequence[Hit], reranker: Reranker | None) -> list[Hit]:
    """Rerank all hits; keep their order if the reranker fails or is late."""
    if reranker is None or not hits:
        return list(hits)
    try:
        scores = reranker.scores(query, [_read_text(hit) for hit in hits])
    except (Unavailable, ConfigurationError) as error:
        model_failed("reranker")
        _trouble.warn(f"not reranked: {error.message}")
        return list(hits)
    scored = [
        replace(hit, scores=replace(hit.scores, rerank=score))
        for hit, score in zip(hits, scores, strict=True)
    ]
    return sorted(scored, key=lambda hit: -hit.score)


def _read_text(hit: Hit) -> str:
    """Return the text with its headings, as it is embedded."""
    return f"{' > '.join((hit.title, *hit.section))}\n{hit.text}"
