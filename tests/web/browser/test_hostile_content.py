"""Scripts and pictures of strangers in what people, files and models write: shown as text, at most.

That no request leaves and no page complains is checked of every page that a browser opens (see conftest).
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.servers import Server

pytestmark = [pytest.mark.browser, pytest.mark.models]

SignIn = Callable[..., Page]
MARK = "onerror=document.title"
NAME = f"<img src=x {MARK}='owned'><svg/onload=alert(1)>\"'><script>alert(2)</script>"
HOSTILE = f"""{NAME}

![picture](https://evil.example/pixel.png) [link](javascript:alert(3)) [data](data:text/html,<b>4</b>)
<a href="javascript:alert(5)" onclick="alert(6)">a</a> <iframe src="https://evil.example"></iframe>
<svg><script>alert(7)</script></svg> <math><mi xlink:href="javascript:alert(8)">m</mi></math>

<style>@import "https://evil.example/style.css"; body {{ display: none }}</style>
<form action="https://evil.example"><button>Sign in again</button></form> <base href="https://evil.example/">
<meta http-equiv="refresh" content="0; url=https://evil.example"> <video src="https://evil.example/v"> [1]
"""
DOCUMENT = f"# Leave rules\n\nEmployees may donate at most 42 hours of annual leave. {HOSTILE}"
FOREIGN = """() => {
  const tags = "iframe, object, embed, base, video, audio, math, meta[http-equiv=refresh], "
    + "script:not([src], [type='application/json'])";
  const leads = new Set(["href", "src", "action", "formaction", "xlink:href"]);
  const origin = (url) => new URL(url, location).origin;
  const elsewhere = (url) => !url.startsWith("data:image/") && origin(url) !== location.origin;
  const bad = (node, { name, value }) => /^on/i.test(name)
    || leads.has(name) && /^\\s*(javascript|vbscript|data:text)/i.test(value);
  return [...document.querySelectorAll("*")].filter((node) => node.matches(tags)
    || [...node.attributes].some((each) => bad(node, each))
    || node.matches("img") && elsewhere(node.src) || node.matches("form") && elsewhere(node.action)
  ).map((node) => node.outerHTML.slice(0, 200));
}"""


@dataclass(frozen=True, slots=True)
class Planted:
    slug: str
    base: str
    document: str
    conversation: str
    run: str


@pytest.fixture(scope="module")
def api(cairn_server: Server) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {cairn_server.key()}"}
    with httpx.Client(base_url=f"{cairn_server.url}/api/v1", headers=headers, timeout=300) as api:
        yield api


@pytest.fixture(scope="module")
def planted(cairn_server: Server, api: httpx.Client) -> Planted:
    """Everywhere that takes text, over REST; what a model writes goes straight into the database."""
    base = made(api.post("/knowledge-bases", json={"name": NAME[:120], "description": HOSTILE}))
    document = uploaded(api, base["id"])
    made(api.post("/groups", json={"name": NAME}))
    path = f"/knowledge-bases/{base['id']}"
    made(api.post(f"{path}/imports", json={"label": NAME}))
    made(api.post(f"{path}/gold-questions", json={"question": HOSTILE, "kind": "unanswerable"}))
    run = made(api.post("/evaluations", json=evaluation(base["id"])))
    asked = made(api.post("/ask", json={"question": HOSTILE[:900], "knowledge_bases": [base["id"]]}))
    written(cairn_server, asked["id"], document)
    return Planted(base["slug"], base["id"], document, asked["conversation"], run["id"])


def made(response: httpx.Response) -> Any:
    assert response.is_success, response.text
    return response.json()


def uploaded(api: httpx.Client, base: str) -> str:
    """Hostile in name, title, source, metadata and text."""
    form = {
        "title": NAME,
        "source_uri": f"javascript:alert(9)//{NAME}",
        "metadata": json.dumps({"tags": [NAME[:100]], NAME: HOSTILE}),
    }
    files = {"file": (f"{NAME.replace('/', ' ')}.md", DOCUMENT.encode())}
    sent = made(api.post(f"/knowledge-bases/{base}/documents", data=form, files=files))
    give_up = time.monotonic() + 120
    while made(api.get(f"/jobs/{sent['job']['id']}"))["stage"] not in {"ready", "failed"}:
        assert time.monotonic() < give_up
        time.sleep(0.3)
    return str(sent["document"]["id"])


def evaluation(base: str) -> dict[str, Any]:
    outcome = {"id": "a", "kind": "paraphrase", "question": HOSTILE, "right": False, "refused": False}
    return {
        "knowledge_base": base,
        "name": NAME[:120],
        "gold": {"name": NAME, "sha256": "a" * 64},
        "measures": {},
        "outcomes": [{**outcome, "answer": HOSTILE, "cited": [NAME], "relevant": [NAME]}],
    }


def written(server: Server, message: str, document: str) -> None:
    """Store an answer as if the model had generated and cited it."""
    identity, cited = message.replace("-", ""), document.replace("-", "")
    with closing(sqlite3.connect(server.data_dir / "cairn.sqlite3", timeout=30)) as database, database:
        database.execute(
            "UPDATE retrieval_message SET answer = ?, reason = ?, standalone_question = ?,"
            " verdict = 'partial', mode = 'generated', state = 'done', sentences = ? WHERE id = ?",
            (
                HOSTILE,
                NAME,
                HOSTILE,
                json.dumps([{"text": NAME, "supported": False, "markers": []}]),
                identity,
            ),
        )
        database.execute("DELETE FROM retrieval_citation WHERE message_id = ?", (identity,))
        database.execute(
            "INSERT INTO retrieval_citation"
            " (message_id, marker, document_id, version, chunk, title, location, section, quote, boxes)"
            " SELECT ?, 1, id, active_version_id, active_version_id, ?, ?, ?, ?, '[]'"
            " FROM library_document WHERE id = ?",
            (identity, NAME, NAME, json.dumps([NAME]), HOSTILE, cited),
        )


PAGES = [
    "/conversations/{conversation}",
    "/library",
    "/library/{slug}",
    "/library/documents/{document}",
    "/library/documents/{document}/passages",
    "/library/documents/{document}/access",
    "/admin/knowledge-bases",
    "/admin/knowledge-bases/{slug}",
    "/admin/ingestion",
    "/admin/evaluation",
    "/admin/evaluation/runs/{run}",
    "/admin/evaluation/knowledge-bases/{slug}",
    "/admin/groups",
    "/admin/users",
]


def test_hostile_content_is_shown_as_text(sign_in: SignIn, planted: Planted) -> None:
    page = sign_in()
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for template in PAGES:
        path = template.format(
            conversation=planted.conversation, slug=planted.slug, document=planted.document, run=planted.run
        )
        response = page.goto(path)
        assert response is not None
        assert response.status == 200, template
        assert page.evaluate(FOREIGN) == [], template
        assert page.title() != "owned", template
        assert MARK in (page.text_content("body") or "") + page.content(), f"{template} does not show it"
    assert dialogs == []


def test_hostile_citation_runs_no_code(sign_in: SignIn, planted: Planted) -> None:
    page = sign_in()
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(f"/conversations/{planted.conversation}")
    expect(page.locator(".answer-body")).to_contain_text(MARK)
    page.locator(".answer-body .cite").first.click()
    page.wait_for_load_state("networkidle")
    assert page.evaluate(FOREIGN) == []
    assert dialogs == []


def test_conversation_search_shows_titles_as_text(sign_in: SignIn, planted: Planted) -> None:
    page = sign_in()
    page.goto(f"/conversations?q={NAME}")
    assert page.evaluate(FOREIGN) == []


def test_hostile_questions_and_verified_answers_are_text(
    sign_in: SignIn, planted: Planted, api: httpx.Client
) -> None:
    asked = made(api.post("/ask", json={"question": f"{NAME} lunch?", "knowledge_bases": [planted.base]}))
    rating = {"rating": "down", "reason": "missing", "comment": HOSTILE}
    made(api.post(f"/messages/{asked['id']}/feedback", json=rating))
    gap = first_gap(api, planted.base)
    until = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()
    body = {"title": NAME, "text": HOSTILE, "wordings": [f"{NAME}?"], "until": until}
    made(api.put(f"/gaps/{gap}/answer", json={**body, "knowledge_base": planted.base}))
    made(api.patch(f"/gaps/{gap}", json={"note": HOSTILE}))

    page = sign_in()
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for path in (f"/admin/gaps?kb={planted.slug}", f"/admin/gaps/{gap}", "/admin"):
        page.goto(path)
        assert page.evaluate(FOREIGN) == [], path
        assert page.title() != "owned", path
    page.goto(f"/admin/gaps/{gap}")
    expect(page.get_by_role("main")).to_contain_text(MARK)
    assert dialogs == []


def first_gap(api: httpx.Client, base: str) -> str:
    """Questions are grouped by a task of every few seconds."""
    give_up = time.monotonic() + 120
    while not (found := made(api.get("/gaps", params={"knowledge_base": base}))["items"]):
        assert time.monotonic() < give_up
        time.sleep(0.5)
    return str(found[0]["id"])
