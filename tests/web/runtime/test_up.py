"""`manage.py up` as a process: its output, its files, and its end."""

import contextlib
import json
import signal
import socket
import sqlite3
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from cairn.settings.chat_models import DEMONSTRATION_ONLY
from tests.installs import until
from tests.servers import Server, run_manage, start_server, stop_server
from web.data_dir.help_documents import SampleState
from web.processes import embedded
from web.processes.progress_report import reporter_for

pytestmark = pytest.mark.models
DOCUMENTS = 32


def rows(data_dir: Path, query: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(data_dir / "cairn.sqlite3")) as connection:
        return connection.execute(query).fetchall()


def write_documents(folder: Path) -> Path:
    folder.mkdir()
    for number in range(DOCUMENTS):
        paragraphs = (
            f"Rule {number}.{part} says that form {part} is sent to office {number}." for part in range(40)
        )
        (folder / f"{number}.md").write_text(f"# Rules of office {number}\n\n" + "\n\n".join(paragraphs))
    return folder


def points(data_dir: Path) -> int:
    """Return the number of points in the index of a stopped server."""
    count = "from retrieval.index.generations import active_index; print('points', active_index().count())"
    process = run_manage(data_dir, "shell", "-v0", "-c", count)
    return int(process.stdout.split()[-1])


def test_ready_line_names_the_address_and_the_password_file(cairn_server: Server) -> None:
    assert cairn_server.url in cairn_server.stdout[-1]
    assert str(cairn_server.data_dir / "admin_password") in cairn_server.stdout[-1]
    assert DEMONSTRATION_ONLY in cairn_server.stdout
    assert httpx.get(f"{cairn_server.url}/healthz", trust_env=False).json() == {"status": "ok"}


@pytest.mark.slow
def test_address_is_printed_before_everything_is_loaded(cairn_server: Server) -> None:
    lines = cairn_server.stdout
    serving = next(n for n, line in enumerate(lines) if line.startswith(f"Serving {cairn_server.url} "))
    assert serving < lines.index(DEMONSTRATION_ONLY) < len(lines) - 1


def test_first_password_is_in_a_private_file_and_not_in_output(
    cairn_server: Server,
) -> None:
    assert not any(cairn_server.password in line for line in cairn_server.stdout)
    assert any(str(cairn_server.data_dir / "admin_password") in line for line in cairn_server.stdout)
    assert (cairn_server.data_dir / "admin_password").stat().st_mode & 0o077 == 0
    assert cairn_server.password not in cairn_server.log


@pytest.mark.slow
def test_help_is_searchable_soon_after_the_start(own_data_dir: Path) -> None:
    server = start_server(own_data_dir)
    try:
        begun = [line.split(":")[0] for line in server.stdout]
        assert begun.index("Serving http") < begun.index("Cairn help")
        question = ("search", "How do I add documents?", "--kb", "cairn-help", "--json")
        until(lambda: bool(json.loads(server.manage(*question).stdout)["results"]))
    finally:
        stop_server(server)


def test_server_is_ready_before_the_whole_help_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(embedded, "_SAMPLE_SECONDS", 0.3)
    monkeypatch.setattr(embedded, "sample_state", lambda: SampleState(total=9, ready=2))
    runtime = embedded.Runtime(reporter=reporter_for(sys.stdout, as_json=False))
    runtime._wait_for_sample()
    assert "Cairn help: 2/9 documents; the others follow" in capsys.readouterr().out


@pytest.mark.slow
def test_second_process_on_a_folder_names_the_first(cairn_server: Server) -> None:
    second = cairn_server.manage("up", "--port", "0")
    assert second.returncode == 1
    assert second.stdout == ""
    (line,) = second.stderr.splitlines()
    assert f"process {cairn_server.process.pid} (manage.py up)" in line
    assert cairn_server.url in line


@pytest.mark.slow
def test_port_in_use_stops_the_start_before_any_work(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run_manage(tmp_path, "up", "--port", port)
    assert ended.returncode == 1
    assert f"127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "cairn.sqlite3").exists()


@pytest.mark.slow
def test_weak_admin_password_stops_the_start(tmp_path: Path) -> None:
    ended = run_manage(tmp_path, "up", "--port", "0", CAIRN_ADMIN_PASSWORD="admin")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: CAIRN_ADMIN_PASSWORD")
    assert "Traceback" not in ended.stderr


@pytest.mark.acceptance  # tests of faults kill it in the middle of a job as well
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_work_is_finished_at_the_next_start(own_data_dir: Path, number: signal.Signals) -> None:
    """With an open stream and half of the documents done; nothing exists twice."""
    folder = write_documents(own_data_dir / "rules")
    server = start_server(own_data_dir, SAMPLE_KNOWLEDGE_BASE="false")
    assert server.manage("ingest", str(folder), "--kb", "rules").returncode == 0
    watching = threading.Event()
    stream = threading.Thread(target=watch_last_job, args=(server, server.key(), watching))
    stream.start()
    watching.wait()
    wait_for_some(own_data_dir)
    code = stop_server(server, number)
    stream.join()
    assert code == (0 if number == signal.SIGINT else -signal.SIGKILL)
    assert rows(own_data_dir, "SELECT 1 FROM ingestion_job WHERE stage != 'ready'")

    ingested = run_manage(own_data_dir, "ingest", str(folder), "--kb", "rules", "--json")
    summary = json.loads(ingested.stdout)
    assert (ingested.returncode, summary["ready"] + summary["unchanged"]) == (0, DOCUMENTS)
    ((chunks, counted),) = rows(
        own_data_dir,
        "SELECT (SELECT count(*) FROM library_chunk), sum(chunk_count) FROM library_documentversion",
    )
    assert chunks == counted == points(own_data_dir)


def watch_last_job(server: Server, key: str, watching: threading.Event) -> None:
    """Read the stream until the server ends it in any way."""
    headers = {"Authorization": f"Bearer {key}"}
    with (
        contextlib.suppress(httpx.HTTPError),
        httpx.Client(base_url=server.url, headers=headers, timeout=60, trust_env=False) as http,
    ):
        jobs = http.get("/api/v1/jobs", params={"limit": 200}).json()["items"]
        with http.stream("GET", f"/api/v1/jobs/{jobs[-1]['id']}/events") as events:
            for _ in events.iter_text():
                watching.set()
    watching.set()


def wait_for_some(data_dir: Path) -> None:
    while not rows(data_dir, "SELECT 1 FROM ingestion_job WHERE stage = 'ready'"):
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("setting", "value", "problem"),
    [
        ("LLM_CONTEXT_TOKENS", "many", "LLM_CONTEXT_TOKENS: "),
        ("DATABASE_URL", "mysql://x", "DATABASE_URL must start with"),
    ],
)
def test_invalid_setting_stops_the_start(tmp_path: Path, setting: str, value: str, problem: str) -> None:
    ended = run_manage(tmp_path, "up", "--port", "0", **{setting: value})
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: {problem}")
    assert "Traceback" not in ended.stderr
