from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cairn.access.models import Grant, Role
from cairn.library.models import Document, DocumentVersion, KnowledgeBase, VersionState
from cairn.settings import environment
from ingestion.models import Job, Lane, Stage
from tests.ingestion.queueing import queued
from tests.web.api.conftest import Caller, assert_problem, events, streamed
from web.api.framework import polling_stream
from web.api.library import jobs

COMMITTED = pytest.mark.django_db(transaction=True)
"""Streams give back their place in a thread of its own, which would wait for a test that never commits."""


@pytest.fixture
def job(document: Document) -> Job:
    return Job.objects.get(version__document=document)


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling_stream, "LOOK_SECONDS", 0.01)


def end(job: Job, stage: Stage) -> None:
    Job.objects.filter(pk=job.pk).update(stage=stage)


def test_job_is_visible_to_readers_of_its_document(mia: Caller, rob: Caller, job: Job) -> None:
    shown = mia.get(f"/jobs/{job.id}").json()
    assert shown.keys() == {
        "id", "document", "title", "source_uri", "knowledge_base", "version", "lane", "import", "stage",
        "stage_since", "done", "total", "rate", "attempts", "max_attempts", "retry_at", "last_error",
        "queue_position", "eta_s", "error", "created_at", "updated_at",
    }  # fmt: skip
    assert mia.get("/jobs").json() == {"items": [shown], "next_cursor": None}
    assert rob.get("/jobs").json()["items"] == []


def test_jobs_are_listed_newest_first_and_filtered(mia: Caller, base: KnowledgeBase, job: Job) -> None:
    newer = mia.upload(str(base.id), "b.txt", b"b").json()["job"]["id"]
    end(job, Stage.READY)

    def listed(query: str) -> list[str]:
        return [item["id"] for item in mia.get(f"/jobs?{query}").json()["items"]]

    assert listed("") == [newer, str(job.id)]
    assert listed("stage=ready") == [str(job.id)]
    assert listed(f"document={job.version.document_id}") == [str(job.id)]
    assert listed(f"knowledge_base={base.id}") == [newer, str(job.id)]
    assert listed("knowledge_base=nonsense") == []
    assert listed("open=true") == listed("lane=interactive&open=true") == [newer]
    assert listed("open=false") == [str(job.id)]
    assert listed("lane=bulk") == listed("import=nonsense") == []
    assert_problem(mia.get("/jobs?stage=done"), 422, "invalid")
    assert_problem(mia.get("/jobs?code=bad_luck"), 422, "invalid")


def fail(job: Job, code: str = "embedding_failed") -> None:
    end(job, Stage.FAILED)
    DocumentVersion.objects.filter(job=job).update(
        state=VersionState.FAILED, error_code=code, error_message="It failed."
    )


@pytest.fixture
def failed(mia: Caller, base: KnowledgeBase) -> list[Job]:
    """Three failed for one reason, one for another."""
    ids = [mia.upload(str(base.id), f"{n}.txt", str(n).encode()).json()["job"]["id"] for n in range(4)]
    jobs_of_mia = [Job.objects.get(pk=identity) for identity in ids]
    for each in jobs_of_mia:
        fail(each)
    fail(jobs_of_mia[3], "no_text")
    return jobs_of_mia


def again(caller: Caller, **body: Any) -> tuple[int, int]:
    response = caller.post("/jobs/retry", body)
    assert response.status_code == 202, response.content
    return response.json()["retried"], response.json()["skipped"]


def test_failed_jobs_are_listed_with_their_error(mia: Caller, failed: list[Job]) -> None:
    Job.objects.filter(pk=failed[0].pk).update(attempts=4, last_error="Unavailable while embedding")
    items = mia.get("/jobs?stage=failed&code=embedding_failed").json()["items"]
    assert [item["id"] for item in items] == [str(job.id) for job in reversed(failed[:3])]
    assert items[-1]["error"] == {"code": "embedding_failed", "message": "It failed."}
    assert (items[-1]["attempts"], items[-1]["last_error"]) == (4, "Unavailable while embedding")


