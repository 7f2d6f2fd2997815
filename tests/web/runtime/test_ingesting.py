"""Bringing in folders as the command line does: by REST, over a socket, without a worker but the test."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from pytest_django.live_server_helper import LiveServer

from cairn.access.services import knowledge_base_create
from cairn.accounts.services import api_key_create
from cairn.errors import DocumentRejected, InvalidInput, Rejection, Unavailable
from cairn.library.models import Document, KnowledgeBase
from ingestion.documents.submit import document_submit
from ingestion.documents.upload import Upload
from ingestion.jobs import lifecycle
from ingestion.models import Import, Job, Lane
from tests.bases import make_base
from tests.web.api.conftest import Caller, caller_for
from web.cli import folder_upload
from web.cli.api_client import Api, ApiProblem, Json
from web.cli.folder_upload import Summary, ingest, knowledge_base_ensure
from web.cli.local_files import LocalFile, LocalFiles, find_files

pytestmark = pytest.mark.django_db(transaction=True)
Bring = Callable[..., Summary]


@pytest.fixture(autouse=True)
def own_files(settings: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path_factory.mktemp("files"))},
        },
    }


@pytest.fixture
def admin(db: None) -> Caller:
    return caller_for("ada", is_admin=True)


@pytest.fixture
def base(admin: Caller) -> KnowledgeBase:
    return knowledge_base_create(name="Handbook", principal=admin.principal)


@pytest.fixture
def api(live_server: LiveServer, admin: Caller) -> Iterator[Api]:
    with Api(live_server.url, admin.key) as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.md", "b.md", "deep/c.md"):
        write(tmp_path / "docs" / name, name)
    return tmp_path / "docs"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def bring(api: Api, base: KnowledgeBase) -> Bring:
    def run(
        *paths: Path,
        prune: bool = False,
        wait: bool = False,
        tick: folder_upload.Tick = quiet,
        watched: bool = True,
    ) -> Summary:
        summary = Summary()
        ingest(
            api, str(base.id), find_files(paths), summary, tick, wait_for=wait, prune=prune, watched=watched
        )
        return summary

    return run


def quiet(_what: str, _done: int, _total: int) -> None:
    pass


class Worker:
    """Does one job whenever the command pauses, and notes for how long it does. `bad`: sources that fail.

    To the command it is the clock, which goes on only while the command sleeps."""

    def __init__(self, *bad: str) -> None:
        self.bad, self.pauses = bad, list[float]()
        self.rests_until = 0.0  # by its own clock, before the last job

    def monotonic(self) -> float:
        return sum(self.pauses)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if self.monotonic() >= self.rests_until or Job.objects.queued().count() > 1:
            self.work_once()

    def work_once(self) -> bool:
        lease = lifecycle.claim_next(Lane.BULK)
        if lease is None:
            return False
        if lease.version.document.source_key in self.bad:
            lifecycle.fail(lease, DocumentRejected(Rejection.NO_TEXT, "No text."))
        else:
            lifecycle.activate(lease, title="Title")
        return True

    def work(self) -> None:
        while self.work_once():
            pass


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    found = Worker()
    monkeypatch.setattr(folder_upload, "time", found)
    return found


def present() -> set[str]:
    return set(Document.objects.present().values_list("source_key", flat=True))


def codes(summary: Summary) -> dict[str, str]:
    return {failure.source_uri: failure.code for failure in summary.failed}


def test_folder_becomes_one_import_and_gets_ready(bring: Bring, folder: Path, worker: Worker) -> None:
    summary = bring(folder, wait=True)
    assert str(summary) == "3 ready"
    assert present() == {"docs/a.md", "docs/b.md", "docs/deep/c.md"}
    batch = Import.objects.get()
    assert (batch.label, batch.items.count()) == ("docs", 3)
    assert batch.closed_at is not None


def test_polling_is_rare_and_more_frequent_near_the_end(bring: Bring, folder: Path, worker: Worker) -> None:
    for number in range(37):
        write(folder / f"more/{number}.md", str(number))
    assert bring(folder, wait=True).ready == 40
    assert len(worker.pauses) == 40
    assert min(worker.pauses) >= 0.1
    assert max(worker.pauses) == 2.0
    assert worker.pauses[-1] < 0.5


@pytest.mark.slow
def test_unwatched_import_is_polled_rarely(bring: Bring, folder: Path, worker: Worker) -> None:
    for number in range(97):
        write(folder / f"more/{number}.md", str(number))
    assert bring(folder, wait=True, watched=False).ready == 100
    assert max(worker.pauses) == 10.0
    assert worker.pauses[-1] < 5


@pytest.mark.slow
def test_slow_last_file_is_polled_rarely(bring: Bring, folder: Path, worker: Worker) -> None:
    for number in range(37):
        write(folder / f"more/{number}.md", str(number))
    worker.rests_until = 300.0
    assert bring(folder, wait=True).ready == 40
    assert len(worker.pauses) < 40 + 300 / 2 + 50


def test_repeated_import_sends_only_changes(bring: Bring, folder: Path, worker: Worker) -> None:
    bring(folder, wait=True)
    again = bring(folder, wait=True)
    assert (str(again), Import.objects.count(), Job.objects.count()) == ("3 unchanged", 1, 3)
    write(folder / "a.md", "changed")
    write(folder / "new.md", "new")
    third = bring(folder, wait=True)
    assert (third.ready, third.unchanged, third.failed) == (2, 2, [])
    assert Document.objects.get(source_key="docs/a.md").versions.count() == 2
    assert Document.objects.get(source_key="docs/b.md").versions.count() == 1


def test_previous_version_is_used_until_the_new_one_is_ready(
    bring: Bring, folder: Path, worker: Worker, api: Api
) -> None:
    bring(folder, wait=True)
    write(folder / "a.md", "changed")
    assert str(bring(folder)) == "1 accepted, 2 unchanged"
    document = Document.objects.get(source_key="docs/a.md")
    shown = api.get(f"/api/v1/documents/{document.id}")
    assert (shown["status"], shown["version"], shown["pending"]["version"]) == ("ready", 1, 2)
    worker.work()
    shown = api.get(f"/api/v1/documents/{document.id}")
    assert (shown["status"], shown["version"], shown["pending"]) == ("ready", 2, None)


def test_missing_file_is_reported_and_its_document_preserved(
    bring: Bring, folder: Path, worker: Worker
) -> None:
    bring(folder, wait=True)
    (folder / "a.md").unlink()
    summary = bring(folder, wait=True)
    assert (summary.vanished, summary.removed, summary.failed) == (["docs/a.md"], 0, [])
    assert "docs/a.md" in present()


def test_missing_file_is_removed_on_request(bring: Bring, folder: Path, worker: Worker) -> None:
    bring(folder, wait=True)
    (folder / "a.md").unlink()
    summary = bring(folder, wait=True, prune=True)
    assert (summary.vanished, summary.removed, summary.unchanged) == ([], 1, 2)
    assert present() == {"docs/b.md", "docs/deep/c.md"}
    assert bring(folder, wait=True, prune=True).removed == 0


def test_only_documents_from_the_folder_are_removed(
    bring: Bring, folder: Path, worker: Worker, tmp_path: Path
) -> None:
    for other in ("docs2/x.md", "Docs/x.md", "x.md"):
        write(tmp_path / "others" / other, "other")
    for path in (tmp_path / "others/docs2", tmp_path / "others/Docs", tmp_path / "others/x.md", folder):
        bring(path, wait=True)
    (folder / "a.md").unlink()
    assert bring(folder, prune=True).removed == 1
    assert present() == {"docs2/x.md", "Docs/x.md", "x.md", "docs/b.md", "docs/deep/c.md"}


def test_upload_under_a_similar_path_is_neither_reported_nor_removed(
    bring: Bring, folder: Path, worker: Worker, admin: Caller, base: KnowledgeBase
) -> None:
    bring(folder, wait=True)
    document_submit(
        Upload(SimpleUploadedFile("own.md", b"# Own"), "own.md", source_uri="docs/own.md"),
        knowledge_base=base,
        principal=admin.principal,
    )
    worker.work()
    (folder / "a.md").unlink()
    assert bring(folder, wait=True).vanished == ["docs/a.md"]
    assert bring(folder, wait=True, prune=True).removed == 1
    assert present() == {"docs/own.md", "docs/b.md", "docs/deep/c.md"}


def test_emptied_folder_is_not_pruned(bring: Bring, folder: Path, worker: Worker) -> None:
    """Its disk may only be unmounted."""
    bring(folder, wait=True)
    for path in [*folder.rglob("*.md")]:
        path.unlink()
    summary = bring(folder, wait=True, prune=True)
    assert (codes(summary), summary.removed, len(present())) == ({"docs/": "empty_folder"}, 0, 3)


def test_other_folder_of_the_same_name_removes_nothing(
    bring: Bring, folder: Path, worker: Worker, tmp_path: Path
) -> None:
    bring(folder, wait=True)
    write(tmp_path / "others/docs/x.md", "other")
    summary = bring(tmp_path / "others/docs", wait=True, prune=True)
    assert (codes(summary), summary.removed) == ({"docs/": "empty_folder"}, 0)
    assert "two folders of this name" in summary.failed[0].message
    assert present() == {"docs/a.md", "docs/b.md", "docs/deep/c.md", "docs/x.md"}


def test_documents_of_an_emptied_subfolder_are_not_pruned(bring: Bring, folder: Path, worker: Worker) -> None:
    """The disk that belongs there may only be away."""
    bring(folder, wait=True)
    (folder / "a.md").unlink()
    (folder / "deep/c.md").unlink()
    summary = bring(folder, wait=True, prune=True)
    assert (codes(summary), summary.removed) == ({"docs/deep/": "empty_folder"}, 1)
    assert present() == {"docs/b.md", "docs/deep/c.md"}
    (folder / "deep").rmdir()
    assert bring(folder, wait=True, prune=True).removed == 1


def test_document_behind_a_broken_link_is_not_pruned(
    bring: Bring, folder: Path, worker: Worker, tmp_path: Path
) -> None:
    write(tmp_path / "share/manual.md", "manual")
    (folder / "manual.md").symlink_to(tmp_path / "share/manual.md")
    bring(folder, wait=True)
    (tmp_path / "share").rename(tmp_path / "away")
    summary = bring(folder, wait=True, prune=True)
    assert (summary.unchanged, summary.removed) == (3, 0)
    assert "docs/manual.md" in present()
    (folder / "manual.md").unlink()
    assert bring(folder, wait=True, prune=True).removed == 1


def test_unreadable_file_fails_and_is_not_pruned(
    bring: Bring, folder: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(folder, wait=True)
    forbid(monkeypatch, folder / "a.md")
    summary = bring(folder, wait=True, prune=True)
    assert (codes(summary), summary.unchanged, summary.removed) == ({"docs/a.md": "unreadable"}, 2, 0)
    assert len(present()) == 3


def forbid(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Also for root, who may read everything."""
    real = Path.open

    def open_(self: Path, *arguments: Any, **options: Any) -> Any:
        if self == path:
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_)


