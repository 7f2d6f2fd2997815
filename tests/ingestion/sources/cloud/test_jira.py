"""Jira: what the model of a server shows its people equals what Cairn takes from it."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from werkzeug.wrappers import Response

from cairn.library.models import Document, DocumentVersion
from ingestion.sources import daily_listing
from ingestion.sources.kinds.jira.source import JiraSource, connect
from ingestion.sources.protocol import (
    Complete,
    Item,
    ItemUnavailable,
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
from tests.ingestion.sources.cloud.jira_server import (
    PEOPLE,
    TOKEN,
    Comment,
    Issue,
    JiraServer,
    change,
    fill,
    number_of,
    options,
)


@pytest.fixture(params=["cloud", "data_center"])
def jira(request: pytest.FixtureRequest) -> Iterator[JiraServer]:
    with JiraServer(request.param) as server:
        fill(server)
        yield server


@pytest.fixture
def cloud() -> Iterator[JiraServer]:
    with JiraServer("cloud") as server:
        fill(server)
        yield server


@pytest.fixture
def center() -> Iterator[JiraServer]:
    with JiraServer("data_center") as server:
        fill(server)
        yield server


def find_unknown(source: JiraSource) -> dict[str, str]:
    accesses = dict(source.list_access(list_items(source)))
    return {item: access.unknown for item, access in accesses.items() if access.unknown}


def test_people_see_what_jira_shows_them_even_after_changes(jira: JiraServer) -> None:
    dice, seen = random.Random(7), set[frozenset[str]]()
    for _round in range(9):
        with connect(options(jira, comments=False)) as source:
            shown = find_shown(source)
        for person in PEOPLE:
            expected = jira.list_shown(person) if jira.may_sign_in(person) else set()
            assert shown.get(f"user:id-of-{person}", set()) == expected, person
            seen.add(frozenset(expected))
        for _change in range(10):
            change(jira, dice)
    assert len(seen) > 15


@pytest.mark.django_db(transaction=True)
def test_documents_follow_jira(
    cloud: JiraServer, following: FollowingBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compare after the syncs of content, people and access. What only moves isn't processed again."""
    monkeypatch.setattr(daily_listing, "current_time", lambda: datetime(2026, 11, 20, tzinfo=UTC))
    given = options(cloud).model_dump() | {"token": TOKEN}

    def compare() -> None:
        following.sync("jira", given)
        following.require_synced(PEOPLE, cloud.list_shown)
        assert following.list_synced("") == cloud.list_shown("")

    compare()
    before = set(DocumentVersion.objects.values_list("pk", flat=True))
    cloud.groups["board"] = {"cy"}
    cloud.levels["502"] = [("group", "agents")]
    cloud.issues[102].level, cloud.issues[102].day = "501", 30
    cloud.issues[100].project, cloud.issues[100].day = "LAB", 30
    compare()
    assert set(DocumentVersion.objects.values_list("pk", flat=True)) == before
    assert Document.objects.filter(title__startswith="LAB-100 ").count() == 1
    following.require_canary({person: cloud.list_shown(person) for person in PEOPLE})


def test_content_of_issues_and_files(jira: JiraServer) -> None:
    issue = jira.issues[100]
    issue.text = (
        '<p>See <a href="https://x.example/browse/LAB-1" title="Secret summary" class="resolved">LAB-1</a> '
        "&lt;b&gt;</p><script>alert(1)</script>"
    )
    issue.comments = [Comment(number, "bo", f"<p>Comment {number}</p>") for number in range(1, 6)]
    issue.comments[3].role = "Managers"
    if jira.is_cloud:
        issue.comments[4].public = False
    with connect(options(jira, projects="OPS")) as source:
        items = {item.id: item for item in list_items(source)}
        text = read_item(source, items["issue:100"]).decode()
        files = sorted(
            read_item(source, item).decode() for item in items.values() if item.id.startswith("file:")
        )
        assert {item.container for item in items.values()} == {"OPS"}
        assert items["issue:100"].title == "OPS-100 Broken & bent"
        assert items["issue:100"].uri == f"{jira.url}browse/OPS-100"
        issue.comments[0].text = "<p>Other</p>"
        with pytest.raises(ItemUnavailable):
            read_item(source, items["issue:100"])
        del jira.issues[103]
        for item in (items["issue:103"], items[f"file:{number_of(Issue(103, 'OPS'), 'log 3%.txt')}:103"]):
            with pytest.raises(ItemUnavailable):
                read_item(source, item)
        assert "issue:103" not in dict(source.list_access(list(items.values())))
    assert "<h1>Broken &amp; bent</h1>" in text
    assert '<a href="https://x.example/browse/LAB-1">LAB-1</a> &lt;b&gt;' in text
    for absent in ("Secret", "alert", "Comment 4", "raw"):
        assert absent not in text
    assert ("Comment 5" in text) == (not jira.is_cloud)
    assert "Comment 3" in text
    assert files == ["File of 100", "File of 103", "File of 106"]
    for headers in jira.storage_requests:
        assert "Authorization" not in headers


