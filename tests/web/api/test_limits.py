"""Limits as those meet them who ask, search and upload, and as admins set them."""

import time
from typing import Any

import pytest
from django.test import Client

from cairn.audit.models import Event
from cairn.library.models import Document, KnowledgeBase
from cairn.limits.models import Limit, Slot, Usage
from ingestion.jobs.services import job_cancel
from ingestion.models import Job
from retrieval.engine import Engine
from retrieval.models import Message
from tests.web.api.conftest import Caller, assert_problem, events, indexed, streamed
from tests.web.api.test_ask import QUESTION

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("one_moment")]


@pytest.fixture
def leave(document: Document, parts: Engine) -> Document:
    indexed(document, parts, "Employees get 25 days of leave a year.")
    return document


@pytest.fixture
def limit(admin: Caller) -> Any:
    def put(subject: str, **limits: int | None) -> None:
        response = admin.put("/limits", {"subject": subject, "limits": limits})
        assert response.status_code == 200, response.content

    return put


def asked(caller: Caller, **body: Any) -> Any:
    return caller.post("/ask", {"question": QUESTION, **body})


def test_question_limit_returns_retry_after(mia: Caller, leave: Document, limit: Any) -> None:
    limit(f"user:{mia.user.id}", questions_per_day=1)
    assert asked(mia).status_code == 200
    for body in ({}, {"stream": True}):
        response = asked(mia, **body)
        problem = assert_problem(response, 429, "quota_exceeded")
        assert 0 < int(response["Retry-After"]) <= 86401
        assert "1 questions per day" in problem["detail"]
    assert Message.objects.count() == 1
    limit(f"user:{mia.user.id}", questions_per_minute=1)
    response = asked(mia)
    assert_problem(response, 429, "rate_limited")
    assert 0 < int(response["Retry-After"]) <= 60


def test_answer_tokens_count_towards_the_limit(mia: Caller, leave: Document, limit: Any) -> None:
    limit("everyone", tokens_per_day=1)
    streamed(asked(mia, stream=True))
    usage = Message.objects.get().usage
    used = usage["prompt_tokens"] + usage["completion_tokens"]
    assert used > 0
    assert mia.get("/me/usage").json()["used"]["tokens"] == used
    assert_problem(asked(mia), 429, "quota_exceeded")


def test_searches_are_limited_only_if_configured(mia: Caller, leave: Document, limit: Any) -> None:
    for _ in range(3):
        assert mia.post("/search", {"query": "leave"}).status_code == 200
    assert not Usage.objects.exists()
    limit("everyone", searches_per_minute=2)
    for _ in range(2):
        assert mia.post("/search", {"query": "leave"}).status_code == 200
    assert_problem(mia.post("/search", {"query": "leave"}), 429, "rate_limited")


def test_uploads_are_limited_by_number_and_size(mia: Caller, base: KnowledgeBase, limit: Any) -> None:
    limit("everyone", uploads_per_minute=2, upload_mb_per_day=1)
    assert mia.upload(str(base.id), "a.md", b"one").status_code == 202
    assert_problem(mia.upload(str(base.id), "b.md", b"x" * (1 << 20)), 429, "quota_exceeded")
    assert mia.upload(str(base.id), "c.md", b"three").status_code == 202
    assert_problem(mia.upload(str(base.id), "d.md", b"four"), 429, "rate_limited")
    assert sorted(Document.objects.values_list("title", flat=True)) == ["a.md", "c.md"]


def test_unauthorised_upload_is_not_counted(rob: Caller, base: KnowledgeBase) -> None:
    assert rob.upload(str(base.id), "a.md", b"one").status_code == 404
    assert not Usage.objects.exists()


def test_stream_occupies_its_slot_until_its_end(mia: Caller, leave: Document, limit: Any) -> None:
    limit("everyone", streams_at_once=1)
    response = asked(mia, stream=True)
    assert response.status_code == 200
    assert Slot.objects.count() == 1
    assert_problem(asked(mia, stream=True), 429, "rate_limited")
    assert_problem(asked(mia), 429, "rate_limited")
    assert events(streamed(response))[-1][0] == "done"
    assert not Slot.objects.exists()
    assert asked(mia).status_code == 200
    assert not Slot.objects.exists()


