"""Files of a real WebDAV server, and of servers that are away, refuse, or never come to an end."""

import hashlib
import os
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from cairn.http import ssrf_guard
from cairn.messages import CodedMessage
from ingestion.sources import encryption
from ingestion.sources.kinds import get_kind
from ingestion.sources.kinds.webdav import WebdavOptions, multistatus
from ingestion.sources.kinds.webdav import source as webdav
from ingestion.sources.protocol import (
    Change,
    Complete,
    Item,
    ItemChanged,
    ItemUnavailable,
    SourceRefused,
    SourceUnavailable,
    Unlisted,
    first_problem,
)
from tests.ingestion.sources.webdav_server import PASSWORD, USER, WebdavServer, answering

NAMES = [
    "plan.md",
    "Übersicht Grüße.md",
    "日本語.txt",
    "a b&c#d%20e+f;.md",
    "e\u0301 decomposed.md",
    "'quoted'.txt",
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WebdavServer]:
    folder = tmp_path / "files"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_text(f"This is {name}.")
        (folder / f"in {name}").mkdir()
        (folder / f"in {name}" / name).write_text(f"This is {name} in a folder.")
    with WebdavServer(folder) as started:
        yield started


def options(url: str, **others: Any) -> WebdavOptions:
    return WebdavOptions(**{"url": url, "username": USER, "password": PASSWORD, **others})


def list_all(url: str, **others: Any) -> list[Change]:
    with webdav.connect(options(url, **others)) as source:
        return list(source.list_changes(""))


def items_of(changes: list[Change]) -> dict[str, Item]:
    return {f"{each.container}/{each.name}".lstrip("/"): each for each in changes if isinstance(each, Item)}


def code_of(error: pytest.ExceptionInfo[Any]) -> str:
    return str(error.value.message.code)


def test_webdav_folder_is_listed_and_read(server: WebdavServer) -> None:
    changes = list_all(server.url)
    found = items_of(changes)
    paths = {
        str(path.relative_to(server.folder)): path for path in server.folder.rglob("*") if path.is_file()
    }
    assert found.keys() == paths.keys()
    assert changes[-1] == Complete(cursor="", full=True)
    assert len({item.id for item in found.values()}) == len(paths)
    with webdav.connect(options(server.url)) as source:
        for name, item in found.items():
            with source.open(item) as content:
                assert content.read() == paths[name].read_bytes()
            assert item.size == paths[name].stat().st_size
            assert item.modified
            assert int(item.modified.timestamp()) == int(paths[name].stat().st_mtime)
            assert httpx.get(item.uri, auth=(USER, PASSWORD)).status_code == 200


def test_webdav_kind_is_registered_and_its_check_succeeds(server: WebdavServer) -> None:
    kind = get_kind("webdav")
    with kind.connect(kind.options(url=server.url, username=USER, password=PASSWORD)) as source:
        steps = list(source.check())
    assert [step.problem for step in steps] == ["", "", ""]
    assert steps[0].warning.startswith("The connection isn’t encrypted")
    assert not kind.has_access
    assert not kind.has_people


def test_check_reads_a_file_of_a_subfolder(server: WebdavServer) -> None:
    folder = server.folder / "only" / "below"
    folder.mkdir(parents=True)
    (folder / "deep.md").write_text("Text.")
    with webdav.connect(options(f"{server.url}only/")) as source:
        assert [step.detail for step in source.check()] == ["", "", "deep.md"]
    assert ("GET", "/only/below/deep.md") in server.asked


def test_only_the_configured_folder_is_listed(server: WebdavServer) -> None:
    found = items_of(list_all(f"{server.url}in%20plan.md"))
    assert found.keys() == {"plan.md"}
    assert {path for _, path in server.asked} == {"/in plan.md/"}


def test_version_changes_only_with_the_content(server: WebdavServer) -> None:
    before = items_of(list_all(server.url))
    (server.folder / "plan.md").write_text("Another plan, longer than the one before.")
    after = items_of(list_all(server.url))
    assert {name for name in before if before[name].version != after[name].version} == {"plan.md"}
    assert {name: item.id for name, item in before.items()} == {name: item.id for name, item in after.items()}


