"""The scripts that decide what is shown, each by itself in the browser."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.servers import Server

pytestmark = [pytest.mark.browser, pytest.mark.models]

LOCATE = """async ([elements, quote, hint]) => {
  const { locate } = await import("/static/js/match.js");
  const found = [...locate(elements, quote, hint ?? {})];
  return found.map(([at, [from, to]]) => [at, elements[at].text.slice(from, to)]);
}"""
WRITE = """async ([deltas, citations]) => {
  const { LiveText } = await import("/static/js/live.js");
  const node = document.createElement("div");
  const live = new LiveText(node);
  for (const citation of citations) live.cite(citation);
  for (const delta of deltas) live.append(delta);
  return node.innerHTML;
}"""
WRITE_CODE = """async () => {
  const { LiveText } = await import("/static/js/live.js");
  const node = document.createElement("div");
  document.querySelector("main").append(node);
  window.code = new LiveText(node);
  code.append("```\\none\\n");
}"""
PARSE = """async (chunks) => {
  const { events } = await import("/static/js/sse.js");
  const bytes = new TextEncoder();
  const body = new ReadableStream({ start(controller) {
    for (const chunk of chunks) controller.enqueue(bytes.encode(chunk));
    controller.close();
  } });
  const found = [];
  for await (const event of events(new Response(body))) found.push([event.type, event.data]);
  return found;
}"""
ASK = """async () => {
  const { api } = await import("/static/js/http.js");
  const told = ({ status, message }) => `${status} ${message}`;
  return api("POST", "/api/v1/jobs/none/cancel").then(() => "", told);
}"""
WITH_A_BUTTON = """async () => {
  const { process } = await import("/static/js/hx.js");
  const row = document.createElement("p");
  row.innerHTML = '<button hx-post="/messages/none/passing-on">Post it</button>';
  document.querySelector("main").append(row);
  process(row);
}"""
WITH_A_RELOAD = """async () => {
  const { process } = await import("/static/js/hx.js");
  const row = document.createElement("p");
  row.innerHTML = '<button hx-get="/help-loading?empty">Look again</button>';
  document.querySelector("main").append(row);
  process(row);
}"""
FOLLOW = """async () => {
  const { follow } = await import("/static/js/streams.js");
  Object.assign(window, { streams: [], lost: "", news: 0 });
  window.EventSource = class {
    static CLOSED = 2;
    constructor() { this.listeners = {}; this.readyState = 1; streams.push(this); }
    addEventListener(type, heard) { this.listeners[type] = heard; }
    close() { this.readyState = 2; }
  };
  follow("/events", "progress", () => { news += 1; }, () => false, (why) => { lost = why; });
}"""
FAULT = "(status) => streams.at(-1).onerror({ data: JSON.stringify({ status }) })"
REFUSAL = "() => { streams.at(-1).readyState = 2; streams.at(-1).onerror({}); }"
NEWS = "() => { streams.at(-1).onopen({}); streams.at(-1).listeners.progress({ data: '{}' }); }"
NO_MORE = "Live progress stopped. Reload the page to see the current state."
RENDER = """async (element) => {
  const { renderWithPassage } = await import("/static/js/rendition.js");
  const { reading } = renderWithPassage([element], "see https://a.example/x now", {}, "Page");
  return reading.innerHTML;
}"""
CITATION = {"marker": 1, "title": "Rules", "page": None}


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    page = open_page()
    page.goto("/login")
    return page


def elements(*texts: str) -> list[dict[str, Any]]:
    return [{"text": text, "page": at + 1, "section": [f"Part {at + 1}"]} for at, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("texts", "quote", "found"),
    [
        (["One two three."], "two", [[0, "two"]]),
        (["One two.", "Three four."], "two.\n\nThree", [[0, "two."], [1, "Three"]]),
        (["One  two\nthree."], "two three", [[0, "two\nthree"]]),
        (["Who | Limit\nAll | 40"], "| Who | Limit |\n| All | 40 |", [[0, "Who | Limit\nAll | 40"]]),
        (["Who | Limit\nAll | 40\nNone | 0"], "Who | Limit\nNone of them | 0", [[0, "Who | Limit"]]),
        (["One two."], "five", []),
        (["One two."], "", []),
        (["😀 One two."], "One", [[0, "One"]]),
    ],
)
def test_quote_is_located_in_the_text(page: Page, texts: list[str], quote: str, found: list[Any]) -> None:
    assert page.evaluate(LOCATE, [elements(*texts), quote]) == found


def test_cited_passage_of_two_equal_ones_is_found(page: Page) -> None:
    twice = elements("Same words.", "Other words.", "Same words.")
    assert page.evaluate(LOCATE, [twice, "Same words."]) == [[0, "Same words."]]
    assert page.evaluate(LOCATE, [twice, "Same words.", {"page": 3}]) == [[2, "Same words."]]
    assert page.evaluate(LOCATE, [twice, "Same words.", {"section": ["Part 3"]}]) == [[2, "Same words."]]


@pytest.mark.parametrize(
    "deltas",
    [
        ["<img src=x onerror=alert(1)>"],
        ["<scr", "ipt>alert(1)</script>"],
        ["- <b>a</b>\\n- **<i>b</i>**"],
        ["[x](javascript:alert(1)) ![y](https://evil.example/p.png)"],
        ["| <svg/onload=alert(1)> | `<u>` |"],
    ],
)
def test_hostile_text_is_escaped_while_streaming(page: Page, deltas: list[str]) -> None:
    html = page.evaluate(WRITE, [deltas, []])
    for tag in ("<img", "<script", "<b>", "<i>", "<u>", "<svg", "<a "):
        assert tag not in html


def test_markers_become_buttons_with_their_citation(page: Page) -> None:
    html = page.evaluate(WRITE, [["Yes [", "1]", " and [2]."], [CITATION]])
    assert html.count("<button") == 1
    assert 'data-marker="1"' in html
    assert "[2]" in html


def test_streamed_text_is_formatted_incrementally(page: Page) -> None:
    text = "So **it** is.\n\n- one\n- two\n\n1. first\n\n> said\n\n| a | b |\n|---|---|\n| c | d |"
    html = page.evaluate(WRITE, [list(text), []])
    for part in ("<strong>it</strong>", "<ul><li>one</li><li>two</li></ul>", "<ol><li>first</li></ol>"):
        assert part in html
    assert "<blockquote><p>said</p></blockquote>" in html
    assert "<th>a</th>" in html
    assert "<td>d</td>" in html


def test_streamed_code_preserves_its_lines_and_copy_button(page: Page) -> None:
    text = "So:\n\n```sh\n# not a heading\n\n- no *item* [1]\n```\nDone ```here```.\n\n~~~\nopen"
    html = page.evaluate(WRITE, [list(text), [CITATION]])
    assert "<code># not a heading\n\n- no *item* [1]</code></pre>" in html
    assert "<code>open</code></pre>" in html
    assert "<p>Done" in html
    assert html.count("<button") == html.count('aria-label="Copy code"') == 2
    page.evaluate(WRITE_CODE)
    page.get_by_role("button", name="Copy code").focus()
    page.evaluate("code.append('two')")
    expect(page.get_by_role("button", name="Copy code")).to_be_focused()
    expect(page.get_by_role("group", name="Code")).to_have_text("one\ntwo")


@pytest.mark.parametrize("category", ["NarrativeText", "Table"])
def test_external_links_are_safe_and_show_their_host(page: Page, category: str) -> None:
    text = "😀 Please see https://a.example/x now, or the form."
    urls = {"https://a.example/x": "https://a.example/x", "the form": "https://xn--bcher-kva.example/<b>"}
    links = [
        {"start": text.index(label), "end": text.index(label) + len(label), "url": urls[label]}
        for label in urls
    ]
    element = {"category": category, "text": text, "page": 1, "section": [], "links": links}
    html = page.evaluate(RENDER, element)
    safe = 'target="_blank" rel="nofollow noopener noreferrer"'
    mark = "<mark>https://a.example/x</mark>"
    assert (
        f'<mark>see </mark><a href="https://a.example/x" {safe}>{mark}</a><mark> now</mark>, or' in html
        or (category == "Table" and f'<a href="https://a.example/x" {safe}>{mark}</a>' in html)
    )
    host = '<span class="link-host">(xn--bcher-kva.example)</span>'
    assert f">{'<mark>the form</mark>' if category == 'Table' else 'the form'}</a> {host}" in html


def test_escaped_text_and_numbers_are_shown_verbatim_while_streaming(page: Page) -> None:
    text = (
        "> Open \\[the page\\] \\*now\\*.\n\n12. twelfth\n13. next\n\n15\\. apart\n\n| a\\|b | c |\n|---|---|"
    )
    html = page.evaluate(WRITE, [list(text), []])
    assert "<p>Open [the page] *now*.</p>" in html
    assert '<ol start="12"><li>twelfth</li><li>next</li></ol>' in html
    assert "<p>15. apart</p>" in html
    assert "<th>a|b</th><th>c</th>" in html


def test_events_are_parsed_at_any_chunk_boundary(page: Page) -> None:
    delta = 'event: delta\ndata: {"text":\ndata: "ü"}\n\n'
    stream = f": ping\n\n{delta}event: done\r\ndata: {{}}\r\n\r\ndata: unfinished"
    expected = [["delta", {"text": "ü"}], ["done", {}]]
    assert page.evaluate(PARSE, [stream]) == expected
    assert page.evaluate(PARSE, list(stream)) == expected


def test_page_works_after_signing_in_again_in_another_tab(
    sign_in: Callable[..., Page], cairn_server: Server
) -> None:
    page = sign_in()
    page.evaluate(WITH_A_BUTTON)
    for ask in (lambda: page.evaluate(ASK), lambda: posted(page)):
        page.context.clear_cookies()
        tab = page.context.new_page()
        tab.goto("/login")
        tab.get_by_label("User name").fill(cairn_server.username)
        tab.get_by_label("Password").fill(cairn_server.password)
        tab.get_by_role("button", name="Sign in").click()
        tab.wait_for_url("**/")
        tab.close()
        assert str(ask()).startswith("404")


def posted(page: Page) -> int:
    """Return the last response."""
    answers: list[int] = []
    page.on("response", lambda response: "passing-on" in response.url and answers.append(response.status))
    page.get_by_role("button", name="Post it").click()
    expect(page.locator(".toast")).to_have_count(1)
    return answers[-1]


def test_page_without_a_new_token_asks_for_a_reload(sign_in: Callable[..., Page]) -> None:
    page = sign_in()
    page.evaluate(WITH_A_BUTTON)
    page.evaluate("document.querySelector('meta[name=csrf-token]').content = 'old'")
    page.route(page.url, lambda route: route.fulfill(status=503))
    stale = "Your session has changed. Reload the page and try again."
    assert page.evaluate(ASK) == f"403 {stale}"
    posted(page)
    expect(page.locator(".toast")).to_have_text(stale)


def test_response_can_reload_the_page(sign_in: Callable[..., Page]) -> None:
    page = sign_in()
    page.evaluate(WITH_A_RELOAD)
    with page.expect_event("load"):
        page.get_by_role("button", name="Look again").click()


@pytest.fixture
def following(page: Page) -> Page:
    page.clock.install(time=0)
    page.clock.pause_at(3600)
    page.evaluate(FOLLOW)
    return page


@pytest.mark.parametrize("status", [429, 500, 503])
def test_event_stream_recovers_from_temporary_faults(following: Page, status: int) -> None:
    for pause in (1000, 2000, 4000):
        following.evaluate(NEWS)
        before = following.evaluate("streams.length")
        following.evaluate(FAULT, status)
        following.clock.run_for(pause - 1)
        assert following.evaluate("streams.length") == before
        following.clock.run_for(1)
        assert following.evaluate("streams.length") == before + 1
    following.evaluate(NEWS)
    following.clock.run_for(61_000)
    following.evaluate(FAULT, status)
    following.clock.run_for(1000)
    assert following.evaluate("streams.length") == 5, "after a while all is well again"
    assert following.evaluate("[news, lost]") == [4, ""]


def test_refused_stream_is_retried_for_minutes_with_a_final_message(following: Page) -> None:
    for _ in range(10):
        following.evaluate(REFUSAL)
        following.clock.run_for(15_000)
    assert following.evaluate("[streams.length, lost]") == [11, ""]
    following.evaluate(NEWS)
    for _ in range(20):
        following.evaluate(REFUSAL)
        following.clock.run_for(15_000)
    assert following.evaluate("lost") == "", "news is a new beginning"
    following.clock.run_for(1000)
    following.evaluate(REFUSAL)
    assert following.evaluate("lost") == NO_MORE


@pytest.mark.parametrize("status", [401, 403, 404])
def test_stream_ends_if_there_is_nothing_to_follow(following: Page, status: int) -> None:
    following.evaluate(FAULT, status)
    following.clock.run_for(600_000)
    assert following.evaluate("[streams.length, lost]") == [1, NO_MORE]
