"""Confluence: what the model of a server shows its people equals what Cairn takes from it."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from werkzeug.wrappers import Response

from ingestion.sources import daily_listing
from ingestion.sources.kinds.confluence.source import connect
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
from tests.ingestion.sources.cloud.confluence_server import (
    PEOPLE,
    TOKEN,
    ConfluenceServer,
    change,
    fill,
    options,
)


@pytest.fixture(params=["cloud", "data_center"])
def confluence(request: pytest.FixtureRequest) -> Iterator[ConfluenceServer]:
    with ConfluenceServer(request.param) as server:
        fill(server)
        yield server


@pytest.fixture
def cloud() -> Iterator[ConfluenceServer]:
    with ConfluenceServer("cloud") as server:
        fill(server)
        yield server


@pytest.mark.slow
def test_confluence_access_stays_equal_after_random_changes(confluence: ConfluenceServer) -> None:
    dice, seen = random.Random(24), set[frozenset[str]]()
    for _round in range(8):
        with connect(options(confluence)) as source:
            shown = find_shown(source)
        for person in PEOPLE:
            found = shown.get(f"user:id-of-{person}", set())
            grouped = any(person in members for members in confluence.groups.values())
            assert found == (confluence.list_shown(person) if grouped else set()), person
            seen.add(frozenset(found))
        for _change in range(10):
            change(confluence, dice)
    assert len(seen) > 12


@pytest.mark.django_db(transaction=True)
def test_documents_follow_confluence(cloud: ConfluenceServer, following: FollowingBase) -> None:
    """Compare after the syncs of content, people and access."""
    given = options(cloud).model_dump() | {"token": TOKEN}
    cloud.pages[100].restricted = {"@board"}
    following.sync("confluence", given)
    following.require_synced(PEOPLE, cloud.list_shown)
    cloud.groups["board"] = {"fay"}
    cloud.pages[200].restricted = {"di"}
    following.sync("confluence", given)
    following.require_synced(PEOPLE, cloud.list_shown)
    assert following.list_synced("") == {item for item in cloud.list_shown("") if "30" in item}
    following.require_canary({person: cloud.list_shown(person) for person in PEOPLE})


def test_content_of_pages_and_files(confluence: ConfluenceServer) -> None:
    confluence.pages[100].text = (
        '<p>One</p><ac:structured-macro ac:name="code"><ac:parameter ac:name="language">py</ac:parameter>'
        "<ac:plain-text-body><![CDATA[if a < b: pass]]></ac:plain-text-body></ac:structured-macro>"
    )
    with connect(options(confluence, spaces="HR")) as source:
        items = {item.id: item for item in list_items(source)}
        text = read_item(source, items["page:100"]).decode()
        files = sorted(
            read_item(source, item).decode() for item in items.values() if item.id.startswith("file:")
        )
        assert {item.container.partition("/")[0] for item in items.values()} == {"HR"}
        confluence.pages[100].version = 2
        with pytest.raises(ItemUnavailable):
            read_item(source, items["page:100"])
        del confluence.pages[107]
        with pytest.raises(ItemUnavailable):
            read_item(source, items["page:107"])
        assert "page:107" not in dict(source.list_access(list(items.values())))
    assert "<h1>Page 100 &amp; more</h1>" in text
    assert "<pre>if a &lt; b: pass</pre>" in text
    assert ">py<" not in text
    assert files == ["File of 100", "File of 103", "File of 106"]
    for headers in confluence.storage_requests:
        assert "Authorization" not in headers


def test_confluence_file_on_another_host_is_rejected(cloud: ConfluenceServer) -> None:
    with connect(options(cloud, spaces="HR")) as source:
        file = next(item for item in list_items(source) if item.id.startswith("file:"))
        for target in (
            "http://api.media.atlassian.com/a",
            "https://media.example/a",
            "https://atlassian.com/",
        ):
            location = {"Location": target}
            cloud.fault = lambda request: (
                Response("", 302, location) if request.path.endswith("/download") else None  # noqa: B023
            )
            with pytest.raises(SourceRefused, match="redirects"):
                read_item(source, file)


def test_later_sync_reads_only_changes(confluence: ConfluenceServer, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    monkeypatch.setattr(daily_listing, "current_time", lambda: now)
    with connect(options(confluence, spaces="HR,PUB")) as source:
        *_items, first = source.list_changes("")
        assert isinstance(first, Complete)
        assert first.full
        confluence.pages[103].day = 19
        now += timedelta(hours=1)
        *changes, second = source.list_changes(first.cursor)
        assert [each.id.partition(":")[0] for each in changes if isinstance(each, Item)] == ["page", "file"]
        assert {each.container.partition("/")[0] for each in changes if isinstance(each, Item)} == {"HR"}
        assert isinstance(second, Complete)
        assert not second.full
        now += timedelta(hours=24)
        *changes, third = source.list_changes(second.cursor)
        assert isinstance(third, Complete)
        assert third.full
        assert len(changes) > 20
    assert json.loads(second.cursor)["full"] == json.loads(first.cursor)["full"]


def test_unidentified_people_leave_pages_to_managers(confluence: ConfluenceServer) -> None:
    confluence.spaces["LAB"].odd = "role"
    with connect(options(confluence, files=False)) as source:
        accesses = dict(source.list_access(list_items(source)))
    unknown = {item for item, access in accesses.items() if access.unknown}
    assert unknown == {f"page:20{number}" for number in range(8)}
    assert "role" in accesses["page:200"].unknown


def test_forbidden_restrictions_leave_pages_to_managers(confluence: ConfluenceServer) -> None:
    confluence.fault = FaultsAt("/content/101/restriction", 403)
    with connect(options(confluence, files=False, spaces="HR")) as source:
        accesses = dict(source.list_access(list_items(source)))
    unknown = {item for item, access in accesses.items() if access.unknown}
    assert unknown == {"page:101", "page:103", "page:104", "page:107"}


def test_sign_in_page_opens_no_space(confluence: ConfluenceServer) -> None:
    """A proxy may answer visitors with such a page instead of 401."""
    page = Response("<html><title>Sign in</title></html>", mimetype="text/html")
    confluence.fault = lambda request: None if "Authorization" in request.headers else page
    with connect(options(confluence, files=False)) as source:
        accesses = dict(source.list_access(list_items(source)))
    assert accesses
    assert not any(access.allows(["somebody"]) for access in accesses.values())


def test_response_without_restrictions_does_not_open_a_page(confluence: ConfluenceServer) -> None:
    empty = Response("{}", mimetype="application/json")
    confluence.fault = lambda request: empty if "/content/101/restriction" in request.path else None
    with connect(options(confluence, files=False, spaces="HR")) as source:
        items = list_items(source)
        with pytest.raises(SourceUnavailable):
            list(source.list_access(items))


def test_forbidden_attachments_are_preserved(cloud: ConfluenceServer) -> None:
    cloud.fault = FaultsAt("/pages/103/attachments", 403)
    with connect(options(cloud, spaces="HR")) as source:
        changes = list(source.list_changes(""))
    assert [each.container for each in changes if isinstance(each, Unlisted)] == ["HR/103"]


def test_invisible_space_preserves_its_pages(confluence: ConfluenceServer) -> None:
    with connect(options(confluence, spaces="HR, GONE")) as source:
        changes = list(source.list_changes(""))
    assert [each.container for each in changes if isinstance(each, Unlisted)] == ["GONE"]


@pytest.mark.parametrize("status", [500, 503, 401])
def test_interrupted_listing_deletes_nothing(confluence: ConfluenceServer, status: int) -> None:
    confluence.fault = FaultsAt("/page", status, after=3)
    with connect(options(confluence)) as source:
        require_broken_listing(source)


def test_token_expiring_during_a_listing_deletes_nothing(confluence: ConfluenceServer) -> None:
    anonymous = Response('{"type": "anonymous"}', mimetype="application/json")
    later = FaultsAt("/user/current", 200, after=1)
    confluence.fault = lambda request: anonymous if later(request) else None
    with connect(options(confluence)) as source, pytest.raises(SourceRefused):
        list(source.list_changes(""))


def test_short_waits_are_waited_for(confluence: ConfluenceServer) -> None:
    confluence.fault = busy = FaultsAt("/page", 429, after=2, times=3, wait="0")
    with connect(options(confluence, spaces="HR", files=False)) as source:
        assert len(list_items(source)) == 8
        assert busy.given == 3
        confluence.fault = FaultsAt("/page", 429, wait="600")
        with pytest.raises(SourceUnavailable) as refused:
            list(source.list_changes(""))
    assert refused.value.retry_after == 600


def test_connection_test_reports_each_step(confluence: ConfluenceServer) -> None:
    with connect(options(confluence)) as source:
        assert [step.problem for step in source.check()] == [""] * 4
    with connect(options(confluence, token="wrong")) as source:
        assert "refuses this user name" in first_problem(source.check())
    confluence.fault = FaultsAt("/permissions", 403)
    with connect(options(confluence)) as source:
        steps = list(source.check())
    assert len(steps) == 4
    assert "HTTP 403" in steps[3].problem
