"""A GitLab over HTTP: an admin connects it, and people find the issues and pages that it shows them."""

from collections.abc import Iterator

import pytest

from cairn.access.models import Role
from cairn.access.services import grant_give
from cairn.accounts.models import User
from cairn.library.models import KnowledgeBase
from ingestion import broker
from ingestion.models import SourceItem
from ingestion.sources import daily_listing
from tests.ingestion.sources.access_by_source import email_of
from tests.ingestion.sources.cloud.gitlab_server import NOW, TOKEN, GitLabServer, fill
from tests.principals import SETUP
from tests.web.api.conftest import Caller, caller_for
from tests.web.api.source_syncs import find_readable, sync_source


@pytest.fixture
def gitlab(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitLabServer]:
    monkeypatch.setattr(broker, "send", lambda *_: None)
    monkeypatch.setattr(daily_listing, "current_time", lambda: NOW)
    with GitLabServer() as server:
        fill(server)
        del server.projects[1].issues[4], server.projects[1].pages["home"]
        yield server


def test_people_open_what_gitlab_shows_them(admin: Caller, base: KnowledgeBase, gitlab: GitLabServer) -> None:
    projects = "acme/private-enabled"
    options = {"url": gitlab.origin, "token": TOKEN, "projects": projects}
    bad = admin.post("/sources/check", {"kind": "gitlab", "options": {**options, "projects": "12"}})
    assert bad.status_code == 422
    assert "such as group/project" in bad.content.decode()
    bad = admin.post("/sources/check", {"kind": "gitlab", "options": {**options, "token": "wrong"}})
    assert "wrong, revoked or expired" in bad.json()["problem"]
    gitlab.token["expires_at"] = "2026-11-30"
    checked = admin.post("/sources/check", {"kind": "gitlab", "options": options}).json()
    assert checked["problem"] is None
    assert "expires on 2026-11-30" in checked["steps"][1]["warning"]
    body = {"knowledge_base": str(base.id), "kind": "gitlab", "name": "GitLab", "options": options}
    made = admin.post("/sources", {**body, "match_email": True})
    assert made.status_code == 201, made.content
    assert TOKEN not in made.content.decode()
    grant_give(knowledge_base=base, subject="everyone", role=Role.READER, principal=SETUP)
    callers = {name: caller_for(f"of-{name}") for name in ("bo", "cy", "di")}
    for name, caller in callers.items():
        User.objects.filter(pk=caller.user.pk).update(email=email_of(name))

    sync_source()
    for name, caller in callers.items():
        expected = {item for item in gitlab.list_shown(name) if item.split(":")[1] == "1"}
        assert find_readable(caller) == expected, name
        assert (name == "di") == (not expected)
    document = SourceItem.objects.get(external_id="issue:1:3").document_id
    [level] = admin.get(f"/documents/{document}/people/{callers['cy'].user.id}").json()["narrowed"]
    assert "acme/private-enabled (Planner, Reporter" in str(level), "cy is a member, but only a guest"

    gitlab.projects[1].members.pop("cy")
    gitlab.projects[1].more = {"external_authorization_classification_label": "secret"}
    sync_source()
    assert all(find_readable(caller) == set() for caller in callers.values())
    document = SourceItem.objects.get(external_id="issue:1:1").document_id
    [level] = admin.get(f"/documents/{document}/people/{callers['bo'].user.id}").json()["narrowed"]
    assert "An external service decides" in str(level)
