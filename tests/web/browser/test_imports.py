"""Importing many files in a real browser: their states, and the actions on each."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, Page, Request, Route, ViewportSize, expect

from tests.web.browser.conftest import WIDE
from tests.web.browser.test_journey import PHONE, SLOW, create_knowledge_base

pytestmark = [pytest.mark.browser, pytest.mark.models]

SignIn = Callable[..., Page]
UPLOADS = "**/knowledge-bases/*/documents"
TOGETHER = "**/api/v1/imports/*/items"
BEGINNINGS = "**/api/v1/uploads"
PARTS = re.compile(r"/api/v1/uploads/[^/]+\?offset=")
SENTENCE = "Employees may donate at most 42 hours of annual leave to a colleague."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files that can be read, two that cannot, one that is hidden."""
    root = tmp_path / "handbook"
    (root / "deep").mkdir(parents=True)
    (root / "leave.md").write_text(f"# Leave\n\n{SENTENCE}\n")
    (root / "deep" / "pay.csv").write_text("grade,hours\nA,40\nB,32\n")
    (root / "empty.txt").write_bytes(b"")
    (root / "deep" / "void.md").write_bytes(b"")
    (root / ".DS_Store").write_bytes(b"x")
    return root


def text(name: str, content: str = SENTENCE) -> FilePayload:
    return FilePayload(name=name, mimeType="text/plain", buffer=content.encode())


def letting_through(count: int) -> Callable[[Route], None]:
    """The uploads after these hang, as on a slow line."""
    left = [None] * count

    def handle(route: Route) -> None:
        if left:
            left.pop()
            route.continue_()

    return handle


def opened(page: Page) -> str:
    slug = create_knowledge_base(page)
    page.goto(f"/library/{slug}")
    return slug


def test_folder_import_shows_the_outcome_of_each_file(sign_in: SignIn, folder: Path) -> None:
    page = sign_in()
    opened(page)
    page.locator("#folder").set_input_files(folder)
    batch = page.locator(".import")
    expect(batch.locator("[data-sum]")).to_have_text("2 of 4 ready · 2 failed", timeout=SLOW)
    expect(page.locator("#left-out")).to_contain_text("1 hidden file")
    group = batch.locator(".failure-group", has_text="Empty file")
    expect(group).to_contain_text("Check the original and upload it again.")
    expect(group.locator(".item")).to_have_count(2)
    expect(group).to_contain_text("handbook/deep/void.md")
    expect(group).to_contain_text("empty_file")
    batch.get_by_role("button", name=re.compile("^Ready")).click()
    expect(batch.locator("[data-list] .item")).to_have_count(2)
    expect(batch.locator("[data-list]")).to_contain_text("handbook/leave.md")
    expect(page.locator("#documents .tag-ready")).to_have_count(2)

    batch.get_by_role("link", name="handbook", exact=True).click()
    page.wait_for_url("**/library/imports/*")
    expect(page.locator("[data-sum]")).to_have_text("2 of 4 ready · 2 failed")
    expect(page.locator("[data-list] .item")).to_have_count(4)
    expect(page.locator("[data-list]")).to_contain_text("Ready, 1 passage")


def test_unchanged_folder_import_reads_nothing(sign_in: SignIn, folder: Path) -> None:
    page = sign_in()
    opened(page)
    for name in ("empty.txt", "deep/void.md"):
        (folder / name).unlink()
    page.locator("#folder").set_input_files(folder)
    expect(page.locator("[data-sum]").first).to_have_text("2 of 2 ready", timeout=SLOW)
    page.locator("#folder").set_input_files(folder)
    expect(page.locator("[data-sum]").first).to_have_text("0 of 2 ready · 2 unchanged", timeout=SLOW)


def test_failed_files_are_retried_together(sign_in: SignIn, folder: Path) -> None:
    page = sign_in()
    opened(page)
    page.locator("#folder").set_input_files(folder)
    expect(page.locator("[data-sum]")).to_have_text("2 of 4 ready · 2 failed", timeout=SLOW)
    with page.expect_response("**/api/v1/jobs/retry") as answered:
        page.get_by_role("button", name="Retry all 2").click()
    assert answered.value.json() == {"retried": 2, "skipped": 0}
    expect(page.get_by_text("Retrying 2 files.")).to_be_visible()
    expect(page.locator("[data-sum]")).to_have_text("2 of 4 ready · 2 failed", timeout=SLOW)

    page.goto("/admin/ingestion")
    group = page.locator(".failure-group", has_text="empty_file")
    group.locator("summary").click()
    expect(group.get_by_role("link", name="void.md").first).to_be_visible()
    expect(page.locator("#imports")).to_contain_text("2 of 4 ready · 2 failed")
    rows = group.locator(".item")
    before = rows.count()
    group.get_by_role("button", name="Retry void.md").first.click()
    expect(page.get_by_text("Retrying.")).to_be_visible()
    expect(rows).to_have_count(before - 1)
    expect(group.locator("summary")).to_be_focused()


