"""MediaWiki: a real one, and servers that aren't."""

from collections import deque
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from django.utils import timezone

from cairn.access.models import Role
from cairn.access.services import grant_give
from ingestion import broker
from ingestion.models import SourceItem, SourceSchedule
from ingestion.sources import web_server
from ingestion.sources.kinds import get_kind
from ingestion.sources.kinds.mediawiki import source as mediawiki
from ingestion.sources.kinds.mediawiki.options import MediawikiOptions
from ingestion.sources.kinds.mediawiki.source import MediawikiSource, connect
from ingestion.sources.protocol import (
    Change,
    Complete,
    Item,
    ItemChanged,
    ItemUnavailable,
    SourceRefused,
    SourceUnavailable,
    first_problem,
)
from ingestion.sources.sync.run import run_source_task
from tests.backends import free_port
from tests.bases import make_base
from tests.ingestion.sources.access_by_source import list_items, read_item
from tests.ingestion.sources.mediawiki_server import (
    ADMIN,
    ADMIN_PASSWORD,
    BOT,
    MediawikiServer,
    bot_options,
    options,
)
from tests.ingestion.sources.odd_server import Behaviour, Endless, Fixed, OddServer, Redirect
from tests.principals import SETUP
from tests.web.api.conftest import Caller, caller_for

pytestmark = pytest.mark.slow

PRIVATE = {
    "wgGroupPermissions": {"*": {"read": False}},
    "wgWhitelistRead": ["Main Page"],
    "wgUploadPath": "/img_auth.php",
}
_numbers = count(1)


@pytest.fixture(scope="module")
def started() -> Iterator[MediawikiServer]:
    server = MediawikiServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
def wiki(started: MediawikiServer) -> MediawikiServer:
    """The wiki, readable by everyone."""
    started.save()
    return started


@pytest.fixture
def prefix() -> str:
    """The start of the titles of a test, which shares the wiki with others."""
    return f"T{next(_numbers)}"


def by_title(source: MediawikiSource) -> dict[str, Item]:
    return {item.title or item.name: item for item in list_items(source)}


def code_of(raised: pytest.ExceptionInfo[Any]) -> str:
    return str(raised.value.message.code)


def test_pages_are_html_with_expanded_templates(wiki: MediawikiServer, prefix: str) -> None:
    wiki.write_page("Template:Days", "{|\n! Years !! Days\n|-\n| 1 || 25\n|-\n| 5 || 28\n|}")
    wiki.write_page(
        f"{prefix} Leave/Größe & 日本",
        "Everyone has leave.\n== Amount ==\n{{Days}}\n* ask first\n* [[Main Page|tell]] others\n",
    )
    wiki.write_page(f"{prefix} Old name", f"#REDIRECT [[{prefix} Leave/Größe & 日本]]")
    wiki.write_page(f"Talk:{prefix} Leave", "Is it enough?")
    wiki.upload(f"{prefix}_Größe.txt", "Text of a file, größe".encode())
    with connect(options(wiki)) as source:
        items = by_title(source)
        page, file = items[f"{prefix} Leave/Größe & 日本"], items[f"{prefix} Größe.txt"]
        content = read_item(source, page).decode()
        assert read_item(source, file) == "Text of a file, größe".encode()
    assert (page.name, page.container) == (f"{prefix} Leave_Größe & 日本.html", "")
    assert (file.name, file.container, file.size) == (f"{prefix} Größe.txt", "File", 23)
    assert page.uri == f"{wiki.url}index.php/{prefix}_Leave/Gr%C3%B6%C3%9Fe_%26_%E6%97%A5%E6%9C%AC"
    assert page.modified is not None
    assert not [title for title in items if "Old name" in title or title.startswith("Talk:")]
    for part in (">Amount</", "<th>Years", "<td>28", "<li>ask first", 'href="/index.php/Main_Page"'):
        assert part in content
    assert f'<base href="{wiki.url}">' in content


def test_only_the_chosen_namespaces(wiki: MediawikiServer, prefix: str) -> None:
    wiki.write_page(f"{prefix} article", "Text.")
    wiki.write_page(f"Help:{prefix}", "Help.")
    wiki.write_page(f"Project:{prefix}", "About.")
    for namespaces, titles in (
        ("", {f"{prefix} article"}),
        ("help, project talk, WIKI", {f"Help:{prefix}", f"Wiki:{prefix}"}),
        ("0, 12", {f"{prefix} article", f"Help:{prefix}"}),
    ):
        with connect(options(wiki, namespaces=namespaces, files=False)) as source:
            assert {title for title in by_title(source) if prefix in title} == titles
    for name in ("Holidays", "Special", "-1"):
        with connect(options(wiki, namespaces=name)) as source:
            problem = first_problem(source.check())
        assert f"no namespace “{name}”. It has 0, Talk, User" in problem


