"""Several files of an import in one request."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from cairn.access.models import Role
from cairn.library.models import Document, KnowledgeBase
from ingestion.models import Import, ImportItem, Job
from tests.web.api.conftest import Caller, assert_problem

Files = dict[str, bytes]


@pytest.fixture
def batch(mia: Caller, base: KnowledgeBase) -> str:
    return str(mia.post(f"/knowledge-bases/{base.id}/imports", {"label": "drive"}).json()["id"])


def send(caller: Caller, batch: str, files: Files, **form: Any) -> Any:
    parts = [SimpleUploadedFile(name.rpartition("/")[2], content) for name, content in files.items()]
    sources = {"source_uri": list(files)}
    return caller.client.post(
        f"/api/v1/imports/{batch}/items",
        {"file": parts, **sources, **form},
        headers={"Authorization": f"Bearer {caller.key}"},
    )


def outcomes(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 200, answer.content
    return [(item["source_uri"], item["outcome"]) for item in answer.json()]


def test_several_files_are_uploaded_in_one_request(mia: Caller, batch: str) -> None:
    answer = send(mia, batch, {"drive/a.md": b"one", "drive/deep/a.md": b"two"})
    assert outcomes(answer) == [("drive/a.md", "accepted"), ("drive/deep/a.md", "accepted")]
    for taken in answer.json():
        document, job = Document.objects.get(pk=taken["document"]), Job.objects.get(pk=taken["job"])
        assert (document.source_key, job.version.document_id) == (taken["source_uri"], document.pk)
        assert (job.lane, document.latest_version.filename) == ("bulk", "a.md")
    assert mia.get(f"/imports/{batch}").json()["counts"]["queued"] == 2


def test_file_name_is_the_source_uri_by_default(mia: Caller, batch: str) -> None:
    assert outcomes(send(mia, batch, {"a.md": b"one", "b.md": b"two"}, source_uri=[])) == [
        ("a.md", "accepted"),
        ("b.md", "accepted"),
    ]
    assert outcomes(send(mia, batch, {"x.md": b"three"}, source_uri=[""])) == [("x.md", "accepted")]


def test_repeated_files_are_unchanged(mia: Caller, batch: str) -> None:
    files = {"a.md": b"one", "b.md": b"two"}
    first = send(mia, batch, files).json()
    again = send(mia, batch, {**files, "b.md": b"other"})
    assert outcomes(again) == [("a.md", "unchanged"), ("b.md", "accepted")]
    assert [item["document"] for item in again.json()] == [item["document"] for item in first]
    assert again.json()[0]["job"] is None
    assert mia.get(f"/imports/{batch}").json()["counts"]["files"] == 3


def test_rejected_file_does_not_affect_others(mia: Caller, base: KnowledgeBase, batch: str) -> None:
    mail = Document.objects.get(pk=mia.upload(str(base.id), "mail.eml", b"mail").json()["document"]["id"])
    Document.objects.create(
        knowledge_base=base, parent=mail, source_key="b.md", source_uri="b.md", title="b", owner=mia.user
    )
    answer = send(mia, batch, {"a.md": b"one", "b.md": b"two", "c.md": b"three"})
    assert outcomes(answer) == [("a.md", "accepted"), ("b.md", "refused"), ("c.md", "accepted")]
    refused = answer.json()[1]
    assert (refused["error"]["code"], refused["document"], refused["job"]) == ("conflict", None, None)
    assert mia.get(f"/imports/{batch}").json()["counts"]["refused"] == 1


@pytest.mark.parametrize(
    ("files", "form", "status"),
    [
        ({"a.md": b"one"}, {"source_uri": ["a.md", "b.md"]}, 422),
        ({"a.md": b"one", "b.md": b"two"}, {"source_uri": ["a.md"]}, 422),
        ({"a.md": b"one"}, {"source_uri": ["x" * 1001]}, 422),
        ({"a.md": b"one", "b.md": b"two"}, {"source_uri": ["a\0.md", "b.md"]}, 422),
        ({"a.md": b"one"}, {"title": "A"}, 422),
        ({f"{number}.md": b"x" for number in range(51)}, {"source_uri": []}, 422),
        ({f"{number}.md": b"x" for number in range(101)}, {"source_uri": []}, 400),
        ({}, {"source_uri": ["a.md"]}, 422),
    ],
    ids=["sources", "files", "long", "nul", "unknown", "many", "too many to read", "none"],
)
def test_invalid_file_batch_adds_nothing(
    mia: Caller, batch: str, files: Files, form: dict[str, Any], status: int
) -> None:
    assert_problem(send(mia, batch, files, **form), status, "invalid" if status == 422 else "malformed")
    assert not Document.objects.exists()


def test_import_item_requires_a_form(mia: Caller, batch: str) -> None:
    assert_problem(mia.post(f"/imports/{batch}/items", {}), 415, "unsupported_media_type")


def test_cancelled_import_accepts_no_files(mia: Caller, batch: str) -> None:
    mia.post(f"/imports/{batch}/cancel")
    assert_problem(send(mia, batch, {"a.md": b"one"}), 409, "conflict")
    assert not ImportItem.objects.exists()


def test_only_editors_add_files(mia: Caller, rob: Caller, batch: str, grant: Any) -> None:
    assert_problem(send(rob, batch, {"a.md": b"one"}), 404, "not_found")
    grant(rob, Role.EDITOR)
    assert outcomes(send(rob, batch, {"a.md": b"one"})) == [("a.md", "accepted")]
    Import.objects.update(user=rob.user)
    grant(rob, Role.READER)
    assert_problem(send(rob, batch, {"b.md": b"two"}), 403, "forbidden")
    assert Document.objects.count() == 1


@pytest.mark.usefixtures("one_moment")
def test_each_file_of_a_batch_counts_towards_limits(admin: Caller, mia: Caller, batch: str) -> None:
    limits = {"uploads_per_minute": 3, "upload_mb_per_day": 1}
    assert admin.put("/limits", {"subject": "everyone", "limits": limits}).status_code == 200
    assert len(send(mia, batch, {"a.md": b"one", "b.md": b"two"}).json()) == 2
    assert_problem(send(mia, batch, {"c.md": b"three", "d.md": b"four"}), 429, "rate_limited")
    assert_problem(send(mia, batch, {"e.md": b"x" * (1 << 20)}), 429, "quota_exceeded")
    assert len(send(mia, batch, {"c.md": b"three"}).json()) == 1
