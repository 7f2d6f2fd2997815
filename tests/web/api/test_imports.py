"""Many files that come together, over HTTP."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cairn.access.models import Role
from cairn.access.services import readers_replace
from cairn.library.models import Document, DocumentVersion, KnowledgeBase, VersionState
from ingestion.imports.services import IDLE_TIMEOUT, import_open
from ingestion.models import Import, ImportItem, ImportKind, Job, Stage
from tests.bases import make_base
from tests.web.api.conftest import Caller, assert_problem, events, streamed
from web.api.framework import polling_stream

Open = Callable[..., str]


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling_stream, "LOOK_SECONDS", 0.01)


@pytest.fixture
def opened(mia: Caller, base: KnowledgeBase) -> Open:
    def open_import(**fields: Any) -> str:
        response = mia.post(f"/knowledge-bases/{base.id}/imports", {"label": "drive", **fields})
        assert response.status_code == 201, response.content
        return str(response.json()["id"])

    return open_import


@pytest.fixture
def add(mia: Caller, base: KnowledgeBase) -> Callable[..., Any]:
    def upload(batch: str, name: str, content: bytes = b"words", **form: Any) -> Any:
        return mia.upload(str(base.id), name, content, **{"import": batch, **form})

    return upload


def counts(caller: Caller, batch: str) -> dict[str, int]:
    """Return the counts above zero."""
    found = caller.get(f"/imports/{batch}").json()["counts"]
    return {name: count for name, count in found.items() if count}


def a_minute_ago() -> None:
    """Move the creation of all imports back by a minute."""
    Import.objects.update(created_at=timezone.now() - timedelta(minutes=1))


def finish(name: str, stage: Stage = Stage.READY, code: str = "", chunks: int = 3) -> None:
    versions = DocumentVersion.objects.filter(document__source_key=name)
    state = VersionState.READY if stage == Stage.READY else VersionState.FAILED
    versions.update(state=state, error_code=code, error_message="why", chunk_count=chunks)
    now = timezone.now()
    Job.objects.filter(version__in=versions).update(
        stage=stage, started_at=now - timedelta(seconds=2), updated_at=now
    )


def test_import_is_shown_with_a_summary(mia: Caller, opened: Open, add: Any) -> None:
    batch = opened(files=6)
    a_minute_ago()
    for number in range(5):
        shown = add(batch, f"{number}.txt", str(number).encode()).json()["job"]
        assert (shown["lane"], shown["import"]) == ("bulk", batch)
    assert mia.get(f"/imports/{batch}").json()["state"] == "receiving"
    add(batch, "5.txt", b"5")
    finish("0.txt")
    finish("1.txt", Stage.FAILED, "no_text")
    Job.objects.filter(version__document__source_key="2.txt").update(stage=Stage.EMBEDDING)
    now = mia.get(f"/imports/{batch}").json()
    assert now["state"] == "processing"
    assert counts(mia, batch) == {"files": 6, "ready": 1, "failed": 1, "processing": 1, "queued": 3}
    assert (now["chunks"], now["files"], now["label"], now["username"]) == (3, 6, "drive", "mia")
    assert now["rate"] == pytest.approx(1.0, abs=0.1)
    assert now["eta_s"] == pytest.approx(3.5, abs=0.3)  # four files, one of which has been read
    for number in range(2, 6):
        finish(f"{number}.txt")
    now = mia.get(f"/imports/{batch}").json()
    assert (now["state"], now["eta_s"]) == ("done", None)


def begin(name: str, *, chunks: int, done: int, total: int, seconds: float) -> None:
    """Set the state of a worker that has embedded `done` of `total` passages for that many seconds."""
    versions = DocumentVersion.objects.filter(document__source_key=name)
    versions.update(chunk_count=chunks)
    began = timezone.now() - timedelta(seconds=seconds)
    Job.objects.filter(version__in=versions).update(
        stage=Stage.EMBEDDING, done=done, total=total, started_at=began, stage_since=began
    )


def test_progress_and_remaining_time_count_passages(mia: Caller, opened: Open, add: Any) -> None:
    """Thirteen notes are ready in a moment; the report among them is most of the work."""
    batch = opened(files=14)
    a_minute_ago()
    for number in range(13):
        add(batch, f"{number}.txt", f"note {number:02}".encode())
    add(batch, "report.txt", b"report " * 1000)
    assert mia.get(f"/imports/{batch}").json()["progress"] == 0
    for number in range(13):
        finish(f"{number}.txt", chunks=1)
    queued = mia.get(f"/imports/{batch}").json()
    assert queued["progress"] < 0.05, "13 of 14 files, but hardly a passage"
    assert queued["eta_s"] > 60, "at the pace so far: a thousand times as much as a note"
    begin("report.txt", chunks=987, done=500, total=987, seconds=50)
    now = mia.get(f"/imports/{batch}").json()
    items = mia.get(f"/imports/{batch}/items?stage=embedding").json()["items"]
    assert 0.5 < now["progress"] < 0.65
    assert items[0]["eta_s"] == pytest.approx(48.7, abs=2)
    assert now["eta_s"] >= items[0]["eta_s"] - 1, "asked for a moment earlier, when less time had passed"
    assert now["eta_s"] == pytest.approx(50 * (1 - now["progress"]) / now["progress"], rel=0.4)
    finish("report.txt", chunks=987)
    assert mia.get(f"/imports/{batch}").json()["progress"] == 1


def test_uploading_is_not_counted_as_progress(mia: Caller, opened: Open, add: Any) -> None:
    batch = opened(files=4)
    a_minute_ago()
    for number in range(3):
        add(batch, f"{number}.txt", f"note {number}".encode())
    assert mia.get(f"/imports/{batch}").json()["progress"] == 0
    finish("0.txt")
    now = mia.get(f"/imports/{batch}").json()
    assert (now["state"], now["progress"]) == ("receiving", 0.25), "one of four, one of which is to come"


def test_late_retry_does_not_slow_an_import_estimate(mia: Caller, opened: Open, add: Any) -> None:
    batch = opened(files=3)
    for name in ("a.txt", "b.txt", "c.txt"):
        add(batch, name, name.encode())
        finish(name, Stage.FAILED if name == "c.txt" else Stage.READY)
    day = timedelta(days=1)
    Import.objects.update(created_at=timezone.now() - day - timedelta(minutes=1))
    Job.objects.update(
        started_at=timezone.now() - day, updated_at=timezone.now() - day + timedelta(seconds=2)
    )
    begin("c.txt", chunks=3, done=1, total=3, seconds=1)
    assert mia.get(f"/imports/{batch}").json()["eta_s"] < 10


def test_old_failures_do_not_slow_the_estimate_of_an_import(
    mia: Caller, base: KnowledgeBase, opened: Open, add: Any
) -> None:
    mia.upload(str(base.id), "old.txt", b"old")
    finish("old.txt", Stage.FAILED, "no_text")
    day = timedelta(days=1)
    Job.objects.update(started_at=timezone.now() - day, updated_at=timezone.now() - day)
    batch = opened(files=4)
    a_minute_ago()
    for name in ("old.txt", "a.txt", "b.txt", "c.txt"):
        add(batch, name, name.removesuffix(".txt").encode())
    finish("a.txt")
    finish("b.txt")
    now = mia.get(f"/imports/{batch}").json()
    assert counts(mia, batch) == {"files": 4, "ready": 2, "failed": 1, "queued": 1}
    assert now["rate"] == pytest.approx(1.0, abs=0.1)
    assert now["eta_s"] == pytest.approx(1.0, abs=0.5), "one short file"


def test_import_summary_is_one_database_query(
    mia: Caller, base: KnowledgeBase, opened: Open, add: Any
) -> None:
    first = opened()
    add(first, "a.txt")
    with CaptureQueriesContext(connection) as one:
        mia.get(f"/knowledge-bases/{base.id}/imports")
    for number in range(3):
        batch = opened()
        add(batch, f"{number}.txt", b"x")
        add(batch, f"{number}-more.txt", b"y")
    with CaptureQueriesContext(connection) as four:
        mia.get(f"/knowledge-bases/{base.id}/imports")
    assert len(four) == len(one)


def test_unchanged_and_rejected_files_are_import_items(
    mia: Caller, opened: Open, add: Any, settings: Any
) -> None:
    batch = opened()
    add(batch, "a.txt", b"a")
    finish("a.txt")
    again = opened()
    assert add(again, "a.txt", b"a").status_code == 200
    assert_problem(add(again, "b.txt", b"b", metadata='{"tags": "x"}'), 422, "invalid")
    assert_problem(add(again, "c.txt", b"c", headers={"If-Match": '"7"'}), 412, "precondition_failed")
    assert counts(mia, again) == {"files": 3, "unchanged": 1, "refused": 2}
    refused = mia.get(f"/imports/{again}/items?failed=true").json()["items"]
    assert [(item["source_uri"], item["error"]["code"]) for item in refused] == [
        ("b.txt", "invalid"), ("c.txt", "precondition_failed"),
    ]  # fmt: skip


def test_second_import_follows_jobs_of_equal_files(mia: Caller, opened: Open, add: Any) -> None:
    add(opened(), "a.txt", b"a")
    again = opened()
    add(again, "a.txt", b"a")
    add(again, "a.txt", b"a")
    assert counts(mia, again) == {"files": 1, "queued": 1}, "sent twice, it is one item"
    finish("a.txt", Stage.FAILED, "no_text")
    assert counts(mia, again) == {"files": 1, "failed": 1}


def test_closing_an_import_ends_receiving(mia: Caller, opened: Open, add: Any) -> None:
    batch = opened()
    add(batch, "a.txt")
    finish("a.txt")
    assert mia.get(f"/imports/{batch}").json()["state"] == "receiving"
    closed = mia.post(f"/imports/{batch}/close", {"unchanged": 40}).json()
    assert (closed["state"], closed["counts"]["unchanged"], closed["counts"]["files"]) == ("done", 40, 41)
    assert mia.post(f"/imports/{batch}/close", {"unchanged": 40}).json()["counts"]["unchanged"] == 40


def test_idle_import_is_closed(mia: Caller, opened: Open) -> None:
    batch = opened(files=9)
    Import.objects.update(created_at=timezone.now() - IDLE_TIMEOUT - timedelta(seconds=1))
    assert mia.get(f"/imports/{batch}").json()["state"] == "done"


def test_cancelled_import_cancels_open_jobs_and_accepts_no_more(
    mia: Caller, opened: Open, add: Any, base: KnowledgeBase
) -> None:
    batch = opened()
    for name in ("a.txt", "b.txt", "c.txt"):
        add(batch, name, name.encode())
    finish("a.txt")
    Job.objects.filter(version__document__source_key="b.txt").update(stage=Stage.PARSING)
    other = mia.upload(str(base.id), "other.txt", b"other").json()["job"]["id"]
    response = mia.post(f"/imports/{batch}/cancel")
    assert response.status_code == 202
    assert response.json()["state"] == "processing", "one is on its way to its end"
    assert counts(mia, batch) == {"files": 3, "ready": 1, "processing": 1, "cancelled": 1}
    assert Job.objects.get(version__document__source_key="b.txt").cancel_requested
    assert mia.get("/documents/" + str(Document.objects.get(source_key="c.txt").id)).json()["error"] == {
        "code": "cancelled", "message": "Processing was cancelled. Retry to process the file.",
    }  # fmt: skip
    assert mia.get(f"/jobs/{other}").json()["stage"] == "queued"
    finish("b.txt", Stage.CANCELLED, "cancelled")
    assert mia.get(f"/imports/{batch}").json()["state"] == "cancelled"
    assert_problem(mia.post(f"/imports/{batch}/cancel"), 409, "conflict")
    assert_problem(add(batch, "d.txt", b"d"), 409, "conflict")
    assert not Document.objects.filter(source_key="d.txt").exists()


def test_import_items_are_paged_and_filtered(mia: Caller, opened: Open, add: Any) -> None:
    batch = opened()
    for number in range(5):
        add(batch, f"{number}.txt", str(number).encode())
    finish("3.txt", Stage.FAILED, "no_text")

    def listed(query: str) -> Any:
        return mia.get(f"/imports/{batch}/items?{query}").json()

    page = listed("limit=3")
    rest = listed(f"limit=3&cursor={page['next_cursor']}")
    names = [item["source_uri"] for item in (*page["items"], *rest["items"])]
    assert names == [f"{number}.txt" for number in range(5)]
    assert rest["next_cursor"] is None
    (failed,) = listed("failed=true")["items"]
    assert failed["error"] == {"code": "no_text", "message": "why"}
    assert (failed["outcome"], failed["stage"]) == ("accepted", "failed")
    assert len(listed("stage=queued")["items"]) == 4
    assert listed("outcome=removed")["items"] == []
    assert_problem(mia.get(f"/imports/{batch}/items?outcome=x"), 422, "invalid")


def test_jobs_of_an_import_are_filtered_and_retried(mia: Caller, opened: Open, add: Any) -> None:
    batch = opened()
    for name in ("a.txt", "b.txt"):
        add(batch, name, name.encode())
        finish(name, Stage.FAILED, "embedding_failed")
    add(opened(), "c.txt", b"c")
    found = mia.get(f"/jobs?import={batch}").json()["items"]
    assert {job["source_uri"] for job in found} == {"a.txt", "b.txt"}
    assert mia.post("/jobs/retry", {"import": batch}).json() == {"retried": 2, "skipped": 0}
    assert counts(mia, batch) == {"files": 2, "queued": 2}


def test_removals_are_items(mia: Caller, opened: Open, add: Any) -> None:
    batch = opened()
    document = add(batch, "a.txt").json()["document"]["id"]
    assert mia.delete(f"/documents/{document}?import={opened()}").status_code == 202
    last = Import.objects.order_by("created_at").last()
    assert last is not None
    assert counts(mia, str(last.id)) == {"files": 1, "removed": 1}
    (item,) = mia.get(f"/imports/{last.id}/items").json()["items"]
    assert (item["source_uri"], item["outcome"]) == ("a.txt", "removed")


def test_import_events_end_with_the_import(mia: Caller, opened: Open, add: Any) -> None:
    batch = opened(files=1)
    add(batch, "a.txt")
    finish("a.txt")
    response = mia.get(f"/imports/{batch}/events")
    assert response["Content-Type"] == "text/event-stream"
    assert events(streamed(response)) == [("progress", mia.get(f"/imports/{batch}").json())]


def test_import_is_visible_to_editors_and_its_creator(
    mia: Caller, rob: Caller, base: KnowledgeBase, opened: Open, add: Any, grant: Any
) -> None:
    batch = opened()
    add(batch, "a.txt")

    def statuses() -> list[int]:
        return [
            rob.get(f"/imports/{batch}").status_code,
            rob.get(f"/imports/{batch}/items").status_code,
            rob.get(f"/imports/{batch}/events").status_code,
            rob.post(f"/imports/{batch}/close", {}).status_code,
            rob.post(f"/imports/{batch}/cancel").status_code,
            rob.post(f"/knowledge-bases/{base.id}/imports", {"label": "x"}).status_code,
        ]

    assert statuses() == [404] * 6
    grant(rob, Role.READER)
    assert statuses() == [404] * 5 + [403]
    assert rob.get(f"/knowledge-bases/{base.id}/imports").json()["items"] == []
    grant(rob, Role.EDITOR)
    assert statuses() == [200, 200, 200, 200, 202, 201]


def test_import_items_hide_names_of_unreadable_documents(
    mia: Caller, rob: Caller, opened: Open, add: Any, grant: Any
) -> None:
    batch = opened()
    add(batch, "open.txt", b"1")
    add(batch, "secret.txt", b"2")
    add(batch, "refused.txt", b"3", metadata='{"tags": 3}')
    secret = Document.objects.get(source_key="secret.txt")
    readers_replace(document=secret, readers=[], actor=None)
    grant(rob, Role.EDITOR)
    assert [item["source_uri"] for item in rob.get(f"/imports/{batch}/items").json()["items"]] == ["open.txt"]
    assert len(mia.get(f"/imports/{batch}/items").json()["items"]) == 3


def test_upload_to_a_foreign_import_is_rejected(
    mia: Caller, rob: Caller, base: KnowledgeBase, opened: Open, add: Any
) -> None:
    theirs = make_base(name="Theirs", principal=rob.principal)
    foreign = rob.post(f"/knowledge-bases/{theirs.id}/imports", {"label": "x"}).json()["id"]
    mine = make_base(name="Mine", principal=mia.principal)
    elsewhere = mia.post(f"/knowledge-bases/{mine.id}/imports", {"label": "x"}).json()["id"]
    for batch in (foreign, elsewhere, "nonsense"):
        assert_problem(add(batch, "a.txt"), 404, "not_found")
    document = add(opened(), "a.txt").json()["document"]["id"]
    for batch in (foreign, elsewhere, "nonsense"):
        assert_problem(mia.delete(f"/documents/{document}?import={batch}"), 404, "not_found")
    assert ImportItem.objects.count() == 1


def test_upload_into_the_import_of_a_hidden_archive_is_not_found(
    mia: Caller, rob: Caller, base: KnowledgeBase, opened: Open, add: Any, grant: Any
) -> None:
    add(opened(), "salaries.zip")
    archive = Document.objects.get(source_key="salaries.zip")
    batch = import_open(
        knowledge_base=base,
        label="salaries.zip",
        user=mia.principal.user,
        kind=ImportKind.ARCHIVE,
        container=archive.latest_version,
    )
    grant(rob, Role.EDITOR)
    form = {"import": str(batch.id)}
    assert rob.upload(str(base.id), "a.txt", b"a", **form).status_code == 202
    readers_replace(document=archive, readers=[], actor=None)
    assert_problem(rob.upload(str(base.id), "b.txt", b"b", **form), 404, "not_found")
    assert mia.upload(str(base.id), "c.txt", b"c", **form).status_code == 202


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"label": " "},
        {"label": "x" * 256},
        {"label": "x", "files": -1},
        {"label": "x", "kind": "watch"},
        {"label": "x", "user": "1"},
    ],
)
def test_invalid_import_is_rejected(mia: Caller, base: KnowledgeBase, body: dict[str, Any]) -> None:
    assert_problem(mia.post(f"/knowledge-bases/{base.id}/imports", body), 422, "invalid")


def test_import_state_is_equal_for_editors_without_access_to_a_file(
    mia: Caller, rob: Caller, opened: Open, add: Any, grant: Callable[[Caller, Role], None]
) -> None:
    grant(rob, Role.EDITOR)
    batch = opened(files=2)
    add(batch, "open.txt", b"open")
    secret = add(batch, "secret.txt", b"secret").json()["document"]["id"]
    readers_replace(document=Document.objects.get(pk=secret), readers=[], actor=None)
    finish("open.txt")
    for state in ("processing", "done"):
        for caller in (mia, rob):
            assert caller.get(f"/imports/{batch}").json()["state"] == state
        finish("secret.txt")
    assert counts(rob, batch) == {"files": 1, "ready": 1}
