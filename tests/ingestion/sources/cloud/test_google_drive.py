"""Google Drive: what a model of a Google Workspace shows its people equals what Cairn takes from it."""

import random
from collections.abc import Iterator

import pytest
from werkzeug.wrappers import Response

from ingestion.sources.kinds.google_drive import connection
from ingestion.sources.kinds.google_drive.connection import connect
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
    follow_changes,
    list_items,
    read_item,
    require_broken_listing,
)
from tests.ingestion.sources.cloud.api_server import FaultsAt
from tests.ingestion.sources.cloud.google_server import (
    ACCOUNT,
    PEOPLE,
    Entry,
    GoogleServer,
    Grant,
    change,
    fill,
    make_key,
    options,
)


@pytest.fixture
def server() -> Iterator[GoogleServer]:
    with GoogleServer() as google:
        fill(google)
        yield google


@pytest.mark.slow
def test_google_drive_access_stays_equal_after_random_changes(server: GoogleServer) -> None:
    dice, seen, known, cursor = random.Random(24), set[frozenset[str]](), set[str](), ""
    kinds = set[bool]()
    for _round in range(8):
        with connect(options(server)) as source:
            last, known = follow_changes(source, known, cursor)
            shown = find_shown(source)
        cursor = last.cursor
        kinds.add(last.full)
        assert known == server.list_files()
        for number, person in enumerate(PEOPLE):
            found = shown.get(f"user:1{number}", set())
            assert found == server.list_shown(person), person
            seen.add(frozenset(found))
        for _change in range(6):
            change(server, dice)
    assert len(seen) > 12
    assert kinds == {True, False}


@pytest.mark.django_db(transaction=True)
def test_documents_follow_google(server: GoogleServer, following: FollowingBase) -> None:
    given = options(server, drives=["D1", "D2"]).model_dump() | {"key": make_key()[0]}
    for drive in ("D1", "D2"):
        server.entries[f"{drive}doc"].trashed = True
    following.sync("google_drive", given)
    following.require_synced(PEOPLE, server.list_shown)
    server.groups["inner"] = {"eve"}
    server.drives["D2"] = [Grant("ada")]
    server.trash("D1b")
    following.sync("google_drive", given)
    following.require_synced(PEOPLE, server.list_shown)
    assert following.list_synced("") == set()
    following.require_canary({person: server.list_shown(person) for person in PEOPLE})


def test_content_of_files_and_of_exported_documents(server: GoogleServer) -> None:
    with connect(options(server)) as source:
        items = {item.id: item for item in list_items(source)}
        assert read_item(source, items["D1a1"]) == b"File D1a1"
        assert read_item(source, items["D1doc"]) == b"exported plan"
        assert items["D1doc"].name == "Plan.docx"
        assert not {"D1link", "D1form", "D1a"} & items.keys()
        del server.entries["D1a2"]
        with pytest.raises(ItemUnavailable, match="no longer"):
            read_item(source, items["D1a2"])
        assert "D1a2" not in dict(source.list_access(items.values()))
        refusal = '{"error": {"message": "This file is too large to be exported.", "errors": []}}'
        server.fault = lambda request: Response(refusal, 403) if "/export" in request.path else None
        with pytest.raises(ItemUnavailable, match="too large to be exported"):
            read_item(source, items["D1doc"])


def test_folders_are_listed_with_their_subfolders(server: GoogleServer) -> None:
    server.put(Entry("deep", "deep", "D1a", "application/vnd.google-apps.folder"))
    server.put(Entry("deep1", "deep.txt", "deep", content=b"Deep"))
    with connect(options(server, folders=["D1a"])) as source:
        *changes, last = source.list_changes("")
        assert isinstance(last, Complete)
        assert (last.full, last.cursor) == (True, "")
        items = {each.id: each.container for each in changes if isinstance(each, Item)}
        assert items == {
            **dict.fromkeys(("D1a0", "D1a1", "D1a2", "D1doc"), "folders/D1a"),
            "deep1": "folders/D1a/deep",
        }
        server.fault = FaultsAt("deep", 403)
        unlisted = [each for each in source.list_changes("") if isinstance(each, Unlisted)]
    assert [each.container for each in unlisted] == ["folders/D1a/deep"]


def test_cyclic_folder_is_listed_once(server: GoogleServer) -> None:
    loop = {"id": "D1a", "name": "a", "mimeType": "application/vnd.google-apps.folder"}
    answer = f'{{"files": [{str(loop).replace(chr(39), chr(34))}]}}'
    server.fault = lambda request: Response(answer) if "files" in request.path else None
    with connect(options(server, folders=["D1a"])) as source:
        assert list_items(source) == []
    assert sum("/files" in path for path in server.paths) == 1


