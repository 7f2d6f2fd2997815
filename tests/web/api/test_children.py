"""Mails and archives over HTTP, read by the real parsers: what becomes of the files inside."""

import io
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cairn.access.models import Role
from cairn.access.services import grant_give
from cairn.library.models import KnowledgeBase
from ingestion.erasure import documents
from ingestion.jobs import lifecycle
from ingestion.models import Lane, Receipt
from ingestion.parse import parser_pool
from ingestion.parse.sandbox.pool import ParserPool
from ingestion.pipeline import run
from retrieval.engine import Engine
from tests.indexes import as_if_rewritten
from tests.principals import SETUP
from tests.web.api.conftest import Caller, assert_problem, streamed
from tests.web.working import files_on_disk

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ZEBRA = b"The zebra has seventeen stripes."
OTTER = b"The otter has a favourite stone."
MAIL = b"""From: Ada <ada@example.org>
To: Bob <bob@example.org>
Date: Tue, 03 Mar 2026 08:05:00 +0000
Subject: Animals
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

See the attachment.
--b
Content-Type: text/plain
Content-Disposition: attachment; filename=otter.txt

The otter has a favourite stone.
--b--
"""


@pytest.fixture(autouse=True)
def files_in_memory(settings: Any, tmp_path: Path) -> None:
    """Store files on disk for once."""
    files_on_disk(settings, tmp_path / "files")


@pytest.fixture(autouse=True)
def parser(monkeypatch: pytest.MonkeyPatch, pool: ParserPool) -> None:
    monkeypatch.setattr(parser_pool, "_pool", pool)


