"""Folders of the server that are looked at again and again, set up over HTTP."""

import os
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.utils import timezone

from cairn.access.models import Role
from cairn.accounts.services import api_key_create
from cairn.library.models import Document, KnowledgeBase
from ingestion import broker, tasks
from ingestion.models import Watch
from tests.ingestion.conftest import allow_watching
from tests.web.api.conftest import Caller, assert_problem, caller_for


@pytest.fixture(autouse=True)
def sent_messages(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Messages to the broker."""
    found: list[tuple[object, ...]] = []
    monkeypatch.setattr(broker, "send", lambda task, _where, *args: found.append((task, *args)))
    return found


@pytest.fixture
def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    allow_watching(monkeypatch, tmp_path)
    for name in ("a.md", "b/c.md"):
        write(tmp_path / "drive" / name, name)
    return tmp_path / "drive"


def write(path: Path, text: str) -> None:
    """Write a file with an old modification time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (time.time() - 60, time.time() - 60))


def add(caller: Caller, base: KnowledgeBase, path: Path | str, **fields: Any) -> Any:
    return caller.post(f"/knowledge-bases/{base.id}/watches", {"path": str(path), **fields})


@pytest.fixture
def watch(admin: Caller, base: KnowledgeBase, drive: Path) -> dict[str, Any]:
    found: dict[str, Any] = add(admin, base, drive).json()
    return found


def beat(sent: list[tuple[object, ...]]) -> None:
    """The clock ticks, and the workers do what it sends out."""
    sent.clear()
    tasks.watch_due()
    for task, *arguments in list(sent):
        if task == "ingestion.watch":
            tasks.watch(*arguments)


def present() -> set[str]:
    return set(Document.objects.present().values_list("source_key", flat=True))


def test_watch_scans_a_folder_on_creation(
    admin: Caller, base: KnowledgeBase, drive: Path, sent_messages: list[tuple[object, ...]]
) -> None:
    made = add(admin, base, drive, every_seconds=60)
    assert made.status_code == 201, made.content
    watch = made.json()
    assert watch.keys() == {
        "id", "knowledge_base", "path", "prune", "every_seconds", "enabled", "looked_at", "next_at",
        "running", "result", "error", "import", "created_at",
    }  # fmt: skip
    assert (watch["path"], watch["prune"], watch["enabled"]) == (str(drive), False, True)
    beat(sent_messages)
    assert present() == {"drive/a.md", "drive/b/c.md"}
    (seen,) = admin.get(f"/knowledge-bases/{base.id}/watches").json()["items"]
    assert (seen["result"]["submitted"], seen["error"], seen["running"]) == (2, "", False)
    assert admin.get(f"/imports/{seen['import']}").json()["kind"] == "watch"
    due = datetime.fromisoformat(seen["next_at"]) - datetime.fromisoformat(seen["looked_at"])
    assert due == timedelta(seconds=60)


def test_beat_scans_when_a_watch_is_due(
    watch: dict[str, Any], drive: Path, sent_messages: list[tuple[object, ...]]
) -> None:
    assert {"task": "ingestion.watch_due", "schedule": 30.0} in configured.CELERY_BEAT_SCHEDULE.values()
    beat(sent_messages)
    write(drive / "new.md", "new")
    beat(sent_messages)
    assert "drive/new.md" not in present(), "too early"
    Watch.objects.update(looked_at=timezone.now() - timedelta(seconds=301))
    beat(sent_messages)
    assert "drive/new.md" in present()


def test_unavailable_disk_deletes_no_documents(
    admin: Caller,
    watch: dict[str, Any],
    base: KnowledgeBase,
    drive: Path,
    sent_messages: list[tuple[object, ...]],
) -> None:
    assert admin.patch(f"/watches/{watch['id']}", {"prune": True}).json()["prune"] is True
    beat(sent_messages)
    (drive / "a.md").unlink()
    Watch.objects.update(looked_at=None)
    beat(sent_messages)
    assert present() == {"drive/b/c.md"}
    drive.rename(drive.parent / "unmounted")
    for _ in range(2):  # not there, and then an empty mount point
        Watch.objects.update(looked_at=None)
        beat(sent_messages)
        assert present() == {"drive/b/c.md"}
        (seen,) = admin.get(f"/knowledge-bases/{base.id}/watches").json()["items"]
        assert seen["error"]
        drive.mkdir(exist_ok=True)


