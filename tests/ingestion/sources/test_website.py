"""Pages of a real web server, and of one that is away, busy, endless, or leads elsewhere."""

import gzip
import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pydantic import ValidationError

from cairn.access.scope import Principal
from cairn.library.models import Document, KnowledgeBase
from ingestion.models import Source, SourceReaders, SourceSchedule
from ingestion.sources import encryption
from ingestion.sources.kinds import get_kind
from ingestion.sources.kinds.website import crawl, page_requests, page_store
from ingestion.sources.kinds.website import source as website
from ingestion.sources.kinds.website.options import WebsiteOptions
from ingestion.sources.kinds.website.page_store import PageStore
from ingestion.sources.protocol import (
    Change,
    Complete,
    Gone,
    Item,
    ItemUnavailable,
    SourceRefused,
    SourceUnavailable,
    Unlisted,
    first_problem,
)
from ingestion.sources.services import source_create, source_update
from ingestion.sources.sync.run import run_source_task
from tests.ingestion.sources.webdav_server import answering
from tests.ingestion.sources.website_server import Resource, WebsiteServer, moved, page


@pytest.fixture
def server() -> Iterator[WebsiteServer]:
    with WebsiteServer() as started:
        started.resources["/docs/"] = page("leave.html", "travel/", "/other/", title="Handbook")
        started.resources["/docs/leave.html"] = page("./", title="Leave", text="Thirty days.")
        started.resources["/docs/travel/"] = page("../plan.pdf", title="Travel", text="By train.")
        started.resources["/docs/plan.pdf"] = Resource(b"%PDF", headers={"Content-Type": "application/pdf"})
        yield started


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the crawler waits, without waiting."""
    waited: list[float] = []
    monkeypatch.setattr(page_requests, "sleep", waited.append)
    return waited


def options(server: WebsiteServer, **others: Any) -> WebsiteOptions:
    return WebsiteOptions(**{"url": f"{server.origin}/docs/", "pause": 0, **others})


def list_all(server: WebsiteServer, cursor: str = "", **others: Any) -> list[Change]:
    with website.connect(options(server, **others)) as source:
        return list(source.list_changes(cursor))


def paths_of(server: WebsiteServer, changes: list[Change]) -> list[str]:
    return [each.uri.removeprefix(server.origin) for each in changes if isinstance(each, Item)]


def item_at(server: WebsiteServer, changes: list[Change], path: str) -> Item:
    [found] = [each for each in changes if isinstance(each, Item) and each.uri == server.origin + path]
    return found


def cursor_of(changes: list[Change]) -> str:
    assert isinstance(changes[-1], Complete)
    return changes[-1].cursor


def code_of(error: pytest.ExceptionInfo[Any]) -> str:
    return str(error.value.message.code)


def unlisted_in(changes: list[Change]) -> list[str]:
    return [each.container for each in changes if isinstance(each, Unlisted)]


def sitemap(*addresses: str, index: bool = False) -> Resource:
    outer, inner = ("sitemapindex", "sitemap") if index else ("urlset", "url")
    entries = "".join(f"<{inner}><loc> {address} </loc></{inner}>" for address in addresses)
    namespace = "http://www.sitemaps.org/schemas/sitemap/0.9"
    text = f'<?xml version="1.0"?><{outer} xmlns="{namespace}">{entries}</{outer}>'
    return Resource(text.encode(), headers={"Content-Type": "application/xml"})


def test_pages_and_files_below_the_address_are_listed_and_read(server: WebsiteServer) -> None:
    changes = list_all(server)
    assert paths_of(server, changes) == ["/docs/", "/docs/leave.html", "/docs/travel/", "/docs/plan.pdf"]
    assert not server.asked["/other/"]
    leave = item_at(server, changes, "/docs/leave.html")
    assert (leave.name, leave.title, leave.container) == ("leave.html", "Leave", "docs")
    assert item_at(server, changes, "/docs/travel/").name == "index.html"
    with website.connect(options(server)) as source:
        with source.open(leave) as content:
            text = content.read().decode("utf-8-sig")
        with source.open(item_at(server, changes, "/docs/plan.pdf")) as content:
            assert content.read() == b"%PDF"
    assert "Thirty days." in text
    assert f'<base href="{server.origin}/docs/leave.html">' in text


def test_website_kind_is_registered_and_its_check_succeeds(server: WebsiteServer) -> None:
    server.resources["/sitemap.xml"] = sitemap(f"{server.origin}/docs/leave.html")
    kind = get_kind("website")
    with kind.connect(options(server)) as source:
        steps = list(source.check())
    assert [step.problem for step in steps] == ["", "", ""]
    assert [step.detail for step in steps[1:]] == ["1 page in the sitemap.", f"{server.origin}/docs/"]
    del server.resources["/sitemap.xml"]
    with kind.connect(options(server)) as source:
        assert [step.detail for step in source.check()][1] == ""
    assert not kind.has_access
    assert not kind.has_people


@pytest.mark.parametrize("packed", [False, True])
def test_pages_of_sitemaps_are_found_without_links(server: WebsiteServer, *, packed: bool) -> None:
    """One index lists another one, itself, and two sitemaps, of which one is elsewhere."""
    origin = server.origin
    server.resources["/robots.txt"] = Resource(f"Sitemap: {origin}/index.xml".encode())
    server.resources["/index.xml"] = sitemap(f"{origin}/more.xml", f"{origin}/index.xml", index=True)
    server.resources["/more.xml"] = sitemap(
        f"{origin}/pages.xml.gz", "http://elsewhere.example.org/pages.xml", index=True
    )
    pages = sitemap(f"{origin}/docs/hidden.html", f"{origin}/other/", "http://elsewhere.example.org/docs/")
    content = gzip.compress(pages.content) if packed else pages.content
    server.resources["/pages.xml.gz"] = Resource(content)
    server.resources["/docs/hidden.html"] = page("leave.html", title="Hidden")
    changes = list_all(server, discovery="sitemap")
    assert paths_of(server, changes) == ["/docs/hidden.html"]
    assert "/docs/hidden.html" in paths_of(server, list_all(server))
    assert server.asked["/index.xml"] == 2  # one for each crawl, in spite of its loop


def test_sitemap_discovery_without_a_sitemap_is_refused(server: WebsiteServer) -> None:
    with pytest.raises(SourceRefused) as refused:
        list_all(server, discovery="sitemap")
    assert code_of(refused) == "website_no_sitemap"


def test_compressed_sitemap_bomb_is_refused(server: WebsiteServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_requests, "MAX_FILE_BYTES", 100_000)
    server.resources["/sitemap.xml"] = Resource(gzip.compress(b" " * 10_000_000))
    with pytest.raises(SourceUnavailable):
        list_all(server)


def test_sitemap_replaced_by_a_page_deletes_nothing(server: WebsiteServer) -> None:
    server.resources["/sitemap.xml"] = sitemap(f"{server.origin}/docs/hidden.html")
    server.resources["/docs/hidden.html"] = page(title="Hidden")
    cursor = cursor_of(list_all(server))
    server.resources["/sitemap.xml"] = page(title="Please sign in")
    with pytest.raises(SourceUnavailable):
        list_all(server, cursor)
    assert paths_of(server, list_all(server))  # a page that was there from the start is no sitemap


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/sitemap.xml", Resource(b"", 403)),
        ("/sitemap.xml", Resource(b"", 404)),
        ("/pages.xml", Resource(b"", 401)),
        ("/pages.xml", moved("http://sso.example.org/", 302)),
    ],
)
def test_unreachable_sitemaps_delete_nothing(server: WebsiteServer, path: str, answer: Resource) -> None:
    server.resources["/sitemap.xml"] = sitemap(f"{server.origin}/pages.xml", index=True)
    server.resources["/pages.xml"] = sitemap(f"{server.origin}/docs/hidden.html")
    server.resources["/docs/hidden.html"] = page(title="Hidden")
    before = list_all(server)
    assert "/docs/hidden.html" in paths_of(server, before)
    server.resources[path] = answer
    with pytest.raises(SourceUnavailable):
        list_all(server, cursor_of(before))


def test_entities_in_sitemaps_are_not_expanded(server: WebsiteServer) -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "%s"><!ENTITY b SYSTEM "file:///etc/passwd">]>' % (b"x" * 1000)
    body = b"<urlset><url><loc>%s/docs/&a;&b;</loc></url></urlset>" % server.origin.encode()
    server.resources["/sitemap.xml"] = Resource(bomb + body)
    list_all(server)
    assert not any("xxx" in path or "root" in path for path in server.asked)


def test_robots_txt_is_followed(server: WebsiteServer, waits: list[float]) -> None:
    rules = "User-agent: *\nDisallow: /docs/travel/\nDisallow: /*secret\nCrawl-delay: 7\n"
    server.resources["/robots.txt"] = Resource(rules.encode())
    server.resources["/docs/"] = page("leave.html", "travel/", "a-secret.html")
    server.resources["/docs/a-secret.html"] = page()
    assert paths_of(server, list_all(server)) == ["/docs/", "/docs/leave.html"]
    assert set(server.asked) == {"/robots.txt", "/sitemap.xml", "/docs/", "/docs/leave.html"}
    assert set(waits) == {7.0}


def test_start_page_forbidden_by_robots_txt_is_refused(server: WebsiteServer) -> None:
    server.resources["/robots.txt"] = Resource(b"User-agent: Cairn\nDisallow: /")
    with pytest.raises(SourceRefused) as refused:
        list_all(server)
    assert code_of(refused) == "website_robots_refuse"
    assert not server.asked["/docs/"]


def test_unreadable_robots_txt_stops_the_sync(server: WebsiteServer) -> None:
    server.resources["/robots.txt"] = Resource(b"", 500)
    with pytest.raises(SourceUnavailable):
        list_all(server)
    assert not server.asked["/docs/"]


def test_page_with_several_addresses_is_one_document(server: WebsiteServer) -> None:
    canonical = '<link rel="canonical" href="/docs/leave.html">'
    server.resources["/docs/"] = page("print.html", "old.html", title="Handbook")
    server.resources["/docs/print.html"] = page(head=canonical)
    server.resources["/docs/old.html"] = page(head='<link rel="canonical" href="/docs/missing.html">')
    assert paths_of(server, list_all(server)) == ["/docs/", "/docs/leave.html", "/docs/old.html"]


def test_pages_with_mutual_canonical_links_are_one(server: WebsiteServer) -> None:
    server.resources["/docs/"] = page("a.html", "b.html")
    server.resources["/docs/a.html"] = page(head='<link rel="canonical" href="b.html">')
    server.resources["/docs/b.html"] = page(head='<link rel="canonical" href="a.html">')
    assert paths_of(server, list_all(server)) == ["/docs/", "/docs/a.html"]


def test_noindex_pages_are_omitted(server: WebsiteServer) -> None:
    server.resources["/docs/"] = page("leave.html", head='<meta name="robots" content="noindex">')
    server.resources["/docs/leave.html"] = page("travel/", head='<meta name="robots" content="nofollow">')
    assert paths_of(server, list_all(server)) == ["/docs/leave.html"]


def test_unchanged_page_is_not_downloaded(server: WebsiteServer) -> None:
    for path in ("/docs/", "/docs/leave.html", "/docs/travel/"):
        server.resources[path] = Resource(**{**vars(server.resources[path]), "tagged": True})
    before = list_all(server)
    after = list_all(server, cursor_of(before))
    assert [each for each in after if isinstance(each, Item)] == [
        each for each in before if isinstance(each, Item)
    ]
    assert server.received["/docs/leave.html"]["if-none-match"]
    assert unlisted_in(after) == []


def test_scripts_and_tokens_make_no_new_version(server: WebsiteServer) -> None:
    server.resources["/docs/"] = page(head="<script>token=1</script>")
    before = item_at(server, list_all(server), "/docs/")
    server.resources["/docs/"] = page(head="<script>token=2</script><!-- 3 -->")
    assert item_at(server, list_all(server), "/docs/").version == before.version
    server.resources["/docs/"] = page(text="Another text.")
    assert item_at(server, list_all(server), "/docs/").version != before.version


def test_endless_calendar_is_limited(server: WebsiteServer) -> None:
    def next_month(path: str) -> Resource | None:
        number = path.removeprefix("/docs/calendar/")
        return page(f"/docs/calendar/{int(number) + 1}") if number.isdecimal() else None

    server.default = next_month
    server.resources["/docs/"] = page("calendar/1")
    by_depth = list_all(server, depth=4)
    assert len(paths_of(server, by_depth)) == 5
    assert unlisted_in(by_depth) == []
    by_pages = list_all(server, depth=50, max_pages=10)
    assert len(paths_of(server, by_pages)) == 10
    assert unlisted_in(by_pages) == [""]  # what was beyond the limit stays


def test_addresses_with_equivalent_spelling_are_one(server: WebsiteServer) -> None:
    server.resources["/docs/"] = page(
        "leave.html#days", "./x/../leave.html", "LEAVE.html", "leave.html?print=1", "gr%C3%BC%C3%9Fe.html",
        "grüße.html", "javascript:alert(1)", "mailto:a@example.org", "//[", "%2e%2e/other/", "photo.JPG",
    )  # fmt: skip
    server.resources["/docs/gr%C3%BC%C3%9Fe.html"] = page(title="Grüße")
    assert paths_of(server, list_all(server)) == ["/docs/", "/docs/leave.html", "/docs/gr%C3%BC%C3%9Fe.html"]
    assert max(server.asked.values()) == 1
    assert "/docs/photo.JPG" not in server.asked
    server.resources["/docs/leave.html?print=1"] = page(title="Leave")
    assert "/docs/leave.html?print=1" in paths_of(server, list_all(server, queries=True))


def test_files_can_be_omitted(server: WebsiteServer) -> None:
    assert "/docs/plan.pdf" not in paths_of(server, list_all(server, files=False))
    assert not server.asked["/docs/plan.pdf"]


# redirects


def test_redirects_in_the_selected_part_are_followed(server: WebsiteServer) -> None:
    server.resources["/docs/"] = page("old.html", "loop.html")
    server.resources["/docs/old.html"] = moved("/docs/leave.html")
    server.resources["/docs/loop.html"] = moved("/docs/loop.html", 302)
    changes = list_all(server)
    assert paths_of(server, changes) == ["/docs/", "/docs/leave.html"]
    assert server.asked["/docs/loop.html"] == 1


@pytest.mark.parametrize("status", [302, 308])
def test_start_page_that_redirects_to_itself_without_a_slash_is_read(
    server: WebsiteServer, status: int
) -> None:
    server.resources["/docs"] = page("/docs/leave.html", "/docs", "/docs/", title="Handbook")
    server.resources["/docs/"] = moved("/docs", status)
    server.resources["/docs/leave.html"] = page("/docs", title="Leave")
    first = list_all(server)
    assert paths_of(server, first) == ["/docs", "/docs/leave.html"]
    assert paths_of(server, list_all(server, cursor_of(first))) == ["/docs", "/docs/leave.html"]
    with website.connect(options(server)) as source:
        assert first_problem(source.check()) == ""
        with source.open(item_at(server, first, "/docs")) as content:
            assert b"Handbook" in content.read()


def test_start_page_without_a_slash_is_not_listed_twice(server: WebsiteServer) -> None:
    server.resources["/docs"] = server.resources["/docs/"]
    server.resources["/docs/leave.html"] = page("/docs", title="Leave")
    server.resources["/sitemap.xml"] = sitemap(f"{server.origin}/docs")
    assert "/docs" not in paths_of(server, list_all(server))


@pytest.mark.parametrize("target", ["/docs/", "/docs/gone.html", "/docs/back.html"])
def test_start_page_that_always_redirects_to_no_page_is_refused(server: WebsiteServer, target: str) -> None:
    """An empty listing would delete all documents."""
    server.resources["/docs/"] = moved(target, 302)
    server.resources["/docs/back.html"] = moved("/docs/", 302)
    with pytest.raises(SourceRefused) as refused:
        list_all(server)
    assert code_of(refused) == "website_start_leads_nowhere"
    with website.connect(options(server)) as source:
        assert "redirects, but not to a page" in first_problem(source.check())


def test_start_page_that_always_redirects_in_the_selected_part_is_followed(server: WebsiteServer) -> None:
    server.resources["/docs/en/"] = page("../leave.html", title="Handbook")
    server.resources["/docs/"] = moved("/docs/en/", 302)
    first = list_all(server)
    assert paths_of(server, first) == ["/docs/en/", "/docs/leave.html"]
    assert paths_of(server, list_all(server, cursor_of(first))) == paths_of(server, first)


def test_known_start_page_that_redirects_names_the_target(server: WebsiteServer) -> None:
    """Saving the source forgets the cursor, and the redirect is followed."""
    cursor = cursor_of(list_all(server))
    server.resources["/docs/"] = moved("/docs/leave.html", 302)
    with pytest.raises(SourceRefused) as refused:
        list_all(server, cursor)
    assert code_of(refused) == "website_start_moved"
    assert "/docs/leave.html" in str(refused.value)
    assert paths_of(server, list_all(server)) == ["/docs/leave.html"]


@pytest.mark.parametrize("status", [301, 302])
def test_redirects_stay_on_the_server(server: WebsiteServer, status: int) -> None:
    with WebsiteServer() as other:
        other.default = lambda path: page(title="elsewhere")
        server.resources["/docs/leave.html"] = moved(f"{other.origin}/docs/", status)
        server.resources["/robots.txt"] = moved(f"{other.origin}/robots.txt", status)
        server.resources["/sitemap.xml"] = moved(f"{other.origin}/sitemap.xml", status)
        changes = list_all(server, header="X-Token", header_value="secret")
        leave = Item("1", "leave.html", f"{server.origin}/docs/leave.html", "1")
        with website.connect(options(server)) as source, pytest.raises(ItemUnavailable), source.open(leave):
            pass
        server.resources["/docs/"] = moved(f"{other.origin}/docs/", status)
        with pytest.raises(SourceRefused) as refused:
            list_all(server)
        assert not other.asked
    assert "/docs/leave.html" not in paths_of(server, changes)
    assert code_of(refused) == "source_redirects"


def test_links_to_other_servers_are_not_requested(server: WebsiteServer) -> None:
    with WebsiteServer() as other:
        server.resources["/docs/"] = page(
            f"{other.origin}/docs/", f"//{other.origin.removeprefix('http://')}/docs/", "http://169.254.169.254/docs/",
            head=f'<base href="{other.origin}/"><link rel="canonical" href="{other.origin}/docs/">',
        )  # fmt: skip
        assert paths_of(server, list_all(server)) == ["/docs/"]
        assert not other.asked


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest/", "http://[fd00:ec2::254]/"])
def test_metadata_services_are_unreachable(url: str) -> None:
    with website.connect(WebsiteOptions(url=url)) as source, pytest.raises(SourceRefused):
        list(source.list_changes(""))


def test_websites_on_the_internet_need_encryption(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encryption, "resolve_server", lambda host, port: [ip_address("93.184.215.14")])
    with website.connect(WebsiteOptions(url="http://www.example.org/")) as source:
        assert "must be encrypted" in first_problem(source.check())
        with pytest.raises(SourceRefused) as refused:
            list(source.list_changes(""))
    assert code_of(refused) == "source_unencrypted_refused"


# signing in


def test_configured_header_is_sent(server: WebsiteServer) -> None:
    server.required = ("Authorization", "Bearer secret")
    changes = list_all(server, header="Authorization", header_value="Bearer secret")
    assert "/docs/leave.html" in paths_of(server, changes)


def test_wrong_header_is_refused_and_deletes_nothing(server: WebsiteServer) -> None:
    server.required = ("Authorization", "Bearer secret")
    with pytest.raises(SourceRefused) as refused:
        list_all(server, header="Authorization", header_value="Bearer wrong")
    assert code_of(refused) == "website_page_refused"
    assert "secret" not in repr(options(server, header="A", header_value="secret"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"header": "Authorization"},
        {"header_value": "secret"},
        {"header": "A b", "header_value": "secret"},
        {"header": "A", "header_value": "two\nlines"},
        {"header": "A", "header_value": "schön"},
        {"url": "https://a:b@example.org/"},
        {"max_pages": 0},
    ],
)
def test_impossible_options_are_refused(server: WebsiteServer, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        options(server, **wrong)


# a website in trouble


@pytest.mark.parametrize("status", [500, 503, 403, 401])
def test_failing_page_is_preserved_with_its_linked_pages(server: WebsiteServer, status: int) -> None:
    before = list_all(server)
    server.resources["/docs/travel/"] = Resource(b"", status)
    after = list_all(server, cursor_of(before))
    assert paths_of(server, after) == paths_of(server, before)
    assert unlisted_in(after) == ["docs/travel"]
    assert paths_of(server, list_all(server, cursor_of(after))) == paths_of(server, before)


def test_page_redirecting_to_a_sign_in_is_preserved(server: WebsiteServer) -> None:
    before = list_all(server)
    server.resources["/docs/travel/"] = moved("/login", 302)
    after = list_all(server, cursor_of(before))
    assert paths_of(server, after) == paths_of(server, before)


def test_known_pages_that_redirect_to_a_sign_in_in_the_selected_part_stay(server: WebsiteServer) -> None:
    before = list_all(server)
    server.resources["/docs/login"] = page(title="Please sign in")
    server.resources["/docs/travel/"] = moved("/docs/login", 302)
    after = list_all(server, cursor_of(before))
    assert paths_of(server, after) == paths_of(server, before)
    server.resources["/docs/"] = moved("/docs/login", 302)
    with pytest.raises(SourceRefused):
        list_all(server, cursor_of(before))


@pytest.mark.parametrize("answer", [Resource(b"", 404), Resource(b"", 410), moved("/elsewhere/", 301)])
def test_deleted_page_is_reported(server: WebsiteServer, answer: Resource) -> None:
    before = list_all(server)
    server.resources["/docs/leave.html"] = answer
    after = list_all(server, cursor_of(before))
    assert [each for each in after if isinstance(each, Gone)] == [Gone(f"{server.origin}/docs/leave.html")]
    assert "/docs/leave.html" not in paths_of(server, after)


def test_never_read_page_protects_all_others_for_a_week(
    server: WebsiteServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be what links to pages of a crawl before, whose state is lost when options are saved."""
    server.resources["/docs/travel/"] = Resource(b"", 500)
    first = list_all(server)
    assert unlisted_in(first) == [""]
    assert unlisted_in(list_all(server, cursor_of(first))) == [""]
    server.resources["/docs/"] = page("leave.html", "travel/", "new.html")
    server.resources["/docs/new.html"] = Resource(b"", 500)  # nothing that is known depends on this one
    later = timezone.now() + timedelta(days=8)
    monkeypatch.setattr(timezone, "now", lambda: later)
    assert unlisted_in(list_all(server, cursor_of(first))) == []


