"""`manage.py models check`, on servers that the test runs."""

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from cairn.settings import Environment
from tests.cairn.inference.server import FakeServer
from tests.cairn.inference.test_checking import listed, writes
from web.management.base import SOME_FAILED
from web.management.commands import models as command


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A language model, and its embeddings that do not answer."""
    with FakeServer() as fake:
        fake.respond = writes
        listed(fake, {"id": "mistral", "max_model_len": 4096})
        given: dict[str, Any] = {"llm_base_url": fake.url, "llm_model": "mistral", "llm_context_tokens": 4096}
        away = {"embedding_base_url": "http://127.0.0.1:9/v1", "embedding_model": "bge"}
        monkeypatch.setattr(command, "effective_environment", lambda: Environment(**given, **away))
        yield fake


def run(*options: str) -> tuple[str, object]:
    out = StringIO()
    with pytest.raises(SystemExit) as left:
        call_command("models", "check", *options, stdout=out)
    return out.getvalue(), left.value.code


def test_models_check_reports_each_model(server: FakeServer) -> None:
    text, code = run()
    assert code == SOME_FAILED
    assert f"ok      chat        mistral, {server.url}" in text
    assert "context of 4096 tokens" in text
    assert "FAILED  embeddings  bge, http://127.0.0.1:9/v1" in text
    assert "cannot be reached" in text


def test_models_check_prints_json(server: FakeServer) -> None:
    text, code = run("--json")
    told = json.loads(text)
    assert (told["ok"], code) == (False, SOME_FAILED)
    assert [(each["kind"], each["ok"]) for each in told["models"]] == [("chat", True), ("embeddings", False)]
    assert told["models"][0]["context_tokens"] == 4096