def test_documents_of_an_unreadable_folder_are_not_pruned(
    bring: Bring, folder: Path, worker: Worker, api: Api, base: KnowledgeBase
) -> None:
    bring(folder, wait=True)
    (folder / "deep/c.md").unlink()
    found = find_files([folder])
    found.unreadable.append(("docs/deep", PermissionError(13, "Permission denied")))
    found.unknown.append("docs/deep/")
    summary = Summary()
    ingest(api, str(base.id), found, summary, quiet, wait_for=False, prune=True)
    assert (codes(summary), summary.removed) == ({"docs/deep": "unreadable"}, 0)
    assert "docs/deep/c.md" in present()


def test_failed_file_is_named_and_not_retried_unchanged(bring: Bring, folder: Path, worker: Worker) -> None:
    worker.bad = ("docs/b.md",)
    summary = bring(folder, wait=True)
    assert (str(summary), codes(summary)) == ("2 ready, 1 failed", {"docs/b.md": "no_text"})
    again = bring(folder, wait=True)
    assert (str(again), codes(again)) == ("1 failed, 2 unchanged", {"docs/b.md": "no_text"})
    assert Job.objects.count() == 3


def test_file_with_a_temporary_failure_is_retried(bring: Bring, folder: Path, worker: Worker) -> None:
    bring(folder)
    for job in Job.objects.all():
        lease = lifecycle.claim(job.id)
        assert lease is not None
        lifecycle.fail(lease, DocumentRejected(Rejection.INDEX_UNAVAILABLE, "Later."))
    assert str(bring(folder, wait=True)) == "3 ready"