def test_failing_start_page_ends_the_sync(server: WebsiteServer) -> None:
    cursor = cursor_of(list_all(server))
    server.resources["/docs/"] = Resource(b"", 500)
    with pytest.raises(SourceUnavailable):
        list_all(server, cursor)
    server.resources["/docs/"] = Resource(b"", 404)
    with pytest.raises(SourceRefused) as refused:
        list_all(server, cursor)
    assert code_of(refused) == "website_start_missing"


def test_unknown_host_and_forbidden_address_have_different_errors() -> None:
    with pytest.raises(SourceUnavailable) as unknown:
        encryption.find_addresses(f"{'a' * 64}.example.org", 443, encrypted=True)
    with pytest.raises(SourceRefused) as forbidden:
        encryption.find_addresses("169.254.169.254", 443, encrypted=True)
    assert (code_of(unknown), code_of(forbidden)) == ("source_name_unknown", "source_address_forbidden")


def test_website_failing_during_a_listing_completes_nothing(server: WebsiteServer) -> None:
    def go_away(path: str) -> None:
        if "page" in path:
            raise OSError

    server.resources["/docs/"] = page(*(f"page{number}.html" for number in range(crawl.MAX_FAILED)))
    server.on_request = go_away
    seen: deque[Change] = deque()
    with website.connect(options(server)) as source, pytest.raises(SourceUnavailable):
        seen.extend(source.list_changes(""))
    assert sum(count for path, count in server.asked.items() if "page" in path) == crawl.MAX_FAILED


