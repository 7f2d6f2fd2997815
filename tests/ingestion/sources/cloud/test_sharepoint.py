"""SharePoint and OneDrive: what a model of Microsoft 365 shows its people equals what Cairn takes from it."""

import random
from collections.abc import Iterator

import pytest
from werkzeug.wrappers import Response

from ingestion.sources.kinds.sharepoint.connection import connect
from ingestion.sources.protocol import (
    Complete,
    ItemUnavailable,
    SourceRefused,
    SourceUnavailable,
    Unlisted,
    first_problem,
)
from tests.ingestion.sources.access_by_source import (
    FollowingBase,
    find_shown,
    follow_changes,
    list_items,
    read_item,
    require_broken_listing,
)
from tests.ingestion.sources.cloud.api_server import FaultsAt
from tests.ingestion.sources.cloud.graph_server import (
    PEOPLE,
    SECRET,
    Entry,
    Grant,
    GraphServer,
    change,
    fill,
    make_certificate,
    options,
)


@pytest.fixture
def server() -> Iterator[GraphServer]:
    with GraphServer() as graph:
        fill(graph)
        yield graph


@pytest.mark.slow
def test_sharepoint_access_stays_equal_after_random_changes(server: GraphServer) -> None:
    dice, seen, known, cursor = random.Random(24), set[frozenset[str]](), set[str](), ""
    kinds = set[bool]()
    for _round in range(8):
        with connect(options(server)) as source:
            last, known = follow_changes(source, known, cursor)
            shown = find_shown(source)
        cursor = last.cursor
        kinds.add(last.full)
        assert known == server.list_files()
        for person in PEOPLE:
            found = shown.get(f"user:id-{person}", set())
            assert found == server.list_shown(person), person
            seen.add(frozenset(found))
        for _change in range(8):
            change(server, dice)
    assert len(seen) > 20
    assert kinds == {True, False}


@pytest.mark.django_db(transaction=True)
def test_documents_follow_microsoft(server: GraphServer, following: FollowingBase) -> None:
    given = options(server).model_dump() | {"certificate": make_certificate()[0], "client_secret": ""}
    following.sync("sharepoint", given)
    following.require_synced(PEOPLE, server.list_shown)
    server.groups["inner"] = {"eve"}
    server.drives["lib1"]["b"].grants = [Grant(["guest"])]
    server.delete("lib2", "a")
    following.sync("sharepoint", given)
    following.require_synced(PEOPLE, server.list_shown)
    assert following.list_synced("") == set()
    following.require_canary({person: server.list_shown(person) for person in PEOPLE})


def test_content_is_downloaded_without_the_token(server: GraphServer) -> None:
    with connect(options(server)) as source:
        items = {item.id: item for item in list_items(source)}
        assert read_item(source, items["lib1:a1"]) == b"File a1"
        del server.drives["lib1"]["a2"]
        with pytest.raises(ItemUnavailable):
            read_item(source, items["lib1:a2"])
        assert "lib1:a2" not in dict(source.list_access(items.values()))
        for target in (
            "http://example.sharepoint.com/a",
            "https://evilsharepoint.com/a",
            "//other.example/",
        ):
            server.fault = FaultyRedirect(target)
            with pytest.raises(SourceRefused, match="redirects"):
                read_item(source, items["lib1:a1"])
    assert items["lib1:a1"].container == "example.sharepoint.com/sites/HR/lib1/Folder a ä"
    assert len(server.download_headers) == 1
    assert "Authorization" not in server.download_headers[0]


class FaultyRedirect:
    """Redirects downloads elsewhere."""

    def __init__(self, target: str) -> None:
        self._target = target

    def __call__(self, request: object) -> Response | None:
        path = getattr(request, "path", "")
        return Response("", 302, {"Location": self._target}) if path.endswith("/content") else None


def test_expired_cursor_causes_a_full_listing(server: GraphServer) -> None:
    with connect(options(server)) as source:
        first, known = follow_changes(source, set(), "")
        server.delete("lib1", "a0")
        server.put("lib1", Entry("new", "new.txt", "root", b"New"))
        server.oldest = len(server.changes)
        last, after = follow_changes(source, known, first.cursor)
    assert last.full
    assert after == server.list_files()


def test_deleted_folder_deletes_its_files(server: GraphServer) -> None:
    with connect(options(server)) as source:
        first, known = follow_changes(source, set(), "")
        server.delete("lib1", "a")
        last, after = follow_changes(source, known, first.cursor)
    assert last.full
    assert after == server.list_files()