def test_exhausted_filter_lists_jobs_without_attempts_left(mia: Caller, failed: list[Job]) -> None:
    most = environment().job_max_attempts
    Job.objects.filter(pk=failed[1].pk).update(attempts=most, last_error="Unavailable while embedding")
    Job.objects.filter(pk=failed[2].pk).update(attempts=most - 1)
    (letter,) = mia.get("/jobs?exhausted=true").json()["items"]
    assert letter["id"] == str(failed[1].id)
    assert (letter["attempts"], letter["max_attempts"]) == (most, most)
    assert (letter["error"]["code"], letter["last_error"]) == (
        "embedding_failed", "Unavailable while embedding",
    )  # fmt: skip
    assert len(mia.get("/jobs?stage=failed").json()["items"]) == 4
    assert again(mia, jobs=[letter["id"]]) == (1, 0)
    assert mia.get("/jobs?exhausted=true").json()["items"] == []
    assert mia.get(f"/jobs/{letter['id']}").json()["attempts"] == 0


@pytest.mark.slow
@COMMITTED
def test_listing_costs_the_same_while_an_import_of_thousands_waits(
    mia: Caller, base: KnowledgeBase, job: Job
) -> None:
    """And a small upload is next, whatever waits in bulk."""
    paths = ("/jobs?open=true&limit=200", f"/jobs/{job.id}", "/jobs/events")
    queued(base, mia.user, count=2)
    few = [queries_of(mia, path) for path in paths]
    queued(base, mia.user, count=3000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as PostgreSQL does by itself within a minute
    many = [queries_of(mia, path) for path in paths]
    assert all(now <= before for now, before in zip(many, few, strict=True)), (many, few)
    assert mia.get(f"/jobs/{job.id}").json()["queue_position"] == 1
    shown = mia.get("/jobs?open=true&limit=200").json()["items"]
    assert len(shown) == 200
    assert max(item["queue_position"] for item in shown) == 3003
    small = mia.upload(str(base.id), "small.txt", b"small").json()["job"]
    assert (small["lane"], small["queue_position"]) == ("interactive", 2)
    plan = Job.objects.filter(lane=Lane.BULK).queued().in_order()[:1].explain()
    assert "job_queue" in plan


def queries_of(caller: Caller, path: str) -> int:
    with CaptureQueriesContext(connection) as found:
        response = caller.get(path)
        if path.endswith("events"):
            streamed(response, until=b"\n\n")
    return len(found)


def test_failed_jobs_are_retried_by_error_code(mia: Caller, failed: list[Job]) -> None:
    assert again(mia, code="embedding_failed") == (3, 0)
    assert again(mia, code="embedding_failed") == (0, 0)
    rows = Job.objects.filter(pk__in=[job.pk for job in failed]).order_by("created_at")
    assert [row.stage for row in rows] == ["queued"] * 3 + ["failed"]
    assert {row.lane for row in rows[:3]} == {"bulk"}
    assert len({row.turn for row in rows[:3]}) == 3
    assert mia.get(f"/jobs/{failed[0].id}").json()["error"] is None


def test_jobs_are_retried_by_id_and_invalid_ones_skipped(
    mia: Caller, base: KnowledgeBase, failed: list[Job]
) -> None:
    newer = mia.upload(str(base.id), "1.txt", b"newer").json()["job"]["id"]
    mia.post(f"/jobs/{newer}/cancel")
    ids = [str(failed[0].id), str(failed[1].id), newer, "nonsense"]
    assert again(mia, jobs=ids) == (2, 2), "the overtaken one and the one that is not there are skipped"


def test_retry_is_narrowed_by_knowledge_base_or_import(
    mia: Caller, base: KnowledgeBase, failed: list[Job]
) -> None:
    assert again(mia, knowledge_base="nonsense") == (0, 0)
    assert again(mia, **{"import": str(base.id)}) == (0, 0)
    assert again(mia, knowledge_base=str(base.id), code="no_text") == (1, 0)


def test_retry_skips_jobs_without_edit_access(rob: Caller, failed: list[Job], grant: Any) -> None:
    assert again(rob, jobs=[str(failed[0].id)]) == (0, 1)
    assert again(rob, code="embedding_failed") == (0, 0)
    grant(rob, Role.READER)
    assert again(rob, jobs=[str(failed[0].id)]) == (0, 1)
    grant(rob, Role.EDITOR)
    assert again(rob, jobs=[str(failed[0].id)]) == (1, 0)


def test_retry_needs_a_filter_and_no_unknown_field(mia: Caller) -> None:
    assert_problem(mia.post("/jobs/retry", {}), 422, "invalid")
    assert_problem(mia.post("/jobs/retry", {"everything": True}), 422, "invalid")
    assert_problem(mia.post("/jobs/retry", {"jobs": []}), 422, "invalid")


@COMMITTED
def test_queue_events_contain_the_whole_queue(mia: Caller, job: Job, failed: list[Job]) -> None:
    Job.objects.filter(pk=failed[0].pk).update(stage=Stage.PARSING)
    ((name, now),) = events(streamed(mia.get("/jobs/events"), until=b"\n\n"))
    assert name == "queue"
    assert (now["queued"], now["running"], now["failed"]) == (1, 1, 3)
    assert [shown["id"] for shown in now["jobs"]] == [str(failed[0].id), str(job.id)]
    assert [shown["queue_position"] for shown in now["jobs"]] == [None, 1]


@COMMITTED
def test_queue_events_hide_unreadable_jobs(rob: Caller, job: Job, failed: list[Job]) -> None:
    ((_, now),) = events(streamed(rob.get("/jobs/events"), until=b"\n\n"))
    assert now == {"queued": 0, "running": 0, "failed": 0, "jobs": []}


def test_queued_job_is_cancelled_and_retried(mia: Caller, job: Job) -> None:
    cancelled = mia.post(f"/jobs/{job.id}/cancel")
    assert (cancelled.status_code, cancelled.json()["stage"]) == (202, "cancelled")
    assert cancelled.json()["error"]["code"] == "cancelled"
    assert_problem(mia.post(f"/jobs/{job.id}/cancel"), 409, "conflict")
    again = mia.post(f"/jobs/{job.id}/retry")
    assert (again.status_code, again.json()["stage"]) == (202, "queued")
    assert again.json()["error"] is None
    assert_problem(mia.post(f"/jobs/{job.id}/retry"), 409, "conflict")


def test_reader_sees_jobs_but_cannot_change_them(rob: Caller, job: Job, grant: Any) -> None:
    grant(rob, Role.READER)
    assert rob.get(f"/jobs/{job.id}").status_code == 200
    assert_problem(rob.post(f"/jobs/{job.id}/cancel"), 403, "forbidden")
    assert_problem(rob.post(f"/jobs/{job.id}/retry"), 403, "forbidden")


def test_failed_job_shows_its_error(mia: Caller, job: Job) -> None:
    version = job.version
    version.state, version.error_code, version.error_message = VersionState.FAILED, "no_text", "Nothing."
    version.save()
    end(job, Stage.FAILED)
    assert mia.get(f"/jobs/{job.id}").json()["error"] == {"code": "no_text", "message": "Nothing."}


def test_finished_job_has_one_event(mia: Caller, job: Job) -> None:
    end(job, Stage.READY)
    response = mia.get(f"/jobs/{job.id}/events")
    assert response["Content-Type"] == "text/event-stream"
    assert response["Cache-Control"].startswith("no-cache")
    assert response["Content-Encoding"] == "identity"
    assert events(streamed(response)) == [("progress", mia.get(f"/jobs/{job.id}").json())]


class Steps:
    """Changes data at each check, as a worker or an admin might."""

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)

    def __call__(self, row: Job) -> None:
        if self.steps:
            self.steps.pop(0)()