def test_busy_website_is_retried_after_its_retry_after(server: WebsiteServer, waits: list[float]) -> None:
    busy = Resource(b"", 429, {"Retry-After": "17"})
    leave = server.resources["/docs/leave.html"]
    server.resources["/docs/leave.html"] = busy

    def recover(path: str) -> None:
        if path == "/docs/leave.html" and server.asked[path] > 1:
            server.resources[path] = leave

    server.on_request = recover
    assert "/docs/leave.html" in paths_of(server, list_all(server))
    assert waits == [17]


@pytest.mark.parametrize(("seconds", "requests"), [("600", 1), ("20", page_requests.MAX_WAITS)])
def test_website_that_stays_busy_is_synced_later(
    server: WebsiteServer, waits: list[float], seconds: str, requests: int
) -> None:
    server.resources["/docs/leave.html"] = Resource(b"", 503, {"Retry-After": seconds})
    with pytest.raises(SourceUnavailable) as busy:
        list_all(server)
    assert busy.value.retry_after == int(seconds)
    assert server.asked["/docs/leave.html"] == requests


def test_pages_are_requested_with_pauses(server: WebsiteServer, waits: list[float]) -> None:
    list_all(server, pause=3)
    assert waits == [3] * (sum(server.asked.values()) - 1)


