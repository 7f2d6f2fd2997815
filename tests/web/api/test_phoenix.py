"""An answer's trace read back from a real Phoenix, which reads OpenInference's conventions.

`make test-phoenix` installs it into an environment of its own: it pins what Cairn must be free to choose.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cairn.library.models import Document
from cairn.settings import Environment
from cairn.telemetry import tracing
from tests.backends import free_port
from tests.servers import ROOT
from tests.web.api.conftest import Caller
from tests.web.api.test_traces import QUESTION, TEXTS, engine

__all__ = ["engine"]

PROGRAM = ROOT / ".venv-phoenix" / "bin" / "phoenix"
SPANS = "/v1/projects/default/spans"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not PROGRAM.exists(), reason="Phoenix is not installed: run make test-phoenix"),
]


@pytest.fixture
def phoenix(tmp_path: Path) -> Iterator[httpx.Client]:
    port = str(free_port())
    settings = {
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": port,
        "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_WORKING_DIR": str(tmp_path / "phoenix"),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    with (tmp_path / "phoenix.log").open("wb") as log:
        command = [str(PROGRAM), "serve"]
        process = subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
            wait_until_it_responds(client, process)
            yield client
    finally:
        process.terminate()
        process.wait(60)


def wait_until_it_responds(client: httpx.Client, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        try:
            if client.get("/healthz").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(f"Phoenix ended with {process.returncode}")


def read_spans(client: httpx.Client, count: int) -> dict[str, dict[str, Any]]:
    """Wait until Phoenix has stored as many spans, and return them by kind."""
    while True:
        spans = client.get(SPANS, params={"limit": 100}).raise_for_status().json()["data"]
        if len(spans) >= count:
            return {span["span_kind"]: span for span in spans}
        time.sleep(0.2)


@pytest.mark.usefixtures("engine")
def test_trace_of_an_answer_is_read_back_from_phoenix(
    mia: Caller, document: Document, phoenix: httpx.Client
) -> None:
    tracing.tracing_start(Environment(otel_exporter_otlp_endpoint=str(phoenix.base_url)), role="web")
    answer = mia.post("/ask", {"question": QUESTION}).json()
    tracing.tracing_stop()

    spans = read_spans(phoenix, 6)
    assert {"CHAIN", "RETRIEVER", "RERANKER", "EMBEDDING", "LLM", "GUARDRAIL"} <= spans.keys()
    assert spans["CHAIN"]["attributes"]["session.id"] == answer["conversation"]
    written = spans["LLM"]["attributes"]
    assert written["llm.model_name"] == written["gen_ai.request.model"] == "fake-chat"
    assert written["llm.token_count.prompt"] == answer["usage"]["prompt_tokens"]
    assert written["gen_ai.usage.output_tokens"] == answer["usage"]["completion_tokens"]
    assert written["llm.token_count.total"] == sum(answer["usage"].values())
    for child, parent in (
        ("RETRIEVER", "CHAIN"),
        ("RERANKER", "RETRIEVER"),
        ("LLM", "CHAIN"),
        ("GUARDRAIL", "CHAIN"),
    ):
        assert spans[child]["parent_id"] == spans[parent]["context"]["span_id"]
    found = phoenix.get(SPANS, params={"limit": 100}).text
    assert str(document.id) in found
    assert not any(text in found for text in (QUESTION, *TEXTS))
