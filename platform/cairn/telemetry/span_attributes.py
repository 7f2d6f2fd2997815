"""Span attributes named by the conventions of OpenInference and of OpenTelemetry (`gen_ai.*`).

Tracing tools for language models read one or the other.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from opentelemetry.util.types import AttributeValue

KIND: Final = "openinference.span.kind"
SESSION: Final = "session.id"
METADATA: Final = "metadata"
RERANKER_MODEL: Final = "reranker.model_name"


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


def chat_attributes(model: str) -> dict[str, AttributeValue]:
    return {"llm.model_name": model, "gen_ai.operation.name": "chat", "gen_ai.request.model": model}


def embedding_attributes(model: str) -> dict[str, AttributeValue]:
    return {
        "embedding.model_name": model,
        "gen_ai.operation.name": "embeddings",
        "gen_ai.request.model": model,
    }


def token_attributes(prompt: int, completion: int) -> dict[str, AttributeValue]:
    return {
        "llm.token_count.prompt": prompt,
        "llm.token_count.completion": completion,
        "llm.token_count.total": prompt + completion,
        "gen_ai.usage.input_tokens": prompt,
        "gen_ai.usage.output_tokens": completion,
    }