def test_endless_page_is_omitted(server: WebsiteServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_requests, "MAX_PAGE_BYTES", 100_000)
    before = list_all(server)
    server.resources["/docs/leave.html"] = page(text="x" * 1_000_000)
    after = list_all(server, cursor_of(before))
    assert unlisted_in(after) == ["docs/leave.html"]
    assert item_at(server, after, "/docs/leave.html") == item_at(server, before, "/docs/leave.html")


def test_truncated_file_fails() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/pdf")
        handler.send_header("Content-Length", "1000")
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(b"%PDF")

    with answering(answer) as url:
        item = Item(id="1", name="plan.pdf", uri=f"{url}plan.pdf", version="1")
        with (
            website.connect(WebsiteOptions(url=url, pause=0)) as source,
            source.open(item) as content,
            pytest.raises(ItemUnavailable),
        ):
            content.read()


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\xff\xfe", b"<html", b"<div>" * 5000, "<p>\ud800".encode(errors="surrogatepass"), b"<!--"],
)
def test_broken_pages_are_listed(server: WebsiteServer, content: bytes) -> None:
    server.resources["/docs/leave.html"] = Resource(
        content, headers={"Content-Type": "text/html; charset=nonsense"}
    )
    changes = list_all(server)
    leave = item_at(server, changes, "/docs/leave.html")
    with website.connect(options(server)) as source, source.open(leave) as opened:
        assert opened.read().endswith(content)


