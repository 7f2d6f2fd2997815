"""Slack over HTTP: an admin connects a workspace, and people find the messages that it shows them."""

from collections.abc import Iterator

import pytest

from cairn.access.models import Role
from cairn.access.services import grant_give
from cairn.accounts.models import User
from cairn.library.models import KnowledgeBase
from ingestion import broker
from tests.ingestion.sources.access_by_source import email_of
from tests.ingestion.sources.cloud.slack_server import TOKEN, SlackServer, fill, time_of
from tests.principals import SETUP
from tests.web.api.conftest import Caller, caller_for
from tests.web.api.source_syncs import find_readable, sync_source


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackServer]:
    monkeypatch.setattr(broker, "send", lambda *_: None)
    with SlackServer() as server:
        fill(server)
        for channel in server.channels.values():
            channel.messages = {time: each for time, each in channel.messages.items() if time < time_of(3)}
        yield server


def test_people_open_the_messages_that_slack_shows_them(
    admin: Caller, base: KnowledgeBase, slack: SlackServer
) -> None:
    options = {"url": slack.origin, "token": TOKEN}
    bad = admin.post("/sources/check", {"kind": "slack", "options": {**options, "token": "xoxp-1"}})
    assert bad.status_code == 422
    assert "Enter the token of a bot" in bad.content.decode()
    slack.error = "token_revoked"
    bad = admin.post("/sources/check", {"kind": "slack", "options": options})
    assert "no longer accepts the token" in bad.json()["problem"]
    slack.error = ""
    assert admin.post("/sources/check", {"kind": "slack", "options": options}).json()["problem"] is None
    body = {"knowledge_base": str(base.id), "kind": "slack", "name": "Slack", "options": options}
    made = admin.post("/sources", {**body, "match_email": True})
    assert made.status_code == 201, made.content
    assert TOKEN not in made.content.decode()
    grant_give(knowledge_base=base, subject="everyone", role=Role.READER, principal=SETUP)
    callers = {name: caller_for(f"of-{name}") for name in ("bo", "di", "eve", "fay")}
    for name, caller in callers.items():
        User.objects.filter(pk=caller.user.pk).update(email=email_of(name))

    sync_source()
    for name, caller in callers.items():
        assert find_readable(caller) == slack.list_shown(name), name
        assert (name == "fay") == (not slack.list_shown(name))

    slack.channels["C1"].has_app = False
    slack.users["di"] = "deactivated"
    sync_source()
    assert find_readable(callers["di"]) == set()
    assert {item.split(":")[1] for item in find_readable(callers["bo"])} == {"C0"}
