"""Two admins who replace one document at the same moment, over HTTP: one wins, and the other is told.

On PostgreSQL instead of SQLite where DATABASE_URL names one.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from django.core.files.storage import default_storage
from pytest_django.live_server_helper import LiveServer

from cairn.library import storage
from cairn.library.models import Document, DocumentVersion, KnowledgeBase
from ingestion.models import Job
from tests.web.api.conftest import Caller, caller_for

pytestmark = [pytest.mark.django_db(transaction=True)]
ROUNDS = 100
Upload = Callable[..., httpx.Response]


@pytest.fixture
def other(db: None) -> Caller:
    return caller_for("other", is_admin=True)


@pytest.fixture
def upload(live_server: LiveServer, base: KnowledgeBase) -> Upload:
    def send(caller: Caller, text: str, **headers: str) -> httpx.Response:
        return httpx.post(
            f"{live_server.url}/api/v1/knowledge-bases/{base.id}/documents",
            headers={"Authorization": f"Bearer {caller.key}", **headers},
            files={"file": ("plan.md", text.encode())},
            timeout=120,
            trust_env=False,
        )

    return send


def hold_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Delay storing a file until another upload stores one, so that both have seen the same latest
    version."""
    both, real = threading.Barrier(2), storage.original_save

    def save(*arguments: object) -> str:
        both.wait(timeout=60)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(storage, "original_save", save)


def at_once(upload: Upload, callers: Sequence[Caller], texts: Sequence[str]) -> list[httpx.Response]:
    with ThreadPoolExecutor(len(callers)) as pool:
        return list(pool.map(upload, callers, texts))


def originals() -> int:
    folders, _ = default_storage.listdir("originals")
    return sum(len(default_storage.listdir(f"originals/{folder}")[1]) for folder in folders)


@pytest.mark.slow
def test_concurrent_replacements_of_a_document_conflict(
    upload: Upload, admin: Caller, other: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert upload(admin, "the first").status_code == 202
    hold_together(monkeypatch)
    for number in range(ROUNDS):
        answers = at_once(upload, (admin, other), (f"mine {number}", f"yours {number}"))
        won, lost = sorted(answers, key=lambda answer: answer.status_code)
        assert (won.status_code, lost.status_code) == (202, 409), (number, won.text, lost.text)
        assert lost.headers["Content-Type"] == "application/problem+json"
        assert lost.json()["code"] == "conflict"
        assert "Someone else just replaced" in lost.json()["detail"]
        latest = Document.objects.with_versions().get().latest_version
        assert latest is not None
        assert latest.number == number + 2
        assert str(latest.job.id) == won.json()["job"]["id"]
    assert DocumentVersion.objects.count() == Job.objects.count() == originals() == ROUNDS + 1


def test_concurrent_uploads_of_equal_bytes_agree(
    upload: Upload, admin: Caller, other: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(admin, "the first")
    hold_together(monkeypatch)
    answers = at_once(upload, (admin, other), ("new", "new"))
    assert sorted(answer.status_code for answer in answers) == [200, 202]
    assert len({answer.json()["document"]["id"] for answer in answers}) == 1
    assert DocumentVersion.objects.count() == originals() == 2


def test_outdated_if_match_conflicts(upload: Upload, admin: Caller, other: Caller) -> None:
    """However far apart they come."""
    upload(admin, "the first")
    assert upload(admin, "mine", **{"If-Match": '"1"'}).status_code == 202
    late = upload(other, "yours", **{"If-Match": '"1"'})
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