@pytest.mark.parametrize("cursor", ["x", "{}", "0" * 1000])
def test_unreadable_cursor_starts_from_the_beginning(server: WebsiteServer, cursor: str) -> None:
    assert paths_of(server, list_all(server, cursor)) == paths_of(server, list_all(server))


# what is read once


def read_all(source: Any, changes: list[Change]) -> dict[str, bytes]:
    found = {}
    for each in changes:
        if isinstance(each, Item):
            with source.open(each) as content:
                found[each.name] = content.read()
    return found


def test_pages_are_requested_once_in_a_sync(server: WebsiteServer) -> None:
    with website.connect(options(server)) as source:
        read = read_all(source, list(source.list_changes("")))
    assert b"Thirty days." in read["leave.html"]
    assert {path: count for path, count in server.asked.items() if "pdf" not in path} == {
        "/robots.txt": 1, "/sitemap.xml": 1, "/docs/": 1, "/docs/leave.html": 1, "/docs/travel/": 1,
    }  # fmt: skip


def test_stored_page_is_the_one_that_was_requested(server: WebsiteServer) -> None:
    """Characters of a page without a charset of its own come from the header that was sent with it."""
    server.resources["/docs/leave.html"] = Resource(
        "<title>Für alle</title>".encode("latin-1"), headers={"Content-Type": "text/html; charset=latin-1"}
    )
    with website.connect(options(server)) as source:
        [leave] = [each for each in source.list_changes("") if isinstance(each, Item) and "leave" in each.uri]
        with source.open(leave) as stored:
            first = stored.read()
        with source.open(replace(leave, version="another")) as requested:
            assert requested.read() == first
    assert server.asked["/docs/leave.html"] == 2


