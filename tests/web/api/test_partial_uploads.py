"""Large files that come in parts."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone

from cairn.access.models import Grant, Role
from cairn.library.models import Document, KnowledgeBase
from ingestion.documents import resumable_uploads
from ingestion.documents.services import knowledge_base_delete
from ingestion.erasure.documents import erase
from ingestion.erasure.retention import apply_retention
from ingestion.erasure.users import user_erase
from ingestion.models import Import, ImportItem, Job, PartialUpload, UploadPart
from retrieval.engine import Engine
from tests.web.api.conftest import Caller, assert_problem

LEAST = resumable_uploads.MIN_PART_BYTES
CONTENT = b"Leave is 25 days.\n" * 10_000  # 180,000 bytes: three parts
GRANT = Callable[[Caller, Role], None]


def begin(caller: Caller, base: KnowledgeBase, **more: Any) -> Any:
    body = {"knowledge_base": str(base.id), "filename": "leave.txt", "size": len(CONTENT), **more}
    return caller.post("/uploads", body)


def send(caller: Caller, upload: str, offset: int, data: bytes) -> Any:
    return Client().patch(
        f"/api/v1/uploads/{upload}?offset={offset}",
        data,
        content_type="application/octet-stream",
        headers={"Authorization": f"Bearer {caller.key}"},
    )


def send_all(caller: Caller, upload: str, content: bytes = CONTENT) -> None:
    for offset in range(0, len(content), LEAST):
        response = send(caller, upload, offset, content[offset : offset + LEAST])
        assert response.status_code == 200, response.content
        assert response.json()["offset"] == min(offset + LEAST, len(content))


def stored() -> list[str]:
    """Return the stored parts."""

    def walk(folder: str) -> list[str]:
        folders, files = default_storage.listdir(folder)
        return [f"{folder}/{name}" for name in files] + [
            each for name in folders for each in walk(f"{folder}/{name}")
        ]

    return walk("parts") if default_storage.exists("parts") else []


def test_file_uploaded_in_parts_becomes_a_document(mia: Caller, base: KnowledgeBase) -> None:
    digest = sha256(CONTENT).hexdigest()
    begun = begin(
        mia, base, sha256=digest, title="Leave", source_uri="drive/leave.txt", metadata={"tags": ["a"]}
    )
    assert begun.status_code == 201, begun.content
    upload = begun.json()
    assert (upload["offset"], upload["size"], upload["document"]) == (0, len(CONTENT), None)
    send_all(mia, upload["id"])
    done = mia.post(f"/uploads/{upload['id']}/complete")
    assert done.status_code == 202
    assert done.json()["job"]["stage"] == "queued"
    document = done.json()["document"]
    assert (document["title"], document["source_uri"]) == ("Leave", "drive/leave.txt")
    assert (document["sha256"], document["size"]) == (digest, len(CONTENT))
    assert document["metadata"] == {"tags": ["a"]}
    version = Document.objects.get().latest_version
    assert version is not None
    with default_storage.open(version.original) as file:
        assert file.read() == CONTENT
    assert stored() == []


def test_repeated_completion_returns_the_same_response(mia: Caller, base: KnowledgeBase) -> None:
    """The first answer may have been lost."""
    upload = begin(mia, base).json()["id"]
    send_all(mia, upload)
    first, second = (mia.post(f"/uploads/{upload}/complete") for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["document"]["id"] == second.json()["document"]["id"]
    assert Job.objects.count() == 1
    assert mia.get(f"/uploads/{upload}").json()["document"] == first.json()["document"]["id"]
    assert mia.get("/uploads").json()["items"] == []


def test_unchanged_partial_upload_creates_no_version(mia: Caller, base: KnowledgeBase) -> None:
    for status in (202, 200):
        upload = begin(mia, base).json()["id"]
        send_all(mia, upload)
        assert mia.post(f"/uploads/{upload}/complete").status_code == status
    assert Job.objects.count() == 1


def test_partial_upload_returns_its_offset(mia: Caller, base: KnowledgeBase) -> None:
    upload = begin(mia, base, fingerprint="leave.txt:1").json()["id"]
    send(mia, upload, 0, CONTENT[:LEAST])
    assert mia.get(f"/uploads/{upload}").json()["offset"] == LEAST
    [mine] = mia.get(f"/uploads?knowledge_base={base.id}").json()["items"]
    assert (mine["id"], mine["offset"], mine["fingerprint"]) == (upload, LEAST, "leave.txt:1")
    assert mia.get("/uploads?knowledge_base=nothing").json()["items"] == []


@pytest.mark.parametrize("offset", [0, LEAST - 1, LEAST + 1, 2 * LEAST, len(CONTENT), 2**53])
def test_overlapping_parts_and_gaps_are_rejected(mia: Caller, base: KnowledgeBase, offset: int) -> None:
    upload = begin(mia, base).json()["id"]
    send(mia, upload, 0, CONTENT[:LEAST])
    problem = assert_problem(send(mia, upload, offset, CONTENT[:LEAST]), 409, "wrong_offset")
    assert str(LEAST) in problem["detail"]
    assert len(stored()) == 1


@pytest.mark.parametrize("offset", ["-1", "x", "1e3", str(2**64), "", "0&offset=1"])
def test_hostile_offsets_are_refused(mia: Caller, base: KnowledgeBase, offset: str) -> None:
    upload = begin(mia, base).json()["id"]
    response = send(mia, upload, offset, b"x")  # type: ignore[arg-type]  # hostile on purpose
    assert 400 <= response.status_code < 500
    assert stored() == []


@pytest.mark.parametrize("size", [-1, 0, "x", 1.5, True, None, 2**63, 2**70])
def test_hostile_sizes_are_refused(mia: Caller, base: KnowledgeBase, size: Any) -> None:
    assert begin(mia, base, size=size).status_code == 422
    assert not PartialUpload.objects.exists()


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 422, "invalid"),
        (b"x", 422, "invalid"),
        (b"x" * (LEAST - 1), 422, "invalid"),
        (CONTENT + b"x", 422, "invalid"),
    ],
)
def test_parts_have_sensible_sizes(
    mia: Caller, base: KnowledgeBase, data: bytes, status: int, code: str
) -> None:
    upload = begin(mia, base).json()["id"]
    assert_problem(send(mia, upload, 0, data), status, code)
    assert stored() == []


def test_oversized_part_is_rejected(
    mia: Caller, base: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumable_uploads, "MAX_PART_BYTES", 2 * LEAST)
    upload = begin(mia, base).json()["id"]
    assert_problem(send(mia, upload, 0, CONTENT[: 2 * LEAST + 1]), 413, "too_large")


def test_too_large_file_is_rejected_before_its_transfer(mia: Caller, base: KnowledgeBase) -> None:
    batch = mia.post(f"/knowledge-bases/{base.id}/imports", {"label": "drive"}).json()["id"]
    problem = assert_problem(begin(mia, base, size=(200 << 20) + 1, **{"import": batch}), 413, "too_large")
    assert "200 MB" in problem["detail"]
    assert ImportItem.objects.get().code == "too_large"


def test_incomplete_upload_cannot_be_completed(mia: Caller, base: KnowledgeBase) -> None:
    upload = begin(mia, base).json()["id"]
    send(mia, upload, 0, CONTENT[:LEAST])
    assert_problem(mia.post(f"/uploads/{upload}/complete"), 409, "wrong_offset")
    assert not Document.objects.exists()


def test_upload_with_another_checksum_is_rejected(mia: Caller, base: KnowledgeBase) -> None:
    upload = begin(mia, base, sha256="0" * 64).json()["id"]
    send_all(mia, upload)
    assert_problem(mia.post(f"/uploads/{upload}/complete"), 422, "sha256_mismatch")
    assert not Document.objects.exists()
    assert stored() == []
    assert mia.get(f"/uploads/{upload}").status_code == 404


def test_upload_of_another_user_is_not_found(
    mia: Caller, rob: Caller, admin: Caller, base: KnowledgeBase, grant: GRANT
) -> None:
    grant(rob, Role.MANAGER)
    upload = begin(mia, base).json()["id"]
    for caller in (rob, admin):
        absent = caller.get("/uploads/7d1f6a0c-93e8-4b51-a2c4-d5e6f7081923")
        for response in (
            caller.get(f"/uploads/{upload}"),
            send(caller, upload, 0, CONTENT[:LEAST]),
            caller.post(f"/uploads/{upload}/complete"),
            caller.delete(f"/uploads/{upload}"),
        ):
            assert (response.status_code, response.content) == (404, absent.content)
        assert caller.get("/uploads").json()["items"] == []
    assert stored() == []


def test_upload_checks_access_at_every_call(
    mia: Caller, rob: Caller, base: KnowledgeBase, grant: GRANT
) -> None:
    grant(rob, Role.EDITOR)
    upload = begin(rob, base).json()["id"]
    send_all(rob, upload)
    grant(rob, Role.READER)
    for response in (rob.get(f"/uploads/{upload}"), rob.post(f"/uploads/{upload}/complete")):
        assert_problem(response, 403, "forbidden")
    Grant.objects.filter(user=rob.user).delete()
    for response in (rob.get(f"/uploads/{upload}"), rob.post(f"/uploads/{upload}/complete")):
        assert_problem(response, 404, "not_found")
    assert begin(rob, base).status_code == 404
    assert not Document.objects.exists()


def test_idle_upload_is_deleted_after_a_day(mia: Caller, base: KnowledgeBase) -> None:
    upload = begin(mia, base).json()["id"]
    send(mia, upload, 0, CONTENT[:LEAST])
    apply_retention()
    assert len(stored()) == 1
    PartialUpload.objects.update(updated_at=timezone.now() - timedelta(hours=25))
    assert mia.get(f"/uploads/{upload}").status_code == 404
    assert send(mia, upload, LEAST, CONTENT[LEAST : 2 * LEAST]).status_code == 404
    apply_retention()
    assert not PartialUpload.objects.exists()
    assert stored() == []


def test_open_uploads_are_limited(mia: Caller, base: KnowledgeBase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable_uploads, "MAX_OPEN_UPLOADS", 2)
    first, _ = begin(mia, base).json()["id"], begin(mia, base)
    assert "Retry-After" in begin(mia, base)
    assert begin(mia, base).status_code == 429
    assert mia.delete(f"/uploads/{first}").status_code == 204
    assert begin(mia, base).status_code == 201


def test_cancelled_upload_leaves_no_files(mia: Caller, base: KnowledgeBase) -> None:
    upload = begin(mia, base).json()["id"]
    send(mia, upload, 0, CONTENT[:LEAST])
    assert mia.delete(f"/uploads/{upload}").status_code == 204
    assert stored() == []
    assert mia.get(f"/uploads/{upload}").status_code == 404


def test_cancelled_import_accepts_no_parts(mia: Caller, base: KnowledgeBase) -> None:
    batch = mia.post(f"/knowledge-bases/{base.id}/imports", {"label": "drive", "files": 1}).json()["id"]
    upload = begin(mia, base, **{"import": batch}).json()
    assert upload["import"] == batch
    send(mia, upload["id"], 0, CONTENT[:LEAST])
    assert mia.post(f"/imports/{batch}/cancel").status_code == 202
    assert stored() == []
    assert send(mia, upload["id"], LEAST, CONTENT[LEAST:]).status_code == 404


def test_import_receiving_parts_is_not_idle(mia: Caller, base: KnowledgeBase) -> None:
    batch = mia.post(f"/knowledge-bases/{base.id}/imports", {"label": "drive", "files": 1}).json()["id"]
    begin(mia, base, **{"import": batch})
    long_ago = timezone.now() - timedelta(hours=1)
    Import.objects.update(created_at=long_ago)
    assert mia.get(f"/imports/{batch}").json()["state"] == "receiving"
    PartialUpload.objects.update(updated_at=long_ago)
    assert mia.get(f"/imports/{batch}").json()["state"] == "done"


def test_deleting_its_user_or_knowledge_base_deletes_an_upload(
    admin: Caller,
    mia: Caller,
    rob: Caller,
    base: KnowledgeBase,
    grant: GRANT,
    parts: Engine,
    django_capture_on_commit_callbacks: Any,
) -> None:
    grant(rob, Role.EDITOR)
    for caller in (mia, rob):
        send(caller, begin(caller, base).json()["id"], 0, CONTENT[:LEAST])
    assert len(stored()) == 2
    with django_capture_on_commit_callbacks(execute=True):
        user_erase(user=rob.user, actor=admin.user.id)
    assert len(stored()) == 1
    receipt = knowledge_base_delete(knowledge_base=base, principal=mia.principal)
    erase(receipt.id, parts.index)
    assert stored() == []
    assert not UploadPart.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_concurrent_parts_conflict(mia: Caller, base: KnowledgeBase) -> None:
    upload = begin(mia, base).json()["id"]
    assert stored() == []  # opens the storage: threads that opened it at once would each have their own
    pieces = [bytes([n]) * LEAST for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        statuses = [each.status_code for each in pool.map(lambda piece: send(mia, upload, 0, piece), pieces)]
    assert sorted(statuses) == [200, 409, 409, 409]
    assert len(stored()) == 1
    assert PartialUpload.objects.get().received == LEAST
