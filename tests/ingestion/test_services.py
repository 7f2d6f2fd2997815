"""Uploads, replacements, retries and deletions, as transactions."""

import pytest
from django.core.files.storage import default_storage

from cairn.access.models import Role
from cairn.access.principals import principal_for_user
from cairn.access.scope import Principal
from cairn.access.services import grant_give, readers_of
from cairn.accounts.services import user_create
from cairn.errors import Conflict, DocumentRejected, InvalidInput, NotFound, Rejection
from cairn.library.models import Document, KnowledgeBase
from ingestion import lifecycle
from ingestion.models import Job, Stage
from ingestion.services import (
    clean_filename,
    document_delete,
    document_update,
    job_cancel,
    job_retry,
    knowledge_base_delete,
)
from tests.ingestion.conftest import Submit

pytestmark = pytest.mark.django_db


def fail(job: Job, reason: Rejection) -> None:
    lease = lifecycle.claim(job.id)
    assert lease is not None
    lifecycle.fail(lease, DocumentRejected(reason, "because"))


def test_an_upload_makes_a_document_a_version_and_a_job(submit: Submit) -> None:
    found = submit()
    assert found.created_job
    assert found.job is not None
    assert found.job.stage == Stage.QUEUED
    assert found.document.status == "queued"
    assert found.document.latest_version is not None
    assert default_storage.exists(found.document.latest_version.original)


def test_the_same_bytes_make_no_work(submit: Submit) -> None:
    first, again = submit(), submit()
    assert again.document == first.document
    assert not again.created_job
    assert Job.objects.count() == 1


def test_other_bytes_of_the_same_source_make_a_new_version(submit: Submit) -> None:
    first = submit("one", source_uri="wiki/a")
    second = submit("two", filename="b.md", source_uri="wiki/a")
    assert second.document == first.document
    assert second.document.latest_version is not None
    assert second.document.latest_version.number == 2


def test_bytes_that_cannot_work_are_not_tried_again_but_bad_luck_is(submit: Submit) -> None:
    job = submit().job
    assert job is not None
    fail(job, Rejection.NO_TEXT)
    assert not submit().created_job
    job_retry(job=job, principal=principal_for_user(job.version.created_by))  # type: ignore[arg-type]
    fail(job, Rejection.EMBEDDING_FAILED)
    assert submit().created_job


def test_an_idempotency_key_gives_the_first_answer_again(submit: Submit) -> None:
    first = submit(idempotency_key="k")
    again = submit(idempotency_key="k")
    assert (again.document, again.job) == (first.document, first.job)
    assert again.created_job
    with pytest.raises(Conflict):
        submit("other words", idempotency_key="k")


def test_readers_said_with_known_bytes_still_count(submit: Submit) -> None:
    submit()
    user = user_create(username="ada")
    document = submit(readers=[f"user:{user.id}"]).document
    assert readers_of(Document.objects.get(pk=document.pk)) == [f"user:{user.id}"]


def test_an_editor_does_not_replace_what_is_hidden_from_them(submit: Submit, base: KnowledgeBase) -> None:
    editor = user_create(username="editor")
    grant_give(knowledge_base=base, subject=f"user:{editor.id}", role=Role.EDITOR, actor=None)
    document = submit("secret", readers=[]).document
    with pytest.raises(Conflict):
        submit("mine", principal=principal_for_user(editor))
    assert document.versions.count() == 1


def test_a_failed_upload_leaves_no_file(submit: Submit) -> None:
    with pytest.raises(InvalidInput):
        submit(metadata={"tags": "not a list"})
    assert not Document.objects.exists()
    assert not default_storage.exists("originals")


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


def test_deleting_twice_finds_nothing_the_second_time(submit: Submit, admin: Principal) -> None:
    document = submit().document
    assert document_delete(document=document, principal=admin).state == "pending"
    with pytest.raises(NotFound):
        document_delete(document=document, principal=admin)


def test_nothing_is_uploaded_into_a_deleted_knowledge_base(
    submit: Submit, base: KnowledgeBase, admin: Principal
) -> None:
    knowledge_base_delete(knowledge_base=base, principal=admin)
    with pytest.raises(NotFound):
        submit()


def test_a_source_may_come_back_after_its_deletion(submit: Submit, admin: Principal) -> None:
    first = submit().document
    document_delete(document=first, principal=admin)
    assert submit().document != first


def test_a_queued_job_is_cancelled_at_once_and_only_once(submit: Submit, admin: Principal) -> None:
    job = submit().job
    assert job is not None
    cancelled = job_cancel(job=job, principal=admin)
    assert cancelled.stage == Stage.CANCELLED
    with pytest.raises(Conflict):
        job_cancel(job=job, principal=admin)


def test_a_job_overtaken_by_a_newer_version_is_not_retried(submit: Submit, admin: Principal) -> None:
    job = submit("one").job
    assert job is not None
    fail(job, Rejection.TIME_LIMIT)
    submit("two")
    with pytest.raises(Conflict):
        job_retry(job=job, principal=admin)
