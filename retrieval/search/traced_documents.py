"""Hits as they appear in traces: ids, scores and pages without text."""

from collections.abc import Iterable, Iterator

from cairn.telemetry.span_attributes import ScoredDocument
from retrieval.types import Hit


def traced_documents(hits: Iterable[Hit]) -> Iterator[ScoredDocument]:
    for hit in hits:
        place: dict[str, str | int | None] = {
            "document": str(hit.document),
            "knowledge_base": str(hit.knowledge_base),
            "page": hit.page,
        }
        yield ScoredDocument(str(hit.chunk), hit.score, place)
