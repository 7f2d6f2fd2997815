import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any
from uuid import uuid5

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cairn.access.models import Role
from cairn.access.services import readers_replace
from cairn.library.links import Link
from cairn.library.models import Chunk, Document, DocumentVersion, KnowledgeBase, VersionState
from cairn.library.rendition import Element, Rendition
from cairn.library.storage import rendition_save
from cairn.settings import environment
from ingestion.parse.page_images import THUMBNAIL_WIDTH, WIDTH
from tests.web.api.conftest import Caller, assert_problem, streamed

FIELDS = {
    "id", "knowledge_base", "title", "source_uri", "media_type", "size", "sha256", "version", "status",
    "error", "pages", "chunks", "language", "metadata", "readers", "owner", "review_by", "created_at",
    "updated_at", "report", "pending",
}  # fmt: skip


def made_ready(document: Document, **fields: Any) -> DocumentVersion:
    """The latest version, as a worker leaves it."""
    version = document.latest_version
    assert version is not None
    for name, value in {"state": VersionState.READY, **fields}.items():
        setattr(version, name, value)
    version.save()
    document.active_version = version
    document.save()
    return version


def test_upload_creates_a_document_and_a_job(mia: Caller, base: KnowledgeBase) -> None:
    response = mia.upload(
        str(base.id),
        "leave.md",
        b"# Leave",
        title="Annual leave",
        source_uri="https://intranet.example/leave",
        metadata=json.dumps({"tags": ["hr"], "year": 2026}),
        readers=json.dumps(["everyone"]),
    )
    assert response.status_code == 202
    document, job = response.json()["document"], response.json()["job"]
    assert document.keys() >= FIELDS
    assert document["status"] == "queued"
    assert document["version"] == 1
    assert document["size"] == 7
    assert document["title"] == "Annual leave"
    assert document["source_uri"] == "https://intranet.example/leave"
    assert document["metadata"] == {"tags": ["hr"], "year": 2026}
    assert document["readers"] == ["everyone"]
    assert document["owner"] == str(mia.user.id)
    assert document["error"] is None
    assert document["pending"] is None
    assert document["report"] == {
        "pages_without_text": [], "ocr_pages": [], "ocr_confidence": None, "tables": 0, "truncated": False,
        "warnings": [], "suspicious": [],
    }  # fmt: skip
    assert job["document"] == document["id"]
    assert job["stage"] == "queued"
    assert job["queue_position"] == 1
    assert mia.get(f"/documents/{document['id']}").json() == document
    assert mia.get(f"/jobs/{job['id']}").json() == job


def test_unchanged_upload_creates_no_job(mia: Caller, base: KnowledgeBase) -> None:
    first = mia.upload(str(base.id), "a.txt", b"one")
    again = mia.upload(str(base.id), "a.txt", b"one")
    assert again.status_code == 200
    assert again.json()["job"] is None
    assert again.json()["document"]["id"] == first.json()["document"]["id"]


def test_changed_upload_creates_a_version_while_the_old_one_stays_active(
    mia: Caller, base: KnowledgeBase
) -> None:
    first = mia.upload(str(base.id), "a.txt", b"one").json()["document"]
    made_ready(Document.objects.with_versions().get(pk=first["id"]))
    second = mia.upload(str(base.id), "a.txt", b"other")
    assert second.status_code == 202
    document = second.json()["document"]
    assert document["id"] == first["id"]
    assert (document["status"], document["version"]) == ("ready", 1)
    assert document["pending"] == {"version": 2, "status": "queued", "error": None}


