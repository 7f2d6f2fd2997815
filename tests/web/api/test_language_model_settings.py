"""Admins connect a language model in the console; answers come from it without a restart."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from cairn.audit.models import Event
from cairn.inference import registry
from cairn.library.models import Document
from cairn.settings import env
from cairn.settings.stored.models import StoredSection
from cairn.settings.stored.store import effective_environment, forget_snapshot
from retrieval.engine import ConfiguredChat, Engine, use
from tests.cairn.inference.server import Exchange, FakeServer
from tests.cairn.inference.test_checking import listed, writes
from tests.web.api.conftest import Caller, assert_problem, indexed
from web.configuration import connection_tests

QUESTION = "How many days of leave do employees get a year?"
KEY = "sk-secret-4711"
PAGE, TEST = "/admin/settings/language_model", "/admin/settings/language_model/test"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as fake:
        fake.respond = writes
        listed(fake, {"id": "mistral", "max_model_len": 8192})
        yield fake


@pytest.fixture
def other() -> Iterator[FakeServer]:
    with FakeServer() as fake:
        yield fake


@pytest.fixture
def console(admin: Caller) -> Client:
    client = Client()
    client.force_login(admin.user)
    return client


def change(caller: Caller, version: int = 0, **values: Any) -> Any:
    return caller.patch("/settings", {"language_model": {"version": version, "values": values}})


def typed(url: str, **more: str) -> dict[str, str]:
    return {"version": "0", "base_url": url, "model": "mistral", "api_key": KEY, **more}


def test_answers_come_from_the_latest_configured_server(
    admin: Caller, server: FakeServer, other: FakeServer, document: Document, parts: Engine, own_models: None
) -> None:
    fact = "Employees get 25 days of leave a year"
    indexed(document, parts, f"{fact}.")
    server.respond = other.respond = lambda exchange: exchange.write(f"{fact} [1].")
    with use(Engine(parts.embedder, parts.index, ConfiguredChat())):
        assert change(admin, base_url=server.url, model="mistral", api_key=KEY).status_code == 200
        assert fact in admin.post("/ask", {"question": QUESTION}).json()["answer"]
        assert [each.authorization for each in server.exchanges] == [f"Bearer {KEY}"]
        assert server.exchanges[0].body["model"] == "mistral"
        assert change(admin, 1, base_url=other.url, api_key="sk-other").status_code == 200
        assert fact in admin.post("/ask", {"question": QUESTION}).json()["answer"]
    assert len(server.exchanges) == 1
    assert [each.authorization for each in other.exchanges] == ["Bearer sk-other"]
    assert registry.chat_health().ok


def test_api_key_is_encrypted_and_never_returned(admin: Caller, server: FakeServer, console: Client) -> None:
    console.post(PAGE, typed(server.url))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {StoredSection._meta.db_table}")
        assert KEY not in str(cursor.fetchall())
    state = admin.get("/settings").json()["language_model"]
    assert (state["values"]["api_key"], state["secrets_set"]) == (None, ["api_key"])
    event = Event.objects.get(action="settings.changed")
    assert event.detail["after"] == {"base_url": server.url, "model": "mistral", "api_key": "…"}
    page = console.get(PAGE).content.decode()
    assert "A value is stored and never shown again." in page
    assert KEY not in page
    assert KEY not in console.post(PAGE, typed("nowhere", version="1")).content.decode()
    assert KEY not in admin.get("/settings").content.decode()


def test_empty_key_field_preserves_the_key_and_it_can_be_removed(
    server: FakeServer, admin: Caller, console: Client
) -> None:
    console.post(PAGE, typed(server.url))
    console.post(PAGE, typed(server.url, version="1", api_key="", model="mixtral"))
    assert admin.get("/settings").json()["language_model"]["secrets_set"] == ["api_key"]
    console.post(PAGE, typed(server.url, version="2", api_key="", remove_api_key="1"))
    state = admin.get("/settings").json()["language_model"]
    assert (state["version"], state["secrets_set"]) == (3, [])


def test_stored_key_is_not_sent_to_another_server(
    admin: Caller, server: FakeServer, other: FakeServer, console: Client
) -> None:
    assert change(admin, base_url=server.url, model="mistral", api_key=KEY).status_code == 200
    problem = assert_problem(change(admin, 1, base_url=other.url), 422, "invalid")
    assert "enter the secret again" in problem["detail"]
    html = console.post(TEST, typed(other.url, api_key="")).content.decode()
    assert "enter the secret again" in html
    assert other.exchanges == []
    removed = change(admin, 1, base_url=None, model=None)
    assert removed.status_code == 200
    assert_problem(change(admin, 2, base_url=other.url, model="mistral"), 422, "invalid")


def test_stored_key_is_not_sent_to_a_second_server(admin: Caller, server: FakeServer) -> None:
    change(admin, base_url=server.url, model="mistral", api_key=KEY)
    both = f"{server.url},https://evil.example.org/v1"
    assert_problem(change(admin, 1, base_url=both), 422, "invalid")
    row = StoredSection.objects.get(section="language_model")
    row.values |= {"base_url": both, "context_tokens": 4096}  # by an earlier version of Cairn
    row.save()
    forget_snapshot()
    found = effective_environment()
    assert (found.llm_base_urls, found.llm_api_key, found.llm_context_tokens) == ((), None, 4096)


def test_new_address_needs_the_key_again(
    admin: Caller, server: FakeServer, other: FakeServer, console: Client
) -> None:
    change(admin, base_url=server.url, model="mistral", api_key=KEY)
    console.post(PAGE, typed(other.url, version="1"))
    assert admin.get("/settings").json()["language_model"]["values"]["base_url"] == other.url


def test_undecryptable_key_is_requested_again(admin: Caller, server: FakeServer, settings: Any) -> None:
    change(admin, base_url=server.url, model="mistral", api_key=KEY)
    settings.SECRET_KEY = "another installation's secret key, which is long enough"
    state = admin.get("/settings").json()["language_model"]
    assert (state["values"]["model"], state["secrets_set"]) == ("mistral", [])


def test_button_requests_one_token(server: FakeServer, console: Client) -> None:
    html = console.post(TEST, typed(server.url)).content.decode()
    assert "note-good" in html, html
    assert "ms" in html
    assert {each.authorization for each in server.exchanges} == {f"Bearer {KEY}"}
    assert not StoredSection.objects.exists()
    event = Event.objects.get(action="models.checked")
    assert (event.subject, event.detail["answered"]) == ("model:chat", True)


def test_connection_test_explains_the_problem(server: FakeServer, console: Client) -> None:
    html = console.post(TEST, typed(server.url, model="mixtral")).content.decode()
    assert "note-bad" in html
    assert "does not serve “mixtral”" in html
    listed(server, {"id": "mistral", "max_model_len": 2048})
    html = console.post(TEST, typed(server.url, api_key="")).content.decode()
    assert "2048 tokens" in html
    assert "Enter both the server’s address" in console.post(TEST, typed("")).content.decode()


def test_connection_test_does_not_repeat_the_servers_response(server: FakeServer, console: Client) -> None:
    server.respond = lambda exchange: exchange.answer({"internal": "hunter2"}, 403)
    html = console.post(TEST, typed(server.url)).content.decode()
    assert "answers 403" in html
    assert "hunter2" not in html


def test_connection_test_of_a_silent_server_times_out(
    server: FakeServer, console: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_tests, "LIMIT_SECONDS", 1)
    server.respond = Exchange.wait_for_hangup
    began = time.monotonic()
    html = console.post(TEST, typed(server.url)).content.decode()
    assert "No response within 1 seconds." in html
    assert time.monotonic() - began < 10


def test_connection_test_of_a_slow_stream_times_out(
    server: FakeServer, console: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_tests, "_RESPONSE_SECONDS", 1.0)
    ended = threading.Event()

    def drip(exchange: Exchange) -> None:
        exchange.start_stream()
        try:
            while True:
                exchange.event("[DONE]")
                time.sleep(0.1)
        except OSError:
            ended.set()

    server.respond = drip
    html = console.post(TEST, typed(server.url)).content.decode()
    assert "does not answer in time" in html
    assert ended.wait(10)


def test_connection_test_does_not_read_an_endless_body(server: FakeServer, console: Client) -> None:
    server.respond = lambda exchange: exchange.answer(b"x" * (9 << 20))
    assert "answers too much" in console.post(TEST, typed(server.url)).content.decode()


@pytest.mark.slow
def test_silent_servers_do_not_exhaust_threads(
    server: FakeServer, console: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_tests, "LIMIT_SECONDS", 0.2)
    monkeypatch.setattr(connection_tests, "_RESPONSE_SECONDS", 4.0)
    server.respond = Exchange.wait_for_hangup
    for _ in range(5):
        assert "No response within" in console.post(TEST, typed(server.url)).content.decode()
    asking = [thread for thread in threading.enumerate() if thread.name == "settings-test"]
    assert 1 <= len(asking) <= connection_tests._MOST_AT_ONCE
    assert all(thread.daemon for thread in asking)
    for thread in asking:
        thread.join(30)
    assert not any(thread.is_alive() for thread in asking)


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "100.100.100.200", "0.0.0.0"]
)
def test_metadata_services_are_unreachable(console: Client, host: str) -> None:
    html = console.post(TEST, typed(f"http://{host}/v1")).content.decode()
    assert "note-bad" in html
    assert "no server may be at this address" in html


@pytest.mark.parametrize(
    "url",
    ["ftp://llm.example.org", "llm.example.org/v1", "http://", "http://[::1", "http://u:p@llm.example.org/v1",
     "http://llm.example.org:99999/v1", "http://llm.example.org/v1?key=x", "javascript:alert(1)",
     "https://llm.example.org/v1,https://evil.example.org/v1", "https://llm.example.org/v1 x",
     "https://evil.example.org\\@llm.example.org/v1"],
)  # fmt: skip
def test_invalid_server_addresses_are_rejected(admin: Caller, url: str) -> None:
    assert_problem(change(admin, base_url=url, model="mistral"), 422, "invalid")
    assert not StoredSection.objects.exists()


def test_environment_variables_of_one_server_are_used_together(
    admin: Caller, server: FakeServer, console: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(admin, base_url=server.url, model="mistral", api_key=KEY)
    given = env.Environment(llm_api_key="sk-of-the-environment")
    for module in ("sections", "store"):
        monkeypatch.setattr(f"cairn.settings.stored.{module}.environment", lambda: given)
    forget_snapshot()
    assert registry.effective_environment().llm_base_urls == ()
    state = admin.get("/settings").json()["language_model"]["set_by_environment"]
    assert state == dict.fromkeys(("base_url", "api_key", "model"), "LLM_API_KEY")
    assert_problem(change(admin, 1, base_url="https://evil.example.org/v1"), 409, "conflict")
    assert "environment variable" in console.post(TEST, typed("https://evil.example.org/v1")).content.decode()


def test_only_admins_test_connections(mia: Caller, server: FakeServer) -> None:
    client = Client()
    client.force_login(mia.user)
    assert client.post(TEST, typed(server.url)).status_code == 403
    assert server.exchanges == []
