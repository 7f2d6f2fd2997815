"""Admins connect several identity providers in the console. No provider reaches the accounts of another."""

import re
from collections.abc import Iterator

import httpx
import pytest
from allauth.core.context import request_context
from django.test import Client, RequestFactory
from django.urls import resolve

from cairn.accounts.models import User
from cairn.audit.models import Event
from cairn.settings import env
from cairn.settings.stored.models import StoredSection
from cairn.settings.stored.sections import SignIn
from cairn.settings.stored.store import forget_snapshot
from tests.web.pages.conftest import text_of
from tests.web.pages.test_connection_settings import SIGN_IN, console, provider_form
from tests.web.pages.test_openid import Provider, provider_server, start_provider
from web.identity.adapters import SocialAdapter
from web.identity.configured_providers import identity_providers

__all__ = ["console", "provider_server"]
FURTHER = f"{SIGN_IN}/providers"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def other_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    yield from start_provider(tmp_path_factory)


def add(console: Client, provider: str, url: str, name: str, **more: str) -> str:
    """Store a provider; return its page."""
    path = SIGN_IN if provider == "first" else f"{FURTHER}/{provider}"
    response = console.post(path, provider_form(url, name=name, **more))
    assert response.status_code == 302, text_of(response)
    return str(response["Location"])


def connect(console: Client, page: str, provider: Provider) -> str:
    """Register Cairn at the provider, and return the path of the sign-in."""
    found = re.search(r"http://testserver(/oidc/sso-[0-9a-f]{12}/)callback", text_of(console.get(page)))
    assert found
    httpx.post(f"{provider.url}/test/callback", content=found[0])
    return f"{found[1]}login"


def enter(login: str, provider: Provider, username: str, client: Client | None = None) -> Client:
    client = client or Client()
    address = provider.authorize(client.get(login)["Location"], username)
    client.get(address.removeprefix("http://testserver"))
    return client


def whoami(client: Client) -> str:
    return str(client.get("/api/v1/me").json().get("username"))


def test_second_provider_cannot_take_over_accounts_of_the_first(
    console: Client, provider_server: Provider, other_server: Provider
) -> None:
    first = connect(console, add(console, "first", provider_server.url, "House"), provider_server)
    second = connect(console, add(console, "new", other_server.url, "Guests"), other_server)
    html = text_of(Client().get("/login"))
    assert "Sign in with House" in html
    assert "Sign in with Guests" in html
    for server in (provider_server, other_server):
        server.person("rob", name="Rob", email="rob@example.org")
    assert provider_server.subjects == other_server.subjects, "the attacker even has the same subject"

    assert whoami(enter(first, provider_server, "rob")) == "rob"
    impostor = whoami(enter(second, other_server, "rob"))
    assert impostor not in ("None", "rob")
    assert whoami(enter(first, provider_server, "rob")) == "rob"
    assert whoami(enter(second, other_server, "rob")) == impostor, "their own account stays theirs"
    victim, attacker = (User.objects.get(username=name) for name in ("rob", impostor))
    accounts = {
        each.user_id: each.provider
        for each in (*victim.socialaccount_set.all(), *attacker.socialaccount_set.all())
    }
    assert len(set(accounts.values())) == len(accounts) == 2


def test_response_of_one_provider_is_refused_at_the_address_of_another(
    console: Client, provider_server: Provider, other_server: Provider
) -> None:
    first = connect(console, add(console, "first", provider_server.url, "House"), provider_server)
    second = connect(console, add(console, "new", other_server.url, "Guests"), other_server)
    other_server.person("rob")
    client = Client()
    own = other_server.authorize(client.get(second)["Location"], "rob").removeprefix("http://testserver")
    assert own.startswith(second.removesuffix("login"))
    client.get(own.replace(second.removesuffix("login"), first.removesuffix("login")))
    assert whoami(client) == "None"
    assert whoami(enter(second, other_server, "rob")) == "rob"


def test_secrets_of_further_providers_are_never_shown_and_sent_only_to_their_server(console: Client) -> None:
    page = add(console, "new", "https://two.example.org", "Guests", client_secret="hunter2-two")
    shown = text_of(console.get(page)) + text_of(console.get(SIGN_IN))
    assert "A value is stored and never shown again." in shown
    assert "Guests" in shown
    moved = provider_form("https://three.example.org", version="1", client_secret="")
    assert "enter the secret again" in text_of(console.post(page, moved))
    assert "enter the secret again" in text_of(console.post(f"{page}/test", moved))
    for stored in (shown, str(StoredSection.objects.values_list()), str(Event.objects.values_list())):
        assert "hunter2-two" not in stored


def test_two_providers_never_have_the_same_address(console: Client) -> None:
    add(console, "first", "https://one.example.org", "House")
    page = add(console, "new", "https://two.example.org", "Guests")
    for path, url, version in ((f"{FURTHER}/new", "one", "0"), (page, "one", "1"), (SIGN_IN, "two", "1")):
        response = console.post(path, provider_form(f"https://{url}.example.org/", version=version))
        assert response.status_code == 409
        assert "Another provider already has this address." in text_of(response)
    assert StoredSection.objects.count() == 2


@pytest.mark.parametrize(
    "url", ["HTTPS://two.example.org", "https://TWO.example.org:443", "https://two.example.org//"]
)
def test_spelling_makes_no_other_provider(console: Client, url: str) -> None:
    add(console, "first", "https://two.example.org", "House")
    response = console.post(f"{FURTHER}/new", provider_form(url, name="Guests"))
    assert response.status_code == 409
    assert "Another provider already has this address." in text_of(response)


