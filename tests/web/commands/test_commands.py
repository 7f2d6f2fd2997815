"""Commands with a running server that has locked the data folder, and without one."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.servers import Server, run_manage

pytestmark = [pytest.mark.models, pytest.mark.slow]


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    folder = tmp_path / "zoo"
    (folder / "animals").mkdir(parents=True)
    (folder / "animals" / "zebra.md").write_text(
        "# Zebras\n\nZebras are fed at noon by the keeper Amara Okafor."
    )
    (folder / "empty.txt").write_text("")
    (folder / "program.exe").write_bytes(b"MZ\x00\x01")
    (folder / ".hidden.md").write_text("not this")
    return folder


def test_ingest_reports_the_outcome_of_each_file(cairn_server: Server, zoo: Path) -> None:
    first = cairn_server.manage("ingest", str(zoo), "--kb", "zoo", "--wait", "--json")
    summary = json.loads(first.stdout)
    assert first.returncode == 3
    assert (summary["ready"], summary["unchanged"], summary["hidden"]) == (1, 0, 1)
    failed = {failure["source_uri"]: failure["code"] for failure in summary["failed"]}
    assert failed == {"zoo/empty.txt": "empty_file", "zoo/program.exe": "unsupported_type"}

    second = cairn_server.manage("ingest", str(zoo), "--kb", "zoo", "--wait")
    assert second.returncode == 3
    assert second.stdout.splitlines()[-1] == "2 failed, 1 unchanged, 1 hidden left out"
    assert "zoo/empty.txt: empty_file: " in second.stdout
    assert "Uploading: 3/3" in second.stderr


def test_command_ends_quietly_on_a_closed_pipe(cairn_server: Server, tmp_path: Path) -> None:
    """As in `manage.py … | head`, which may exit early."""
    (tmp_path / "rules.md").write_text("# Hotels\n\nA hotel in Porto costs at most 140 euros.")
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "wb") as nobody:
        done = cairn_server.manage("ingest", str(tmp_path / "rules.md"), "--kb", "quiet", stdout=nobody)
    assert (done.returncode, "BrokenPipe" in done.stderr) == (141, False), done.stderr


def test_ingest_of_an_archive_succeeds(cairn_server: Server, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "rules.zip", "w") as archive:
        archive.writestr("travel/hotel.md", "# Hotels\n\nA hotel in Lisbon costs at most 140 euros.")
    done = cairn_server.manage("ingest", str(tmp_path / "rules.zip"), "--kb", "travel", "--wait")
    assert (done.returncode, done.stdout) == (0, "1 ready\n")
    assert "Processing: 1/1" in done.stderr
    found = cairn_server.manage("search", "hotel in Lisbon", "--kb", "travel", "--json")
    assert [hit["source_uri"] for hit in json.loads(found.stdout)["results"]] == ["rules/travel/hotel.md"]


def test_repeated_ingest_reads_only_changes(cairn_server: Server, tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    drive.mkdir()
    for name in ("kept", "changed", "gone"):
        (drive / f"{name}.md").write_text(f"# The {name} page\n\nIt tells of {name} lanterns.")

    def ingest(*options: str) -> dict[str, Any]:
        done = cairn_server.manage("ingest", str(drive), "--kb", "drive", "--wait", "--json", *options)
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return {name: value for name, value in found.items() if value}

    def sources() -> set[str]:
        hits = cairn_server.manage("search", "lanterns", "--kb", "drive", "--json")
        return {hit["source_uri"] for hit in json.loads(hits.stdout)["results"]}

    assert ingest() == {"ready": 3}
    assert ingest() == {"unchanged": 3}
    (drive / "changed.md").write_text("# The changed page\n\nIt tells of lanterns in other words.")
    (drive / "gone.md").unlink()
    assert ingest() == {"ready": 1, "unchanged": 1, "vanished": ["drive/gone.md"]}
    assert sources() == {"drive/kept.md", "drive/changed.md", "drive/gone.md"}
    assert ingest("--prune") == {"unchanged": 2, "removed": 1}
    assert sources() == {"drive/kept.md", "drive/changed.md"}
    assert ingest("--prune") == {"unchanged": 2}


def test_ask_command_streams_an_answer_with_its_sources(cairn_server: Server, tmp_path: Path) -> None:
    (tmp_path / "parking.md").write_text("# Parking\n\nVisitors park in garage B on Elm Street.")
    cairn_server.manage("ingest", str(tmp_path / "parking.md"), "--kb", "parking", "--wait")
    question = ("ask", "Where do visitors park?", "--kb", "parking")
    process = cairn_server.manage(*question)
    answer = json.loads(cairn_server.manage(*question, "--json").stdout)
    assert process.returncode == 0
    assert "garage B" in process.stdout
    assert "[1] Parking  (parking.md)" in process.stdout
    assert f"Verdict: {answer['verdict']}" in process.stdout
    assert answer["citations"][0]["title"] == "Parking"


def test_ask_prints_the_reason_of_a_refusal(cairn_server: Server) -> None:
    process = cairn_server.manage("ask", "What is the melting point of tungsten?", "--kb", "cairn-help")
    assert process.returncode == 0
    assert "Verdict: refused" in process.stdout
    assert "[1]" not in process.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("search", "x", "--kb", "nowhere"), "There is no knowledge base “nowhere”."),
        (("ask", "x", "--kb", "nowhere"), "There is no knowledge base “nowhere”."),
        (("ingest", "/nowhere", "--kb", "x"), "/nowhere: no such file or folder."),
        (("ingest", __file__, "--kb", "No Slug"), "“No Slug” is no slug. Write it like “no-slug”."),
        (("create_api_key", "--user", "nobody", "--name", "x"), "There's no user named “nobody”."),
        (
            ("create_api_key", "--user", "admin", "--name", "x", "--kb", "none"),
            "There is no knowledge base “none”.",
        ),
        (
            ("create_api_key", "--user", "admin", "--name", "x", "--days", "0"),
            "A key lives for 1 to 3650 days.",
        ),
    ],
)
def test_command_error_is_one_sentence(
    cairn_server: Server, arguments: tuple[str, ...], message: str
) -> None:
    ended = cairn_server.manage(*arguments)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", f"error: {message}\n")


def test_created_key_has_the_requested_scopes(cairn_server: Server) -> None:
    made = cairn_server.manage(
        "create_api_key", "--user", "ADMIN", "--name", "bot", "--scope", "search", "--scope", "ask", "--json"
    )
    answer = json.loads(made.stdout)
    assert (answer["user"], answer["scopes"]) == ("admin", ["search", "ask"])
    limited = cairn_server.manage(
        "create_api_key", "--user", "admin", "--name", "bot", "--kb", "cairn-help", "--days", "7", "--json"
    )
    assert len(json.loads(limited.stdout)["knowledge_bases"]) == 1
    plain = cairn_server.manage("create_api_key", "--user", "admin", "--name", "bot")
    assert plain.stdout.startswith("cairn_")
    assert plain.stdout.strip() != answer["key"]


def test_command_line_leaves_no_usable_key(cairn_server: Server) -> None:
    cairn_server.manage("search", "x")
    count = (
        "from django.utils import timezone; from cairn.accounts.models import ApiKey; "
        "print(ApiKey.objects.filter(label='command line').count(), "
        "ApiKey.objects.usable(timezone.now()).filter(label='command line').count())"
    )
    made, usable = cairn_server.manage("shell", "-v0", "-c", count).stdout.split()
    assert int(made) > 0
    assert int(usable) == 0


def test_doctor_with_a_server(cairn_server: Server) -> None:
    process = cairn_server.manage("doctor", "--json")
    answer = json.loads(process.stdout)
    assert (process.returncode, answer["ok"]) == (0, True)
    checks = {check["name"]: check["detail"] for check in answer["checks"]}
    assert cairn_server.url in checks["Server"]
    settings = {setting["name"]: setting for setting in answer["settings"]}
    assert settings["DATA_DIR"]["origin"] == "environment"
    assert settings["LLM_MODEL"]["origin"] == "default"


def test_doctor_names_missing_models(tmp_path: Path) -> None:
    process = run_manage(
        tmp_path,
        "doctor",
        LLM_BASE_URL="http://127.0.0.1:9/v1",
        LLM_API_KEY="s3cret",
        EMBEDDING_MODEL="/nowhere",
    )
    missing = [line.split()[1:3] for line in process.stdout.splitlines() if line.startswith("MISSING")]
    assert process.returncode == 1
    assert missing == [["Embedding", "model"], ["Language", "model"]]
    assert "s3cret" not in process.stdout + process.stderr


def test_commands_work_without_a_server(own_data_dir: Path) -> None:
    (own_data_dir / "zebra.md").write_text("# Zebras\n\nZebras are fed at noon.")
    done = run_manage(own_data_dir, "ingest", str(own_data_dir / "zebra.md"), "--kb", "zoo")
    assert (done.returncode, done.stdout) == (0, "1 ready\n")
    found = run_manage(own_data_dir, "search", "When are zebras fed?", "--kb", "zoo", "--json")
    assert found.returncode == 0
    assert [hit["source_uri"] for hit in json.loads(found.stdout)["results"]] == ["zebra.md"]