def test_links_to_other_folders_are_not_followed(server: WebdavServer, tmp_path: Path) -> None:
    """WsgiDAV itself doesn't follow them, and loops of others end at a depth."""
    (tmp_path / "secret.txt").write_text("secret")
    (server.folder / "out").symlink_to(tmp_path)
    assert not any("secret" in name for name in items_of(list_all(server.url)))


def test_empty_folder_is_complete(server: WebdavServer) -> None:
    (server.folder / "empty").mkdir()
    assert isinstance(list_all(f"{server.url}empty/")[-1], Complete)
    with webdav.connect(options(f"{server.url}empty/")) as source:
        assert first_problem(source.check()) == ""


def test_wrong_password_is_refused(server: WebdavServer) -> None:
    with pytest.raises(SourceRefused) as refused:
        list_all(server.url, password="wrong")
    assert code_of(refused) == "source_sign_in_refused"
    with webdav.connect(options(server.url, password="wrong")) as source:
        assert "refuses this user name or password" in first_problem(source.check())


def test_missing_folder_is_refused(server: WebdavServer) -> None:
    with pytest.raises(SourceRefused) as refused:
        list_all(f"{server.url}nowhere/")
    assert code_of(refused) == "source_folder_missing"


@pytest.mark.parametrize("status", [403, 500, 507, 200])
def test_unlistable_folder_is_preserved_and_others_listed(server: WebdavServer, status: int) -> None:
    server.refused["/in plan.md"] = status
    changes = list_all(server.url)
    [unlisted] = [each for each in changes if isinstance(each, Unlisted)]
    assert unlisted.container == "in plan.md"
    assert isinstance(unlisted.reason, CodedMessage)
    assert len(items_of(changes)) == 2 * len(NAMES) - 1
    assert isinstance(changes[-1], Complete)


def test_busy_server_is_retried_later(server: WebdavServer) -> None:
    server.refused["/in plan.md"] = 503
    with pytest.raises(SourceUnavailable) as busy:
        list_all(server.url)
    assert busy.value.retry_after == 7


def test_unreachable_server_is_reported_with_a_readable_reason(server: WebdavServer) -> None:
    server.stop()
    with pytest.raises(SourceUnavailable) as away:
        list_all(server.url)
    assert code_of(away) == "source_away"
    assert str(away.value.message).endswith("Connection refused")
    assert "Errno" not in str(away.value.message)


def test_server_failing_during_a_listing_completes_nothing(server: WebdavServer) -> None:
    seen: list[Change] = []

    def note(change: Change) -> None:
        seen.append(change)
        if isinstance(change, Item):
            server.stop()

    with webdav.connect(options(server.url)) as source, pytest.raises(SourceUnavailable):
        deque(map(note, source.list_changes("")))
    assert seen
    assert not any(isinstance(change, Complete) for change in seen)


def test_missing_and_forbidden_files_have_different_errors(server: WebdavServer) -> None:
    found = items_of(list_all(server.url))
    (server.folder / "plan.md").unlink()
    server.refused["/日本語.txt"] = 403
    codes = []
    with webdav.connect(options(server.url)) as source:
        for name in ("plan.md", "日本語.txt"):
            with pytest.raises(ItemUnavailable) as unavailable, source.open(found[name]):
                pass
            codes.append(code_of(unavailable))
    assert codes == ["source_item_gone", "source_item_refused"]


def test_file_changed_since_the_listing_is_not_read(server: WebdavServer) -> None:
    item = items_of(list_all(server.url))["plan.md"]
    (server.folder / "plan.md").write_text("Another plan, longer than the one before.")
    with webdav.connect(options(server.url)) as source:
        with pytest.raises(ItemChanged) as changed, source.open(item):
            pass
        assert code_of(changed) == "source_item_changed"


