"""The health page and `GET /health` report working, broken and unresponsive parts."""

import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.test import Client
from django.utils import timezone

from cairn.accounts.models import User
from cairn.audit.services import record
from cairn.errors import Unavailable
from cairn.inference import registry
from cairn.library.models import Document
from cairn.settings import environment
from ingestion.models import Job, ProcessKind, RunningProcess, Stage
from retrieval.engine import Engine
from retrieval.models import IndexGeneration
from tests.fakes import FakeEmbedder
from tests.web.pages.conftest import text_of
from web.data_dir.help_documents import sample_load
from web.health import models, processes, report, security, storage

SignIn = Callable[[User], Client]
PAGE, OVERVIEW, REST = "/admin/health", "/admin", "/api/v1/health"


@pytest.fixture(autouse=True)
def patience(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks may take long on a busy machine, except where one never ends."""
    if "hanging" not in request.fixturenames:
        monkeypatch.setattr(report, "LIMIT_SECONDS", 60.0)


@pytest.fixture
def client(signed_in: SignIn, admin: User) -> Client:
    return signed_in(admin)


def checked(client: Client) -> dict[str, dict[str, str]]:
    answer = client.get(REST)
    assert answer.status_code == 200
    return {check["name"]: check for check in answer.json()["checks"]}


def runs(
    kind: ProcessKind, *, started: timedelta = timedelta(hours=3), seen: timedelta = timedelta(0)
) -> None:
    now = timezone.now()
    RunningProcess.objects.create(kind=kind, host="w1", pid=17, started_at=now - started, seen_at=now - seen)


def test_health_problem_links_to_its_help_page(client: Client, tmp_path: Path) -> None:
    assert "Help:" not in text_of(client.get(PAGE))
    (tmp_path / "operate").mkdir()
    (tmp_path / "operate" / "backups.md").write_text("# Back up")
    sample_load(tmp_path)
    page = Document.objects.get(source_uri="docs/operate/backups.md")
    html = text_of(client.get(PAGE))
    assert f'<a href="/library/documents/{page.id}">Help: {page.title}</a>' in html
    assert html.count("Help:") == 1


def test_running_workers_and_beat_are_listed_with_their_age(client: Client) -> None:
    runs(ProcessKind.WORKER)
    runs(ProcessKind.BEAT, started=timedelta(minutes=5))
    found = checked(client)
    assert (found["workers"]["state"], found["workers"]["message"]) == (
        "ok",
        "1 worker has been running for 3 hours.",
    )
    assert found["beat"]["message"] == "The scheduler has been running for 5 minutes."


def test_page_without_a_worker_shows_a_remedy(client: Client) -> None:
    page = text_of(client.get(PAGE))
    assert "No worker is running, so uploaded documents aren’t processed" in page
    assert '<code class="break">manage.py up</code>' in page


def test_killed_worker_is_reported_for_an_hour(client: Client) -> None:
    runs(ProcessKind.WORKER)
    runs(ProcessKind.WORKER, seen=timedelta(minutes=2))
    found = checked(client)["workers"]
    assert found["state"] == "warning"
    assert found["message"] == "Worker w1:17 has stopped responding: last seen 2 minutes ago."
    RunningProcess.objects.filter(seen_at__lt=timezone.now() - timedelta(minutes=1)).update(
        seen_at=timezone.now() - timedelta(hours=2)
    )
    assert checked(client)["workers"]["state"] == "ok"


class Hanging(FakeEmbedder):
    """A model on a server that accepts requests and never answers."""

    def __init__(self, release: threading.Event) -> None:
        super().__init__()
        self.release, self.calls = release, 0

    def embed_query(self, text: str) -> Any:
        self.calls += 1
        self.release.wait(60)
        raise Unavailable


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    release = threading.Event()
    model = Hanging(release)
    with registry.use(embedder=model):
        yield model
        release.set()
        for thread in threading.enumerate():
            if thread.name.startswith("health-"):
                thread.join(10)


def test_unresponsive_part_does_not_hang_the_page(client: Client, hanging: Hanging) -> None:
    page = text_of(client.get(PAGE))
    assert "No answer within 2 seconds." in page
    assert "Secrets and permissions" in page


def test_unresponsive_part_uses_one_thread_for_repeated_checks(client: Client, hanging: Hanging) -> None:
    for _ in range(3):
        assert checked(client)["embedding_model"]["message"] == "No answer within 2 seconds."
    asked = [thread for thread in threading.enumerate() if thread.name == "health-embedding_model"]
    assert len(asked) == 1


def broken(*_: object) -> None:
    raise Unavailable("amqp://user:hunter2@rabbit refused the connection")


def test_broken_part_is_a_problem_without_secrets(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    given = environment().model_copy(update={"celery_broker_url": "amqp://user:hunter2@rabbit"})
    monkeypatch.setattr(processes, "environment", lambda: given)
    monkeypatch.setattr("ingestion.broker.ping", broken)
    found = checked(client)["broker"]
    assert (found["state"], found["command"]) == ("problem", "manage.py doctor")
    page = text_of(client.get(PAGE))
    assert "amqp://rabbit refused the connection" in page
    assert "hunter2" not in page


def test_waiting_jobs_without_a_worker_are_a_problem(client: Client, document: Document) -> None:
    assert checked(client)["queue"]["state"] == "ok"
    Job.objects.update(created_at=timezone.now() - timedelta(minutes=12))
    found = checked(client)["queue"]
    assert found["message"] == "1 document has been waiting for 12 minutes."
    assert (found["state"], found["page"]) == ("problem", "/admin/ingestion")


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(("free", "state"), [(500 << 20, "problem"), (3 << 30, "warning"), (90 << 30, "ok")])
def test_full_disk_is_reported(
    client: Client, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    total = 100 << 30
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(total, total - free, free))
    assert checked(client)["disk"]["state"] == state


def test_last_backup_is_described(client: Client) -> None:
    assert checked(client)["backup"]["message"] == "No backup has been made."
    record("backup.made", actor=None, documents=1200, files=3, bytes=5 << 20, missing=0, verified=True)
    found = checked(client)["backup"]
    assert found["state"] == "ok"
    assert "1,200 documents, 5\xa0MB. It was verified." in found["message"]
    record("backup.made", actor=None, documents=1200, files=3, bytes=5 << 20, missing=2, verified=False)
    assert checked(client)["backup"]["state"] == "warning"


def test_index_with_missing_passages_is_a_problem(
    client: Client, engine_override: Engine, ready: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "find_active_index", lambda: engine_override.index)
    with registry.use(embedder=FakeEmbedder()):
        assert checked(client)["index"]["state"] == "ok"  # its job is still open
        Job.objects.update(stage=Stage.READY)
        found = checked(client)["index"]
    assert found["message"] == "The index contains only 0 of 1 passages, so some documents aren’t found."
    assert (found["state"], found["command"]) == ("problem", "manage.py reindex --wait --swap")


def test_health_page_of_a_new_installation_creates_no_index(client: Client) -> None:
    with registry.use(embedder=FakeEmbedder()):
        assert checked(client)["index"]["message"] == "The index contains 0 passages of documents."
    assert not IndexGeneration.objects.exists()


def test_packaged_model_is_called_a_demonstration(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "chat_health", lambda: registry.Health(ok=True, detail="small"))
    found = checked(client)["language_model"]
    assert found["state"] == "warning"
    assert found["message"] == "smollm2-135m is for demonstration only: answers are quotes."
    given = environment().model_copy(update={"llm_base_url": "http://llm/v1", "llm_model": "mistral"})
    monkeypatch.setattr(models, "effective_environment", lambda: given)
    assert checked(client)["language_model"]["message"] == "mistral responds."


def test_guessable_secret_is_a_problem(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = type("Secret", (), {"get_secret_value": lambda _self: "change-me"})()
    given = environment().model_copy(update={"secret_key": secret})
    monkeypatch.setattr(security, "environment", lambda: given)
    assert checked(client)["secrets"]["message"] == "SECRET_KEY can be guessed: sessions can be forged."


def test_overview_links_to_health_problems(client: Client) -> None:
    assert "/admin/health/attention" in text_of(client.get(OVERVIEW))
    needs = text_of(client.get("/admin/health/attention"))
    assert '<a href="/admin/health#health-workers">' in needs


def test_health_page_uses_the_language_of_its_reader(client: Client, admin: User) -> None:
    User.objects.filter(pk=admin.pk).update(language="de")
    page = text_of(client.get(PAGE))
    assert "Es läuft kein Worker" in page
    assert "No worker" not in page
    assert checked(client)["workers"]["message"].startswith("No worker is running")


def test_health_page_is_for_admins_only(
    signed_in: SignIn, admin: User, make_user: Callable[..., User]
) -> None:
    other = signed_in(make_user("rob"))
    assert [other.get(path).status_code for path in (PAGE, REST, "/admin/health/attention")] == [403] * 3
