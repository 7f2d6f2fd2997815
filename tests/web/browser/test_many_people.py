"""The console of an organisation with 10,000 users: accessible, and no wider than the screen.

`--log-cli-level=INFO` shows how long each page took, from the request to its load event.
"""

import logging
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.servers import Server, run_manage, start_server, stop_server
from tests.tour.looking import PHONE
from tests.web.browser.conftest import WIDE
from tests.web.browser.test_accessibility import ALL, WIDER, faults
from tests.web.browser.test_chat import SignIn
from tests.web.crowd import PAGES

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.browser]

CREATE = """
from tests.web.crowd import PAGES, create_crowd
crowd = create_crowd()
print(*(crowd.path(page) for page in PAGES), sep="\\n")
"""
LOAD_MS = "performance.getEntriesByType('navigation')[0].loadEventEnd"


@pytest.fixture(scope="module")
def cairn_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_server(tmp_path_factory.mktemp("crowd"), SAMPLE_KNOWLEDGE_BASE="false")
    yield server
    stop_server(server)


@pytest.fixture(scope="module")
def paths(cairn_server: Server) -> list[str]:
    created = run_manage(cairn_server.data_dir, "shell", "-c", CREATE)
    assert created.returncode == 0, created.stderr
    paths = [line for line in created.stdout.splitlines() if line.startswith(("/admin", "/account"))]
    assert len(paths) == sum(page.startswith(("/admin", "/account")) for page in PAGES)
    return paths


@pytest.mark.parametrize(
    "viewport", [pytest.param(WIDE, id="wide", marks=pytest.mark.acceptance), pytest.param(PHONE, id="phone")]
)
def test_console_pages_are_accessible_with_thousands_of_rows(
    sign_in: SignIn, paths: list[str], viewport: dict[str, int]
) -> None:
    page = sign_in(viewport=viewport)
    found = [fault for path in paths for fault in _look_at(page, path)]
    assert not found, "\n".join(found)


def _look_at(page: Page, path: str) -> list[str]:
    """Return what is wrong with the page."""
    answer = page.goto(path)
    assert answer is not None, path
    assert answer.ok, path
    log.info("%s: %.0f ms", path, page.evaluate(LOAD_MS))
    page.evaluate(Axe().axe_script)
    wider = page.evaluate(WIDER)
    return [*faults(page, ALL, path), *(f"{path}: {each}" for each in wider)]
