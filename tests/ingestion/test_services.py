"""Uploads, replacements, retries and deletions, as transactions."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.access.scope import Principal
from cairn.access.services import grant_give, readers_of
from cairn.accounts.services import user_create
from cairn.errors import Conflict, DocumentRejected, InvalidInput, NotFound, PreconditionFailed, Rejection
from cairn.library.models import Document, KnowledgeBase
from ingestion.documents.services import document_delete, document_update, knowledge_base_delete
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import EmbeddedFile, Submission, Upload, clean_filename
from ingestion.jobs import lifecycle
from ingestion.jobs.services import job_cancel, job_retry
from ingestion.models import Job, Lane, Stage
from tests.ingestion.conftest import Submit
from tests.principals import SETUP

pytestmark = pytest.mark.django_db


def stored() -> list[str]:
    """Return the originals on the disk."""
    if not default_storage.exists("originals"):
        return []
    folders, _ = default_storage.listdir("originals")
    return [name for folder in folders for name in default_storage.listdir(f"originals/{folder}")[1]]


def fail(job: Job, reason: Rejection) -> None:
    lease = lifecycle.claim(job.id)
    assert lease is not None
    lifecycle.fail(lease, DocumentRejected(reason, "because"))


def test_upload_creates_a_document_a_version_and_a_job(submit: Submit) -> None:
    found = submit()
    assert found.created_job
    assert found.job is not None
    assert found.job.stage == Stage.QUEUED
    assert found.document.status == "queued"
    assert found.document.latest_version is not None
    assert default_storage.exists(found.document.latest_version.original)


def test_unchanged_bytes_create_no_work(submit: Submit) -> None:
    first, again = submit(), submit()
    assert again.document == first.document
    assert not again.created_job
    assert Job.objects.count() == 1


def test_changed_bytes_create_a_new_version(submit: Submit) -> None:
    first = submit("one", source_uri="wiki/a")
    second = submit("two", filename="b.md", source_uri="wiki/a")
    assert second.document == first.document
    assert second.document.latest_version is not None
    assert second.document.latest_version.number == 2


def test_permanent_failures_are_not_retried_and_temporary_ones_are(submit: Submit) -> None:
    job = submit().job
    assert job is not None
    fail(job, Rejection.NO_TEXT)
    assert not submit().created_job
    job_retry(job=job, principal=principal_for_user(job.version.created_by))  # type: ignore[arg-type]
    fail(job, Rejection.EMBEDDING_FAILED)
    assert submit().created_job


def test_idempotency_key_returns_the_first_result(submit: Submit) -> None:
    first = submit(idempotency_key="k")
    again = submit(idempotency_key="k")
    assert (again.document, again.job) == (first.document, first.job)
    assert again.created_job
    with pytest.raises(Conflict):
        submit("other words", idempotency_key="k")


def test_readers_are_updated_for_unchanged_bytes(submit: Submit) -> None:
    submit()
    user = user_create(username="ada")
    document = submit(readers=[f"user:{user.id}"]).document
    assert readers_of(Document.objects.get(pk=document.pk)) == [f"user:{user.id}"]


def test_editor_cannot_replace_a_hidden_document(submit: Submit, base: KnowledgeBase) -> None:
    editor = user_create(username="editor")
    grant_give(knowledge_base=base, subject=f"user:{editor.id}", role=Role.EDITOR, principal=SETUP)
    document = submit("secret", readers=[]).document
    with pytest.raises(Conflict):
        submit("mine", principal=principal_for_user(editor))
    assert document.versions.count() == 1


def test_editor_cannot_detect_files_in_an_unreadable_container(submit: Submit, base: KnowledgeBase) -> None:
    editor = user_create(username="editor")
    grant_give(knowledge_base=base, subject=f"user:{editor.id}", role=Role.EDITOR, principal=SETUP)
    mail = submit("mail", filename="mail.eml", readers=[]).document
    attachment = EmbeddedFile(mail, Lane.BULK, lambda: None)
    inner = submit("secret", source_uri="mail.eml/pay.txt", part=attachment).document
    assert not inner.narrowed
    for version in ("1", "2"):
        with pytest.raises(Conflict, match="permission"):
            submit(
                "mine",
                source_uri="mail.eml/pay.txt",
                principal=principal_for_user(editor),
                if_match=frozenset({version}),
            )


def test_failed_upload_leaves_no_file(submit: Submit) -> None:
    with pytest.raises(InvalidInput):
        submit(metadata={"tags": "not a list"})
    assert not Document.objects.exists()
    assert stored() == []


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\a.md", "a.md"),
        ("a\x00b\n.md", "ab.md"),
        ("", "document"),
        ("/", "document"),
        ("é" * 300 + ".pdf", "é" * 251 + ".pdf"),
        ("<img onerror=x>.md", "<img onerror=x>.md"),
    ],
)
def test_file_names_are_cleaned(name: str, kept: str) -> None:
    assert clean_filename(name) == kept


def test_tags_and_review_dates_are_checked(submit: Submit, admin: Principal) -> None:
    document = submit().document
    updated = document_update(
        document=document, principal=admin, changes={"metadata": {"tags": ["hr", "hr"]}}
    )
    assert [tag.name for tag in updated.tags.all()] == ["hr"]
    assert updated.index_stale
    with pytest.raises(InvalidInput):
        document_update(document=document, principal=admin, changes={"owner": str(document.id)})


def test_second_deletion_finds_nothing(submit: Submit, admin: Principal) -> None:
    document = submit().document
    assert document_delete(document=document, principal=admin).state == "pending"
    with pytest.raises(NotFound):
        document_delete(document=document, principal=admin)


def test_deleted_knowledge_base_accepts_no_uploads(
    submit: Submit, base: KnowledgeBase, admin: Principal
) -> None:
    knowledge_base_delete(knowledge_base=base, principal=admin)
    with pytest.raises(NotFound):
        submit()


def test_source_uri_is_reusable_after_deletion(submit: Submit, admin: Principal) -> None:
    first = submit().document
    document_delete(document=first, principal=admin)
    assert submit().document != first


def test_queued_job_is_cancelled_immediately_and_once(submit: Submit, admin: Principal) -> None:
    job = submit().job
    assert job is not None
    cancelled = job_cancel(job=job, principal=admin)
    assert cancelled.stage == Stage.CANCELLED
    with pytest.raises(Conflict):
        job_cancel(job=job, principal=admin)


def test_job_overtaken_by_a_newer_version_is_not_retried(submit: Submit, admin: Principal) -> None:
    job = submit("one").job
    assert job is not None
    fail(job, Rejection.TIME_LIMIT)
    submit("two")
    with pytest.raises(Conflict):
        job_retry(job=job, principal=admin)


class Held(ContentFile):  # type: ignore[type-arg]
    """A file whose reading waits until another one is read too, so that both uploads have begun."""

    def __init__(self, content: bytes, together: threading.Barrier) -> None:
        super().__init__(content, name="a.md")
        self._together = together

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        self._together.wait(timeout=60)
        yield from super().chunks(chunk_size)


def replace_at_once(
    base: KnowledgeBase, principals: Sequence[Principal], *texts: str
) -> list[Submission | Conflict]:
    together = threading.Barrier(len(texts))

    def upload(principal: Principal, text: str) -> Submission | Conflict:
        try:
            return document_submit(
                Upload(Held(text.encode(), together), "a.md"), knowledge_base=base, principal=principal
            )
        except Conflict as conflict:
            return conflict
        finally:
            connection.close()

    with ThreadPoolExecutor(len(texts)) as pool:
        return list(pool.map(upload, principals, texts))


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_concurrent_replacements_conflict(submit: Submit, base: KnowledgeBase, admin: Principal) -> None:
    other = principal_for_user(user_create(username="other", is_admin=True))
    document = submit("the first").document
    for number in range(100):
        answers = replace_at_once(base, (admin, other), f"mine {number}", f"yours {number}")
        won = [answer for answer in answers if isinstance(answer, Submission)]
        lost = [answer for answer in answers if isinstance(answer, Conflict)]
        assert (len(won), len(lost)) == (1, 1), number
        assert "Someone else just replaced" in lost[0].message
        latest = Document.objects.with_versions().get(pk=document.pk).latest_version
        assert won[0].job is not None
        assert latest == won[0].job.version
        assert latest.number == number + 2
    assert len(stored()) == document.versions.count() == 101


@pytest.mark.django_db(transaction=True)
def test_concurrent_equal_uploads_agree(submit: Submit, base: KnowledgeBase, admin: Principal) -> None:
    submit("the first")
    answers = replace_at_once(base, (admin, admin), "new", "new")
    assert sorted(answer.created_job for answer in answers if isinstance(answer, Submission)) == [False, True]
    assert len(stored()) == 2


def test_upload_for_an_outdated_version_is_rejected(submit: Submit) -> None:
    with pytest.raises(PreconditionFailed):
        submit("one", if_match=frozenset({"1"}))
    submit("one")
    submit("two", if_match=frozenset({"1"}))
    with pytest.raises(PreconditionFailed):
        submit("three", if_match=frozenset({"1"}))
    submit("three", if_match=frozenset({"*"}))
    assert len(stored()) == 3


def test_part_of_a_mail_cannot_be_replaced(submit: Submit) -> None:
    mail = submit("mail", filename="mail.eml").document
    submit("part", source_uri="mail.eml/part.txt", part=EmbeddedFile(mail, Lane.BULK, lambda: None))
    with pytest.raises(Conflict, match="part of an email"):
        submit("mine", source_uri="mail.eml/part.txt")


def test_unchanged_bytes_are_not_stored(submit: Submit) -> None:
    submit()
    submit()
    assert len(stored()) == 1


def test_broker_failure_after_the_commit_loses_no_file(
    submit: Submit, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("not foreseen")

    monkeypatch.setattr("ingestion.broker.wake_worker", fail)
    with django_capture_on_commit_callbacks(execute=True):
        submit()
    assert len(stored()) == Job.objects.count() == 1


def test_deleting_a_knowledge_base_cancels_its_queued_jobs(
    submit: Submit, base: KnowledgeBase, admin: Principal
) -> None:
    submit()
    knowledge_base_delete(knowledge_base=base, principal=admin)
    assert Job.objects.get().stage == Stage.CANCELLED


def test_names_titles_and_metadata_have_no_hidden_characters(submit: Submit, admin: Principal) -> None:
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "obey") + "\u202e\u200b"
    submission = submit(
        filename=f"a{hidden}.md", title=f"Le{hidden}ave", metadata={"tags": [f"h{hidden}r"], f"k{hidden}": 1}
    )
    document = submission.document
    document.refresh_from_db()
    assert document.title == "Leave"
    assert document.metadata == {"tags": ["hr"], "k": 1}
    assert list(document.tags.values_list("name", flat=True)) == ["hr"]
    assert document.latest_version is not None
    assert document.latest_version.filename == "a.md"
    document_update(document=document, principal=admin, changes={"title": f"Pa{hidden}y"})
    document.refresh_from_db()
    assert document.title == "Pay"
