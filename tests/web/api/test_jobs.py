from typing import Any

import pytest

from cairn.access.models import Grant, Role
from cairn.library.models import Document, KnowledgeBase, VersionState
from ingestion.models import Job, Stage
from tests.web.api.conftest import Caller, assert_problem, events, streamed
from web.api import jobs


@pytest.fixture
def job(document: Document) -> Job:
    return Job.objects.get(version__document=document)


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "LOOK_SECONDS", 0.01)


def end(job: Job, stage: Stage) -> None:
    Job.objects.filter(pk=job.pk).update(stage=stage)


def test_a_job_is_shown_to_who_may_read_the_document(mia: Caller, rob: Caller, job: Job) -> None:
    shown = mia.get(f"/jobs/{job.id}").json()
    assert shown.keys() == {
        "id", "document", "stage", "done", "total", "attempts", "queue_position", "eta_s", "error",
        "created_at", "updated_at",
    }  # fmt: skip
    assert mia.get("/jobs").json() == {"items": [shown], "next_cursor": None}
    assert rob.get("/jobs").json()["items"] == []


def test_jobs_come_newest_first_and_filtered(mia: Caller, base: KnowledgeBase, job: Job) -> None:
    newer = mia.upload(str(base.id), "b.txt", b"b").json()["job"]["id"]
    end(job, Stage.READY)

    def listed(query: str) -> list[str]:
        return [item["id"] for item in mia.get(f"/jobs?{query}").json()["items"]]

    assert listed("") == [newer, str(job.id)]
    assert listed("stage=ready") == [str(job.id)]
    assert listed(f"document={job.version.document_id}") == [str(job.id)]
    assert listed(f"knowledge_base={base.id}") == [newer, str(job.id)]
    assert listed("knowledge_base=nonsense") == []
    assert_problem(mia.get("/jobs?stage=done"), 422, "invalid")


def test_a_queued_job_is_cancelled_and_tried_again(mia: Caller, job: Job) -> None:
    cancelled = mia.post(f"/jobs/{job.id}/cancel")
    assert (cancelled.status_code, cancelled.json()["stage"]) == (202, "cancelled")
    assert cancelled.json()["error"]["code"] == "cancelled"
    assert_problem(mia.post(f"/jobs/{job.id}/cancel"), 409, "conflict")
    again = mia.post(f"/jobs/{job.id}/retry")
    assert (again.status_code, again.json()["stage"]) == (202, "queued")
    assert again.json()["error"] is None
    assert_problem(mia.post(f"/jobs/{job.id}/retry"), 409, "conflict")


def test_a_reader_may_watch_but_not_touch(rob: Caller, job: Job, grant: Any) -> None:
    grant(rob, Role.READER)
    assert rob.get(f"/jobs/{job.id}").status_code == 200
    assert_problem(rob.post(f"/jobs/{job.id}/cancel"), 403, "forbidden")
    assert_problem(rob.post(f"/jobs/{job.id}/retry"), 403, "forbidden")


def test_a_failed_job_tells_why(mia: Caller, job: Job) -> None:
    version = job.version
    version.state, version.error_code, version.error_message = VersionState.FAILED, "no_text", "Nothing."
    version.save()
    end(job, Stage.FAILED)
    assert mia.get(f"/jobs/{job.id}").json()["error"] == {"code": "no_text", "message": "Nothing."}


def test_events_of_an_ended_job_are_one_event(mia: Caller, job: Job) -> None:
    end(job, Stage.READY)
    response = mia.get(f"/jobs/{job.id}/events")
    assert response["Content-Type"] == "text/event-stream"
    assert response["Cache-Control"].startswith("no-cache")
    assert response["Content-Encoding"] == "identity"
    assert events(streamed(response)) == [("progress", mia.get(f"/jobs/{job.id}").json())]


class Steps:
    """Changes the world at each look, as a worker or an admin would meanwhile."""

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


def test_events_follow_a_job_to_its_end(mia: Caller, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    watched(monkeypatch, lambda: end(job, Stage.EMBEDDING), lambda: end(job, Stage.READY))
    found = events(streamed(mia.get(f"/jobs/{job.id}/events")))
    assert [name for name, _ in found] == ["progress"] * 3
    assert [data["stage"] for _, data in found] == ["queued", "embedding", "ready"]


def test_events_end_when_the_grant_is_taken_away(
    mia: Caller, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched(monkeypatch, lambda: Grant.objects.all().delete())
    found = events(streamed(mia.get(f"/jobs/{job.id}/events")))
    assert [name for name, _ in found] == ["progress", "error"]
    assert found[1][1]["status"] == 404


def test_events_end_when_the_key_is_revoked(mia: Caller, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    watched(monkeypatch, lambda: mia.user.api_keys.all().delete())
    found = events(streamed(mia.get(f"/jobs/{job.id}/events")))
    assert [(name, data.get("status")) for name, data in found] == [("progress", None), ("error", 401)]


def test_a_ping_comes_while_nothing_happens(mia: Caller, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "PING_SECONDS", 0.02)
    steps = [lambda: None] * 4
    watched(monkeypatch, *steps, lambda: end(job, Stage.READY))
    assert b": ping\n\n" in streamed(mia.get(f"/jobs/{job.id}/events"))