def test_import_interrupted_by_a_reload_is_completed(sign_in: SignIn, folder: Path) -> None:
    page = sign_in()
    opened(page)
    page.on("dialog", lambda dialog: dialog.accept())
    page.route(UPLOADS, letting_through(1))
    page.locator("#folder").set_input_files(folder)
    expect(page.locator("[data-sum]")).to_contain_text("1 uploaded,")
    page.reload()
    page.unroute_all()  # not before: it would release the hanging request
    unsent = page.locator("[data-unsent]")
    expect(unsent).to_contain_text("3 files are missing.", timeout=SLOW)
    unsent.locator('input[data-input="folder"]').set_input_files(folder)
    expect(page.locator("[data-sum]")).to_have_text("2 of 4 ready · 2 failed", timeout=SLOW)
    expect(unsent).to_be_hidden()


def test_progress_bar_percentage_and_remaining_time_agree(sign_in: SignIn, folder: Path) -> None:
    """Fourteen files of which none is ready: all figures are about the passages that are done."""
    page = sign_in()
    opened(page)
    counts = {
        **dict.fromkeys(("ready", "failed", "cancelled", "unchanged", "refused", "removed"), 0),
        "files": 14, "queued": 13, "processing": 1,
    }  # fmt: skip
    progress = {
        "label": "reports", "state": "processing", "files": 14, "counts": counts, "rate": 4.7, "eta_s": 54.0,
        "progress": 0.349,
    }  # fmt: skip
    item = {
        "id": "1", "source_uri": "reports/long.pdf", "outcome": "accepted", "document": None, "job": "1",
        "stage": "embedding", "done": 34, "total": 120, "rate": 5.0, "queue_position": None, "eta_s": 17.2,
        "chunks": 0, "report": None, "error": None,
    }  # fmt: skip

    def tell(route: Route) -> None:
        batch = route.request.url.split("/")[-2]
        event = f"event: progress\ndata: {json.dumps({'id': batch, **progress})}\n\n"
        route.fulfill(content_type="text/event-stream", body=event)

    page.route("**/api/v1/imports/*/events", tell)
    page.route(
        "**/api/v1/imports/*/items?*",
        lambda route: route.fulfill(json={"items": [item], "next_cursor": None}),
    )
    page.route(UPLOADS, letting_through(1))
    page.locator("#folder").set_input_files(folder)
    page.goto(str(page.locator(".import-head [data-name]").get_attribute("href")))
    expect(page.locator("[data-sum]")).to_have_text("0 of 14 ready · 34% · about 54 s left", timeout=SLOW)
    assert page.locator("[data-bar]").evaluate("(bar) => bar.value") == 0.349
    expect(page.locator("[data-list] [data-line]")).to_have_text("Embedding 34 of 120")


def sent_by(page: Page) -> Counter[str]:
    """Uploads from now on, by the last part of their address."""
    sent = Counter[str]()

    def note(request: Request) -> None:
        if request.method == "POST" and "multipart" in request.headers.get("content-type", ""):
            sent[request.url.rpartition("/")[2]] += 1

    page.on("request", note)
    return sent


def test_many_small_files_are_sent_together(sign_in: SignIn, tmp_path: Path) -> None:
    page = sign_in()
    opened(page)
    sent = sent_by(page)
    for number in range(44):
        path = tmp_path / f"drive/{number % 2}/{number}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SENTENCE if number else "")
    page.locator("#folder").set_input_files(tmp_path / "drive")
    expect(page.locator("[data-sum]")).to_have_text("43 of 44 ready · 1 failed", timeout=SLOW)
    assert sent == {"items": 2, "documents": 4}
    expect(page.locator("section.failure-group")).to_contain_text("drive/0/0.md")


def test_rejected_batch_is_sent_file_by_file(sign_in: SignIn) -> None:
    """For example by a proxy that accepts only small requests."""
    page = sign_in()
    opened(page)
    page.route(TOGETHER, lambda route: route.fulfill(status=413, body="Too large"))
    sent = sent_by(page)
    page.locator("#files").set_input_files([text(f"{number}.txt") for number in range(24)])
    expect(page.locator("[data-sum]")).to_have_text("24 of 24 ready", timeout=SLOW)
    assert sent == {"items": 1, "documents": 24}


