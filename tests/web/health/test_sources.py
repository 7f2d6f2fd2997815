"""The health page reports failing sources."""

import pytest
from django.db.models.functions import Now
from django.test import Client

from cairn.accounts.models import User
from cairn.errors import CairnError, TransientError
from cairn.library.models import KnowledgeBase
from cairn.messages import CodedMessage
from ingestion.models import Source, SourceSchedule
from ingestion.sources.lease import SourceLease, claim_schedule
from ingestion.sources.protocol import SourceRefused
from tests.sources_kind import PASSWORD, add_shelf
from tests.web.health.test_report import SignIn, checked


@pytest.fixture
def client(signed_in: SignIn, admin: User) -> Client:
    return signed_in(admin)


@pytest.fixture
def schedule(base: KnowledgeBase) -> SourceSchedule:
    source = Source.objects.create(knowledge_base=base, kind="fake", name="Files")
    return SourceSchedule.objects.create(source=source, task="content", every_seconds=60)


STUCK = TransientError(CodedMessage("source_stuck"))
REFUSED = SourceRefused(CodedMessage("source_sign_in_refused", server="shelf.example.org"))


def claim(schedule: SourceSchedule) -> SourceLease:
    SourceSchedule.objects.update(not_before=None, lease=None, requested_at=Now())
    lease = claim_schedule(schedule.pk)
    assert lease is not None
    return lease


def fail(schedule: SourceSchedule, error: CairnError = STUCK) -> None:
    claim(schedule).record_failure({}, error)


@pytest.mark.django_db
def test_repeatedly_failing_sources_are_named(client: Client, schedule: SourceSchedule) -> None:
    assert checked(client)["sources"]["message"] == "1 source is being synced."
    fail(schedule)
    assert checked(client)["sources"]["state"] == "ok"
    fail(schedule)
    found = checked(client)["sources"]
    assert found["state"] == "warning"
    assert "1 source can’t be synced. Files: The source stopped responding" in found["message"]
    Source.objects.update(enabled=False)
    assert checked(client)["sources"]["message"] == "No sources are set up."


@pytest.mark.django_db
def test_source_that_refuses_the_password_is_named_at_once(client: Client, schedule: SourceSchedule) -> None:
    access = SourceSchedule.objects.create(source=schedule.source, task="access", every_seconds=60)
    fail(access, REFUSED)
    claim(schedule).record_success({}, "")
    found = checked(client)["sources"]
    assert found["state"] == "warning"
    assert "Files: shelf.example.org refuses this user name or password." in found["message"]
    assert "its password" in found["remedy"]
    claim(access).record_success({}, "")
    assert checked(client)["sources"]["state"] == "ok"


@pytest.mark.django_db
def test_source_whose_test_failed_is_named_until_it_is_read(
    client: Client, base: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_shelf(monkeypatch)
    options = {"url": "https://shelf.example.org", "password": "revoked"}
    body = {"kind": "shelf", "name": "Shelf", "knowledge_base": str(base.pk), "options": options}
    source = client.post("/api/v1/sources", body, content_type="application/json").json()["id"]
    [schedule, *_] = SourceSchedule.objects.order_by("pk")
    claim(schedule).record_success({}, "")
    test = f"/api/v1/sources/{source}/check"
    client.post(test)
    found = checked(client)["sources"]
    assert found["state"] == "warning"
    assert "Shelf: The password is wrong." in found["message"]
    claim(schedule).record_success({}, "")
    assert checked(client)["sources"]["state"] == "ok"
    client.post(test)
    typed = {"options-url": options["url"], "options-password": PASSWORD, "source": source}
    client.post("/admin/sources/new/shelf/test", typed)
    assert checked(client)["sources"]["state"] == "warning"  # another password works, and isn't saved yet
    changed = {"options": {**options, "password": PASSWORD}}
    client.patch(f"/api/v1/sources/{source}", changed, content_type="application/json")
    assert checked(client)["sources"]["state"] == "ok"