def test_forbidden_library_preserves_its_files(server: GraphServer) -> None:
    with connect(options(server)) as source:
        first, _known = follow_changes(source, set(), "")
        server.fault = FaultsAt("/drives/lib2/root", 403)
        for cursor in ("", first.cursor):
            changes = list(source.list_changes(cursor))
            unlisted = [each.container for each in changes if isinstance(each, Unlisted)]
            assert unlisted == ["example.sharepoint.com/sites/HR/lib2"]
            last = changes[-1]
            assert isinstance(last, Complete)
            assert last.full == (not cursor)
        without = list(source.list_changes(""))[-1]
        assert isinstance(without, Complete)
        server.fault = lambda _request: None
        server.delete("lib2", "a0")
        last, known = follow_changes(source, set(), without.cursor)
    assert last.full
    assert known == server.list_files()


def test_deleted_library_is_not_listed(server: GraphServer) -> None:
    with connect(options(server)) as source:
        first, known = follow_changes(source, set(), "")
    del server.drives["lib2"]
    with connect(options(server)) as source:
        last, known = follow_changes(source, known, first.cursor)
    assert last.full
    assert known == server.list_files()


@pytest.mark.parametrize("status", [500, 503, 401])
def test_interrupted_listing_deletes_nothing(server: GraphServer, status: int) -> None:
    server.fault = FaultsAt("/delta", status, after=2)
    with connect(options(server)) as source:
        require_broken_listing(source)


def test_links_to_other_servers_are_not_followed(server: GraphServer) -> None:
    answer = (
        '{"value": [], "@odata.nextLink": "https://elsewhere.example/v1.0/drives/lib1/root/delta?token=1"}'
    )
    server.fault = lambda request: Response(answer) if "/delta" in request.path else None
    with connect(options(server)) as source, pytest.raises(SourceUnavailable, match="elsewhere"):
        list(source.list_changes(""))


def test_short_waits_are_waited_for(server: GraphServer) -> None:
    server.fault = busy = FaultsAt("/delta", 429, after=1, times=3, wait="0")
    with connect(options(server)) as source:
        assert {item.id for item in list_items(source)} == server.list_files()
        assert busy.given == 3
        server.fault = FaultsAt("/delta", 429, wait="600")
        with pytest.raises(SourceUnavailable) as refused:
            list(source.list_changes(""))
    assert refused.value.retry_after == 600


def test_unidentified_permissions_leave_a_file_to_managers(server: GraphServer) -> None:
    server.drives["lib1"]["a0"].grants = [Grant(["ada"], ["sp.own level"])]
    server.drives["lib1"]["a1"].links = [Grant(["ada"], link="new kind")]
    server.drives["one"]["a0"].grants = [Grant(["#Members"])]
    server.fault = FaultsAt("/items/b2/permissions", 403)
    with connect(options(server)) as source:
        accesses = dict(source.list_access(list_items(source)))
    unknown = {item for item, access in accesses.items() if access.unknown}
    assert unknown == {"lib1:a0", "lib1:a1", "one:a0", "lib1:b2", "lib2:b2", "one:b2"}


def test_client_secret_cannot_list_groups_of_sites(server: GraphServer) -> None:
    with connect(options(server, certificate="", client_secret=SECRET)) as source:
        steps = list(source.check())
        assert [step.problem for step in steps[:3]] == [""] * 3
        assert "certificate" in steps[3].problem
        shown = find_shown(source)
    assert "lib1:b0" not in shown["user:id-di"]
    assert "lib2:b0" in shown["user:id-cy"]


def test_connection_test_reports_each_step(server: GraphServer) -> None:
    with connect(options(server)) as source:
        assert [step.problem for step in source.check()] == [""] * 4
    for given, problem in (
        ({"client_id": "other"}, "AADSTS7000222"),
        ({"certificate": "-----BEGIN PRIVATE KEY-----"}, "can’t be read"),
        ({"sites": ["https://other.example/sites/X"]}, "HTTP 404"),
    ):
        with connect(options(server, **given)) as source:
            assert problem in first_problem(source.check())


def test_revoked_credentials_stop_the_sync(server: GraphServer) -> None:
    with connect(options(server)) as source:
        first, _known = follow_changes(source, set(), "")
    server.is_valid = False
    with connect(options(server)) as source:
        for listing in (source.list_changes(first.cursor), source.list_people()):
            with pytest.raises(SourceRefused):
                list(listing)
