"""`manage.py source`, as an operator types it."""

import json
from typing import Any

import pytest
from django.core.management import call_command

from cairn.library.models import Document
from ingestion.models import Source
from tests.ingestion.sources.fake_source import FakeServer

pytestmark = pytest.mark.django_db


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    call_command("source", *arguments, "--json")
    return json.loads(capsys.readouterr().out)


def test_source_command_lists_checks_and_syncs(
    capsys: pytest.CaptureFixture[str], server: FakeServer, source: Source
) -> None:
    server.put("a.md")
    assert [step["problem"] for step in run(capsys, "check", "Files")] == ["", ""]
    server.encrypted = False
    assert [step["state"] for step in run(capsys, "check", "Files")] == ["warning", "passed"]
    call_command("source", "check", "Files")
    assert capsys.readouterr().out == "Sign in: warning The connection isn’t encrypted.\nList: 1 files\n"
    found = run(capsys, "sync", "Files", "--dry-run")
    assert (found["new"]["uris"], Document.objects.count()) == (["fake://a.md"], 0)
    call_command("source", "sync", "Files", "--dry-run")
    assert capsys.readouterr().out.splitlines()[:3] == ["1 new", "  fake://a.md", "0 changed"]
    row = run(capsys, "sync", str(source.id))
    assert (row["items"]["synced"], [task["error"] for task in row["tasks"]]) == (1, ["", "", ""])
    assert [each["id"] for each in run(capsys, "list")] == [row["id"]]
    call_command("source", "list")
    assert "1 synced" in capsys.readouterr().out


def test_paused_source_is_not_synced(
    capsys: pytest.CaptureFixture[str], server: FakeServer, source: Source
) -> None:
    call_command("source", "pause", "Files")
    with pytest.raises(SystemExit):
        call_command("source", "sync", "Files", "--task", "content")
    assert "paused" in capsys.readouterr().err
    assert server.cursors == []
    call_command("source", "resume", "Files")
    call_command("source", "sync", "Files", "--task", "content")
    assert server.cursors == [""]


def test_command_reports_problems_in_one_line_and_by_exit_code(
    capsys: pytest.CaptureFixture[str], server: FakeServer, source: Source
) -> None:
    server.password = "other"
    for text in ("check Files", "sync Files", "sync Files --dry-run", "check none"):
        with pytest.raises(SystemExit) as leaving:
            call_command("source", *text.split())
        assert leaving.value.code == 1
    output = capsys.readouterr()
    assert "Connect: failed Wrong password." in output.out
    assert "There is no source “none”." in output.err
