"""Admins connect an identity provider and a mail server in the console, and test them."""

import re
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from django.test import Client

from cairn.accounts.models import User
from cairn.audit.models import Event
from cairn.settings import env
from cairn.settings.identity import IdentityProviders, OidcProvider, allauth_settings
from cairn.settings.stored.models import StoredSection
from cairn.settings.stored.store import forget_snapshot
from tests.cairn.inference.server import FakeServer
from tests.mail_server import HANGS, MailServer
from tests.openid_server import CLIENT, SECRET
from tests.web.pages.conftest import text_of
from tests.web.pages.test_openid import Provider, provider_server  # noqa: F401 - a fixture
from tests.web.security.attacks.test_openid_tokens import Issuer, tls_issuer  # noqa: F401 - a fixture
from web.configuration import connection_tests
from web.mail.server import configured_mail_server

SignIn = Callable[[User], Client]
SIGN_IN, MAIL = "/admin/settings/sign_in", "/admin/settings/mail"
DISCOVERY = "/.well-known/openid-configuration"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def console(signed_in: SignIn, admin: User) -> Client:
    return signed_in(admin)


def provider_form(url: str, **more: str) -> dict[str, str]:
    return {
        "version": "0", "name": "House", "server_url": url, "client_id": CLIENT, "client_secret": SECRET,
        **more,
    }  # fmt: skip


def mail_form(server: MailServer, **more: str) -> dict[str, str]:
    return {
        "version": "0", "host": "127.0.0.1", "port": str(server.port), "security": "none", "user": "cairn",
        "password": "mail-secret", "sender": "Cairn <cairn@example.org>", **more,
    }  # fmt: skip


def test_people_sign_in_with_the_configured_provider(console: Client, provider_server: Provider) -> None:  # noqa: F811
    assert "note-good" in text_of(console.post(f"{SIGN_IN}/test", provider_form(provider_server.url)))
    html = text_of(console.post(SIGN_IN, provider_form(provider_server.url), follow=True))
    found = re.search(r"http://testserver/oidc/(sso-[0-9a-f]{12})/callback", html)
    assert found
    httpx.post(f"{provider_server.url}/test/callback", content=found[0])
    provider_server.person("rob")
    client = Client()
    assert "Sign in with House" in text_of(client.get("/login"))
    address = provider_server.authorize(client.get(f"/oidc/{found[1]}/login")["Location"], "rob")
    assert client.get(address.removeprefix("http://testserver"))["Location"] == "/"
    assert client.get("/api/v1/me").json()["username"] == "rob"
    assert "with House." not in html
    assert "1 person signs in with House. If you remove it" in text_of(console.get(SIGN_IN))
    console.post(
        SIGN_IN, {"version": "1", "name": "", "server_url": "", "client_id": "", "remove_client_secret": "1"}
    )
    assert "Sign in with" not in text_of(Client().get("/login"))
    assert client.get(f"/oidc/{found[1]}/login").status_code == 404


def test_another_provider_gets_new_accounts_and_no_stored_secret(console: Client) -> None:
    console.post(SIGN_IN, provider_form("https://one.example.org"))
    first = re.search(r"sso-[0-9a-f]{12}", text_of(console.get(SIGN_IN)))
    moved = provider_form("https://two.example.org", version="1", client_secret="")
    assert "enter the secret again" in text_of(console.post(SIGN_IN, moved))
    console.post(SIGN_IN, provider_form("https://two.example.org", version="1"))
    second = re.search(r"sso-[0-9a-f]{12}", text_of(console.get(SIGN_IN)))
    assert first
    assert second
    assert first[0] != second[0]
    assert SECRET not in text_of(console.get(SIGN_IN))
    assert SECRET not in str(StoredSection.objects.values_list())
    assert SECRET not in str(Event.objects.values_list())


