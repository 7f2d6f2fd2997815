"""Log records carry the ids of their request, job and answer."""

import json
import logging
import sys
from typing import Any

import httpx
import pytest

from cairn.settings import Environment
from cairn.telemetry.context import bind_ids, current_ids
from cairn.telemetry.logs import JsonFormatter
from cairn.telemetry.request_tracing import Identified
from tests.backends import free_port
from web.processes import worker_process


def record(message: str = "job %s", *given: object, failed: bool = False) -> dict[str, Any]:
    exc_info = None
    if failed:
        try:
            raise ValueError("broken")
        except ValueError:
            exc_info = sys.exc_info()
    made = logging.LogRecord("ingestion.x", logging.WARNING, __file__, 1, message, given, exc_info)
    entry: dict[str, Any] = json.loads(JsonFormatter().format(made))
    return entry


def test_log_record_is_one_json_object_with_bound_ids() -> None:
    with bind_ids(request_id="r"), bind_ids(job_id=7):
        entry = record("job %s", 7)
    assert (entry["level"], entry["logger"], entry["message"]) == ("WARNING", "ingestion.x", "job 7")
    assert (entry["request_id"], entry["job_id"]) == ("r", "7")
    assert "request_id" not in record("quiet")
    assert "ValueError: broken" in record("failed", failed=True)["exception"]
    assert "\n" not in JsonFormatter().format(
        logging.LogRecord("x", logging.INFO, "", 1, "two\nlines", (), None)
    )


async def test_each_request_gets_an_id_that_no_client_chooses() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(current_ids()["request_id"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    transport = httpx.ASGITransport(Identified(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://cairn") as client:
        answers = [await client.get("/", headers={"X-Request-ID": "mine"}) for _ in range(2)]
    assert [answer.headers["x-request-id"] for answer in answers] == seen
    assert len({*seen, "mine"}) == 3


def test_worker_serves_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    given = Environment(worker_metrics_address=f"127.0.0.1:{port}")
    monkeypatch.setattr(worker_process, "environment", lambda: given)
    worker_process._serve_metrics()
    assert "cairn_chunks_indexed_total" in httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).text
    with pytest.raises(worker_process.ConfigurationError, match="WORKER_METRICS_ADDRESS"):
        worker_process._serve_metrics()
