"""Readers of LlamaIndex as sources."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import Document
from llama_index.core.readers.base import BaseReader, ResourcesReaderMixin
from pydantic import SecretStr, ValidationError

from cairn.settings import environment
from ingestion.sources.kinds import get_kind
from ingestion.sources.kinds.llama_index.options import ReaderOptions
from ingestion.sources.protocol import (
    Complete,
    Item,
    ItemUnavailable,
    SourceRefused,
    SourceUnavailable,
    first_problem,
)

FILES = "llama_index.core.SimpleDirectoryReader"
TEXTS = f"{__name__}.TicketReader"
PLAIN = f"{__name__}.PlainReader"


class TicketReader(BaseReader, ResourcesReaderMixin):
    """Read tickets of a system that wants a token."""

    tickets = {"T-1": "The printer is out of paper.", "T-2": "The lift is stuck."}

    def __init__(self, token: str, account: Any = None) -> None:
        self.token, self.account = token, account

    def list_resources(self, *args: Any, **kwargs: Any) -> list[str]:
        if self.token != "right":
            raise PermissionError(f"the token {self.token} is wrong{json.dumps(self.account)}")
        return list(self.tickets)

    def get_resource_info(self, resource_id: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return {"length": len(self.tickets[resource_id])}

    def load_resource(self, resource_id: str, *args: Any, **kwargs: Any) -> list[Document]:
        return [Document(text=text) for text in self.tickets[resource_id].split(" is ")]


class PlainReader(BaseReader):
    def load_data(self, *args: Any, **kwargs: Any) -> list[Document]:
        return [Document(text="Everything at once.")]


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = environment().model_copy(update={"source_readers": (FILES, TEXTS, PLAIN)})
    monkeypatch.setattr("ingestion.sources.kinds.llama_index.options.environment", lambda: settings)


def connect(reader: str, secrets: dict[str, Any] | None = None, **arguments: Any) -> Any:
    options = ReaderOptions(
        reader=reader, arguments=json.dumps(arguments), secrets=SecretStr(json.dumps(secrets or {}))
    )
    return get_kind("llama_index").connect(options)


def items(source: Any) -> dict[str, Item]:
    found = list(source.list_changes(""))
    assert found[-1] == Complete()
    return {item.name: item for item in found if isinstance(item, Item)}


def test_reader_files_are_read_unchanged(tmp_path: Path) -> None:
    leave = tmp_path / "leave.md"
    leave.write_bytes(b"# Leave\r\n25 days")
    (tmp_path / "gone.md").write_text("Soon gone.")
    with connect(FILES, input_dir=str(tmp_path)) as source:
        found = items(source)
        assert set(found) == {"leave.md", "gone.md"}
        with source.open(found["leave.md"]) as content:
            assert content.read() == b"# Leave\r\n25 days"
        (tmp_path / "gone.md").unlink()
        with pytest.raises(ItemUnavailable, match=r"gone\.md"), source.open(found["gone.md"]):
            pass
    leave.write_bytes(b"# Leave\r\n26 days!")
    os.utime(leave, (1, 1))
    with connect(FILES, input_dir=str(tmp_path)) as source:
        assert items(source)["leave.md"].version != found["leave.md"].version
        assert first_problem(source.check()) == ""


def test_reader_resources_without_a_file_are_read_as_text() -> None:
    with connect(TEXTS, {"token": "right"}) as source:
        found = items(source)
        assert set(found) == {"T-1.txt", "T-2.txt"}
        with source.open(found["T-2.txt"]) as content:
            assert content.read() == b"The lift\n\nstuck."


def test_errors_of_a_reader_show_no_secrets() -> None:
    with connect(TEXTS, {"token": "hunter2"}) as source:
        with pytest.raises(SourceUnavailable) as failed:
            list(source.list_changes(""))
        assert "hunter2" not in failed.value.message
        assert "the token … is wrong" in failed.value.message
        assert failed.value.__cause__ is None
        assert "…" in first_problem(source.check())


def test_reader_errors_reveal_no_secrets() -> None:
    account = {"key": "k-9", "all": [{"pin": 4711, "more": "k-9-long"}], "empty": "", "mark": "t", "on": True}
    with connect(TEXTS, {"token": "hunter2", "account": account}) as source:
        with pytest.raises(SourceUnavailable) as failed:
            list(source.list_changes(""))
        shown = failed.value.message
        assert not [each for each in ("hunter2", "k-9", "4711", "-long") if each in shown]
        assert "the token … is wrong" in shown
        assert '"on": true' in shown


def test_reader_without_resources_is_rejected() -> None:
    with pytest.raises(SourceRefused, match="ResourcesReaderMixin"), connect(PLAIN):
        pass


def test_wrong_arguments_are_explained() -> None:
    with pytest.raises(SourceRefused, match=r"input_dir|input_files"), connect(FILES):
        pass


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reader", "os.system"),
        ("reader", "subprocess.Popen"),
        ("arguments", "[]"),
        ("arguments", "{"),
        ("secrets", "x"),
    ],
)
def test_only_allowed_readers_and_json_are_accepted(field: str, value: str) -> None:
    with pytest.raises(ValidationError):
        ReaderOptions(**{"reader": TEXTS, field: value})