def test_file_changing_during_reading_is_rejected(server: WebdavServer) -> None:
    path = server.folder / "large.bin"
    path.write_bytes(os.urandom(20_000_000))
    item = items_of(list_all(server.url))["large.bin"]
    with webdav.connect(options(server.url)) as source, source.open(item) as content:
        content.read(1000)
        with path.open("r+b") as file:
            file.seek(19_000_000)
            file.write(b"changed")
        os.utime(path, (time.time() + 60, time.time() + 60))
        with pytest.raises(ItemChanged) as changed:
            content.read()
    assert code_of(changed) == "source_item_changed"


def test_large_file_is_read_completely(server: WebdavServer) -> None:
    path = server.folder / "large.bin"
    path.write_bytes(random.Random(7).randbytes(20_000_000))
    item = items_of(list_all(server.url))["large.bin"]
    digest = hashlib.sha256()
    with webdav.connect(options(server.url)) as source, source.open(item) as content:
        while piece := content.read(65536):
            digest.update(piece)
    assert digest.digest() == hashlib.sha256(path.read_bytes()).digest()


def test_files_of_an_address_configured_before_are_not_asked_for(server: WebdavServer) -> None:
    """The password would go to the former server."""
    item = items_of(list_all(server.url))["plan.md"]
    former = Item(id=item.id, name=item.name, uri="https://former.example.org/plan.md", version=item.version)
    server.asked.clear()
    with (
        webdav.connect(options(server.url)) as source,
        pytest.raises(ItemUnavailable),
        source.open(former),
    ):
        pass
    assert not server.asked


# servers that misbehave


def multistatus_of(*hrefs: str, folder: bool = False) -> bytes:
    kind = "<d:collection/>" if folder else ""
    return "".join(
        f"<d:response><d:href>{href}</d:href><d:propstat><d:prop><d:resourcetype>{kind}</d:resourcetype>"
        "<d:getcontentlength>4</d:getcontentlength><d:getetag>&quot;1&quot;</d:getetag></d:prop>"
        "<d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
        for href in hrefs
    ).encode()


START, END = b'<?xml version="1.0"?><d:multistatus xmlns:d="DAV:">', b"</d:multistatus>"


def respond(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    sent = {
        "Content-Length": str(len(body)),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    for name, value in sent.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def stream(handler: BaseHTTPRequestHandler, pieces: Iterator[bytes]) -> None:
    handler.send_response(207)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for piece in pieces:
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    handler.wfile.write(b"0\r\n\r\n")


def test_redirect_is_not_followed(server: WebdavServer) -> None:
    with answering(lambda handler: respond(handler, 307, b"", Location=server.url)) as url:
        with pytest.raises(SourceRefused) as refused:
            list_all(url)
        item = Item(id="1", name="plan.md", uri=f"{url}plan.md", version='"1"')
        with webdav.connect(options(url)) as source, pytest.raises(SourceRefused), source.open(item):
            pass
    assert code_of(refused) == "source_redirects"
    assert server.url in refused.value.message
    assert not server.asked


def forever(piece: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    def pieces() -> Iterator[bytes]:
        yield START
        while True:
            yield piece

    return lambda handler: stream(handler, pieces())


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(b" " * 10_000, id="spaces"),
        pytest.param(b"<!-- " + b"x" * 10_000 + b" -->", id="comments"),
        pytest.param(b"<d:other>" + b"x" * 10_000 + b"</d:other>", id="elements"),
        pytest.param(b"<d:response>" * 100, id="depth"),
        pytest.param(multistatus_of(*(f"/{number}" for number in range(100))), id="entries"),
    ],
)
def test_endless_response_is_rejected(piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multistatus, "MAX_ENTRIES", 5000)
    with answering(forever(piece)) as url, pytest.raises(SourceRefused) as refused:
        list_all(url)
    assert code_of(refused) in {"source_answer_endless", "source_answer_invalid"}


def test_slow_response_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multistatus, "MAX_SECONDS_BETWEEN", 0.5)

    def pieces() -> Iterator[bytes]:
        yield START
        while True:
            time.sleep(0.05)
            yield b" "

    start = time.monotonic()
    with answering(lambda handler: stream(handler, pieces())) as url, pytest.raises(SourceRefused) as refused:
        list_all(url)
    assert code_of(refused) == "source_answer_endless"
    assert time.monotonic() - start < 10