def packed(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def encrypted(archive: bytes, name: bytes) -> bytes:
    """Return an archive whose directory marks one file as encrypted."""
    data = bytearray(archive)
    data[data.rfind(name) - 46 + 8] |= 1
    return bytes(data)


def ingested(caller: Caller, base: KnowledgeBase, name: str, content: bytes) -> dict[str, Any]:
    """The uploaded document, after all that came out of it has ended."""
    answer = caller.upload(str(base.id), name, content)
    assert answer.status_code == 202, answer.content
    while (lease := lifecycle.claim_next(Lane.BULK)) is not None:
        run.process(lease)
    return shown(caller, answer.json()["document"]["id"])


def shown(caller: Caller, document: str) -> dict[str, Any]:
    found: dict[str, Any] = caller.get(f"/documents/{document}").json()
    return found


def inside(caller: Caller, container: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the embedded files by name."""
    base, identity = container["knowledge_base"], container["id"]
    rows = caller.get(f"/knowledge-bases/{base}/documents?parent={identity}").json()["items"]
    assert all(row["parent"] == identity for row in rows)
    return {row["source_uri"].removeprefix(f"{container['source_uri']}/"): row for row in rows}


def hits(caller: Caller, words: str) -> list[str]:
    """Return the documents that contain exactly these words, as found by a search."""
    answer = caller.post("/search", {"query": words})
    assert answer.status_code == 200, answer.content
    return [hit["document"] for hit in answer.json()["results"] if words in hit["text"]]


def outcomes(container: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: row["error"]["code"] if row["error"] else row["status"] for name, row in container.items()}


def test_attachment_is_found_and_links_to_its_mail(mia: Caller, base: KnowledgeBase, parts: Engine) -> None:
    mail = ingested(mia, base, "animals.eml", MAIL)
    assert (mail["status"], mail["parent"], mail["title"]) == ("ready", None, "Animals")
    assert mail["properties"] == {
        "from": "Ada <ada@example.org>", "to": "Bob <bob@example.org>", "subject": "Animals",
        "date": "2026-03-03T08:05:00+00:00",
    }  # fmt: skip
    [(name, otter)] = inside(mia, mail).items()
    assert (name, otter["status"], otter["source_uri"]) == ("otter.txt", "ready", "animals.eml/otter.txt")
    assert hits(mia, "favourite stone") == [otter["id"]]
    with closing(mia.get(f"/documents/{otter['id']}/content")) as content:
        assert streamed(content) == OTTER


def test_archive_is_a_folder_with_a_summary(mia: Caller, base: KnowledgeBase, parts: Engine) -> None:
    bomb = packed({"zeros.txt": bytes(64 << 20)})
    inner = packed({"deep/otter.txt": OTTER})
    files = {
        "a/zebra.txt": ZEBRA, "a/secret.txt": b"Nobody reads this.", "bomb.zip": bomb, "inner.zip": inner,
        "mail.eml": MAIL, "empty.txt": b"",
    }  # fmt: skip
    archive = ingested(mia, base, "drive.zip", encrypted(packed(files), b"a/secret.txt"))
    assert archive["status"] == "ready"
    secret = "The file in the archive is password-protected. Remove the password and upload it again."
    assert archive["report"]["warnings"] == [
        f"a/secret.txt: {secret}",
        "2 embedded files couldn’t be processed; see those documents.",
    ]
    found = inside(mia, archive)
    assert outcomes(found) == {
        "a/zebra.txt": "ready", "bomb.zip": "archive_unsafe", "inner.zip": "ready", "mail.eml": "ready",
        "empty.txt": "empty_file",
    }  # fmt: skip
    assert outcomes(inside(mia, found["inner.zip"])) == {"deep/otter.txt": "ready"}
    assert outcomes(inside(mia, found["mail.eml"])) == {"otter.txt": "ready"}
    assert hits(mia, "seventeen stripes") == [found["a/zebra.txt"]["id"]]
    batches = mia.get(f"/knowledge-bases/{base.id}/imports").json()["items"]
    counts = {one["label"]: {k: v for k, v in one["counts"].items() if v} for one in batches}
    assert counts == {
        "drive.zip": {"files": 6, "ready": 3, "failed": 2, "refused": 1},
        "inner.zip": {"files": 1, "ready": 1},
    }
    assert {one["kind"] for one in batches} == {"archive"}


@pytest.mark.parametrize(
    "name",
    ["../../out.txt", "/tmp/out.txt", "..\\..\\out.txt", "C:\\out.txt", "a/../../out.txt", "out\0.txt"],
)
def test_hostile_archive_names_stay_inside_the_data_folder(
    mia: Caller, base: KnowledgeBase, parts: Engine, tmp_path: Path, name: str
) -> None:
    raw = packed({"x" * len(name): ZEBRA}).replace(b"x" * len(name), name.encode())
    archive = ingested(mia, base, "hostile.zip", raw)
    assert archive["error"] is None or archive["error"]["code"] == "archive_unsafe"
    stored = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert stored
    assert not [path for path in stored if "out" in path.name]
    assert not [path for path in (Path("/tmp/out.txt"), tmp_path / "out.txt") if path.exists()]


def test_readers_of_the_container_apply_to_the_next_question(
    mia: Caller, rob: Caller, base: KnowledgeBase, parts: Engine
) -> None:
    grant_give(knowledge_base=base, subject="everyone", role=Role.READER, principal=SETUP)
    archive = ingested(mia, base, "drive.zip", packed({"inner.zip": packed({"zebra.txt": ZEBRA})}))
    [zebra] = hits(rob, "seventeen stripes")
    assert mia.patch(f"/documents/{archive['id']}", {"readers": []}).status_code == 200
    assert hits(rob, "seventeen stripes") == []
    assert_problem(rob.get(f"/documents/{zebra}"), 404, "not_found")
    assert_problem(rob.get(f"/documents/{zebra}/content"), 404, "not_found")
    assert rob.get(f"/knowledge-bases/{base.id}/documents?parent={archive['id']}").json()["items"] == []
    assert shown(mia, zebra)["readers"] == []
    assert mia.patch(f"/documents/{zebra}", {"readers": ["everyone"]}).status_code == 200
    assert hits(rob, "seventeen stripes") == []
    assert mia.patch(f"/documents/{archive['id']}", {"readers": ["everyone"]}).status_code == 200
    assert hits(rob, "seventeen stripes") == [zebra]


def test_deleting_a_container_deletes_and_counts_its_children(
    mia: Caller, base: KnowledgeBase, parts: Engine, tmp_path: Path
) -> None:
    archive = ingested(mia, base, "drive.zip", packed({"zebra.txt": ZEBRA, "mail.eml": MAIL}))
    listed = [archive, *inside(mia, archive).values()]
    listed += inside(mia, listed[-1]).values()
    assert len(listed) == 4
    receipt = mia.delete(f"/documents/{archive['id']}").json()["receipt"]
    assert hits(mia, "seventeen stripes") == hits(mia, "favourite stone") == []
    assert all(mia.get(f"/documents/{row['id']}").status_code == 404 for row in listed)
    documents.erase(Receipt.objects.get(pk=receipt["id"]).id, parts.index)
    as_if_rewritten()
    done = mia.get(f"/receipts/{receipt['id']}").json()
    chunks = sum(row["chunks"] for row in listed)
    assert done["state"] == "done"
    assert (done["removed"]["chunks"], done["removed"]["points"]) == (chunks, chunks)
    assert done["removed"]["files"] == 2 * len(listed)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_reuploaded_archive_processes_only_changed_files(
    mia: Caller, base: KnowledgeBase, parts: Engine
) -> None:
    first = packed({"zebra.txt": ZEBRA, "otter.txt": OTTER, "gone.txt": b"The dodo has gone."})
    before = inside(mia, ingested(mia, base, "drive.zip", first))
    assert mia.upload(str(base.id), "drive.zip", first).status_code == 200
    changed = packed({"zebra.txt": ZEBRA, "otter.txt": b"The otter has two stones."})
    after = inside(mia, ingested(mia, base, "drive.zip", changed))
    assert {name: row["version"] for name, row in after.items()} == {"zebra.txt": 1, "otter.txt": 2}
    assert hits(mia, "dodo has gone") == []
    assert_problem(mia.get(f"/documents/{before['gone.txt']['id']}"), 404, "not_found")


def test_cancelling_a_container_cancels_its_children_and_a_retry_resumes(
    mia: Caller, base: KnowledgeBase, parts: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = mia.upload(str(base.id), "drive.zip", packed({"zebra.txt": ZEBRA, "otter.txt": OTTER})).json()
    document, job = answer["document"]["id"], answer["job"]["id"]
    real = parser_pool.parser_pool().part

    def cancelled_in_between(path: Path, name: str, place: int, **options: Any) -> bytes:
        if place == 1:
            assert mia.post(f"/jobs/{job}/cancel").status_code == 202
        return real(path, name, place, **options)

    with monkeypatch.context() as patched:
        patched.setattr(parser_pool.parser_pool(), "part", cancelled_in_between)
        while (lease := lifecycle.claim_next(Lane.BULK)) is not None:
            run.process(lease)
    archive = shown(mia, document)
    assert archive["error"]["code"] == "cancelled"
    assert outcomes(inside(mia, archive)) == {"zebra.txt": "cancelled"}
    assert hits(mia, "seventeen stripes") == []
    [alone] = [one for one in mia.get("/jobs").json()["items"] if one["source_uri"] == "drive.zip/zebra.txt"]
    assert_problem(mia.post(f"/jobs/{alone['id']}/retry"), 409, "conflict")
    assert mia.post(f"/jobs/{job}/retry").status_code == 202
    while (lease := lifecycle.claim_next(Lane.BULK)) is not None:
        run.process(lease)
    assert outcomes(inside(mia, archive)) == {"zebra.txt": "ready", "otter.txt": "ready"}
    assert len(hits(mia, "seventeen stripes")) == 1