def test_rejected_file_does_not_stop_the_others(
    bring: Bring, folder: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "ingestion.documents.upload.environment", lambda: type("Limits", (), {"upload_max_mb": 0})
    )
    write(folder / "empty.md", "")
    summary = bring(folder, wait=True)
    assert codes(summary) == dict.fromkeys(("docs/a.md", "docs/b.md", "docs/deep/c.md"), "too_large")
    assert summary.ready == 1


def test_small_files_are_sent_together_and_large_ones_alone(
    bring: Bring, folder: Path, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        write(folder / f"more/{number:02}.md", str(number))
    write(folder / "n.md", "n" * (1 << 20))
    sent = list[list[str]]()

    def upload(path: str, *, files: Any, fields: Any) -> list[Json]:
        sent.append(fields["source_uri"])
        return Api.upload(api, path, files=files, fields=fields)

    monkeypatch.setattr(api, "upload", upload)
    assert bring(folder).waiting == 34
    assert sorted(map(len, sent)) == [1, 2, 11, 20]
    assert ["docs/n.md"] in sent
    assert len(present()) == 34


def test_too_large_batch_is_sent_file_by_file(
    bring: Bring, folder: Path, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example by a proxy that accepts only small bodies."""

    def upload(path: str, *, files: Any, fields: Any) -> list[Json]:
        if len(files) > 1 or files[0][0] == "b.md":
            raise ApiProblem(413, {"code": "too_large", "detail": "Too large."})
        return Api.upload(api, path, files=files, fields=fields)

    monkeypatch.setattr(api, "upload", upload)
    summary = bring(folder)
    assert (summary.waiting, codes(summary)) == (2, {"docs/b.md": "too_large"})
    assert present() == {"docs/a.md", "docs/deep/c.md"}


def test_file_failing_during_transfer_does_not_affect_others(
    bring: Bring, folder: Path, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def upload(path: str, *, files: Any, fields: Any) -> list[Json]:
        if "docs/b.md" in fields["source_uri"]:
            raise OSError(5, "Input/output error")
        return Api.upload(api, path, files=files, fields=fields)

    monkeypatch.setattr(api, "upload", upload)
    summary = bring(folder)
    assert (summary.waiting, codes(summary)) == (2, {"docs/b.md": "unreadable"})


def test_interrupted_import_is_resumed_by_the_next_run(
    bring: Bring, folder: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_upload, "_PARCEL_FILES", 2)
    for number in range(30):
        write(folder / f"more/{number}.md", str(number))

    def interrupt(what: str, done: int, _total: int) -> None:
        if what == "Uploading" and done >= 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring(folder, wait=True, tick=interrupt)
    sent = len(present())
    assert 10 <= sent < 33
    assert Job.objects.count() == sent
    worker.work()
    summary = bring(folder, wait=True)
    assert (summary.ready, summary.unchanged, summary.failed) == (33 - sent, sent, [])


def test_interruption_while_waiting_cancels_nothing(bring: Bring, folder: Path, worker: Worker) -> None:
    def interrupt(what: str, _done: int, _total: int) -> None:
        if what == "Processing":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring(folder, wait=True, tick=interrupt)
    worker.work()
    assert set(Document.objects.values_list("latest_version__state", flat=True)) == {"ready"}


def test_ingest_reports_progress(bring: Bring, folder: Path, worker: Worker) -> None:
    told: list[tuple[str, int, int]] = []
    bring(folder, wait=True, tick=lambda *now: told.append(now))
    assert told[0] == ("Uploading", 0, 3)
    assert [now for now in told if now[0] == "Processing"] == [("Processing", n, 3) for n in range(4)]


def test_files_are_accepted_without_waiting(bring: Bring, folder: Path) -> None:
    assert str(bring(folder)) == "3 accepted"
    assert str(bring(folder)) == "3 accepted", "their bytes are there; whether they are any good is not known"
    assert Job.objects.count() == 3


def test_file_rejected_before_the_upload_is_counted(api: Api, base: KnowledgeBase) -> None:
    found = LocalFiles([], 4, [("x.zip", DocumentRejected(Rejection.ARCHIVE_UNSAFE, "No."))])
    summary = Summary()
    ingest(api, str(base.id), found, summary, quiet, wait_for=True, prune=True)
    assert (str(summary), codes(summary)) == ("1 failed, 4 hidden left out", {"x.zip": "archive_unsafe"})
    assert not Import.objects.exists()


def test_unreachable_server_stops_the_import(base: KnowledgeBase, folder: Path) -> None:
    with Api("http://127.0.0.1:9", "key") as nobody, pytest.raises(Unavailable):
        ingest(nobody, str(base.id), find_files([folder]), Summary(), quiet, wait_for=True, prune=False)


def test_key_without_the_ingest_scope_stops_the_import(
    live_server: LiveServer, base: KnowledgeBase, folder: Path
) -> None:
    reading = caller_for("reading", is_admin=True, scopes=["search"])
    with Api(live_server.url, reading.key) as api, pytest.raises(ApiProblem) as caught:
        ingest(api, str(base.id), find_files([folder]), Summary(), quiet, wait_for=True, prune=False)
    assert caught.value.status_code == 403
    assert present() == set()


def test_document_deleted_during_an_import_is_not_awaited(bring: Bring, folder: Path, worker: Worker) -> None:
    def delete(what: str, done: int, _total: int) -> None:
        if (what, done) == ("Processing", 0):
            Document.objects.get(source_key="docs/b.md").delete()

    summary = bring(folder, wait=True, tick=delete)
    assert (summary.ready, summary.failed) == (2, [])


def test_many_files_are_sent_by_a_few(api: Api, base: KnowledgeBase, tmp_path: Path, worker: Worker) -> None:
    write(tmp_path / "f", "x")
    many = LocalFiles([LocalFile(tmp_path / "f", f"f/{number}") for number in range(40)], roots=["f/"])
    summary = Summary()
    ingest(api, str(base.id), many, summary, quiet, wait_for=False, prune=False)
    assert (summary.waiting, len(present())) == (40, 40)


def test_knowledge_base_is_created_from_its_slug(api: Api, base: KnowledgeBase) -> None:
    assert knowledge_base_ensure(api, "handbook") == str(base.id)
    made = knowledge_base_ensure(api, "travel-policy")
    assert KnowledgeBase.objects.get(pk=made).name == "Travel policy"
    assert knowledge_base_ensure(api, "travel-policy") == made


@pytest.fixture
def command(live_server: LiveServer, admin: Caller) -> Iterator[Api]:
    """A client with a key of its own, as `manage.py` uses."""
    _, key = api_key_create(user=admin.user, label="command line", for_command=True)
    with Api(live_server.url, key) as found:
        yield found


@pytest.mark.parametrize("owner", ["mia", None])
def test_command_does_not_fill_an_unofficial_knowledge_base(
    command: Api, folder: Path, owner: str | None
) -> None:
    """Somebody took the name that a script uses.

    The error names the owner; after approval the script continues.
    """
    mia = caller_for("mia")
    base = make_base(name="Payroll 2027", principal=mia.principal)
    KnowledgeBase.objects.update(official=False, owner=mia.user if owner else None)
    found = knowledge_base_ensure(command, "payroll-2027")
    assert found == str(base.id)
    with pytest.raises(
        ApiProblem, match=f"owner is {owner or 'an account that is gone'}.*Mark it as official"
    ):
        ingest(command, found, find_files([folder]), Summary(), quiet, wait_for=False, prune=False)
    assert not Document.objects.exists()
    KnowledgeBase.objects.update(official=True)
    ingest(command, found, find_files([folder]), Summary(), quiet, wait_for=False, prune=False)
    assert Document.objects.count() == 3


def test_slug_of_a_deleted_knowledge_base_is_rejected(command: Api, base: KnowledgeBase) -> None:
    KnowledgeBase.objects.update(deleted_at=base.created_at)
    with pytest.raises(ApiProblem, match="or to one that was deleted"):
        knowledge_base_ensure(command, "handbook")
    assert KnowledgeBase.objects.count() == 1


def test_concurrent_commands_get_the_same_knowledge_base(command: Api) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: knowledge_base_ensure(command, "handbook"), range(4)))
    assert len(set(found)) == 1
    assert KnowledgeBase.objects.get().slug == "handbook"


@pytest.mark.parametrize("slug", ["Travel policy", "a--b", "", "x/y"])
def test_invalid_slug_is_rejected(api: Api, slug: str) -> None:
    with pytest.raises(InvalidInput, match="no slug"):
        knowledge_base_ensure(api, slug)