def test_too_deep_folders_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webdav, "MAX_DEPTH", 5)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        body = multistatus_of(handler.path) + multistatus_of(f"{handler.path}deeper/", folder=True)
        respond(handler, 207, START + body + END)

    with answering(answer) as url:
        changes = list_all(url)
    [unlisted] = [each for each in changes if isinstance(each, Unlisted)]
    assert unlisted.container == "/".join(["deeper"] * 6)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(START + multistatus_of("/plan.md"), id="no end"),
        pytest.param(b"<html><body>Sign in</body></html>", id="a page"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x00\x01\x02", id="not XML"),
    ],
)
def test_incomplete_response_completes_nothing(body: bytes) -> None:
    with (
        answering(lambda handler: respond(handler, 207, body)) as url,
        pytest.raises(SourceRefused) as refused,
    ):
        list_all(url)
    assert code_of(refused) == "source_answer_invalid"


def test_entities_are_not_expanded(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of-this-machine")
    body = (
        f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file://{secret}"><!ENTITY a "aaaa">]>'
        '<d:multistatus xmlns:d="DAV:">'
    ).encode() + multistatus_of("/plan&e;&a;.md")
    with answering(lambda handler: respond(handler, 207, body + END)) as url:
        found = items_of(list_all(url))
    assert not any("of-this-machine" in name or "aaaa" in name for name in found)


def test_entries_outside_the_folder_are_ignored() -> None:
    hrefs = (
        "/other/a.md",
        "/dav/../b.md",
        "/dav/x/y.md",
        "/dav/%2e%2e/c.md",
        "/dav/..",
        "/dav/",
        "/dav/d.md",
    )
    hosted = "http://elsewhere.example.org/dav/e.md"  # a proxy in front often knows another name
    body = START + multistatus_of(*hrefs, hosted) + END
    with answering(lambda handler: respond(handler, 207, body)) as url:
        found = items_of(list_all(f"{url}dav/"))
    assert found.keys() == {"d.md", "e.md"}
    assert found["e.md"].uri == f"{url}dav/e.md"


def test_file_with_a_wrong_size_fails() -> None:
    with answering(
        lambda handler: respond(handler, 200, b"half", Content_Length="8", Connection="close")
    ) as url:
        item = Item(id="1", name="plan.md", uri=f"{url}plan.md", version='"1"')
        with (
            webdav.connect(options(url)) as source,
            source.open(item) as content,
            pytest.raises(ItemUnavailable) as failed,
        ):
            content.read()
    assert code_of(failed) == "source_item_broken"


def test_compressed_answers_are_refused() -> None:
    """They could grow to any size."""
    gzip = {"Content_Encoding": "gzip"}
    with answering(lambda handler: respond(handler, 207, b"x", **gzip)) as url, pytest.raises(SourceRefused):
        list_all(url)


def test_file_ids_survive_renaming() -> None:
    names = ["before.md"]

    def answer(handler: BaseHTTPRequestHandler) -> None:
        body = multistatus_of(f"/{names[0]}")
        own = b'<o:fileid xmlns:o="http://owncloud.org/ns">00042</o:fileid></d:prop>'
        respond(handler, 207, START + body.replace(b"</d:prop>", own) + END)

    with answering(answer) as url:
        before = items_of(list_all(url))["before.md"]
        names[0] = "after.md"
        after = items_of(list_all(url))["after.md"]
    assert before.id == after.id == "id:00042"


def test_passwords_never_cross_the_internet_unencrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        encryption, "resolve_server", lambda host, port: [ssrf_guard.ip_address("93.184.215.14")]
    )
    with pytest.raises(SourceRefused) as refused:
        list_all("http://cloud.example.org/")
    assert code_of(refused) == "source_unencrypted_refused"


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest/", "http://[fd00:ec2::254]/"])
def test_metadata_services_are_unreachable(url: str) -> None:
    with pytest.raises(SourceRefused) as refused:
        list_all(url)
    assert code_of(refused) == "source_address_forbidden"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "https://",
        "https://a:b@example.org/",
        "https://example.org/?a",
        "https://a:99999/",
    ],
)
def test_impossible_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        options(url)