def test_lost_connection_is_shown_and_upload_resumes(sign_in: SignIn) -> None:
    page = sign_in()
    opened(page)
    page.route(UPLOADS, lambda route: route.abort("internetdisconnected"))
    page.locator("#files").set_input_files([text("leave.txt")])
    expect(page.locator("[data-note]")).to_contain_text("Connection lost.")
    page.unroute_all()
    expect(page.locator("[data-sum]")).to_have_text("1 of 1 ready", timeout=SLOW)
    expect(page.locator("[data-note]")).to_be_hidden()


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Three parts of it, as pages of these tests cut it up."""
    path = tmp_path / "long.txt"
    path.write_text("".join(f"{SENTENCE} Rule {number}.\n" for number in range(1700)))
    return path


def cut_up(page: Page) -> None:
    page.evaluate("document.documentElement.dataset.partBytes = '65536'")


def offsets_sent(page: Page) -> list[str]:
    """Return the offsets of the parts that are sent from now on."""
    sent: list[str] = []
    page.on(
        "request", lambda request: PARTS.search(request.url) and sent.append(request.url.partition("=")[2])
    )
    return sent


@pytest.mark.parametrize("viewport", [WIDE, PHONE])
def test_large_upload_resumes_after_a_lost_connection_and_a_closed_page(
    sign_in: SignIn, large: Path, viewport: ViewportSize
) -> None:
    page = sign_in(viewport=viewport)
    opened(page)
    page.on("dialog", lambda dialog: dialog.accept())
    cut_up(page)
    page.route(PARTS, breaking_after(2))
    page.locator("#files").set_input_files(large)
    expect(page.locator("[data-note]")).to_contain_text("Connection lost.")
    expect(page.locator("[data-sum]")).to_contain_text("0 uploaded,")
    page.reload()
    page.unroute_all()
    sent = offsets_sent(page)
    unsent = page.locator("[data-unsent]")
    expect(unsent).to_contain_text("1 file is missing.", timeout=SLOW)
    cut_up(page)
    unsent.locator('input[data-input="files"]').set_input_files(large)
    expect(page.locator("[data-sum]")).to_have_text("1 of 1 ready", timeout=SLOW)
    assert sent[0] == str(2 * 65536)


def breaking_after(count: int) -> Callable[[Route], None]:
    left = [None] * count

    def handle(route: Route) -> None:
        if left:
            left.pop()
            route.continue_()
        else:
            route.abort("internetdisconnected")

    return handle


def test_large_file_is_cancelled_during_its_upload(sign_in: SignIn, large: Path) -> None:
    page = sign_in()
    opened(page)
    cut_up(page)
    page.route(PARTS, letting_through(1))
    page.locator("#files").set_input_files([large])
    expect(page.locator("[data-sending]")).to_contain_text("Uploading")
    with page.expect_response(lambda response: response.request.method == "DELETE") as answered:
        page.get_by_role("button", name="Cancel long.txt").click()
    assert answered.value.status == 204
    expect(page.locator("[data-sending]")).to_be_hidden()
    expect(page.locator("[data-sum]")).to_have_text("0 of 1 ready", timeout=SLOW)


def test_large_file_is_cancelled_while_its_upload_starts(sign_in: SignIn, large: Path) -> None:
    page = sign_in()
    opened(page)
    cut_up(page)
    waiting: list[Route] = []
    page.route(
        BEGINNINGS,
        lambda route: waiting.append(route) if route.request.method == "POST" else route.continue_(),
    )
    page.locator("#files").set_input_files([large])
    while not waiting:
        page.wait_for_timeout(50)
    page.get_by_role("button", name="Cancel long.txt").click()
    expect(page.locator("[data-sending]")).to_be_hidden()
    with page.expect_response(lambda response: response.request.method == "DELETE") as answered:
        waiting[0].continue_()
    assert answered.value.status == 204
    expect(page.locator("[data-sum]")).to_have_text("0 of 1 ready", timeout=SLOW)


def test_import_is_cancelled_during_its_upload(sign_in: SignIn, folder: Path) -> None:
    page = sign_in()
    opened(page)
    page.route(UPLOADS, letting_through(1))
    page.locator("#folder").set_input_files(folder)
    expect(page.locator("[data-sending] .item").first).to_be_visible()
    page.get_by_role("button", name="Cancel all").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel import").click()
    expect(page.locator("[data-sum]")).to_contain_text("import cancelled", timeout=SLOW)
    expect(page.locator("[data-sending]")).to_be_hidden()
    expect(page.get_by_role("button", name="Cancel all")).to_be_hidden()


def test_too_large_file_is_rejected_immediately(sign_in: SignIn) -> None:
    page = sign_in()
    opened(page)
    page.locator("#drop").evaluate("(drop) => { drop.dataset.maxBytes = '1024'; }")
    page.locator("#files").set_input_files([text("long.txt", "x" * 2000)])
    expect(page.locator("#left-out")).to_contain_text("long.txt is 2 KB; the limit is 1 KB.")
    expect(page.locator(".import")).to_have_count(0)


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_rejected_file_shows_its_reason(sign_in: SignIn, viewport: ViewportSize) -> None:
    page = sign_in(viewport=viewport)
    opened(page)
    page.locator("#files").set_input_files([text("leave.txt"), text("setup.exe", "MZ\0")])
    expect(page.locator("[data-sum]")).to_have_text("1 of 2 ready · 1 failed", timeout=SLOW)
    group = page.locator("section.failure-group")
    expect(group).to_contain_text("setup.exe")
    expect(group).to_contain_text("unsupported_type")
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def test_passages_are_shown_as_indexed(sign_in: SignIn, folder: Path) -> None:
    page = sign_in()
    opened(page)
    page.locator("#files").set_input_files([folder / "deep" / "pay.csv"])
    expect(page.locator("[data-sum]")).to_have_text("1 of 1 ready", timeout=SLOW)
    page.locator("#documents a.title").click()
    page.get_by_role("link", name="Passages").click()
    expect(page.locator(".chunk")).to_contain_text("A | 40")
    expect(page.locator(".chunk-head")).to_contain_text("A2:B3")
    page.get_by_role("link", name="Show in the text").click()
    expect(page.locator(".reading mark").first).to_be_in_viewport()


def test_wide_table_does_not_widen_the_page_on_a_phone(sign_in: SignIn) -> None:
    page = sign_in(viewport=PHONE)
    opened(page)
    wide = ",".join(f"a-heading-without-a-break-{column}" for column in range(12))
    page.locator("#files").set_input_files([text("wide.csv", f"{wide}\n{wide}\n{wide}\n")])
    expect(page.locator("[data-sum]")).to_have_text("1 of 1 ready", timeout=SLOW)
    page.locator("#documents a.title").click()
    expect(page.locator(".reading table")).to_be_visible()
    edge = page.locator(".paper").evaluate("(paper) => paper.getBoundingClientRect().right")
    assert edge <= PHONE["width"]


BEGIN = """async (names) => {
  const { api } = await import("/static/js/http.js");
  const base = document.getElementById("knowledge-base").dataset.knowledgeBase;
  const at = `/api/v1/knowledge-bases/${base}/imports`;
  const begun = await Promise.all(names.map((label) => api("POST", at, { label, files: 1 })));
  return begun.map(({ id }) => id);
}"""
MOVING = """() => {
  const row = document.createElement("p");
  row.innerHTML = '<span data-moving data-job="x"><span data-progress></span></span>';
  document.getElementById("documents").append(row);
}"""
GONE = 'event: error\ndata: {"status": 404}\n\n'
NO_MORE = "Live progress stopped. Reload the page to see the current state."


def test_page_shows_that_events_stopped(sign_in: SignIn) -> None:
    page = sign_in()
    opened(page)
    page.evaluate(BEGIN, ["handbook"])
    waiting: list[Route] = []
    page.route("**/events", lambda route: waiting.append(route))
    page.reload()
    page.evaluate(MOVING)
    expect(page.locator("[data-sum]")).to_contain_text("uploading")
    for route in waiting:
        route.fulfill(content_type="text/event-stream", body=GONE)
    expect(page.locator("[data-note]")).to_have_text(NO_MORE)
    expect(page.locator("#documents [data-progress]")).to_have_text(NO_MORE)


WATCHED = """
  window.streams = [];
  window.EventSource = class extends EventSource {
    constructor(url) { super(url); streams.push(this); }
  };