def test_comments_can_be_left_out(jira: JiraServer) -> None:
    jira.issues[100].comments = [Comment(1, "bo", "Comment 1")]
    with connect(options(jira, projects="OPS", comments=False, files=False)) as source:
        items = list_items(source)
        assert b"Comment" not in read_item(source, items[0])
    assert {item.id.partition(":")[0] for item in items} == {"issue"}


def test_response_without_text_does_not_empty_an_issue(jira: JiraServer) -> None:
    issue = '{"id": "100", "key": "OPS-100", "fields": {"project": {"id": "10", "key": "OPS"}}}'
    page = Response(f'{{"issues": [{issue}], "total": 1}}', mimetype="application/json")
    jira.fault = lambda request: page if "/search" in request.path and "jql" in request.args else None
    with connect(options(jira, comments=False)) as source:
        require_broken_listing(source)


def test_deleted_file_is_readable_by_managers_only(jira: JiraServer) -> None:
    with connect(options(jira)) as source:
        items = list_items(source)
        jira.issues[100].files.clear()
        found = dict(source.list_access(items))
    assert {item.id for item in items} - set(found) == {
        item.id for item in items if item.id.endswith(":100") and item.id.startswith("file:")
    }


def test_later_syncs_read_only_changes(jira: JiraServer, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    monkeypatch.setattr(daily_listing, "current_time", lambda: now)
    with connect(options(jira, projects="OPS,PUB")) as source:
        *_items, first = source.list_changes("")
        assert isinstance(first, Complete)
        assert first.full
        jira.issues[103].day = 19
        now += timedelta(hours=1)
        *changes, second = source.list_changes(first.cursor)
        found = [each.id for each in changes if isinstance(each, Item)]
        assert [item.partition(":")[0] for item in found] == ["issue", "file"]
        assert isinstance(second, Complete)
        assert not second.full
        now += timedelta(hours=24)
        *changes, third = source.list_changes(second.cursor)
        assert isinstance(third, Complete)
        assert third.full
        assert len(changes) > 14


def test_issue_moved_during_a_listing_is_not_missed(
    jira: JiraServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily_listing, "current_time", lambda: datetime(2026, 11, 20, tzinfo=UTC))
    with connect(options(jira, files=False)) as source:
        found = set()
        for each in source.list_changes(""):
            if isinstance(each, Item):
                found.add(each.id)
                if each.id == "issue:100":  # LAB was listed before OPS, and PUB is listed after it
                    jira.issues[306].project, jira.issues[306].day = "LAB", 20
    assert "issue:306" in found


def test_listing_that_shifts_is_not_complete(center: JiraServer) -> None:
    with connect(options(center, projects="OPS")) as source:
        changes = source.list_changes("")
        found = [next(changes), next(changes)]
        del center.issues[100]
        with pytest.raises(SourceUnavailable):
            found += changes
    assert not any(isinstance(each, Complete) for each in found)


@pytest.mark.parametrize(
    "grant", [("userCustomField", "customfield_1"), ("groupCustomField", "f"), ("new", "")]
)
def test_unidentifiable_grant_restricts_issues_to_managers(jira: JiraServer, grant: tuple[str, str]) -> None:
    jira.projects["LAB"].grants.append(grant)
    with connect(options(jira, files=False)) as source:
        unknown = find_unknown(source)
        assert any(source.list_people())
    assert set(unknown) == {f"issue:20{number}" for number in range(7)}
    assert grant[0] in unknown["issue:200"]


def test_forbidden_permissions_leave_issues_to_managers(jira: JiraServer) -> None:
    jira.fault = FaultsAt("/project/20/permissionscheme", 403)
    with connect(options(jira, files=False)) as source:
        assert set(find_unknown(source)) == {f"issue:20{number}" for number in range(7)}


def test_projects_of_teams_are_left_to_managers(cloud: JiraServer) -> None:
    cloud.projects["LAB"].simplified = True
    with connect(options(cloud, files=False)) as source:
        assert set(find_unknown(source)) == {f"issue:20{number}" for number in range(7)}


def test_levels_of_a_data_center_are_left_to_managers(center: JiraServer) -> None:
    center.levels["501"] = [("applicationRole", "")]
    center.issues[101].level = "501"
    with connect(options(center, files=False)) as source:
        unknown = find_unknown(source)
    assert set(unknown) == {"issue:101"}
    assert "Level 501" in unknown["issue:101"]


def test_hidden_security_level_restricts_issues_to_managers(jira: JiraServer) -> None:
    """Fields can be hidden from answers."""
    jira.hides_levels = True
    jira.levels["501"] = [("applicationRole", "")]
    with connect(options(jira, files=False, projects="OPS")) as source:
        assert len(find_unknown(source)) == 7
        jira.levels.clear()
        assert not find_unknown(source)


@pytest.mark.parametrize("text", ["<html><title>Sign in</title></html>", '{"id": "999", "key": "SIGN"}'])
def test_sign_in_page_opens_no_project(jira: JiraServer, text: str) -> None:
    """A proxy may answer visitors with such a page instead of 401."""
    jira.fault = lambda request: None if "Authorization" in request.headers else Response(text)
    with connect(options(jira, files=False)) as source:
        accesses = dict(source.list_access(list_items(source)))
    assert accesses
    assert not any(access.allows(["somebody"]) for access in accesses.values())


def test_response_without_permissions_is_an_error(jira: JiraServer) -> None:
    empty = Response('{"id": 1}', mimetype="application/json")
    jira.fault = lambda request: empty if "/permissionscheme" in request.path else None
    with connect(options(jira, files=False, projects="OPS")) as source:
        items = list_items(source)
        with pytest.raises(SourceUnavailable):
            list(source.list_access(items))


def test_issues_of_an_invisible_project_are_preserved(jira: JiraServer) -> None:
    with connect(options(jira, projects="OPS, GONE")) as source:
        changes = list(source.list_changes(""))
    assert {each.container for each in changes if isinstance(each, Unlisted)} == {"GONE"}


def test_issues_of_an_unsearchable_project_are_preserved(jira: JiraServer) -> None:
    jira.fault = FaultsAt("project+%3D+20", 400, times=1)
    with connect(options(jira)) as source:
        changes = list(source.list_changes(""))
    assert {each.container for each in changes if isinstance(each, Unlisted)} == {"LAB"}


@pytest.mark.parametrize("status", [500, 503, 401])
def test_interrupted_listing_deletes_nothing(jira: JiraServer, status: int) -> None:
    jira.fault = FaultsAt("/search", status, after=3, wait="600")
    with connect(options(jira)) as source:
        require_broken_listing(source)


def test_token_expiring_during_a_listing_deletes_nothing(jira: JiraServer) -> None:
    anonymous = Response('{"active": true}', mimetype="application/json")
    later = FaultsAt("/myself", 200, after=1)
    jira.fault = lambda request: anonymous if later(request) else None
    with connect(options(jira)) as source, pytest.raises(SourceRefused):
        list(source.list_changes(""))


def test_interrupted_list_of_members_replaces_nobody(jira: JiraServer) -> None:
    jira.fault = FaultsAt("/group/member", 403, after=1)
    with connect(options(jira)) as source, pytest.raises(SourceRefused):
        list(source.list_people())


def test_short_waits_are_waited_for(jira: JiraServer) -> None:
    jira.fault = busy = FaultsAt("/search", 429, after=2, times=3, wait="0")
    with connect(options(jira, projects="OPS", files=False)) as source:
        assert len(list_items(source)) == 7
        assert busy.given == 3
        path = "/bulkfetch" if jira.is_cloud else "validateQuery"
        items = list_items(source)
        jira.fault = busy = FaultsAt(path, 429, times=2, wait="0")
        assert len(dict(source.list_access(items))) == 7
        assert busy.given == 2
        jira.fault = FaultsAt("/search", 429, wait="600")
        with pytest.raises(SourceUnavailable) as refused:
            list(source.list_changes(""))
    assert refused.value.retry_after == 600


def test_connection_test_reports_each_step(jira: JiraServer) -> None:
    with connect(options(jira)) as source:
        assert [step.problem for step in source.check()] == [""] * 4
    with connect(options(jira, token="wrong")) as source:
        assert "refuses this user name" in first_problem(source.check())
    jira.fault = FaultsAt("/permissionscheme", 403)
    with connect(options(jira)) as source:
        steps = list(source.check())
    assert len(steps) == 4
    assert "HTTP 403" in steps[3].problem
