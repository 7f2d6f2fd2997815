"""An install with JSON logs and traces: both contain ids, but no text of questions or documents."""

import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from openinference.semconv.trace import OpenInferenceSpanKindValues, SpanAttributes
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.servers import start_server, stop_server
from tests.threaded_server import SilentRequests

pytestmark = [pytest.mark.models, pytest.mark.faults, pytest.mark.timeout(600)]
TEXT = "Employees in Zanzibar get 25 days of holiday each year, and the northern quay is closed then."
QUESTION = "How many days of holiday do employees in Zanzibar get each year?"


class Receiver(ThreadingHTTPServer):
    """A fake OpenTelemetry collector."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []
        self.keys: set[str | None] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def spans(self) -> list[Span]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [
            span
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class _Handler(SilentRequests, BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.keys.add(self.headers["x-key"])
        self.send_response(200)
        self.end_headers()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def kinds_of(spans: Sequence[Span]) -> dict[str, str]:
    """Kinds by the OpenInference conventions of the spans that have one."""
    return {
        span.name: OpenInferenceSpanKindValues(attribute.value.string_value).value
        for span in spans
        for attribute in span.attributes
        if attribute.key == SpanAttributes.OPENINFERENCE_SPAN_KIND
    }


def test_logs_and_traces_have_events_without_content(
    own_data_dir: Path, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = {
        "SAMPLE_KNOWLEDGE_BASE": "false",
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "INFO",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-key=abc",
        "RERANKER_MODEL": "llama_index.core.postprocessor.LongContextReorder",
        "RERANKER_TIMEOUT_SECONDS": "60",
        "ANSWER_STYLE": "written",
    }
    server = start_server(own_data_dir, **settings)
    try:
        folder = tmp_path_factory.mktemp("given") / "docs"
        folder.mkdir()
        (folder / "ferries.md").write_text(f"# Timetable\n\n{TEXT}")
        assert server.manage("ingest", str(folder), "--kb", "docs", "--wait").returncode == 0
        key = server.key()
        asked = httpx.post(
            f"{server.url}/api/v1/ask",
            json={"question": QUESTION},
            headers={"Authorization": f"Bearer {key}"},
            timeout=120,
            trust_env=False,
        )
        assert asked.json()["verdict"] == "supported"
    finally:
        assert stop_server(server) == 0

    lines = [json.loads(line) for line in server.log.splitlines()]
    assert any("job_id" in line and line["logger"].startswith("ingestion") for line in lines)
    spans = receiver.spans
    names = {span.name for span in spans}
    assert {"job", "parse", "chunk", "embed", "index", "answer", "search", "write", "check sentence"} <= names
    assert "POST v1/ask" in names
    assert receiver.keys == {"abc"}
    answer = next(span for span in spans if span.name == "answer")
    request = next(span for span in spans if span.name == "POST v1/ask")
    assert answer.trace_id == request.trace_id
    question = [span for span in spans if span.trace_id == answer.trace_id]
    assert kinds_of(question) == {
        "answer": "CHAIN",
        "search": "RETRIEVER",
        "embed query": "EMBEDDING",
        "rerank": "RERANKER",
        "write": "LLM",
        "check sentence": "GUARDRAIL",
    }
    told = server.log.encode() + b"".join(receiver.bodies)
    for word in ("Zanzibar", "quay", "holiday", key, "Timetable"):
        assert word.encode() not in told