def test_expired_cursor_causes_a_full_listing(server: GoogleServer) -> None:
    with connect(options(server)) as source:
        first, known = follow_changes(source, set(), "")
        server.trash("D1a0")
        server.put(Entry("new", "new.txt", "D1", content=b"New"))
        server.oldest = len(server.changes)
        last, after = follow_changes(source, known, first.cursor)
    assert last.full
    assert after == server.list_files()


def test_trashed_file_is_deleted_without_a_full_listing(server: GoogleServer) -> None:
    with connect(options(server)) as source:
        first, known = follow_changes(source, set(), "")
        server.trash("D1a0")
        last, after = follow_changes(source, known, first.cursor)
    assert not last.full
    assert after == server.list_files()


def test_trashed_folder_deletes_its_files(server: GoogleServer) -> None:
    with connect(options(server)) as source:
        first, known = follow_changes(source, set(), "")
        server.trash("D1a")
        last, after = follow_changes(source, known, first.cursor)
    assert last.full
    assert after == server.list_files()


def test_forbidden_drive_preserves_its_files(server: GoogleServer) -> None:
    with connect(options(server)) as source:
        first, _known = follow_changes(source, set(), "")
        server.fault = FaultsAt("driveId=D2", 403)
        for cursor in ("", first.cursor):
            changes = list(source.list_changes(cursor))
            assert [each.container for each in changes if isinstance(each, Unlisted)] == ["drives/D2"]
        without = next(each for each in source.list_changes("") if isinstance(each, Complete))
        server.fault = lambda _request: None
        server.trash("D2a0")
        last, known = follow_changes(source, set(), without.cursor)
    assert last.full
    assert known == server.list_files()


def test_incomplete_drive_search_deletes_nothing(server: GoogleServer) -> None:
    server.is_incomplete = True
    with connect(options(server)) as source, pytest.raises(SourceUnavailable, match="ended too early"):
        list(source.list_changes(""))


@pytest.mark.parametrize("status", [500, 503, 401])
def test_interrupted_listing_deletes_nothing(server: GoogleServer, status: int) -> None:
    server.fault = FaultsAt("/files", status, after=2)
    with connect(options(server)) as source:
        require_broken_listing(source)


def test_too_many_requests_are_waited_for(server: GoogleServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "WAIT_SECONDS", 0)
    refusal = '{"error": {"message": "slow", "errors": [{"reason": "userRateLimitExceeded"}]}}'
    busy = FaultsAt("/files", 403, after=1, times=3)
    server.fault = lambda request: Response(refusal, 403) if busy(request) else None
    with connect(options(server)) as source:
        assert {item.id for item in list_items(source)} == server.list_files()
        assert busy.given == 3
        quota = Response(refusal.replace("userRateLimit", "dailyLimit"), 403)
        server.fault = lambda request: quota if "/files" in request.path else None
        with pytest.raises(SourceUnavailable) as refused:
            list(source.list_changes(""))
    assert refused.value.retry_after == 3600


def test_unknown_permissions_leave_a_file_to_managers(server: GoogleServer) -> None:
    server.entries["D1a0"].grants = [Grant("ada", "juggler")]
    server.fault = FaultsAt("/files/D1a1/permissions", 403)
    with connect(options(server)) as source:
        accesses = dict(source.list_access(list_items(source)))
    assert {item for item, access in accesses.items() if access.unknown} == {"D1a0", "D1a1"}


def test_connection_test_reports_each_step(server: GoogleServer) -> None:
    with connect(options(server)) as source:
        assert [step.problem for step in source.check()] == [""] * 4
    for given, problem in (
        ({"account": f"x{ACCOUNT}"}, "Client is unauthorized"),
        ({"key": "{}"}, "can’t be read"),
        ({"drives": ["other"]}, "HTTP 404"),
    ):
        with connect(options(server, **given)) as source:
            assert problem in first_problem(source.check())
    server.fault = FaultsAt("/admin/directory", 403)
    with connect(options(server)) as source:
        assert "HTTP 403" in first_problem(source.check())


def test_revoked_credentials_stop_the_sync(server: GoogleServer) -> None:
    with connect(options(server)) as source:
        first, _known = follow_changes(source, set(), "")
    server.is_valid = False
    with connect(options(server)) as source:
        for listing in (source.list_changes(first.cursor), source.list_people()):
            with pytest.raises(SourceRefused):
                list(listing)