def test_idempotency_key_makes_a_repeated_upload_count_once(mia: Caller, base: KnowledgeBase) -> None:
    headers = {"Idempotency-Key": "abc"}
    first = mia.upload(str(base.id), "a.txt", b"one", headers)
    again = mia.upload(str(base.id), "a.txt", b"one", headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json()["job"]["id"] == first.json()["job"]["id"]
    assert Document.objects.count() == 1
    assert_problem(mia.upload(str(base.id), "b.txt", b"two", headers), 409, "conflict")
    assert_problem(mia.upload(str(base.id), "b.txt", b"two", {"Idempotency-Key": "k" * 256}), 422, "invalid")


@pytest.mark.parametrize(
    "form",
    [
        {"title": "a" * 501}, {"source_uri": "a" * 1001}, {"metadata": "{"}, {"metadata": "[]"},
        {"metadata": '"a"'}, {"metadata": '{"a": "\\ud800"}'}, {"metadata": '{"a": "\\u0000"}'},
        {"metadata": '{"a": NaN}'}, {"readers": '"everyone"'}, {"readers": '["nobody"]'}, {"readers": "[1]"},
        {"colour": "red"}, {"title": "a\0b"},
    ],
)  # fmt: skip
def test_invalid_forms_are_422(mia: Caller, base: KnowledgeBase, form: dict[str, str]) -> None:
    assert_problem(mia.upload(str(base.id), "a.txt", b"one", **form), 422, "invalid")
    assert not Document.objects.exists()


def test_upload_requires_a_file_and_a_form(mia: Caller, base: KnowledgeBase) -> None:
    path = f"/api/v1/knowledge-bases/{base.id}/documents"
    headers = {"Authorization": f"Bearer {mia.key}"}
    assert_problem(mia.client.post(path, {"title": "A"}, headers=headers), 422, "invalid")
    assert_problem(mia.client.post(path, {"file": "text"}, headers=headers), 422, "invalid")
    assert_problem(
        mia.post(f"/knowledge-bases/{base.id}/documents", {"file": "a"}), 415, "unsupported_media_type"
    )
    broken = mia.client.post(path, data=b"--x\r\n", content_type="multipart/form-data", headers=headers)
    assert_problem(broken, 400, "malformed")


def test_oversized_file_returns_413(
    mia: Caller, base: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPLOAD_MAX_MB", "1")
    environment.cache_clear()
    try:
        assert_problem(mia.upload(str(base.id), "a.txt", b"a" * (1 << 20) + b"a"), 413, "too_large")
    finally:
        monkeypatch.undo()
        environment.cache_clear()


def test_documents_are_listed_and_filtered(mia: Caller, base: KnowledgeBase) -> None:
    tagged = {"metadata": json.dumps({"tags": ["hr"]})}
    one = mia.upload(str(base.id), "leave.md", b"one", **tagged).json()["document"]
    two = mia.upload(str(base.id), "travel.md", b"two").json()["document"]
    made_ready(Document.objects.with_versions().get(pk=two["id"]))

    def listed(query: str) -> list[str]:
        found = mia.get(f"/knowledge-bases/{base.id}/documents{query}").json()["items"]
        return [document["id"] for document in found]

    assert listed("") == [one["id"], two["id"]]
    assert listed("?status=ready") == [two["id"]]
    assert listed("?status=queued") == [one["id"]]
    assert listed("?status=deleted") == []
    assert listed("?q=LEAVE") == [one["id"]]
    assert listed("?q=%25") == []
    assert listed("?tag=hr") == [one["id"]]
    assert listed("?limit=1") == [one["id"]]


def test_document_list_has_a_constant_number_of_queries(mia: Caller, base: KnowledgeBase) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert mia.get(f"/knowledge-bases/{base.id}/documents").status_code == 200
        return len(captured)

    narrowed = {"readers": json.dumps([f"user:{mia.user.id}"])}
    mia.upload(str(base.id), "a.txt", b"a", **narrowed)
    one = queries()
    for number in range(4):
        mia.upload(str(base.id), f"{number}.txt", b"a", **narrowed)
    assert queries() == one


def test_restricted_document_is_hidden_from_others(
    mia: Caller, rob: Caller, base: KnowledgeBase, grant: Any
) -> None:
    grant(rob, Role.EDITOR)
    document = mia.upload(str(base.id), "a.txt", b"a").json()["document"]
    path = f"/documents/{document['id']}"
    assert rob.get(path).status_code == 200
    assert mia.patch(path, {"readers": [f"user:{mia.user.id}"]}).json()["readers"] == [f"user:{mia.user.id}"]
    assert_problem(rob.get(path), 404, "not_found")
    assert rob.get(f"/knowledge-bases/{base.id}/documents").json()["items"] == []
    assert mia.patch(path, {"readers": None}).json()["readers"] == ["everyone"]
    assert rob.get(path).status_code == 200


def test_document_is_changed(
    mia: Caller, rob: Caller, document: Document, grant: Callable[[Caller, Role], None]
) -> None:
    grant(rob, Role.READER)
    path = f"/documents/{document.id}"
    sent = {"title": "Leave", "metadata": {"a": 1}, "owner": str(rob.user.id), "review_by": "2027-01-31"}
    changed = mia.patch(path, sent)
    assert changed.status_code == 200
    assert {name: changed.json()[name] for name in sent} == sent
    cleared = mia.patch(path, {"owner": None, "review_by": None}).json()
    assert (cleared["owner"], cleared["review_by"], cleared["title"]) == (None, None, "Leave")


@pytest.mark.parametrize(
    ("header", "status"),
    [('"1"', 200), ("*", 200), ('"7", "1"', 200), ('"2"', 412), ("", 412), ('"', 412), ("nonsense", 412)],
)
def test_if_match_must_match_the_version(mia: Caller, document: Document, header: str, status: int) -> None:
    response = mia.patch(f"/documents/{document.id}", {"title": "New"}, **{"If-Match": header})
    assert response.status_code == status
    if status == 412:
        assert_problem(response, 412, "precondition_failed")
        assert mia.get(f"/documents/{document.id}").json()["title"] != "New"
    else:
        assert response["ETag"] == '"1"'


def test_failed_document_shows_its_error(mia: Caller, document: Document) -> None:
    version = document.latest_version
    assert version is not None
    version.state, version.error_code, version.error_message = (
        VersionState.FAILED,
        "no_text",
        "Nothing in it.",
    )
    version.save()
    shown = mia.get(f"/documents/{document.id}").json()
    assert shown["status"] == "failed"
    assert shown["error"] == {"code": "no_text", "message": "Nothing in it."}


def test_deleted_document_disappears_immediately_with_a_receipt(mia: Caller, document: Document) -> None:
    response = mia.delete(f"/documents/{document.id}")
    assert response.status_code == 202
    receipt = response.json()["receipt"]
    assert mia.get(f"/receipts/{receipt['id']}").json() == receipt
    assert receipt["object"] == f"document:{document.id}"
    assert (receipt["state"], receipt["verified_at"]) == ("pending", None)
    for path in ["", "/content", "/rendition"]:
        assert_problem(mia.get(f"/documents/{document.id}{path}"), 404, "not_found")
    assert_problem(mia.delete(f"/documents/{document.id}"), 404, "not_found")


def test_original_is_downloaded_as_an_attachment_with_a_generated_name(
    mia: Caller, base: KnowledgeBase
) -> None:
    page = b"<script>alert(1)</script>"
    name = 'x"><img onerror=alert(1)>.html'
    document = mia.upload(str(base.id), name, page, title="Ünsafe / “title”").json()["document"]
    response = mia.get(f"/documents/{document['id']}/content")
    assert response.status_code == 200
    assert response["Content-Disposition"] == 'attachment; filename="unsafe-title.html"'
    assert response["X-Content-Type-Options"] == "nosniff"
    assert streamed(response) == page


def test_missing_original_returns_404(mia: Caller, document: Document) -> None:
    assert document.latest_version is not None
    default_storage.delete(document.latest_version.original)
    assert_problem(mia.get(f"/documents/{document.id}/content"), 404, "not_found")


def test_rendition_is_available_after_parsing(mia: Caller, document: Document) -> None:
    path = f"/documents/{document.id}/rendition"
    assert_problem(mia.get(path), 404, "not_found")
    box = (0.1, 0.2, 0.9, 0.3)
    text = "😀 25 days, see https://example.org/a_(b)."
    kept = (Link(2, 9, "https://example.org/x"), Link(10, 13, "javascript:alert(1)"))
    element = Element(0, "NarrativeText", text, ("Leave",), 1, (box,), links=kept)
    assert document.latest_version is not None
    name = rendition_save(document.latest_version.id, Rendition((element,), pages=1))
    made_ready(document, rendition=name, pages=1)
    assert mia.get(path).json() == {
        "pages": 1,
        "elements": [
            {
                "index": 0, "category": "NarrativeText", "text": text, "section": ["Leave"],
                "page": 1, "boxes": [list(box)], "header_rows": 0, "sheet": None, "cells": [],
                "links": [
                    {"start": 2, "end": 9, "url": "https://example.org/x"},
                    {"start": 15, "end": 40, "url": "https://example.org/a_(b)"},
                ],
            }
        ],
    }  # fmt: skip
    assert mia.get(f"{path}?version=1").status_code == 200
    assert_problem(mia.get(f"{path}?version=2"), 404, "not_found")
    assert_problem(mia.get(f"{path}?version=x"), 422, "invalid")


@pytest.mark.parametrize("page", ["0", "1", "2", "-1", "x", "9" * 30, "%00", "1.5", "²"])
def test_format_without_pages_has_no_page_images(mia: Caller, document: Document, page: str) -> None:
    made_ready(document, media_type="text/markdown")
    assert_problem(mia.get(f"/documents/{document.id}/pages/{page}.png"), 404, "not_found")


def test_cached_page_picture_is_sent(mia: Caller, document: Document) -> None:
    version = made_ready(document, media_type="application/pdf", pages=2)
    default_storage.save(f"pages/{version.id}/2-{WIDTH}.png", ContentFile(b"picture"))
    response = mia.get(f"/documents/{document.id}/pages/2.png")
    assert (response["Content-Type"], response.content) == ("image/png", b"picture")
    again = mia.get(f"/documents/{document.id}/pages/2.png", **{"If-None-Match": response["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert_problem(mia.get(f"/documents/{document.id}/pages/3.png"), 404, "not_found")


def test_page_of_an_erased_file_is_not_found(mia: Caller, document: Document) -> None:
    version = made_ready(document, media_type="application/pdf", pages=1)
    default_storage.delete(version.original)
    assert_problem(mia.get(f"/documents/{document.id}/pages/1.png"), 404, "not_found")


def test_thumbnail_differs_from_the_page_picture(mia: Caller, document: Document) -> None:
    version = made_ready(document, media_type="application/pdf", pages=1)
    for width, content in ((WIDTH, b"large"), (THUMBNAIL_WIDTH, b"small")):
        default_storage.save(f"pages/{version.id}/1-{width}.png", ContentFile(content))
    path = f"/documents/{document.id}/pages/1.png"
    large, small = mia.get(f"{path}?size=full"), mia.get(f"{path}?size=thumbnail")
    assert (large.content, small.content) == (b"large", b"small")
    assert mia.get(path, **{"If-None-Match": small["ETag"]}).content == b"large"
    assert_problem(mia.get(f"{path}?size=4000"), 422, "invalid")


def cut_up(document: Document, count: int) -> DocumentVersion:
    """Return a version with chunks, whose texts are their numbers."""
    version = made_ready(document, chunk_count=count)
    Chunk.objects.bulk_create(
        Chunk(
            id=uuid5(version.id, str(n)), version=version, ordinal=n, text=f"text {n}", context="Leave",
            section=["Leave"], page=n + 1, elements=[], tokens=7, sha256=str(n),
        )
        for n in range(count)
    )  # fmt: skip
    return version


def test_reader_sees_passages_as_indexed(
    rob: Caller, document: Document, grant: Callable[[Caller, Role], None]
) -> None:
    version = cut_up(document, 3)
    grant(rob, Role.READER)
    first = rob.get(f"/documents/{document.id}/chunks?limit=2").json()
    assert first["items"][0] == {
        "id": str(uuid5(version.id, "0")), "ordinal": 0, "text": "text 0", "context": "Leave",
        "section": ["Leave"], "page": 1, "location": "page 1", "tokens": 7,
    }  # fmt: skip
    rest = rob.get(f"/documents/{document.id}/chunks?limit=2&cursor={first['next_cursor']}").json()
    assert [item["ordinal"] for item in first["items"] + rest["items"]] == [0, 1, 2]
    assert rest["next_cursor"] is None


def test_passages_of_a_version_are_requested_by_number(mia: Caller, document: Document) -> None:
    cut_up(document, 1)
    path = f"/documents/{document.id}/chunks"
    assert len(mia.get(f"{path}?version=1").json()["items"]) == 1
    assert_problem(mia.get(f"{path}?version=2"), 404, "not_found")
    assert_problem(mia.get(f"{path}?version=x"), 422, "invalid")


@pytest.mark.parametrize("cursor", ["%00", "x", "LTE", "ww", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA"])
def test_invalid_passage_cursor_returns_422(mia: Caller, document: Document, cursor: str) -> None:
    assert_problem(mia.get(f"/documents/{document.id}/chunks?cursor={cursor}"), 422, "invalid")


def test_passages_are_only_for_readers_of_the_document(
    rob: Caller, mia: Caller, document: Document, grant: Callable[[Caller, Role], None]
) -> None:
    cut_up(document, 1)
    path = f"/documents/{document.id}/chunks"
    assert_problem(rob.get(path), 404, "not_found")
    assert Caller(rob.user, "no such key").get(path).status_code == 401
    grant(rob, Role.READER)
    assert rob.get(path).status_code == 200
    readers_replace(document=document, readers=[], actor=None)
    assert_problem(rob.get(path), 404, "not_found")
    mia.delete(f"/documents/{document.id}")
    assert_problem(mia.get(path), 404, "not_found")


def test_unprocessed_document_has_no_passages(mia: Caller, document: Document) -> None:
    assert mia.get(f"/documents/{document.id}/chunks").json() == {"items": [], "next_cursor": None}


def test_if_match_on_upload_names_the_replaced_version(mia: Caller, base: KnowledgeBase) -> None:
    def upload(text: bytes, tag: str) -> Any:
        return mia.upload(str(base.id), "a.md", text, headers={"If-Match": tag})

    assert_problem(upload(b"one", '"1"'), 412, "precondition_failed")
    assert mia.upload(str(base.id), "a.md", b"one").status_code == 202
    assert upload(b"two", '"1"').status_code == 202
    assert_problem(upload(b"three", '"1"'), 412, "precondition_failed")
    assert upload(b"three", '"2"').status_code == 202
    assert upload(b"four", "*").status_code == 202


def test_sources_list_existing_documents(
    mia: Caller, rob: Caller, base: KnowledgeBase, grant: Callable[[Caller, Role], None]
) -> None:
    for uri in ("docs/a.md", "docs/b/c.md", "Docs/d.md", "docs2/e.md"):
        mia.upload(str(base.id), "x.md", uri.encode(), source_uri=uri)
    hidden = Document.objects.get(source_key="docs/a.md")
    DocumentVersion.objects.filter(document=hidden).update(
        state=VersionState.FAILED, error_code="embedding_failed", error_message="Later."
    )
    listed = mia.get(f"/knowledge-bases/{base.id}/sources?under=docs/").json()
    assert [item["source_uri"] for item in listed["items"]] == ["docs/a.md", "docs/b/c.md"]
    assert listed["items"][0] == {
        "source_uri": "docs/a.md", "document": str(hidden.id), "sha256": sha256(b"docs/a.md").hexdigest(),
        "status": "failed", "error": {"code": "embedding_failed", "message": "Later."}, "again": True,
        "imported": False,
    }  # fmt: skip
    assert listed["items"][1]["again"] is False
    page = mia.get(f"/knowledge-bases/{base.id}/sources?limit=3").json()
    assert len(page["items"]) == 3
    assert page["next_cursor"]
    assert_problem(rob.get(f"/knowledge-bases/{base.id}/sources"), 404, "not_found")
    readers_replace(document=hidden, readers=[], actor=None)
    grant(rob, Role.READER)
    seen = rob.get(f"/knowledge-bases/{base.id}/sources?under=docs/").json()["items"]
    assert [item["source_uri"] for item in seen] == ["docs/b/c.md"]
