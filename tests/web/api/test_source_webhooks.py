"""Webhooks of sources: GitHub and GitLab report changes, and Cairn syncs the source that they are for."""

import hashlib
import hmac
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from cairn.audit.models import Event
from cairn.http.webhook_limits import WEBHOOK_BYTES
from cairn.library.models import KnowledgeBase
from ingestion import broker
from ingestion.models import Source, SourceItem, SourceSchedule, SourceTask
from ingestion.sources.lease import claim_schedule, due_schedules
from tests.web.api.conftest import Caller, assert_problem

BODY = b'{"action": "opened", "issue": {"title": "Fire Ann"}, "repository": {"full_name": "evil/repo"}}'
OPTIONS = {"token": "github_pat_1", "repositories": "acme/shop"}


@pytest.fixture(autouse=True)
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "send", lambda *_: None)


def add(admin: Caller, base: KnowledgeBase, kind: str = "github", **more: Any) -> Source:
    body = {"knowledge_base": str(base.id), "kind": kind, "name": kind, "options": OPTIONS, **more}
    made = admin.post("/sources", body)
    assert made.status_code == 201, made.content
    row = Source.objects.get(pk=made.json()["id"])
    rest(row)
    return row


def rest(source: Source, ago: timedelta = timedelta(minutes=10)) -> None:
    """Let all tasks have run a while ago, so that none is due."""
    at = timezone.now() - ago
    SourceSchedule.objects.filter(source=source).update(
        started_at=at, finished_at=timezone.now(), succeeded_at=at, requested_at=None, failures=0
    )


def create_webhook(admin: Caller, source: Source) -> dict[str, str]:
    made = admin.post(f"/sources/{source.id}/webhook")
    assert made.status_code == 201, made.content
    found: dict[str, str] = made.json()
    return found


def sign(secret: str, body: bytes = BODY) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={digest}", "X-GitHub-Event": "issues"}


def deliver(url: str, headers: dict[str, str], body: bytes = BODY) -> Any:
    path = url.removeprefix("http://testserver")
    return Client(enforce_csrf_checks=True).post(
        path, data=body, content_type="application/json", headers=headers
    )


def requested() -> set[str]:
    return set(SourceSchedule.objects.exclude(requested_at=None).values_list("task", flat=True))


@pytest.fixture
def source(admin: Caller, base: KnowledgeBase) -> Source:
    return add(admin, base)


def test_signed_webhook_of_github_requests_a_sync(admin: Caller, source: Source) -> None:
    webhook = create_webhook(admin, source)
    assert webhook["url"] == f"http://testserver/hooks/sources/{source.id}"
    assert due_schedules() == []
    answer = deliver(webhook["url"], sign(webhook["secret"]))
    assert (answer.status_code, answer.content) == (202, b"Accepted\n")
    assert requested() == {SourceTask.CONTENT}
    assert [each.task for each in due_schedules()] == [SourceTask.CONTENT]
    event = Event.objects.filter(action="source.requested").latest("id")
    assert (event.actor, event.detail) == (None, {"task": "content", "by": "webhook"})


def test_payload_of_a_webhook_is_not_taken_as_data(admin: Caller, source: Source) -> None:
    webhook = create_webhook(admin, source)
    for body in (BODY, b"", b"\0{", b"payload=%7B%7D"):
        assert deliver(webhook["url"], sign(webhook["secret"], body), body).status_code == 202
    assert not SourceItem.objects.exists()
    source.refresh_from_db()
    assert source.options["repositories"] == "acme/shop"
    assert "evil" not in str(list(Event.objects.values()))


def test_token_of_gitlab_requests_a_sync(admin: Caller, base: KnowledgeBase) -> None:
    source = add(admin, base, "gitlab", options={"token": "glpat-1", "url": "https://gitlab.example.org"})
    webhook = create_webhook(admin, source)
    signed_as_github = sign(webhook["secret"])
    wrong = webhook["secret"][:-1] + "é"
    for headers in ({}, {"X-Gitlab-Token": ""}, {"X-Gitlab-Token": wrong}, signed_as_github):
        assert deliver(webhook["url"], headers).status_code == 404
    assert requested() == set()
    headers = {"X-Gitlab-Token": webhook["secret"], "X-Gitlab-Event": "Issue Hook"}
    assert deliver(webhook["url"], headers).status_code == 202
    assert requested() == {SourceTask.CONTENT}


def test_webhook_about_members_also_requests_people_and_access(admin: Caller, source: Source) -> None:
    webhook = create_webhook(admin, source)
    headers = {**sign(webhook["secret"]), "X-GitHub-Event": "member"}
    assert deliver(webhook["url"], headers).status_code == 202
    assert requested() == {"content", "people", "access"}


def test_refused_webhooks_look_the_same(admin: Caller, base: KnowledgeBase, source: Source) -> None:
    webhook = create_webhook(admin, source)
    other = add(admin, base, name="other")
    others_secret = create_webhook(admin, other)["secret"]
    without = add(admin, base, name="without")
    paused = add(admin, base, name="paused")
    secret_of_paused = create_webhook(admin, paused)["secret"]
    assert admin.patch(f"/sources/{paused.id}", {"enabled": False}).status_code == 200
    deleted = add(admin, base, name="deleted")
    secret_of_deleted = create_webhook(admin, deleted)["secret"]
    assert admin.delete(f"/sources/{deleted.id}").status_code == 204
    for row in (source, other, without, paused):
        rest(row)
    good = sign(webhook["secret"])
    refused = [
        deliver(webhook["url"], {}),
        deliver(webhook["url"], sign("wrong")),
        deliver(webhook["url"], {"X-Hub-Signature-256": good["X-Hub-Signature-256"].upper()}),
        deliver(webhook["url"], good, BODY + b" "),
        deliver(webhook["url"], sign(others_secret)),
        deliver(f"/hooks/sources/{without.id}", sign("")),
        deliver(f"/hooks/sources/{paused.id}", sign(secret_of_paused)),
        deliver(f"/hooks/sources/{deleted.id}", sign(secret_of_deleted)),
        deliver(f"/hooks/sources/{uuid.uuid4()}", good),
        deliver("/hooks/sources/nothing", good),
    ]
    answers = {(each.status_code, each.content, str(sorted(each.headers.items()))) for each in refused}
    assert len(answers) == 1, answers
    assert refused[0].status_code == 404
    assert requested() == set()
    assert deliver(webhook["url"], good).status_code == 202