def test_lists_longer_than_an_answer(
    wiki: MediawikiServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mediawiki, "LIMIT", "2")
    titles = {f"{prefix} page {number}" for number in range(5)}
    for title in titles:
        wiki.write_page(title, "Text.")
    with connect(options(wiki)) as source:
        assert titles <= by_title(source).keys()


def test_page_renamed_during_a_listing_is_not_missing(
    wiki: MediawikiServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mediawiki, "LIMIT", "1")
    for name in ("b", "c", "z"):
        wiki.write_page(f"{prefix} {name}", "Text.")
    found: list[Change] = []
    with connect(options(wiki, files=False)) as source:
        for change in source.list_changes(""):
            found.append(change)
            if isinstance(change, Item) and change.title == f"{prefix} b":
                wiki.move_page(f"{prefix} z", f"{prefix} a")
    items = [change for change in found if isinstance(change, Item)]
    assert {f"{prefix} a", f"{prefix} b", f"{prefix} c"} <= {item.title for item in items}
    assert len({item.id for item in items}) == len(items)
    assert isinstance(found[-1], Complete)


def test_constantly_renamed_pages_never_complete_a_listing(wiki: MediawikiServer, prefix: str) -> None:
    wiki.write_page(prefix, "Text.")
    names, found = [prefix], list[Change]()

    def note(change: Change) -> None:
        found.append(change)
        if not isinstance(change, Item):
            names.append(f"{prefix} {len(names)}")
            wiki.move_page(names[-2], names[-1])

    with connect(options(wiki, files=False)) as source, pytest.raises(SourceUnavailable) as changed:
        deque(map(note, source.list_changes("")))
    assert code_of(changed) == "source_list_changed"
    assert len(names) == 4
    assert not any(isinstance(change, Complete) for change in found)


def test_page_changed_between_listing_and_reading_is_rejected(wiki: MediawikiServer, prefix: str) -> None:
    for name in ("changed", "deleted"):
        wiki.write_page(f"{prefix} {name}", "Text.")
        wiki.upload(f"{prefix}_{name}.txt", name.encode())
    with connect(options(wiki)) as source:
        items = by_title(source)
        wiki.write_page(f"{prefix} changed", "Other text.")
        wiki.upload(f"{prefix}_changed.txt", b"Other content")
        wiki.delete_page(f"{prefix} deleted")
        wiki.delete_page(f"File:{prefix} deleted.txt")
        for ending in ("", ".txt"):
            with pytest.raises(ItemChanged):
                read_item(source, items[f"{prefix} changed{ending}"])
            with pytest.raises(ItemUnavailable) as gone:
                read_item(source, items[f"{prefix} deleted{ending}"])
            assert code_of(gone) == "source_item_gone"


