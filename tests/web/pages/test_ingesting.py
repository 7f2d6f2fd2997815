"""The queue, the imports and what failed, as those see them who edit the knowledge bases."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.access.services import readers_replace
from cairn.accounts.models import User
from cairn.library.models import Document, DocumentVersion, KnowledgeBase
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from ingestion.imports.services import import_open
from ingestion.jobs.progress import QueueStatus
from ingestion.models import Import, ImportItem, ImportKind, Job, Outcome
from ingestion.parse.sandbox import programs
from tests.web.pages.conftest import text_of
from web.pages.console.ingestion_queue import duration, job_line

SignIn = Callable[[User], Client]
Grant = Callable[[User, Role], None]
PAGE = "/admin/ingestion"
FRAGMENTS = (f"{PAGE}/queue", f"{PAGE}/failures", f"{PAGE}/imports", f"{PAGE}/failed/no_text")


def submitted(base: KnowledgeBase, user: User, name: str) -> Job:
    principal = principal_for_user(user)
    file = SimpleUploadedFile(name, name.encode())
    document = document_submit(Upload(file, name), knowledge_base=base, principal=principal).document
    return Job.objects.get(version=document.latest_version)


def failed(job: Job, code: str, message: str = "It went wrong.") -> Job:
    Job.objects.filter(pk=job.pk).update(stage="failed", attempts=3)
    versions = DocumentVersion.objects.filter(pk=job.version_id)
    versions.update(state="failed", error_code=code, error_message=message)
    return job


@pytest.fixture
def batch(base: KnowledgeBase, mia: User) -> Import:
    """An import with a waiting file, a rejected one, and one that hasn't arrived."""
    found = import_open(knowledge_base=base, label="Shared drive", user=mia.id, expected=3)
    job = submitted(base, mia, "drive.txt")
    ImportItem.objects.create(
        batch=found, source_uri="drive.txt", outcome=Outcome.ACCEPTED, document=job.version.document, job=job
    )
    ImportItem.objects.create(
        batch=found,
        source_uri="film.mp4",
        outcome=Outcome.REFUSED,
        code="unsupported_type",
        message="A film.",
    )
    return found


def test_editors_see_only_their_ingestion(
    signed_in: SignIn, rob: User, grant: Grant, document: Document, batch: Import
) -> None:
    client = signed_in(rob)
    assert client.get(PAGE).status_code == 403
    for path in FRAGMENTS:
        assert not re.search("Leave rules|Shared drive", text_of(client.get(path))), path
    grant(rob, Role.READER)
    assert client.get(PAGE).status_code == 403
    grant(rob, Role.EDITOR)
    html = text_of(client.get(PAGE))
    assert "Leave rules" in html
    assert "Shared drive" in html
    assert "Watched folders" not in html


@pytest.mark.parametrize("path", FRAGMENTS)
def test_ingestion_fragments_need_a_sign_in(db: None, path: str) -> None:
    assert Client().get(path).status_code == 401


def test_queue_page_shows_position_stage_and_rate(
    signed_in: SignIn, mia: User, base: KnowledgeBase, document: Document
) -> None:
    began = timezone.now() - timedelta(seconds=1000)  # a busy machine changes the rate by little
    Job.objects.update(stage="embedding", done=4000, total=4220, stage_since=began, started_at=began)
    first, second = (submitted(base, mia, name) for name in ("first.txt", "second.txt"))
    html = text_of(signed_in(mia).get(f"{PAGE}/queue"))
    assert re.search(r"Leave rules .*Embedding 4,000 of 4,220, 4 per second, about 5\d s left", html)
    assert re.search(r"first\.txt.*Number 1 in the queue", html)
    assert re.search(r"second\.txt.*Number 2 in the queue", html)
    for job in Job.objects.all():
        assert f'data-cancel-job="{job.id}"' in html
    assert html.index(str(first.id)) < html.index(str(second.id))


def test_empty_queue_page_has_a_message(signed_in: SignIn, mia: User, base: KnowledgeBase) -> None:
    html = text_of(signed_in(mia).get(PAGE))
    for text in (
        "Nothing in progress.",
        "No failures.",
        "No imports yet.",
    ):
        assert text in html