def test_secret_is_returned_once_and_stored_encrypted(admin: Caller, source: Source) -> None:
    assert admin.get(f"/sources/{source.id}").json()["webhook"] is None
    webhook = create_webhook(admin, source)
    deliver(webhook["url"], sign(webhook["secret"]))
    shown = admin.get(f"/sources/{source.id}")
    assert shown.json()["webhook"]["received_at"] is not None
    secret = webhook["secret"]
    assert len(secret) >= 43
    assert secret not in shown.content.decode()
    assert secret not in str(list(Source.objects.values())) + str(list(Event.objects.values()))


def test_new_secret_replaces_the_old_one_and_removal_refuses_all(admin: Caller, source: Source) -> None:
    old = create_webhook(admin, source)
    new = create_webhook(admin, source)
    assert old["url"] == new["url"]
    assert deliver(old["url"], sign(old["secret"])).status_code == 404
    assert deliver(new["url"], sign(new["secret"])).status_code == 202
    for _ in range(2):
        assert admin.delete(f"/sources/{source.id}/webhook").status_code == 204
    assert deliver(new["url"], sign(new["secret"])).status_code == 404
    assert admin.get(f"/sources/{source.id}").json()["webhook"] is None
    actions = list(Event.objects.filter(action__startswith="source.webhook").values_list("action", flat=True))
    assert sorted(actions) == ["source.webhook_created"] * 2 + ["source.webhook_removed"]


def test_repeated_webhooks_request_one_sync(admin: Caller, source: Source) -> None:
    webhook = create_webhook(admin, source)
    for _ in range(5):
        assert deliver(webhook["url"], sign(webhook["secret"])).status_code == 202
    assert Event.objects.filter(action="source.requested").count() == 1


def test_webhook_during_a_sync_requests_another_one_a_while_later(admin: Caller, source: Source) -> None:
    webhook = create_webhook(admin, source)
    deliver(webhook["url"], sign(webhook["secret"]))
    lease = claim_schedule(SourceSchedule.objects.get(source=source, task="content").pk)
    assert lease is not None
    assert requested() == set()
    deliver(webhook["url"], sign(webhook["secret"]))
    lease.record_success({}, "")
    assert requested() == {"content"}
    assert due_schedules() == []
    row = SourceSchedule.objects.get(source=source, task="content")
    assert row.started_at is not None
    assert row.requested_at is not None
    assert timedelta(seconds=58) < row.requested_at - row.started_at < timedelta(seconds=62)
    moved = timezone.now() - timedelta(seconds=1)
    SourceSchedule.objects.filter(pk=row.pk).update(requested_at=moved)
    assert [each.task for each in due_schedules()] == ["content"]


def test_webhook_does_not_retry_a_failed_sync_early(admin: Caller, source: Source) -> None:
    webhook = create_webhook(admin, source)
    later = timezone.now() + timedelta(minutes=30)
    SourceSchedule.objects.filter(source=source).update(failures=2, not_before=later)
    assert deliver(webhook["url"], sign(webhook["secret"])).status_code == 202
    assert requested() == set()
    assert due_schedules() == []


def test_large_webhook_is_refused(admin: Caller, source: Source) -> None:
    webhook = create_webhook(admin, source)
    body = b"x" * (WEBHOOK_BYTES + 1)
    assert deliver(webhook["url"], sign(webhook["secret"], body), body).status_code == 413
    assert deliver(f"/hooks/sources/{uuid.uuid4()}", {}, body).status_code == 413
    assert requested() == set()
    assert deliver(webhook["url"], sign(webhook["secret"], body[1:]), body[1:]).status_code == 202


def test_address_with_many_invalid_webhooks_has_to_wait(admin: Caller, source: Source) -> None:
    webhook = create_webhook(admin, source)
    for _ in range(60):
        assert deliver(webhook["url"], sign("wrong")).status_code == 404
    for url in (webhook["url"], f"/hooks/sources/{uuid.uuid4()}"):
        assert deliver(url, sign("wrong")).status_code == 429
    assert deliver(webhook["url"], sign(webhook["secret"])).status_code == 429
    assert requested() == set()


def test_valid_webhooks_are_not_limited(admin: Caller, source: Source) -> None:
    webhook = create_webhook(admin, source)
    for _ in range(65):
        assert deliver(webhook["url"], sign(webhook["secret"])).status_code == 202


def test_kind_without_webhooks_refuses_one(admin: Caller, base: KnowledgeBase) -> None:
    options = {"url": "https://cloud.example.org/dav/", "username": "cairn", "password": "x"}
    source = add(admin, base, "webdav", options=options, readers="managers")
    assert_problem(admin.post(f"/sources/{source.id}/webhook"), 422, "invalid")
    kinds = {each["name"]: each["has_webhook"] for each in admin.get("/sources/kinds").json()}
    assert (kinds["github"], kinds["gitlab"], kinds["webdav"]) == (True, True, False)
