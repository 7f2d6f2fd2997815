"""Folders that are looked at again and again."""

import os
import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from cairn.access.scope import Principal
from cairn.accounts.models import User
from cairn.errors import Conflict, InvalidInput
from cairn.library import storage
from cairn.library.models import Document, KnowledgeBase
from ingestion.documents.services import document_delete
from ingestion.imports.services import ImportState, summary
from ingestion.jobs import lifecycle
from ingestion.models import Import, Job, Lane, Watch
from ingestion.watch_folders import services
from ingestion.watch_folders.services import scan_folder, watch_create, watch_scan, watch_update, watches_due
from tests.ingestion.conftest import allow_watching

pytestmark = pytest.mark.django_db


@pytest.fixture
def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    allow_watching(monkeypatch, tmp_path)
    folder = tmp_path / "drive"
    for name in ("a.md", "b/c.md"):
        write(folder / name, name)
    return folder


def write(path: Path, text: str) -> None:
    """Write a file with an old modification time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (time.time() - 60, time.time() - 60))


@pytest.fixture
def watch(base: KnowledgeBase, admin: Principal, drive: Path) -> Watch:
    return watch_create(knowledge_base=base, path=str(drive), principal=admin, prune=True)


@pytest.fixture
def scan(watch: Watch) -> Callable[[], dict[str, int]]:
    """Scan the folder, and return the counts above zero."""

    def look_again() -> dict[str, int]:
        Watch.objects.update(looked_at=None)
        scan_folder(watch.id)
        watch.refresh_from_db()
        return {name: count for name, count in watch.result.items() if count and name != "seconds"}

    return look_again


Looked = Callable[[], dict[str, int]]


def present() -> set[str]:
    return set(Document.objects.present().values_list("source_key", flat=True))


def test_new_files_are_one_import(scan: Looked, watch: Watch) -> None:
    assert scan() == {"files": 2, "submitted": 2}
    assert present() == {"drive/a.md", "drive/b/c.md"}
    batch = Import.objects.get()
    assert (watch.batch, batch.kind, batch.label) == (batch, "watch", "drive")
    assert (summary(batch).queued, summary(batch).state) == (2, ImportState.PROCESSING)
    assert set(Job.objects.values_list("lane", flat=True)) == {Lane.BULK}
    assert watch.looked_at is not None
    assert watch.busy_until is None


def test_unchanged_files_are_not_read(scan: Looked, drive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan()
    read: list[object] = []
    real = storage.sha256_of
    monkeypatch.setattr(storage, "sha256_of", lambda file: read.append(file) or real(file))
    assert scan() == {"files": 2, "unchanged": 2}
    assert read == []
    write(drive / "a.md", "changed, and longer")
    assert scan() == {"files": 2, "unchanged": 1, "submitted": 1}
    assert Document.objects.get(source_key="drive/a.md").versions.count() == 2
    assert Import.objects.count() == 2, "a look that changes nothing is no import"


def test_changed_time_with_equal_bytes_creates_no_work(scan: Looked, drive: Path) -> None:
    scan()
    os.utime(drive / "a.md", (time.time() - 30, time.time() - 30))
    assert scan() == {"files": 2, "unchanged": 2}
    assert Import.objects.count() == 1


def test_deleted_files_are_removed_only_if_configured(
    scan: Looked, drive: Path, watch: Watch, admin: Principal
) -> None:
    scan()
    (drive / "a.md").unlink()
    watch_update(watch=watch, principal=admin, prune=False)
    assert scan() == {"files": 1, "unchanged": 1, "vanished": 1}
    assert len(present()) == 2
    watch_update(watch=watch, principal=admin, prune=True)
    assert scan() == {"files": 1, "unchanged": 1, "vanished": 1, "removed": 1}
    assert present() == {"drive/b/c.md"}
    assert scan() == {"files": 1, "unchanged": 1}


def test_only_documents_from_the_folder_are_removed(
    scan: Looked, drive: Path, submit: Callable[..., object]
) -> None:
    submit("by hand", source_uri="drive/by-hand.md")
    scan()
    (drive / "a.md").unlink()
    scan()
    assert present() == {"drive/b/c.md", "drive/by-hand.md"}


def test_document_uploaded_by_a_person_survives_deletion_of_an_identical_file(
    scan: Looked, drive: Path, submit: Callable[..., object]
) -> None:
    write(drive / "same.md", "the same")
    submit("the same", source_uri="drive/same.md")
    scan()
    (drive / "a.md").unlink()
    (drive / "same.md").unlink()
    scan()
    assert present() == {"drive/b/c.md", "drive/same.md"}


def test_empty_watched_folder_removes_no_documents(scan: Looked, drive: Path, watch: Watch) -> None:
    scan()
    (drive / "a.md").unlink()
    (drive / "b/c.md").unlink()
    assert scan() == {"vanished": 2}
    assert "Nothing was removed" in watch.error
    assert len(present()) == 2


def test_empty_subfolder_removes_no_documents_from_it(scan: Looked, drive: Path, watch: Watch) -> None:
    """The disk that belongs there may only be away."""
    write(drive / "b/deep/d.md", "d")
    write(drive / "other.md", "other")
    scan()
    shutil.move(drive / "b", drive.parent / "away")
    (drive / "b").mkdir()
    (drive / "other.md").unlink()
    assert scan() == {"files": 1, "unchanged": 1, "vanished": 3, "removed": 1}
    assert watch.error.startswith("Empty: drive/b. Nothing from there was removed in case")
    assert present() == {"drive/a.md", "drive/b/c.md", "drive/b/deep/d.md"}
    (drive / "b").rmdir()
    assert scan() == {"files": 1, "unchanged": 1, "vanished": 2, "removed": 2}
    assert watch.error == ""


def test_unavailable_folder_removes_nothing_and_shows_an_error(
    scan: Looked, drive: Path, watch: Watch
) -> None:
    scan()
    drive.rename(drive.parent / "away")
    assert scan() == {}
    assert "No such folder" in watch.error
    assert len(present()) == 2
    (drive.parent / "away").rename(drive)
    assert scan() == {"files": 2, "unchanged": 2}
    assert watch.error == ""


def test_files_in_an_unreadable_folder_are_not_removed(
    scan: Looked, drive: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan()
    real = os.open

    def open_(path: str, flags: int, *, dir_fd: int | None = None) -> int:
        if path == "b":
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", open_)
    assert scan() == {"files": 1, "unchanged": 1, "failed": 1}
    assert watch.error == "Not readable: drive/b: Permission denied."
    assert len(present()) == 2


def test_file_being_written_waits_for_the_next_scan(scan: Looked, drive: Path) -> None:
    (drive / "growing.md").write_text("half")
    assert scan() == {"files": 3, "submitted": 2, "unfinished": 1}
    write(drive / "growing.md", "whole")
    assert scan() == {"files": 3, "unchanged": 2, "submitted": 1}


def test_deleted_document_stays_deleted_until_its_file_changes(
    scan: Looked, drive: Path, admin: Principal
) -> None:
    scan()
    document_delete(document=Document.objects.get(source_key="drive/a.md"), principal=admin)
    assert scan() == {"files": 2, "unchanged": 2}
    write(drive / "a.md", "a new text")
    assert scan() == {"files": 2, "unchanged": 1, "submitted": 1}


def test_links_out_of_the_watched_folder_are_not_followed(scan: Looked, drive: Path) -> None:
    write(drive.parent / "secret.md", "secret")
    (drive / "link.md").symlink_to(drive.parent / "secret.md")
    assert scan() == {"files": 2, "submitted": 2, "links": 1}


def test_rejected_file_is_reported_once(scan: Looked, drive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestion.documents.submit.require_upload_size", _refuse)
    assert scan() == {"files": 2, "refused": 2}
    assert summary(Import.objects.get()).refused == 2
    assert scan() == {"files": 2, "unchanged": 2}


def _refuse(_: object) -> None:
    raise InvalidInput("Too large.")


def test_watched_folder_is_scanned_once_at_a_time(watch: Watch) -> None:
    Watch.objects.update(busy_until=timezone.now() + timedelta(minutes=1))
    assert watches_due() == []
    scan_folder(watch.id)
    assert present() == set()
    with pytest.raises(Conflict):
        watch_scan(watch=watch)
    Watch.objects.update(busy_until=timezone.now() - timedelta(seconds=1))
    assert watches_due() == [watch.id]


def test_scan_with_a_timestamp_in_the_future_is_due(watch: Watch) -> None:
    Watch.objects.update(
        busy_until=timezone.now() + timedelta(days=1), looked_at=timezone.now() + timedelta(days=1)
    )
    assert watches_due() == [watch.id]


def test_watched_folder_is_due_after_its_interval(watch: Watch, admin: Principal) -> None:
    assert watches_due() == [watch.id]
    Watch.objects.update(looked_at=timezone.now() - timedelta(seconds=200))
    assert watches_due() == []
    scan_folder(watch.id)
    assert present() == set(), "another message for the same look changes nothing"
    watch_update(watch=watch, principal=admin, every_seconds=100)
    assert watches_due() == [watch.id]
    watch_update(watch=watch, principal=admin, enabled=False)
    assert watches_due() == []


def test_stopping_process_leaves_the_scan_to_the_next(scan: Looked, watch: Watch) -> None:
    lifecycle.stopping.set()
    try:
        assert scan() == {}
    finally:
        lifecycle.stopping.clear()
    assert watches_due() == [watch.id]


def test_unexpected_error_is_shown_and_the_next_scan_succeeds(
    scan: Looked, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(services, "document_submit", None)
        scan()
    assert "Couldn’t check the folder" in watch.error
    assert scan() == {"files": 2, "submitted": 2}


def test_watched_folder_of_a_former_admin_is_not_scanned(scan: Looked, watch: Watch) -> None:
    User.objects.update(is_admin=False)
    assert scan() == {}
    assert "no longer an administrator" in watch.error


def test_folder_is_watched_once_and_its_name_is_unique(
    watch: Watch, base: KnowledgeBase, admin: Principal, drive: Path
) -> None:
    write(drive / "drive/x.md", "x")
    for path in (drive, drive / "drive"):
        with pytest.raises(Conflict):
            watch_create(knowledge_base=base, path=str(path), principal=admin)
