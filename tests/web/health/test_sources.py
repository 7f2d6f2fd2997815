"""The health page reports failing sources."""

import pytest
from django.test import Client

from cairn.accounts.models import User
from cairn.errors import TransientError
from cairn.library.models import KnowledgeBase
from cairn.messages import CodedMessage
from ingestion.models import Source, SourceSchedule
from ingestion.sources.lease import claim_schedule
from tests.web.health.test_report import SignIn, checked


@pytest.fixture
def client(signed_in: SignIn, admin: User) -> Client:
    return signed_in(admin)


@pytest.fixture
def schedule(base: KnowledgeBase) -> SourceSchedule:
    source = Source.objects.create(knowledge_base=base, kind="fake", name="Files")
    return SourceSchedule.objects.create(source=source, task="content", every_seconds=60)


def fail(schedule: SourceSchedule) -> None:
    SourceSchedule.objects.update(not_before=None, lease=None)
    lease = claim_schedule(schedule.pk)
    assert lease is not None
    lease.record_failure({}, TransientError(CodedMessage("source_stuck")))


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