def test_provider_file_takes_precedence(
    console: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    console.post(SIGN_IN, provider_form("https://one.example.org"))
    own = OidcProvider(id="own", name="Own", server_url="https://own.example.org", client_id="x")
    settings.IDENTITY_PROVIDERS = IdentityProviders(oidc=(own,))
    settings.SOCIALACCOUNT_PROVIDERS = allauth_settings(settings.IDENTITY_PROVIDERS)
    given = env.Environment(identity_providers="providers.toml")
    monkeypatch.setattr("cairn.settings.stored.sections.environment", lambda: given)
    forget_snapshot()
    html = text_of(Client().get("/login"))
    assert "Sign in with Own" in html
    assert "Sign in with House" not in html
    assert "Set by the environment variable IDENTITY_PROVIDERS." in text_of(console.get(SIGN_IN))


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"issuer": "https://elsewhere.example.org"}, "names another issuer"),
        ({"issuer": "OWN"}, "no OpenID Connect provider"),
        ([], "no OpenID Connect provider"),
        (b"<html>hunter2</html>", "no OpenID Connect provider"),
        (b" " * ((1 << 20) + 1), "no OpenID Connect provider"),
        (None, "status 404"),
    ],
)
def test_server_without_a_provider_fails_the_test(console: Client, document: Any, problem: str) -> None:
    with FakeServer() as server:
        url = server.url.removesuffix("/v1")
        own = document == {"issuer": "OWN"}
        server.pages[DISCOVERY] = {"issuer": url} if own else document
        html = text_of(console.post(f"{SIGN_IN}/test", provider_form(url)))
    assert "note-bad" in html
    assert problem in html
    assert "hunter2" not in html


@pytest.mark.parametrize(
    "name", ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"]
)
def test_provider_with_an_endpoint_without_https_fails_the_test(
    console: Client,
    tls_issuer: Issuer,  # noqa: F811
    name: str,
) -> None:
    form = provider_form(tls_issuer.url)
    assert "note-good" in text_of(console.post(f"{SIGN_IN}/test", form))
    tls_issuer.endpoints = {name: "http://login.example.org/there"}
    html = text_of(console.post(f"{SIGN_IN}/test", form))
    assert "note-bad" in html
    assert "names an endpoint without https" in html


@pytest.mark.parametrize(
    "url", ["http://login.example.org", "https://u:p@login.example.org", "login", "file:///etc"]
)
def test_invalid_provider_addresses_are_rejected(console: Client, url: str) -> None:
    assert console.post(SIGN_IN, provider_form(url)).status_code == 422
    assert not StoredSection.objects.exists()


def test_no_metadata_service_is_asked(console: Client) -> None:
    form = provider_form("https://169.254.169.254")
    assert "no server may be at this address" in text_of(console.post(f"{SIGN_IN}/test", form))


def test_mail_server_is_tested_and_used(console: Client) -> None:
    with MailServer(account=("cairn", "mail-secret")) as server:
        assert "note-good" in text_of(console.post(f"{MAIL}/test", mail_form(server)))
        refused = text_of(console.post(f"{MAIL}/test", mail_form(server, password="wrong")))
        assert "note-bad" in refused
        assert configured_mail_server() is None
        assert console.post(MAIL, mail_form(server)).status_code == 302
        found = configured_mail_server()
        assert found
        assert (found.address, found.password) == (f"127.0.0.1:{server.port}", "mail-secret")
        assert "mail-secret" not in text_of(console.get(MAIL))
        assert "mail-secret" not in str(Event.objects.values_list())
        moved = mail_form(server, version="1", port="26", password="")
        assert "enter the secret again" in text_of(console.post(MAIL, moved))
        assert "enter the secret again" in text_of(console.post(f"{MAIL}/test", moved))
    subjects = Event.objects.filter(action="settings.tested").values_list("subject", flat=True)
    assert set(subjects) == {"settings:mail"}


def test_silent_mail_server_times_out(console: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_tests, "LIMIT_SECONDS", 1)
    began = time.monotonic()
    with MailServer(behaviour=HANGS) as server:
        html = text_of(console.post(f"{MAIL}/test", mail_form(server)))
    assert "No response within 1 seconds." in html
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("host", ["169.254.169.254", "100.100.100.200"])
def test_no_metadata_service_gets_mail(console: Client, host: str) -> None:
    with MailServer() as server:
        html = text_of(console.post(f"{MAIL}/test", mail_form(server, host=host)))
    assert "No server may be at this address." in html


def test_connection_test_requires_an_address(console: Client) -> None:
    for path in (SIGN_IN, MAIL):
        assert "Enter an address to test." in text_of(console.post(f"{path}/test", {"version": "0"}))


def test_result_uses_the_language_of_the_page(console: Client) -> None:
    form, german = provider_form("https://127.0.0.1:1"), {"Accept-Language": "de"}
    html = text_of(console.post(f"{SIGN_IN}/test", form, headers=german))
    assert "Der Anbieter ist nicht erreichbar" in html