@pytest.mark.parametrize("mark", ["?", "#"])
def test_address_has_no_query_or_fragment(console: Client, mark: str) -> None:
    response = console.post(f"{FURTHER}/new", provider_form(f"https://two.example.org/{mark}", name="Guests"))
    assert response.status_code == 422
    assert not StoredSection.objects.exists()


@pytest.mark.parametrize("name", ["house", "Ho\N{RIGHT-TO-LEFT OVERRIDE}use"])
def test_two_providers_never_have_the_same_name(console: Client, name: str) -> None:
    add(console, "first", "https://one.example.org", "House")
    response = console.post(f"{FURTHER}/new", provider_form("https://two.example.org", name=name))
    assert response.status_code == 409
    assert "Another provider already has this name." in text_of(response)


def test_provider_with_the_id_of_another_is_refused(console: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """An id is part of a hash, which could be the same for two addresses."""
    add(console, "first", "https://one.example.org", "House")
    provider = SignIn.provider.fget  # type: ignore[attr-defined]
    same = property(lambda values: (found := provider(values)) and found.model_copy(update={"id": "sso-1"}))
    monkeypatch.setattr(SignIn, "provider", same)
    response = console.post(f"{FURTHER}/new", provider_form("https://two.example.org", name="Guests"))
    assert response.status_code == 409


def test_incomplete_and_outdated_providers_are_refused(console: Client) -> None:
    page = add(console, "new", "https://two.example.org", "Guests")
    for form in (
        {"version": "0", "name": "", "server_url": "", "client_id": ""},
        {"version": "0", "name": "Guests"},
    ):
        assert console.post(f"{FURTHER}/new", form).status_code == 422
    assert console.post(page, provider_form("https://two.example.org", version="0")).status_code == 409
    assert console.post(f"{page}/remove", {"version": "0"}).status_code == 409
    assert [console.get(f"{FURTHER}/{key}").status_code for key in ("00000000", "x", "new")] == [
        404,
        404,
        200,
    ]
    assert StoredSection.objects.count() == 1


def test_removed_provider_signs_nobody_in(
    console: Client, provider_server: Provider, other_server: Provider
) -> None:
    first = connect(console, add(console, "first", provider_server.url, "House"), provider_server)
    page = add(console, "new", other_server.url, "Guests")
    second = connect(console, page, other_server)
    provider_server.person("mia")
    other_server.person("guest")
    enter(second, other_server, "guest")
    assert "1 person signs in with Guests." in text_of(console.get(page))
    assert "Provider removed." in text_of(console.post(f"{page}/remove", {"version": "1"}, follow=True))
    assert Client().get(second).status_code == 404
    assert "Sign in with Guests" not in text_of(Client().get("/login"))
    assert whoami(enter(first, provider_server, "mia")) == "mia"
    assert User.objects.filter(username="guest", is_active=True).exists()
    event = Event.objects.filter(action="settings.changed").latest("id")
    assert event.detail["before"]["name"] == "Guests"
    assert event.detail["before"]["client_secret"] == "…"


@pytest.mark.parametrize("way", ["removed", "moved"])
def test_people_of_a_former_provider_are_signed_out_without_its_rights(
    console: Client, other_server: Provider, way: str
) -> None:
    page = add(console, "new", other_server.url, "Guests", admin_group="Finance")
    login = connect(console, page, other_server)
    other_server.person("rob", "Finance", "Staff")
    rob = enter(login, other_server, "rob")
    assert rob.get("/api/v1/me").json()["is_admin"]
    user = User.objects.get(username="rob")
    assert user.member_of.count() == 2
    if way == "removed":
        console.post(f"{page}/remove", {"version": "1"})
    else:
        add(console, page.rpartition("/")[2], "https://two.example.org", "Guests", version="1")
    assert whoami(rob) == "None"
    user.refresh_from_db()
    assert (user.is_active, user.is_admin, user.member_of.count()) == (True, False, 0)


def test_provider_cannot_send_requests_to_the_server_of_another(
    console: Client, other_server: Provider
) -> None:
    """The server of a provider may be in the own network; what another names there stays out of reach."""
    add(console, "first", "http://localhost:9", "House")
    connect(console, add(console, "new", other_server.url, "Guests"), other_server)
    request = RequestFactory().get("/oidc/any/login")
    for provider in identity_providers().oidc:
        request.resolver_match = resolve(f"/oidc/{provider.id}/login")
        with request_context(request):
            adapter = SocialAdapter().get_requests_session().get_adapter("http://localhost")
        assert list(adapter._servers.values()) == [provider.server_url]  # type: ignore[attr-defined]


def test_provider_file_takes_precedence_over_further_providers(
    console: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = add(console, "new", "https://two.example.org", "Guests")
    given = env.Environment(identity_providers="providers.toml")
    monkeypatch.setattr("cairn.settings.stored.sections.environment", lambda: given)
    forget_snapshot()
    assert "Sign in with Guests" not in text_of(Client().get("/login"))
    assert "Set by the environment variable IDENTITY_PROVIDERS." in text_of(console.get(page))
    assert "Add a provider" not in text_of(console.get(SIGN_IN))
    for path, form in (
        (f"{FURTHER}/new", provider_form("https://three.example.org")),
        (page, provider_form("https://two.example.org", version="1", name="Other")),
        (f"{page}/remove", {"version": "1"}),
    ):
        assert console.post(path, form).status_code == 409
    assert StoredSection.objects.get().version == 1