def test_current_version_of_a_file_is_read(
    wiki: MediawikiServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """About a file alone, the wiki also tells its earlier versions."""
    for number in range(3):
        wiki.upload(f"{prefix}.txt", f"version {number}".encode())
    for limit in ("max", "1"):
        monkeypatch.setattr(mediawiki, "LIMIT", limit)
        with connect(options(wiki)) as source:
            assert read_item(source, by_title(source)[f"{prefix}.txt"]) == b"version 2"


def test_file_replaced_on_disk_is_rejected(wiki: MediawikiServer, prefix: str) -> None:
    wiki.upload(f"{prefix}.txt", b"listed content")
    with connect(options(wiki)) as source:
        item = by_title(source)[f"{prefix}.txt"]
        [path] = (wiki.folder / "images").rglob(f"{prefix}.txt")
        path.write_bytes(b"other content!")
        with pytest.raises(ItemChanged):
            read_item(source, item)


def test_unrenderable_page_fails_individually(wiki: MediawikiServer, prefix: str) -> None:
    wiki.write_page(prefix, "Text.")
    with connect(options(wiki)) as source:
        item = by_title(source)[prefix]
        wiki.save(wgBrokenPages=True, wgParserCacheType=0)
        with pytest.raises(ItemUnavailable) as broken:
            read_item(source, item)
    assert code_of(broken) == "source_item_broken"


def test_private_wiki_is_read_with_an_account(wiki: MediawikiServer, prefix: str) -> None:
    wiki.write_page(prefix, "Secret text.")
    wiki.upload(f"{prefix}.txt", b"secret file")
    wiki.save(**PRIVATE)
    with connect(options(wiki)) as source:
        assert "can only be read by people who sign in" in first_problem(source.check())
        with pytest.raises(SourceRefused):
            list(source.list_changes(""))
    with connect(options(wiki, username=ADMIN, password=ADMIN_PASSWORD)) as source:
        assert [step.problem for step in source.check()] == [""] * 4
        items = by_title(source)
        assert read_item(source, items[f"{prefix}.txt"]) == b"secret file"
    with connect(bot_options(wiki)) as source:
        assert b"Secret text." in read_item(source, by_title(source)[prefix])
        assert "accepts bot passwords for pages only" in first_problem(source.check())
    with connect(bot_options(wiki, files=False)) as source:
        steps = list(source.check())
    assert [step.problem for step in steps] == [""] * 4
    assert "isn’t encrypted" in steps[0].warning
    assert "Choose its readers in Cairn accordingly" in steps[1].detail


def test_public_wiki_check_reports_public_reading(wiki: MediawikiServer) -> None:
    with connect(bot_options(wiki)) as source:
        steps = list(source.check())
    assert [step.problem for step in steps] == [""] * 4
    assert steps[1].detail == "The wiki can be read without signing in."


def test_account_with_more_than_read_rights_is_reported(
    wiki: MediawikiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_server.WebServer, "encryption_warning", "")
    given = {"username": ADMIN, "password": ADMIN_PASSWORD}
    details = []
    for account in (options(wiki, **given), bot_options(wiki), options(wiki)):
        with connect(account) as source:
            details.append(next(iter(source.check())).warning)
    assert "can do more than read" in details[0]
    assert details[1:] == ["", ""]


def test_credentials_and_rights_are_explained(wiki: MediawikiServer) -> None:
    with connect(options(wiki, username=BOT, password="wrong")) as source:
        [step] = source.check()
        assert step.problem.startswith("127.0.0.1 refuses to let Cairn sign in: Incorrect username")
    wiki.save(wgGroupPermissions={each: {"read": False} for each in ("*", "user", "sysop", "autoconfirmed")})
    with connect(bot_options(wiki)) as source:
        assert "needs the right “read”" in first_problem(source.check())


def test_expired_session_is_renewed(wiki: MediawikiServer, prefix: str) -> None:
    wiki.write_page(prefix, "Secret text.")
    wiki.save(**PRIVATE)
    with connect(bot_options(wiki)) as source:
        item = by_title(source)[prefix]
        source._server._client.cookies.clear()
        assert b"Secret text." in read_item(source, item)


def test_expired_session_does_not_fall_back_to_anonymous_reading(wiki: MediawikiServer) -> None:
    """Extensions may show the account more than others, which would then look deleted."""
    with connect(bot_options(wiki)) as source:
        list_items(source)
        source._server._client.cookies.clear()
        wiki.save(wgEnableBotPasswords=False)
        with pytest.raises(SourceRefused):
            list(source.list_changes(""))


def test_file_on_another_server_is_unavailable(wiki: MediawikiServer, prefix: str) -> None:
    wiki.upload(f"{prefix}.txt", b"file")
    wiki.save(wgUploadPath=f"http://localhost:{wiki.port}/images")
    with connect(options(wiki)) as source:
        item = by_title(source)[f"{prefix}.txt"]
        with pytest.raises(ItemUnavailable) as elsewhere:
            read_item(source, item)
    assert code_of(elsewhere) == "mediawiki_file_elsewhere"


def test_wiki_is_requested_under_its_configured_host_name(wiki: MediawikiServer, prefix: str) -> None:
    wiki.upload(f"{prefix}.txt", b"file")
    wiki.save(wgServer="https://wiki.example.org")
    with connect(options(wiki)) as source:
        item = by_title(source)[f"{prefix}.txt"]
        assert item.uri == f"https://wiki.example.org/index.php/File:{prefix}.txt"
        assert read_item(source, item) == b"file"


def test_documents_follow_the_wiki(
    wiki: MediawikiServer, prefix: str, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connected, synced and read over REST."""
    monkeypatch.setattr(broker, "send", lambda *_: None)
    admin, reader = caller_for("ada", is_admin=True), caller_for("rob")
    base = make_base(name="Wiki", principal=admin.principal)
    grant_give(knowledge_base=base, subject="everyone", role=Role.READER, principal=SETUP)
    wiki.write_page("Template:Notice", "Notice one.")
    for name in ("kept", "edited", "renamed", "deleted"):
        wiki.write_page(f"Help:{prefix} {name}", f"Text that is {name}.")
    wiki.write_page(f"Help:{prefix} noticed", "{{Notice}}")
    wiki.upload(f"{prefix}.txt", b"file")
    wiki.run_jobs()
    connected = {"url": f"{wiki.url}api.php", "namespaces": "Help"}
    body = {"knowledge_base": str(base.id), "kind": "mediawiki", "name": "Wiki", "options": connected}
    assert admin.post("/sources", {**body, "readers": "source"}).status_code == 422
    source = admin.post("/sources", {**body, "readers": "everyone"}).json()
    assert admin.post(f"/sources/{source['id']}/check").json()["problem"] is None
    before, first = sync(admin, reader, source["id"], prefix)
    assert before.keys() == {
        *(f"Help:{prefix} {name}" for name in ("kept", "edited", "renamed", "deleted", "noticed")),
        f"{prefix}.txt",
    }
    wiki.write_page(f"Help:{prefix} edited", "Other text.")
    wiki.move_page(f"Help:{prefix} renamed", f"Help:{prefix} A new name")
    wiki.delete_page(f"Help:{prefix} deleted")
    wiki.write_page("Template:Notice", "Notice two.")
    wiki.run_jobs()
    after, second = sync(admin, reader, source["id"], prefix)
    assert after.keys() == {
        *(f"Help:{prefix} {name}" for name in ("kept", "edited", "A new name", "noticed")),
        f"{prefix}.txt",
    }
    assert after[f"Help:{prefix} A new name"] == before[f"Help:{prefix} renamed"]
    assert first["submitted"] >= 6
    assert (second["submitted"], second["removed"], second["renamed"]) == (2, 1, 1)
    submitted = SourceItem.objects.get(title=f"Help:{prefix} noticed").document
    assert submitted is not None
    assert submitted.versions.count() == 2


def sync(admin: Caller, reader: Caller, source: str, prefix: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Sync the content. Return the ids of documents that a reader sees by title, and the counts."""
    assert admin.post(f"/sources/{source}/sync", {}).status_code == 202
    schedule = SourceSchedule.objects.get(source=source, task="content")
    SourceSchedule.objects.filter(pk=schedule.pk).update(requested_at=timezone.now(), not_before=None)
    assert run_source_task(schedule.pk)
    schedule.refresh_from_db()
    assert schedule.error == ""
    found = reader.get("/documents?limit=100").json()["items"]
    return {each["title"]: each["id"] for each in found if prefix in each["title"]}, schedule.result


def test_unreachable_wiki_is_reported() -> None:
    with connect(MediawikiOptions(url=f"http://127.0.0.1:{free_port()}/")) as source:
        assert "Can’t connect" in first_problem(source.check())
        with pytest.raises(SourceUnavailable):
            list(source.list_changes(""))


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Redirect("http://elsewhere.example/"), "redirects to http://elsewhere.example/"),
        (Endless(), "doesn’t end"),
        (Fixed(b"<html>"), "has no MediaWiki API at this address"),
        (Fixed(b"Not found", status=404), "has no MediaWiki API at this address"),
        (Fixed(b"No", status=403), "HTTP 403"),
        (Fixed(b"{}", status=503), "overloaded"),
        (Fixed(b"[]"), "can’t read"),
        (Fixed(b"{}"), "can’t read"),
        (Fixed(b'{"error": {"code": "readonly", "info": "Maintenance."}}'), "Maintenance."),
    ],
)
def test_invalid_responses_are_reported(
    answer: Behaviour, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_server, "MAX_BYTES", 300_000)
    with OddServer(answer) as server:
        with connect(MediawikiOptions(url=server.url)) as source:
            assert problem in first_problem(source.check())
            with pytest.raises((SourceUnavailable, SourceRefused)):
                list(source.list_changes(""))
        assert server.requests < 5


def test_mediawiki_kind_accepts_only_api_addresses() -> None:
    kind = get_kind("mediawiki")
    assert (kind.has_access, kind.has_people) == (False, False)
    for url in ("https://wiki.example.org/w", "https://wiki.example.org/w/api.php"):
        assert kind.options.model_validate({"url": url}).url == "https://wiki.example.org/w/"  # type: ignore[attr-defined]
