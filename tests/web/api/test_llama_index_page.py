"""The programs of docs/integrate/llama-index.md run as they are printed."""

from collections.abc import Callable

import django
import pytest

from cairn.access.models import Role
from cairn.inference import registry
from cairn.library.models import Document
from retrieval.engine import Engine
from tests.fakes import FakeEmbedder
from tests.web.api.conftest import Caller, caller_for, indexed
from tests.web.test_integration_pages import programs


def output_of(program: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a program here, where Django is set up already."""
    monkeypatch.setattr(django, "setup", lambda: None)
    exec(compile(program, "llama-index.md", "exec"), {})
    return capsys.readouterr().out


def test_documented_search_program_works(
    document: Document,
    parts: Engine,
    grant: Callable[[Caller, Role], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search, _embed = programs("llama-index")
    indexed(document, parts, "Upload documents by dropping files.", "Bicycles are parked behind the house.")
    admin = caller_for("admin")
    assert output_of(search, capsys, monkeypatch) == "", "no access yet"
    grant(admin, Role.READER)
    lines = output_of(search, capsys, monkeypatch).splitlines()
    assert len(lines) == 2
    assert all(document.title in line for line in lines)


def test_documented_embedding_program_works(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _search, embed = programs("llama-index")
    with registry.use(embedder=FakeEmbedder()):
        assert "The train leaves at noon." in output_of(embed, capsys, monkeypatch)