def test_unchanged_pages_are_not_stored(server: WebsiteServer, monkeypatch: pytest.MonkeyPatch) -> None:
    stored: list[str] = []
    add = PageStore.add
    monkeypatch.setattr(
        PageStore, "add", lambda self, address, *page: stored.append(address) or add(self, address, *page)
    )
    cursor = cursor_of(list_all(server))
    assert len(stored) == 3
    server.resources["/docs/leave.html"] = page("./", title="Leave", text="Twenty days.")
    list_all(server, cursor)
    assert stored[3:] == [f"{server.origin}/docs/leave.html"]


def test_pages_that_do_not_fit_in_the_store_are_requested_again(
    server: WebsiteServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_store, "MAX_STORED_BYTES", 1000)
    text = "".join(hashlib.sha256(bytes([number])).hexdigest() for number in range(100))
    server.resources["/docs/leave.html"] = page("./", title="Leave", text=text)
    with website.connect(options(server)) as source:
        read = read_all(source, list(source.list_changes("")))
    assert text.encode() in read["leave.html"]
    asked = [server.asked[path] for path in ("/docs/", "/docs/leave.html", "/docs/travel/")]
    assert asked == [1, 2, 1]


def test_full_disk_only_costs_requests(server: WebsiteServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        page_store.tempfile,
        "TemporaryFile",
        lambda **how: Path("/dev/full").open("r+b", **how),  # noqa: SIM115
    )
    with website.connect(options(server)) as source:
        read = read_all(source, list(source.list_changes("")))
    assert b"Thirty days." in read["leave.html"]
    assert server.asked["/docs/leave.html"] == 2