@pytest.mark.parametrize(
    ("stage", "place", "line"),
    [
        (
            "queued",
            QueueStatus(position=1200, eta=240.0),
            "Number 1,200 in the queue, ready in about 4 minutes",
        ),
        ("queued", QueueStatus(position=2), "Number 2 in the queue"),
        ("parsing", QueueStatus(), "Reading 3 of 1,000"),
        ("indexing", QueueStatus(eta=3.0, rate=0.4), "Indexing 3 of 1,000"),
        (
            "embedding",
            QueueStatus(eta=61.0, rate=16.3),
            "Embedding 3 of 1,000, 16 per second, about 61 s left",
        ),
    ],
)
def test_job_line_describes_a_job(stage: str, place: QueueStatus, line: str) -> None:
    assert job_line(Job(stage=stage, done=3, total=1000), place) == line


def test_job_line_mentions_a_retry() -> None:
    job = Job(stage="queued", not_before=timezone.now())
    assert job_line(job, QueueStatus(position=1)) == "Number 1 in the queue, after a failed attempt"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.2, "1 s"), (89.4, "89 s"), (91, "2 minutes"), (3600, "60 minutes"), (7200, "2 hours")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_failed_jobs_are_grouped_by_reason(signed_in: SignIn, mia: User, base: KnowledgeBase) -> None:
    for name in ("a.png", "b.png"):
        failed(submitted(base, mia, name), "no_text", "There is no text in it.")
    broken = failed(submitted(base, mia, "c.pdf"), "damaged_file")
    client = signed_in(mia)
    html = text_of(client.get(PAGE))
    assert html.index('data-retry-code="no_text"') < html.index('data-retry-code="damaged_file"')
    assert "Retry all 2" in html
    listed = text_of(client.get(f"{PAGE}/failed/no_text"))
    assert listed.count("There is no text in it.") == 2
    assert "3 attempts" in listed
    assert "c.pdf" not in listed
    assert f'data-retry-job="{broken.id}"' in text_of(client.get(f"{PAGE}/failed/damaged_file"))


def test_superseded_failed_jobs_are_not_listed(signed_in: SignIn, mia: User, base: KnowledgeBase) -> None:
    failed(submitted(base, mia, "a.png"), "no_text")
    file = SimpleUploadedFile("a.png", b"better")
    document_submit(Upload(file, "a.png"), knowledge_base=base, principal=principal_for_user(mia))
    assert "No failures." in text_of(signed_in(mia).get(f"{PAGE}/failures"))


def test_import_shows_a_summary(signed_in: SignIn, mia: User, batch: Import) -> None:
    html = text_of(signed_in(mia).get(PAGE))
    assert f'href="/library/imports/{batch.id}"' in html
    assert "0 of 3 ready · 1 failed · uploading" in html
    assert '<progress max="1" value="0.0"' in html


def test_import_page_embeds_its_state(signed_in: SignIn, mia: User, rob: User, batch: Import) -> None:
    html = text_of(signed_in(mia).get(f"/library/imports/{batch.id}"))
    assert f'"id": "{batch.id}"' in html
    assert "Uploaded" in html
    assert '"no_text": {"name": "No text found"' in html
    assert signed_in(rob).get(f"/library/imports/{batch.id}").status_code == 404


def test_waiting_import_file_shows_its_position(signed_in: SignIn, mia: User, batch: Import) -> None:
    client = signed_in(mia)
    waiting, refused = client.get(f"/api/v1/imports/{batch.id}/items").json()["items"]
    assert (waiting["stage"], waiting["queue_position"], waiting["rate"]) == ("queued", 1, None)
    assert (refused["stage"], refused["queue_position"]) == (None, None)


def test_archive_unreadable_for_an_editor_is_not_named(
    signed_in: SignIn, rob: User, mia: User, grant: Grant, base: KnowledgeBase, document: Document
) -> None:
    grant(rob, Role.EDITOR)
    import_open(
        knowledge_base=base,
        label="salaries.zip",
        user=mia.id,
        kind=ImportKind.ARCHIVE,
        container=document.latest_version,
    )
    paths = (PAGE, f"{PAGE}/imports", "/library/handbook")
    assert all("salaries.zip" in text_of(signed_in(rob).get(path)) for path in paths)
    readers_replace(document=document, readers=[], actor=None)
    assert not any("salaries.zip" in text_of(signed_in(rob).get(path)) for path in paths)
    assert all("salaries.zip" in text_of(signed_in(mia).get(path)) for path in paths)


def test_admins_see_supported_formats(
    signed_in: SignIn, admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "find", {programs.PANDOC: "/usr/bin/pandoc"}.get)
    html = text_of(signed_in(admin).get(PAGE))
    assert "Reads e-books" in html
    assert "Not installed: Word and PowerPoint 97–2003 files can’t be read." in html
    assert "Not installed: scanned pages" in html