def watched(monkeypatch: pytest.MonkeyPatch, *steps: Any) -> None:
    look, step = jobs.job_for, Steps(*steps)

    def job_for(principal: Any, value: object) -> Job:
        row = look(principal, value)
        step(row)
        return row

    monkeypatch.setattr(jobs, "job_for", job_for)


def test_job_events_end_with_the_job(mia: Caller, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    watched(monkeypatch, lambda: end(job, Stage.EMBEDDING), lambda: end(job, Stage.READY))
    found = events(streamed(mia.get(f"/jobs/{job.id}/events")))
    assert [name for name, _ in found] == ["progress"] * 3
    assert [data["stage"] for _, data in found] == ["queued", "embedding", "ready"]


def test_job_events_end_with_the_grant(mia: Caller, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    watched(monkeypatch, lambda: Grant.objects.all().delete())
    found = events(streamed(mia.get(f"/jobs/{job.id}/events")))
    assert [name for name, _ in found] == ["progress", "error"]
    assert found[1][1]["status"] == 404


def test_job_events_end_with_the_key(mia: Caller, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    watched(monkeypatch, lambda: mia.user.api_keys.all().delete())
    found = events(streamed(mia.get(f"/jobs/{job.id}/events")))
    assert [(name, data.get("status")) for name, data in found] == [("progress", None), ("error", 401)]


def test_idle_event_stream_sends_pings(mia: Caller, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling_stream, "PING_SECONDS", 0.02)
    steps = [lambda: None] * 4
    watched(monkeypatch, *steps, lambda: end(job, Stage.READY))
    assert b": ping\n\n" in streamed(mia.get(f"/jobs/{job.id}/events"))