# the whole sync


@pytest.mark.django_db
def test_documents_follow_the_website(server: WebsiteServer, base: KnowledgeBase, admin: Principal) -> None:
    source = source_create(
        knowledge_base=base,
        kind="website",
        name="Intranet",
        options={"url": f"{server.origin}/docs/", "pause": 0},
        principal=admin,
        readers=SourceReaders.EVERYONE,
    )

    def sync() -> tuple[SourceSchedule, set[str]]:
        row = SourceSchedule.objects.get(source=source, task="content")
        SourceSchedule.objects.filter(pk=row.pk).update(requested_at=timezone.now(), not_before=None)
        assert run_source_task(row.pk)
        row.refresh_from_db()
        present = Document.objects.filter(knowledge_base=base, deleted_at=None)
        return row, set(present.values_list("title", flat=True))

    row, titles = sync()
    assert (row.error, titles) == ("", {"Handbook", "Leave", "Travel", "plan.pdf"})
    assert row.result["submitted"] == 4
    row, _titles = sync()
    assert "submitted" not in row.result
    travel = server.resources.pop("/docs/travel/")
    server.resources["/docs/travel/"] = Resource(b"", 500)
    source_update(source=source, principal=admin, options={"url": f"{server.origin}/docs/", "pause": 0})
    row, titles = sync()
    assert titles == {"Handbook", "Leave", "Travel", "plan.pdf"}  # nobody knows what Travel links to
    assert row.error
    server.resources["/docs/travel/"] = travel
    server.resources["/docs/leave.html"] = Resource(b"", 404)
    row, titles = sync()
    assert (row.error, titles) == ("", {"Handbook", "Travel", "plan.pdf"})
    assert Source.objects.get(pk=source.pk).cursor
