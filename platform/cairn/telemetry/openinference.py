"""Span attributes named by the OpenInference conventions, which tracing tools for language models read."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from opentelemetry.util.types import AttributeValue

KIND: Final = "openinference.span.kind"
SESSION: Final = "session.id"
METADATA: Final = "metadata"
EMBEDDING_MODEL: Final = "embedding.model_name"
RERANKER_MODEL: Final = "reranker.model_name"
LLM_MODEL: Final = "llm.model_name"
PROMPT_TOKENS: Final = "llm.token_count.prompt"
COMPLETION_TOKENS: Final = "llm.token_count.completion"
TOTAL_TOKENS: Final = "llm.token_count.total"


class SpanKind(StrEnum):
    CHAIN = "CHAIN"
    RETRIEVER = "RETRIEVER"
    EMBEDDING = "EMBEDDING"
    RERANKER = "RERANKER"
    LLM = "LLM"
    GUARDRAIL = "GUARDRAIL"


class DocumentList(StrEnum):
    RETRIEVED = "retrieval.documents"
    RERANKER_INPUT = "reranker.input_documents"
    RERANKER_OUTPUT = "reranker.output_documents"


@dataclass(frozen=True, slots=True)
class ScoredDocument:
    """A passage in a trace: its id and score without its text."""

    id: str
    score: float
    metadata: Mapping[str, str | int | None] = field(default_factory=dict)


def document_attributes(
    documents: DocumentList, found: Iterable[ScoredDocument]
) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {}
    for number, document in enumerate(found):
        prefix = f"{documents}.{number}.document"
        attributes[f"{prefix}.id"] = document.id
        attributes[f"{prefix}.score"] = document.score
        if document.metadata:
            attributes[f"{prefix}.metadata"] = json.dumps(document.metadata)
    return attributes


def token_attributes(prompt: int, completion: int) -> dict[str, AttributeValue]:
    return {PROMPT_TOKENS: prompt, COMPLETION_TOKENS: completion, TOTAL_TOKENS: prompt + completion}
