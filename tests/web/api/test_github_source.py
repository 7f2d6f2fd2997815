"""A GitHub over HTTP: an admin connects it, and people find the issues of repositories that they can see."""

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
from tests.ingestion.sources.cloud.api_server import FaultsAt
from tests.ingestion.sources.cloud.github_server import NOW, TOKEN, GitHubServer, fill
from tests.principals import SETUP
from tests.web.api.conftest import Caller, caller_for
from tests.web.api.source_syncs import find_readable, sync_source


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHubServer]:
    monkeypatch.setattr(broker, "send", lambda *_: None)
    monkeypatch.setattr(daily_listing, "current_time", lambda: NOW)
    with GitHubServer() as server:
        fill(server)
        yield server


def test_people_open_what_github_shows_them(admin: Caller, base: KnowledgeBase, github: GitHubServer) -> None:
    options = {"url": github.origin, "token": TOKEN, "repositories": "acme/private-1"}
    bad = admin.post("/sources/check", {"kind": "github", "options": {**options, "repositories": "a/b/c"}})
    assert bad.status_code == 422
    assert "such as acme/shop" in bad.content.decode()
    bad = admin.post("/sources/check", {"kind": "github", "options": {**options, "token": "wrong"}})
    assert "wrong, revoked or expired" in bad.json()["problem"]
    checked = admin.post("/sources/check", {"kind": "github", "options": options}).json()
    assert checked["problem"] is None
    body = {"knowledge_base": str(base.id), "kind": "github", "name": "GitHub", "options": options}
    made = admin.post("/sources", {**body, "match_email": True})
    assert made.status_code == 201, made.content
    assert TOKEN not in made.content.decode()
    grant_give(knowledge_base=base, subject="everyone", role=Role.READER, principal=SETUP)
    callers = {name: caller_for(f"of-{name}") for name in ("bo", "eve")}
    for name, caller in callers.items():
        User.objects.filter(pk=caller.user.pk).update(email=email_of(name))

    sync_source()
    assert find_readable(callers["eve"]) == {"issue:1:1", "issue:1:2", "issue:1:3", "pull:1:4"}
    assert find_readable(callers["bo"]) == set()
    document = SourceItem.objects.get(external_id="issue:1:1").document_id
    [level] = admin.get(f"/documents/{document}/people/{callers['bo'].user.id}").json()["narrowed"]
    assert "acme/private-1" in str(level)

    github.fault = FaultsAt("collaborators", 403)
    sync_source()
    assert all(find_readable(caller) == set() for caller in callers.values())
    [level] = admin.get(f"/documents/{document}/people/{callers['eve'].user.id}").json()["narrowed"]
    assert "must be allowed to write" in str(level)
