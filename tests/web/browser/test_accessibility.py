"""Every page, and every state that pages come into: WCAG 2.2 AA by axe-core, and room at every width."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize

from tests.servers import Server
from tests.tour.looking import PHONE, Tour
from tests.tour.sample import sample
from tests.tour.visits import ELSEWHERE, OTHERS, QUERIES, VISITS, Visit, page_routes
from tests.web.security.discovery import routes_of
from tests.web.security.guards import Door
from tests.web.security.routes import ROUTES

pytestmark = [pytest.mark.browser, pytest.mark.models]

TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"]
ALL: Final = {"resultTypes": ["violations"], "runOnly": {"type": "tag", "values": TAGS}}
WIDTHS: Final = (360, 1280, 2560)
WIDER = """() => {
  const parts = "html, .page, .thread, .panel-body, .rail, .dialog[open], .menu:not([hidden])";
  return [...document.querySelectorAll(parts)]
    .filter((node) => node.scrollWidth > node.clientWidth + 1)
    .map((node) => `${node.className || node.tagName}, ${node.scrollWidth} of ${node.clientWidth}`);
}"""


@pytest.fixture(scope="module")
def tour(browser: Browser, cairn_server: Server) -> Iterator[Tour]:
    made = Tour(browser, sample(cairn_server))
    yield made
    made.close()


def faults(page: Page, options: dict[str, Any], told: str) -> list[str]:
    found = page.evaluate("options => axe.run(document, options)", options)["violations"]
    return [
        f"{told}: {each['id']} ({each['help']}): " + " | ".join(_where(node) for node in each["nodes"][:4])
        for each in found
    ]


def _where(node: dict[str, Any]) -> str:
    why = node["any"][0]["message"] if node["any"] else ""
    return f"{node['html'][:160]} {why}"


def overflow(page: Page, told: str) -> list[str]:
    found = []
    for width in WIDTHS:
        page.set_viewport_size(ViewportSize(width=width, height=800))
        found += [f"{told} at {width}: {each}" for each in page.evaluate(WIDER)]
    return found


@pytest.mark.parametrize("visit", VISITS, ids=str)
def test_every_page_is_accessible_at_every_width(tour: Tour, visit: Visit) -> None:
    with tour.visit(visit) as page:
        page.evaluate(Axe().axe_script)
        found = faults(page, ALL, "light")
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size(PHONE)
        found += faults(page, ALL, "dark, phone")
        found += overflow(page, "left to right")
        page.evaluate("document.documentElement.dir = 'rtl'")
        found += overflow(page, "right to left")
    assert not found, "\n".join(found)


def test_every_page_route_is_visited() -> None:
    """New routes come from the access matrix, which knows all that there are: none has to be added here."""
    visited = {visit.path.partition("?")[0] for visit in VISITS}
    assert set(page_routes()) - visited == set(ELSEWHERE)
    assert {*OTHERS, *QUERIES} <= set(page_routes())
    assert len({visit.name for visit in VISITS}) == len(VISITS)
    listed = {(route.method, route.path) for route in ROUTES}
    assert {each for each in routes_of("web.urls") if each[0] == "GET"} <= listed


def test_page_fragment_is_not_a_complete_page(tour: Tour) -> None:
    """Page fragments are not visited by the tests, so they must not be complete pages."""
    context = tour._context("admin")
    for route in ROUTES:
        if route.door is Door.FRAGMENT and route.method == "GET":
            answer = context.request.get(tour.sample.path(route.path))
            assert "<html" not in answer.text(), route
