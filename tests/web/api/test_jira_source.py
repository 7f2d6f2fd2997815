"""A Jira over HTTP: an admin connects it, and people find the issues that it shows them."""

from collections.abc import Iterator

import pytest

from cairn.access.models import Role
from cairn.access.services import grant_give
from cairn.accounts.models import User
from cairn.library.models import KnowledgeBase
from ingestion import broker
from ingestion.models import SourceItem
from tests.ingestion.sources.access_by_source import email_of
from tests.ingestion.sources.cloud.jira_server import ROBOT, TOKEN, JiraServer, fill
from tests.principals import SETUP
from tests.web.api.conftest import Caller, caller_for
from tests.web.api.source_syncs import find_readable, sync_source


@pytest.fixture
def jira(monkeypatch: pytest.MonkeyPatch) -> Iterator[JiraServer]:
    monkeypatch.setattr(broker, "send", lambda *_: None)
    with JiraServer("cloud") as server:
        fill(server)
        yield server


def test_people_open_the_issues_that_jira_shows_them(
    admin: Caller, base: KnowledgeBase, jira: JiraServer
) -> None:
    options = {"url": jira.url, "username": ROBOT, "token": TOKEN, "projects": "OPS, LAB"}
    bad = admin.post("/sources/check", {"kind": "jira", "options": {**options, "token": "wrong"}}).json()
    assert "refuses this user name" in bad["problem"]
    assert admin.post("/sources/check", {"kind": "jira", "options": options}).json()["problem"] is None
    body = {"knowledge_base": str(base.id), "kind": "jira", "name": "Jira", "options": options}
    made = admin.post("/sources", {**body, "match_email": True})
    assert made.status_code == 201, made.content
    assert TOKEN not in made.content.decode()
    grant_give(knowledge_base=base, subject="everyone", role=Role.READER, principal=SETUP)
    callers = {name: caller_for(f"of-{name}") for name in ("bo", "cy", "fay")}
    for name, caller in callers.items():
        User.objects.filter(pk=caller.user.pk).update(email=email_of(name))

    sync_source()
    for name, caller in callers.items():
        expected = {item for item in jira.list_shown(name) if item.rpartition(":")[2] < "300"}
        assert find_readable(caller) == expected, name
        assert (name == "fay") == (not expected)

    jira.projects["LAB"].simplified = True
    jira.groups["users"].remove("cy")
    sync_source()
    assert find_readable(callers["cy"]) == set()
    assert {item[:7] for item in find_readable(callers["bo"]) if "issue" in item} == {"issue:1"}
    document = SourceItem.objects.get(external_id="issue:200").document_id
    [level] = admin.get(f"/documents/{document}/people/{callers['bo'].user.id}").json()["narrowed"]
    assert "a team-managed project" in str(level)
