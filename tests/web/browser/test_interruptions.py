"""The page while the language model is unavailable, slow or cut off, or the server restarts."""

import re
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.cairn.inference.server import Exchange, FakeServer
from tests.models import model_server, model_settings
from tests.servers import Server, start_server, stop_server
from tests.web.browser.conftest import WIDE
from tests.web.browser.test_journey import PHONE

pytestmark = pytest.mark.browser

SignIn = Callable[..., Page]
FACT = "Employees may donate at most 42 hours of annual leave to a colleague in each calendar year."
DESK = "Trains are booked by the travel desk in the second week of each month."
QUESTION = "How many hours of annual leave may employees donate to a colleague?"
PATIENCE = 60_000  # milliseconds
ENDED = re.compile("The server stopped before the answer was complete|The language model stopped early")


class Model:
    """A served language model whose responses the test defines."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.does: Callable[[Exchange], None] = self.answers

    def answers(self, exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.delta(f"{FACT} [1]")
        exchange.done()

    def is_cut_off(self, exchange: Exchange) -> None:
        """Break the connection after the first sentence."""
        exchange.start_stream(promised_bytes=1_000_000)
        exchange.delta(f"{FACT} [1] And then ")

    def is_away(self, exchange: Exchange) -> None:
        exchange.answer({}, 503)

    def is_slow(self, exchange: Exchange) -> None:
        assert self.go_on.wait(60)
        self.answers(exchange)

    def stops_in_the_middle(self, exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.delta(f"{FACT} [1] And then ")
        self.go_on.wait(60)


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


@pytest.fixture(autouse=True)
def well(model: Model) -> Iterator[None]:
    """Reset the model before and after each test."""
    model.does = model.answers
    model.go_on.clear()
    yield
    model.go_on.set()


@pytest.fixture(scope="module")
def settings(model: Model) -> Iterator[dict[str, str]]:
    chat = FakeServer()
    chat.respond = lambda exchange: model.does(exchange)
    with model_server() as embedding, chat:
        served = {**model_settings(embedding), "LLM_BASE_URL": chat.url, "LLM_BREAKER_FAILURES": "1000"}
        yield {**served, "SAMPLE_KNOWLEDGE_BASE": "false"}


@pytest.fixture(scope="module")
def cairn_server(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_server(tmp_path_factory.mktemp("interrupted"), **settings)
    fill(server)
    yield server
    stop_server(server)


def fill(server: Server) -> None:
    headers = {"Authorization": f"Bearer {server.key()}"}
    with httpx.Client(base_url=f"{server.url}/api/v1", headers=headers, trust_env=False) as api:
        base = api.post("/knowledge-bases", json={"name": "Rules"}).json()["id"]
        for name, text in {"leave.md": FACT, "travel.md": DESK}.items():
            job = api.post(f"/knowledge-bases/{base}/documents", files={"file": (name, text)}).json()["job"]
            with api.stream("GET", f"/jobs/{job['id']}/events") as told:
                assert '"ready"' in told.read().decode()


@pytest.fixture(params=[WIDE, PHONE], ids=["wide", "phone"])
def page(request: pytest.FixtureRequest, sign_in: SignIn) -> Page:
    return sign_in(viewport=request.param)


def ask(page: Page, question: str = QUESTION) -> None:
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")


def answered(page: Page, verdict: str) -> None:
    expect(page.locator(".verdict")).to_contain_text(verdict, timeout=PATIENCE)
    expect(page.locator(".question")).to_have_text(QUESTION)
    expect(page.locator(".answer-body")).to_contain_text("42 hours")


def answered_when_asked_again(page: Page, model: Model, button: str | re.Pattern[str]) -> None:
    model.does = model.answers
    page.get_by_role("button", name=button, exact=True).click()
    answered(page, "Supported by 1 passage")
    expect(page.locator(".tag-incomplete")).to_have_count(0)


def test_interrupted_model_leaves_an_incomplete_answer(page: Page, model: Model) -> None:
    model.does = model.is_cut_off
    ask(page)
    answered(page, "The language model stopped early, so this answer is incomplete.")
    expect(page.locator(".tag-incomplete")).to_have_text("Incomplete")
    answered_when_asked_again(page, model, "Answer again")
    expect(page.get_by_role("group", name="Versions of this question")).to_contain_text("2 of 2")


def test_passages_are_quoted_without_the_model(page: Page, model: Model) -> None:
    model.does = model.is_away
    ask(page)
    answered(page, "direct quotes: the language model isn’t available right now")
    answered_when_asked_again(page, model, "Answer again")


def test_slow_model_shows_a_waiting_message(page: Page, model: Model) -> None:
    model.does = model.is_slow
    page.clock.install()
    ask(page)
    expect(page.locator("[data-passages-label]")).to_contain_text("Read 2 passages")
    page.clock.fast_forward(16_000)
    expect(page.locator("[data-state-text]")).to_contain_text("This is taking longer than usual.")
    model.go_on.set()
    answered(page, "Supported by 1 passage")


def test_answer_continues_after_a_reload_and_is_stopped(page: Page, model: Model) -> None:
    model.does = model.stops_in_the_middle
    ask(page)
    expect(page.locator(".answer-body")).to_contain_text("42 hours")
    page.reload()
    expect(page.locator(".answer-body")).to_contain_text("42 hours")
    expect(page.get_by_role("button", name="Stop generating")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible()
    expect(page.locator(".verdict")).to_be_visible()
    expect(page.locator(".answer-body")).to_contain_text("42 hours")


def test_user_signed_out_during_an_answer_returns_to_it(
    page: Page, model: Model, cairn_server: Server
) -> None:
    model.does = model.stops_in_the_middle
    ask(page)
    expect(page.locator(".answer-body")).to_contain_text("42 hours")
    page.get_by_label("Your question").fill("The next one")
    with closing(sqlite3.connect(cairn_server.data_dir / "cairn.sqlite3", timeout=30)) as database, database:
        database.execute("DELETE FROM django_session")
    model.go_on.set()
    expect(page.locator(".failure")).to_contain_text("You’ve been signed out.", timeout=PATIENCE)
    conversation = page.url
    page.get_by_role("link", name="Sign in").click()
    page.get_by_label("User name").fill(cairn_server.username)
    page.get_by_label("Password").fill(cairn_server.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(conversation)
    expect(page.locator(".answer-body")).to_contain_text("42 hours")
    expect(page.locator(".verdict")).to_be_visible()
    expect(page.get_by_label("Your question")).to_have_value("The next one")


def restart(server: Server, settings: dict[str, str], number: signal.Signals) -> None:
    """Restart the server under the same address."""
    port = urlsplit(server.url).port or 0
    stop_server(server, number)
    again = start_server(server.data_dir, port=port, **settings)
    object.__setattr__(server, "process", again.process)


@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["told to end", "killed"])
def test_page_finds_its_answer_after_a_server_restart(
    sign_in: SignIn,
    model: Model,
    cairn_server: Server,
    settings: dict[str, str],
    number: signal.Signals,
) -> None:
    """When shutting down, it may still have noticed that the model's stream was closed."""
    page = sign_in()
    model.does = model.stops_in_the_middle
    ask(page)
    expect(page.locator(".answer-body")).to_contain_text("42 hours")
    page.get_by_label("Your question").fill("The next one")
    restart(cairn_server, settings, number)
    expect(page.locator("[data-answer]")).to_contain_text(ENDED, timeout=PATIENCE)
    expect(page.locator(".answer-body")).to_contain_text("42 hours")
    expect(page.locator(".tag-incomplete")).to_be_visible()
    expect(page.get_by_label("Your question")).to_have_value("The next one")
    answered_when_asked_again(page, model, re.compile("^(Answer|Ask) again$"))


def test_longest_question_is_asked_and_collapsed(page: Page) -> None:
    longest = f"{QUESTION} Background: " + "Our team has grown. " * 500
    ask(page, f"{longest[:9_999]}?")
    expect(page.locator(".verdict")).to_be_visible(timeout=PATIENCE)
    heading = page.locator(".question")
    assert len(heading.inner_text()) == 10_000
    assert heading.bounding_box()["height"] < page.viewport_size["height"] / 2
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    below = page.locator(".answer-foot").bounding_box()["y"] - heading.bounding_box()["y"]
    assert below < page.viewport_size["height"], "the answer is near its question"
    page.get_by_role("button", name="Show full question").click()
    assert heading.bounding_box()["height"] > page.viewport_size["height"]
    page.reload()
    expect(page.get_by_role("button", name="Show full question")).to_be_visible()
    assert heading.bounding_box()["height"] < page.viewport_size["height"] / 2
