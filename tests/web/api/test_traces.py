"""The trace of a question as read by a tool for OpenInference conventions."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
from openinference.semconv.trace import (
    DocumentAttributes,
    OpenInferenceSpanKindValues,
    RerankerAttributes,
    SpanAttributes,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cairn.access.selectors import scope_for
from cairn.library.models import Document
from cairn.telemetry import tracing
from retrieval.engine import Engine, use
from retrieval.search.llama_index import CairnRetriever
from tests.fakes import FakeReranker
from tests.web.api.conftest import Caller, indexed

QUESTION = "How many days of leave do employees get a year?"
TEXTS = ("Employees get 25 days of leave a year.", "Bicycles are parked behind the house.")
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def provider() -> TracerProvider:
    return TracerProvider()


@pytest.fixture
def spans(provider: TracerProvider, monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("cairn"))
    return exporter


@pytest.fixture
def engine(document: Document, parts: Engine) -> Iterator[Engine]:
    indexed(document, parts, *TEXTS)
    with use(replace(parts, reranker=FakeReranker("25"))) as engine:
        yield engine


def by_kind(exporter: InMemorySpanExporter) -> dict[str, list[ReadableSpan]]:
    found: dict[str, list[ReadableSpan]] = {}
    for span in exporter.get_finished_spans():
        kind = (span.attributes or {}).get(SpanAttributes.OPENINFERENCE_SPAN_KIND)
        if kind is not None:
            found.setdefault(OpenInferenceSpanKindValues(str(kind)).name, []).append(span)
    return found


def documents(attributes: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """Read a list of documents as the conventions flatten it."""
    found = []
    while (id_ := attributes.get(f"{prefix}.{len(found)}.{DocumentAttributes.DOCUMENT_ID}")) is not None:
        at = f"{prefix}.{len(found)}"
        score = attributes[f"{at}.{DocumentAttributes.DOCUMENT_SCORE}"]
        metadata = json.loads(attributes[f"{at}.{DocumentAttributes.DOCUMENT_METADATA}"])
        found.append({"id": id_, "score": score, **metadata})
    return found


def ancestors(span: ReadableSpan, exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    known = {each.context.span_id: each for each in exporter.get_finished_spans()}
    found: list[ReadableSpan] = []
    while span.parent is not None:
        span = known[span.parent.span_id]
        found.append(span)
    return found


def test_question_is_traced_from_retrieval_to_checking(
    mia: Caller, document: Document, engine: Engine, spans: InMemorySpanExporter
) -> None:
    answer = mia.post("/ask", {"question": QUESTION}).json()
    kinds = by_kind(spans)
    (whole,), (search,), (rerank,), (query,), (write,) = (
        kinds[kind] for kind in ("CHAIN", "RETRIEVER", "RERANKER", "EMBEDDING", "LLM")
    )
    attributes: list[dict[str, Any]] = [
        dict(span.attributes or {}) for span in (search, rerank, query, write)
    ]
    retrieved, reranked, embedded, generated = attributes

    found = documents(retrieved, SpanAttributes.RETRIEVAL_DOCUMENTS)
    assert [each["score"] for each in found] == [1.0, 0.0]
    assert {each["document"] for each in found} == {str(document.id)}
    assert {each["knowledge_base"] for each in found} == {str(document.knowledge_base_id)}
    ordered = documents(reranked, RerankerAttributes.RERANKER_OUTPUT_DOCUMENTS)
    assert [each["id"] for each in ordered] == [each["id"] for each in found]
    assert len(documents(reranked, RerankerAttributes.RERANKER_INPUT_DOCUMENTS)) == 2
    assert reranked[RerankerAttributes.RERANKER_MODEL_NAME] == "fake-reranker"
    assert embedded[SpanAttributes.EMBEDDING_MODEL_NAME] == "fake-words"
    assert generated[SpanAttributes.LLM_MODEL_NAME] == "fake-chat"
    usage = answer["usage"]
    assert generated[SpanAttributes.LLM_TOKEN_COUNT_PROMPT] == usage["prompt_tokens"]
    assert generated[SpanAttributes.LLM_TOKEN_COUNT_COMPLETION] == usage["completion_tokens"]
    assert generated[SpanAttributes.LLM_TOKEN_COUNT_TOTAL] == sum(usage.values())

    (check,) = kinds["GUARDRAIL"]
    result = json.loads(str((check.attributes or {})[SpanAttributes.METADATA]))
    assert result == {"supported": True, "passages": [found[0]["id"]]}
    assert (whole.attributes or {})[SpanAttributes.SESSION_ID] == answer["conversation"]
    for child, parent in ((search, whole), (rerank, search), (query, search), (write, whole), (check, whole)):
        assert child.parent is not None
        assert child.parent.span_id == parent.context.span_id


def test_traces_have_no_text(mia: Caller, engine: Engine, spans: InMemorySpanExporter) -> None:
    mia.post("/ask", {"question": QUESTION})
    exported = " ".join(span.to_json() for span in spans.get_finished_spans())
    assert "RETRIEVER" in exported
    for word in ("leave", "Employees", "Bicycles", "Handbook"):
        assert word not in exported


def test_instrumented_program_sees_the_retriever_around_cairn_spans(
    mia: Caller, engine: Engine, provider: TracerProvider, spans: InMemorySpanExporter
) -> None:
    instrumentor = LlamaIndexInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        nodes = CairnRetriever(scope_for(mia.principal), limit=2).retrieve(QUESTION)
    finally:
        instrumentor.uninstrument()
    retrievers = {span.name: span for span in by_kind(spans)["RETRIEVER"]}
    outer, inner = retrievers["CairnRetriever.retrieve"], retrievers["search"]
    assert outer in ancestors(inner, spans)
    assert outer.attributes is not None
    first = f"{SpanAttributes.RETRIEVAL_DOCUMENTS}.0"
    assert outer.attributes[f"{first}.{DocumentAttributes.DOCUMENT_ID}"] == nodes[0].node_id
    assert outer.attributes[f"{first}.{DocumentAttributes.DOCUMENT_CONTENT}"] == TEXTS[0]
