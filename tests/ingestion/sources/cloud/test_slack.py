"""Slack: what the model of a workspace shows its people equals what Cairn takes from it."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError
from werkzeug.wrappers import Response

from cairn.library.models import DocumentVersion
from ingestion.sources import daily_listing
from ingestion.sources.kinds.slack.options import SlackOptions
from ingestion.sources.kinds.slack.source import SlackSource, connect
from ingestion.sources.protocol import (
    Complete,
    Gone,
    Item,
    ItemUnavailable,
    SourceGroup,
    SourcePerson,
    SourceRefused,
    SourceUnavailable,
    Unlisted,
    first_problem,
)
from tests.ingestion.sources.access_by_source import (
    FollowingBase,
    find_shown,
    list_items,
    read_item,
    require_broken_listing,
)
from tests.ingestion.sources.cloud.api_server import FaultsAt
from tests.ingestion.sources.cloud.slack_server import (
    ADDRESS,
    PEOPLE,
    TOKEN,
    Message,
    SlackServer,
    change,
    fill,
    options,
    time_of,
)


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackServer]:
    set_now(monkeypatch, datetime(2026, 11, 20, 12, tzinfo=UTC))
    with SlackServer() as server:
        fill(server)
        yield server


def set_now(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    monkeypatch.setattr(daily_listing, "current_time", lambda: now)


def list_versions(source: SlackSource) -> dict[str, str]:
    return {item.id: item.version for item in list_items(source)}


def list_later(source: SlackSource, cursor: str) -> tuple[dict[str, str], set[str], Complete]:
    """Return the versions of what changed, what is gone, and the end of a listing."""
    *changes, last = source.list_changes(cursor)
    assert isinstance(last, Complete)
    versions = {each.id: each.version for each in changes if isinstance(each, Item)}
    return versions, {each.id for each in changes if isinstance(each, Gone)}, last


def test_people_see_what_slack_shows_them_also_after_changes(slack: SlackServer) -> None:
    dice, seen = random.Random(5), set[frozenset[str]]()
    for _round in range(8):
        with connect(options(slack)) as source:
            shown = find_shown(source)
        for person in PEOPLE:
            expected = slack.list_shown(person)
            assert shown.get(f"user:U-{person}", set()) == expected, person
            seen.add(frozenset(expected))
        for _change in range(6):
            change(slack, dice)
    assert len(seen) > 7


@pytest.mark.django_db(transaction=True)
def test_documents_follow_slack(slack: SlackServer, following: FollowingBase) -> None:
    """Compare after the syncs of content, people and access. Who joins or leaves processes nothing again."""
    given = options(slack).model_dump() | {"token": TOKEN}
    for channel in slack.channels.values():
        channel.messages = {time: each for time, each in channel.messages.items() if time > time_of(19)}

    def compare() -> None:
        following.sync("slack", given)
        following.require_synced(PEOPLE, slack.list_shown)
        assert following.list_synced("") == set()

    compare()
    before = set(DocumentVersion.objects.values_list("pk", flat=True))
    slack.channels["C1"].members = {"ada", "di"}
    slack.channels["C0"].kind = "private"
    slack.users["cy"] = "guest"
    slack.users["bo"] = "deactivated"
    compare()
    assert set(DocumentVersion.objects.values_list("pk", flat=True)) == before
    following.require_canary({person: slack.list_shown(person) for person in PEOPLE})


def test_guests_do_not_see_public_channels_without_being_members(slack: SlackServer) -> None:
    with connect(options(slack)) as source:
        shown = find_shown(source)
        people = {each.id: each for each in source.list_people()}
    assert any(":C0:" in item for item in shown["user:U-di"])
    assert not any(":C0:" in item for item in shown["user:U-eve"])
    assert set(shown) == {f"user:U-{name}" for name in PEOPLE if name != "fay"}
    team = people["team:T1"]
    assert isinstance(team, SourceGroup)
    assert set(team.members) == {"user:U-ada", "user:U-bo", "user:U-cy"}
    members = people["channel:C2"]
    assert isinstance(members, SourceGroup)
    assert set(members.members) == {"user:U-ada", "user:U-cy"}


def test_missing_facts_open_nothing(slack: SlackServer) -> None:
    """A channel that Slack doesn't call public is for members, and a user that it doesn't describe nobody."""
    channel = '{"ok": true, "channels": [{"id": "C0", "name": "public-talk"}]}'
    users = '{"ok": true, "members": [{"id": "U-ada", "team_id": "T1"}]}'
    slack.fault = lambda request: (
        Response(channel)
        if request.path.endswith("users.conversations")
        else Response(users)
        if request.path.endswith("users.list")
        else None
    )
    with connect(options(slack)) as source:
        accesses = dict(source.list_access(list_items(source)))
        assert not any(access.allows(["team:T1"]) for access in accesses.values())
        assert all(access.allows(["channel:C0"]) for access in accesses.values())
        assert not [each for each in source.list_people() if isinstance(each, SourcePerson)]


def test_content_of_threads_and_days(slack: SlackServer) -> None:
    messages = slack.channels["C0"].messages
    messages[time_of(2, 0)].text = (
        "Ask <@U-bo> in <#C0> or <#C1|private-talk>, <!here>: "
        "<https://x.example/?a=1&amp;b=2|the &lt;plan&gt;> "
        "<javascript:alert(1)|x>\n```if a &lt; b:\n  go()```\n<script>alert(2)</script> :tada:"
    )
    messages[time_of(2, 1)].more = {
        "subtype": "bot_message",
        "bot_id": "B1",
        "user": None,
        "username": "deploy",
        "files": [{"name": "log.txt", "title": None}],
        "attachments": [
            {"title": "Build 7", "text": "failed"},
            {"text": "Preview", "from_url": "https://acme.slack.com/archives/C1/p1", "is_msg_unfurl": True},
        ],
    }
    blocks = [
        {"type": "section", "block_id": "b", "text": {"type": "mrkdwn", "text": "Ask <@U-cy>"}},
        {"type": "rich_text", "elements": [{"elements": [{"type": "text", "text": "Only in a block"}]}]},
    ]
    messages[time_of(2, 3)] = Message("", more={"bot_id": "B1", "blocks": blocks})
    messages[time_of(4)] = Message("", more={"blocks": [{"type": "divider"}]})
    messages[time_of(2, 50)] = Message(
        "Also here", "cy", thread=time_of(2, 2), more={"subtype": "thread_broadcast"}
    )
    with connect(options(slack, channels="#public-talk")) as source:
        items = {item.id: item for item in list_items(source)}
        day = read_item(source, items["day:C0:2026-11-02"]).decode()
        thread_id = f"thread:C0:{time_of(2, 2)}"
        thread = read_item(source, items[thread_id]).decode()
    assert {item.container for item in items.values()} == {"public-talk"}
    assert set(items) == slack.list_items("C0") - {"day:C0:2026-11-04"}
    link = f"{ADDRESS}archives/C0/p{time_of(2, 2).replace('.', '')}"
    assert (items[thread_id].uri, items[thread_id].title) == (link, "#public-talk: Message 2 of 2")
    assert items["day:C0:2026-11-02"].title == "#public-talk, 2026-11-02"
    for text in (
        "<b>Ada</b>, 2026-11-02 10:00 UTC",
        "Ask @Bo in #public-talk or #channel, @here: <a ",
        '<a href="https://x.example/?a=1&amp;b=2">the &lt;plan&gt;</a>',
        "<pre>if a &lt; b:\n  go()</pre>",
        ":tada:",
        "<b>deploy</b>",
        "Build 7<br>failed",
        "File: log.txt",
        "Ask @Cy<br>Only in a block",
    ):
        assert text in day
    for absent in ("javascript", "<script", "Preview", "Message 2", "Also here"):
        assert absent not in day
    assert thread.index("Message 2 of 2") < thread.index("Yes") < thread.index("Also here")
    assert "joined" not in "".join((day, thread))


def test_hostile_text_hides_no_other_messages(slack: SlackServer) -> None:
    hostile = "\\ud800 \\u0000 \\u202e" + "<" * 500 + "```" * 999 + "<@|>" + "<#>" * 50 + "a" * 40_000
    time = time_of(19, 5)
    page = f'{{"ok": true, "messages": [{{"ts": "{time}", "user": null, "text": "{hostile}"}},'
    page += f'{{"ts": "{time_of(19, 4)}", "user": "U-ada", "text": "Harmless"}}], "has_more": false}}'
    slack.fault = lambda request: Response(page) if request.path.endswith("history") else None
    with connect(options(slack, channels="C0")) as source:
        [item] = list_items(source)
        text = read_item(source, item).decode()
    assert "Harmless" in text
    assert "a" * 40_000 in text


def test_a_message_changes_only_its_document(slack: SlackServer) -> None:
    messages = slack.channels["C0"].messages
    messages[time_of(2, 29)] = Message("Not the last reply", thread=time_of(2, 2))
    with connect(options(slack)) as source:
        before = list_versions(source)
        messages[time_of(2, 0)].text = "Edited"
        del messages[time_of(2, 29)]
        messages[time_of(3, 31)] = Message("No", "cy", thread=time_of(3, 2))
        messages[time_of(19, 30)].more = {"edited": {"ts": time_of(20)}}
        messages[time_of(19, 30)].text = "Edited reply"
        messages[time_of(20)] = Message("New")
        messages[time_of(18, 31)] = Message("Starts a thread", thread=time_of(18, 1))
        after = list_versions(source)
    changed = {item for item in before.keys() | after.keys() if before.get(item) != after.get(item)}
    assert changed == {
        "day:C0:2026-11-02",
        f"thread:C0:{time_of(2, 2)}",
        f"thread:C0:{time_of(3, 2)}",
        f"thread:C0:{time_of(19, 2)}",
        "day:C0:2026-11-20",
        f"thread:C0:{time_of(18, 1)}",
        "day:C0:2026-11-18",
    }


def test_later_syncs_read_the_last_days_again(slack: SlackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    messages, now = slack.channels["C0"].messages, datetime(2026, 11, 20, 12, tzinfo=UTC)
    with connect(options(slack, channels="C0")) as source:
        before, _gone, first = list_later(source, "")
        assert first.full
        set_now(monkeypatch, now + timedelta(hours=1))
        messages[time_of(18, 0)].text = "Edited"
        for number in (0, 1):
            del messages[time_of(19, number)]
        messages[time_of(2, 0)].text = "Edited long ago"
        del messages[time_of(3, 30)]
        changed, gone, second = list_later(source, first.cursor)
        assert not second.full
        recent = {f"thread:C0:{time_of(day, 2)}" for day in (18, 19)}
        assert set(changed) == recent | {"day:C0:2026-11-18"}
        assert changed["day:C0:2026-11-18"] != before["day:C0:2026-11-18"]
        assert gone == {"day:C0:2026-11-17", "day:C0:2026-11-19", "day:C0:2026-11-20"}
        set_now(monkeypatch, now + timedelta(hours=25))
        all_again, gone, third = list_later(source, second.cursor)
    assert third.full
    assert not gone
    assert set(all_again) == slack.list_items("C0")
    assert all_again["day:C0:2026-11-02"] != before["day:C0:2026-11-02"]


def test_deleted_messages_are_no_longer_read(slack: SlackServer) -> None:
    messages = slack.channels["C0"].messages
    with connect(options(slack, channels="C0")) as source:
        items = {item.id: item for item in list_items(source)}
        for number in (0, 1):
            del messages[time_of(2, number)]
        messages[time_of(3, 2)].more = {"subtype": "tombstone"}
        del messages[time_of(18, 2)]
        for gone in ("day:C0:2026-11-02", f"thread:C0:{time_of(18, 2)}"):
            with pytest.raises(ItemUnavailable):
                read_item(source, items[gone])
        text = read_item(source, items[f"thread:C0:{time_of(3, 2)}"])
    assert b"Yes" in text
    assert b"Message 2" not in text


def test_only_messages_since_a_day_are_taken(slack: SlackServer) -> None:
    with connect(options(slack, since="2026-11-18")) as source:
        found = {item.id for item in list_items(source)}
    expected = {item for each in ("C0", "C1", "C2") for item in slack.list_items(each)}
    early = {time_of(day, 2) for day in (2, 3)} | {"2026-11-02", "2026-11-03"}
    assert found == {item for item in expected if item.split(":")[2] not in early}


def test_documents_of_an_invisible_channel_are_preserved(slack: SlackServer) -> None:
    refusal = Response('{"ok": false, "error": "not_in_channel"}')
    found = FaultsAt("history?limit=200&channel=C1", 200)
    slack.fault = lambda request: refusal if found(request) else None
    with connect(options(slack, channels="public-talk, C1, closed-talk")) as source:
        changes = list(source.list_changes(""))
        assert {each.container for each in changes if isinstance(each, Unlisted)} == {
            "private-talk",
            "closed-talk",
        }
        _changed, gone, _last = list_later(source, changes[-1].cursor)  # type: ignore[union-attr]
    assert gone
    assert not any(":C1:" in item for item in gone)


def test_access_of_a_channel_that_the_app_left_is_not_known(slack: SlackServer) -> None:
    with connect(options(slack)) as source:
        items = list_items(source)
        slack.channels["C1"].has_app = False
        found = dict(source.list_access(items))
    assert {item.id for item in items} - set(found) == slack.list_items("C1")


@pytest.mark.parametrize("status", [500, 503, 403])
def test_a_listing_that_breaks_off_deletes_nothing(slack: SlackServer, status: int) -> None:
    slack.fault = FaultsAt("conversations.history", status, after=3, wait="600")
    with connect(options(slack)) as source:
        require_broken_listing(source)


@pytest.mark.parametrize(
    "answer", ['{"ok": true, "messages": [], "has_more": true}', '{"ok": true}', "[]", "{"]
)
def test_an_incomplete_answer_is_not_the_end_of_a_list(slack: SlackServer, answer: str) -> None:
    slack.fault = lambda request: (
        Response(answer) if "history" in request.path and "cursor" in request.args else None
    )
    with connect(options(slack)) as source:
        require_broken_listing(source)


def test_messages_in_another_order_are_an_error(slack: SlackServer) -> None:
    """Otherwise, a day that continues later would be taken for the whole day."""
    rows = ", ".join(f'{{"ts": "{time_of(day)}", "text": "x"}}' for day in (18, 19))
    page = f'{{"ok": true, "messages": [{rows}]}}'
    slack.fault = lambda request: Response(page) if request.path.endswith("history") else None
    with connect(options(slack)) as source:
        require_broken_listing(source)


def test_interrupted_list_of_members_replaces_nobody(slack: SlackServer) -> None:
    failed = Response('{"ok": false, "error": "fetch_members_failed"}')
    found = FaultsAt("conversations.members", 200, after=1)
    slack.fault = lambda request: failed if found(request) else None
    with connect(options(slack)) as source, pytest.raises(SourceRefused):
        list(source.list_people())


def test_short_waits_are_waited_for(slack: SlackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    slack.fault = busy = FaultsAt("conversations.", 429, after=2, times=3, wait="0")
    with connect(options(slack, channels="C0")) as source:
        assert {item.id for item in list_items(source)} == slack.list_items("C0")
        assert busy.given == 3
        slack.fault = FaultsAt("conversations.", 429, wait="600")
        with pytest.raises(SourceUnavailable) as refused:
            list(source.list_changes(""))
        slack.fault, slack.error = lambda _request: None, "ratelimited"
        monkeypatch.setattr("ingestion.sources.json_api.time.sleep", lambda _seconds: None)
        with pytest.raises(SourceUnavailable):
            list(source.list_changes(""))
    assert refused.value.retry_after == 600


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ("invalid_auth", "Bot User OAuth Token"),
        ("token_revoked", "no longer accepts the token"),
        ("account_inactive", "no longer accepts the token"),
        ("fatal_error", "fatal_error"),
        ("other_words", "other_words"),
    ],
)
def test_refusals_are_explained(slack: SlackServer, error: str, text: str) -> None:
    slack.error = error
    with connect(options(slack)) as source:
        assert text in first_problem(source.check())
        require_broken_listing(source)


def test_the_connection_test(slack: SlackServer) -> None:
    with connect(options(slack)) as source:
        assert [step.problem for step in source.check()] == [""] * 5
    slack.scopes -= {"users:read.email", "groups:read"}
    with connect(options(slack)) as source:
        steps = list(source.check())
    assert len(steps) == 2
    assert "groups:read, users:read.email" in steps[1].problem
    slack.scopes.clear()  # no header: Slack says what is missing when it is asked
    missing = Response('{"ok": false, "error": "missing_scope", "needed": "users:read"}')
    slack.fault = lambda request: missing if request.path.endswith("users.list") else None
    with connect(options(slack)) as source:
        assert "lacks these permissions: users:read." in first_problem(source.check())
    with connect(options(slack, channels="closed-talk")) as source:
        assert "no channel “closed-talk”" in first_problem(source.check())
    for channel in slack.channels.values():
        channel.has_app = False
    with connect(options(slack)) as source:
        assert "/invite" in first_problem(source.check())


def test_tokens_of_persons_are_refused() -> None:
    with pytest.raises(ValidationError, match="xoxb-"):
        SlackOptions.model_validate({"token": "xoxp-1"})