def test_watch_scan_is_requested(
    admin: Caller, watch: dict[str, Any], sent_messages: list[tuple[object, ...]]
) -> None:
    beat(sent_messages)
    sent_messages.clear()
    asked = admin.post(f"/watches/{watch['id']}/scan")
    assert (asked.status_code, asked.json()["looked_at"]) == (202, None)
    Watch.objects.update(busy_until=timezone.now() + timedelta(minutes=1))
    assert_problem(admin.post(f"/watches/{watch['id']}/scan"), 409, "conflict")


def test_watch_is_disabled_and_deleted(
    admin: Caller, watch: dict[str, Any], base: KnowledgeBase, sent_messages: list[tuple[object, ...]]
) -> None:
    off = admin.patch(f"/watches/{watch['id']}", {"enabled": False}).json()
    assert (off["enabled"], off["next_at"]) == (False, None)
    beat(sent_messages)
    assert present() == set()
    admin.patch(f"/watches/{watch['id']}", {"enabled": True})
    beat(sent_messages)
    assert admin.delete(f"/watches/{watch['id']}").status_code == 204
    assert admin.get(f"/knowledge-bases/{base.id}/watches").json()["items"] == []
    assert len(present()) == 2, "its documents stay"
    assert_problem(admin.delete(f"/watches/{watch['id']}"), 404, "not_found")


def test_folder_is_watched_only_once(admin: Caller, base: KnowledgeBase, drive: Path, watch: object) -> None:
    assert_problem(add(admin, base, drive), 409, "conflict")


@pytest.mark.parametrize(
    "path", ["/", "/etc", "../drive", "drive", "{root}/none", "{root}/drive/a.md", "{root}/out"]
)
def test_only_folders_below_the_allowed_roots(
    admin: Caller, base: KnowledgeBase, drive: Path, path: str
) -> None:
    (drive.parent / "out").symlink_to("/etc")
    refused = add(admin, base, path.format(root=drive.parent))
    assert_problem(refused, 422, "invalid")
    assert not Watch.objects.exists()


def test_watching_needs_allowed_roots(admin: Caller, base: KnowledgeBase, tmp_path: Path) -> None:
    problem = assert_problem(add(admin, base, tmp_path), 422, "invalid")
    assert "WATCH_ROOTS" in problem["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"path": ""},
        {"path": "/x\0y"},
        {"path": "/\ud800"},
        {"path": "/" + "x" * 1000},
        {"path": ["/x"]},
        {"path": "/x", "every_seconds": 1},
        {"path": "/x", "every_seconds": 10**12},
        {"path": "/x", "every_seconds": "often"},
        {"path": "/x", "prune": "yes"},
        {"path": "/x", "user": "1"},
    ],
)
def test_invalid_watch_is_rejected(
    admin: Caller, base: KnowledgeBase, drive: Path, body: dict[str, Any]
) -> None:
    assert_problem(admin.post(f"/knowledge-bases/{base.id}/watches", body), 422, "invalid")


@pytest.mark.parametrize(
    "body", [{"prune": None}, {"path": "/elsewhere"}, {"every_seconds": 0}, {"enabled": "no"}]
)
def test_invalid_watch_change_is_rejected(admin: Caller, watch: dict[str, Any], body: dict[str, Any]) -> None:
    assert_problem(admin.patch(f"/watches/{watch['id']}", body), 422, "invalid")


def test_watching_is_for_admins(
    mia: Caller, admin: Caller, base: KnowledgeBase, watch: dict[str, Any], drive: Path, grant: Any
) -> None:
    """It shows files on the server's disks, so managers of the knowledge base may not use it either."""
    assert_problem(add(mia, base, drive), 403, "forbidden")
    assert_problem(mia.get(f"/knowledge-bases/{base.id}/watches"), 403, "forbidden")
    assert_problem(mia.patch(f"/watches/{watch['id']}", {"prune": True}), 403, "forbidden")
    assert_problem(mia.post(f"/watches/{watch['id']}/scan"), 403, "forbidden")
    assert_problem(mia.delete(f"/watches/{watch['id']}"), 403, "forbidden")
    _, weak = api_key_create(user=admin.user, label="weak", scopes=["search", "ingest", "manage"])
    assert_problem(add(Caller(admin.user, weak), base, drive), 403, "forbidden")
    grant(caller_for("zoe"), Role.READER)
    assert_problem(admin.patch("/watches/nonsense", {"prune": True}), 404, "not_found")
