"""An answer in a chat becomes a gold question, and a run shows its result."""

import json
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.servers import Server
from tests.web.browser.test_journey import QUESTION, ask, create_knowledge_base, markdown, uploaded

pytestmark = [pytest.mark.browser, pytest.mark.models]

PHONE = ViewportSize(width=360, height=740)


def fits(page: Page) -> bool:
    return bool(page.evaluate("(p => p.scrollWidth <= p.clientWidth)(document.querySelector('.page'))"))


def test_answer_becomes_a_gold_question_and_is_measured(
    sign_in: Callable[..., Page], cairn_server: Server
) -> None:
    page = sign_in()
    slug = create_knowledge_base(page)
    uploaded(page, slug, markdown())
    ask(page, slug)
    page.get_by_role("link", name="Add to gold questions").click()
    expect(page.get_by_label("Question", exact=True)).to_have_value(QUESTION)
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(1)
    page.get_by_role("checkbox").uncheck()
    page.get_by_role("button", name="Add to gold questions").click()
    expect(page.locator("#main [data-error]")).to_contain_text("Select the documents with the answer")
    page.get_by_role("checkbox").check()
    page.get_by_label("Answer must contain").fill("42\n hours ")
    page.get_by_role("button", name="Add to gold questions").click()
    page.wait_for_url(f"**/admin/evaluation/knowledge-bases/{slug}")

    page.get_by_role("main").get_by_role("link", name=QUESTION).click()
    expect(page.get_by_label("Answer must contain")).to_have_value("42\nhours\n")
    page.get_by_label("Question type").select_option("keyword")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(f"**/admin/evaluation/knowledge-bases/{slug}")
    expect(page.get_by_text("Keywords only")).to_be_visible()

    for name in ("before", "after"):
        done = cairn_server.manage("evaluate", "--kb", slug, "--name", name, "--json")
        assert json.loads(done.stdout)["questions"] == 1, done.stderr
    page.goto(f"/admin/evaluation?kb={slug}")
    page.get_by_role("main").get_by_role("link", name="after").click()
    page.get_by_role("link", name="All").click()
    page.locator(".question-text").click()
    expect(page.locator(".asked").first).to_contain_text("leave.md")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/compare?with=*")
    expect(page.get_by_role("heading", name="Compare runs")).to_be_visible()

    page.get_by_role("main").get_by_role("link", name="after").click()
    page.get_by_role("button", name="Delete").click()
    page.locator("#confirm").get_by_role("button", name="Delete").click()
    page.wait_for_url("**/admin/evaluation")
    page.goto(f"/admin/evaluation?kb={slug}")
    expect(page.get_by_role("row")).to_have_count(2)  # the head, and the other run


def test_evaluation_pages_fit_a_phone(sign_in: Callable[..., Page], cairn_server: Server) -> None:
    page = sign_in(viewport=PHONE)
    slug = create_knowledge_base(page)
    for path in ("", f"/knowledge-bases/{slug}", f"/gold-questions/new?kb={slug}"):
        page.goto(f"/admin/evaluation{path}")
        assert fits(page), path
    page.goto("/admin/evaluation")
    for link in page.locator("table a.title").all()[:1]:
        link.click()
        assert fits(page), urlsplit(page.url).path