def test_client_disconnect_releases_the_slot(mia: Caller, leave: Document, limit: Any) -> None:
    limit("everyone", streams_at_once=1)
    response = asked(mia, stream=True)
    streamed(response, until=b"\n\n")
    response.close()
    deadline = time.monotonic() + 5
    while Slot.objects.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Slot.objects.exists()


def test_followed_event_streams_are_limited(mia: Caller, document: Document, limit: Any) -> None:
    limit("everyone", followed_at_once=1)
    first = mia.get("/jobs/events")
    assert_problem(mia.get("/jobs/events"), 429, "rate_limited")
    streamed(first, until=b"\n\n")  # and away
    assert not Slot.objects.exists()
    job = Job.objects.get(version__document=document)
    job_cancel(job=job, principal=mia.principal)
    assert b"cancelled" in streamed(mia.get(f"/jobs/{job.id}/events"))
    assert not Slot.objects.exists()


def test_rejected_question_occupies_no_slot(mia: Caller, leave: Document, limit: Any) -> None:
    limit("everyone", streams_at_once=1)
    assert_problem(asked(mia, conversation="not-mine"), 404, "not_found")
    assert not Slot.objects.exists()


def test_limits_are_set_shown_and_removed(admin: Caller, mia: Caller) -> None:
    subject = f"user:{mia.user.id}"
    sent = {"questions_per_day": 7, "tokens_per_day": None}
    assert admin.put("/limits", {"subject": subject, "limits": sent}).json() == {
        "subject": subject,
        "limits": sent,
    }
    shown = admin.get("/limits").json()
    assert shown["items"] == [{"subject": subject, "limits": sent}]
    assert shown["defaults"]["questions_per_minute"] == 300
    assert shown["defaults"]["tokens_per_day"] is None
    assert mia.get("/me/usage").json()["limits"]["questions_per_day"] == 7
    event = Event.objects.filter(action="limits.changed").first()
    assert event is not None
    assert (event.actor, event.subject) == (admin.user.id, f"limits:{subject}")
    assert admin.put("/limits", {"subject": subject, "limits": {}}).json()["limits"] == {}
    assert not Limit.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {"subject": "everyone", "limits": {"questions_per_day": -1}},
        {"subject": "everyone", "limits": {"questions_per_day": 10**10}},
        {"subject": "everyone", "limits": {"questions_per_day": "7"}},
        {"subject": "everyone", "limits": {"answers": 7}},
        {"subject": "everyone"},
        {"subject": "user:7", "limits": {}},
        {"subject": "key:7", "limits": {}},
        {"subject": "key:00000000-0000-0000-0000-000000000001", "limits": {}},
        {"subject": "group:00000000-0000-0000-0000-000000000001", "limits": {}},
        {"subject": "", "limits": {}},
    ],
)
def test_nonsense_is_refused(admin: Caller, body: dict[str, Any]) -> None:
    assert admin.put("/limits", body).status_code == 422
    assert not Limit.objects.exists()


def test_only_admins_see_and_set_limits(mia: Caller) -> None:
    assert_problem(mia.get("/limits"), 403, "forbidden")
    assert_problem(mia.put("/limits", {"subject": "everyone", "limits": {}}), 403, "forbidden")
    assert Client().get("/api/v1/me/usage").status_code == 401


def test_group_limits_end_with_the_membership(
    admin: Caller, mia: Caller, leave: Document, limit: Any
) -> None:
    group = admin.post("/groups", {"name": "Guests", "members": [str(mia.user.id)]}).json()
    limit(f"group:{group['id']}", questions_per_day=0)
    assert_problem(asked(mia), 429, "quota_exceeded")
    admin.patch(f"/groups/{group['id']}", {"members": []})
    assert asked(mia).status_code == 200