"""
OPEN = """() => {
  const open = streams.filter((each) => each.readyState < EventSource.CLOSED);
  return open.map(({ url }) => new URL(url).pathname.split("/").at(-2));
}"""
CANCEL = """async (id) => {
  const { api } = await import("/static/js/http.js");
  await api("POST", `/api/v1/imports/${id}/cancel`);
}"""
TURN = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_page_follows_one_import_and_none_while_hidden(sign_in: SignIn) -> None:
    page = sign_in()
    opened(page)
    begun = set(page.evaluate(BEGIN, ["first", "second", "third"]))
    page.add_init_script(WATCHED)
    page.reload()
    expect(page.locator(".import")).to_have_count(3)

    def streamed() -> set[str]:
        return begun & set(page.evaluate(OPEN))

    (first,) = streamed()
    over = page.locator("[data-sum]", has_text="import cancelled")
    (looked_at, last) = begun - {first}
    page.evaluate(CANCEL, looked_at)
    expect(over).to_have_count(1, timeout=SLOW)
    assert streamed() == {first}
    page.evaluate(CANCEL, first)
    expect(over).to_have_count(2, timeout=SLOW)
    assert streamed() == {last}, "the next takes its place"

    page.evaluate(TURN, True)
    assert page.evaluate(OPEN) == []
    page.evaluate(TURN, False)
    assert sorted(page.evaluate(OPEN)) == sorted(["jobs", last])
