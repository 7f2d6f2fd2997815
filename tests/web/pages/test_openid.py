"""Signing in with a real OpenID Connect provider on this machine."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client

from cairn.accounts.models import Group, Identity, User
from cairn.accounts.services import user_update
from cairn.settings.identity import IdentityProviders, OidcProvider, allauth_settings
from tests.environment import clean_environment
from tests.openid_server import CALLBACK, CLIENT, SECRET
from tests.web.pages.conftest import text_of
from web.identity.jit_users import profile_complete

SERVER = Path(__file__).parents[2] / "openid_server.py"


@dataclass
class Provider:
    url: str
    subjects: dict[str, str] = field(default_factory=dict)

    def person(
        self, username: str, *groups: str, name: str = "", email: str = "", verified: bool = True
    ) -> None:
        claims = {"username": username, "groups": groups, "name": name, "email": email, "verified": verified}
        self.subjects[username] = httpx.post(f"{self.url}/test/person", json=claims).text

    def authorize(self, address: str, username: str) -> str:
        """Return the address back in Cairn to which the provider sends the browser."""
        response = httpx.get(address, headers={"X-User": username})
        assert response.status_code == 302, response.text
        return response.headers["Location"]


def start_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    folder = tmp_path_factory.mktemp("provider")
    environment = clean_environment(str(folder))
    del environment["DJANGO_SETTINGS_MODULE"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(SERVER), str(folder)],
            env=environment, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, (folder / "log").read_text()
        yield Provider(url)
        process.terminate()
        process.communicate()


@pytest.fixture(scope="module")
def provider_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    yield from start_provider(tmp_path_factory)


@pytest.fixture
def configured(provider_server: Provider, settings: Any, db: None) -> Callable[..., Provider]:
    def configure(**more: Any) -> Provider:
        options = {
            "id": "house",
            "name": "House",
            "server_url": provider_server.url,
            "client_id": CLIENT,
            **more,
        }
        providers = IdentityProviders(oidc=(OidcProvider(client_secret=SECRET, **options),))
        settings.IDENTITY_PROVIDERS = providers
        settings.SOCIALACCOUNT_PROVIDERS = allauth_settings(providers)
        return provider_server

    return configure


@pytest.fixture
def provider(configured: Callable[..., Provider]) -> Provider:
    return configured()


def sent_to(client: Client, query: str = "") -> str:
    response = client.get(f"/oidc/house/login{query}")
    assert response.status_code == 302
    return str(response["Location"])


def come_back(client: Client, address: str) -> Any:
    assert address.startswith(CALLBACK)
    return client.get(address.removeprefix("http://testserver"))


def sign_in(provider: Provider, username: str, client: Client | None = None, query: str = "") -> Any:
    client = client or Client()
    return come_back(client, provider.authorize(sent_to(client, query), username))


def with_param(address: str, **changed: str) -> str:
    parts = urlsplit(address)
    return parts._replace(query=urlencode({**dict(parse_qsl(parts.query)), **changed})).geturl()


def test_openid_user_signs_in_and_returns_to_the_page(provider: Provider) -> None:
    provider.person("rob", "Finance")
    client = Client()
    assert "Sign in with House" in text_of(client.get("/login"))
    assert sign_in(provider, "rob", client, "?next=/library")["Location"] == "/library"
    assert client.get("/api/v1/me").json()["username"] == "rob"
    assert sign_in(provider, "rob")["Location"] == "/"
    user = User.objects.get()
    assert not user.has_usable_password()
    account = SocialAccount.objects.get()
    assert (account.provider, account.uid, account.extra_data) == ("oidc:house", provider.subjects["rob"], {})


def test_empty_display_name_is_filled_from_the_provider(provider: Provider) -> None:
    provider.person("rob", name="Robert Roy")
    sign_in(provider, "rob")
    assert User.objects.get().label == "Robert Roy (rob)"
    User.objects.update(display_name="")
    sign_in(provider, "rob")
    assert User.objects.get().display_name == "Robert Roy"
    User.objects.update(display_name="Rob of Legal")
    sign_in(provider, "rob")
    assert User.objects.get().display_name == "Rob of Legal"


def test_address_is_filled_unless_unverified(
    provider: Provider,
) -> None:
    provider.person("rob", email="boss@example.org", verified=False)
    for _ in range(2):  # the second time, the account exists
        sign_in(provider, "rob")
        assert User.objects.get().email == ""
    provider.person("rob", email="rob@example.org")
    sign_in(provider, "rob")
    assert User.objects.get().email == "rob@example.org"


@pytest.mark.parametrize("verified", [False, "false", "False", ["false"], None, 0, "no", "", []])
def test_unverified_address_claim_is_recognised_in_every_form(rob: User, verified: object) -> None:
    named = {"id": "house", "name": "House", "server_url": "https://a.test", "client_id": CLIENT}
    provider = OidcProvider(client_secret=SECRET, **named)
    claims = {"email": "rob@example.org"}
    assert profile_complete(rob, provider, {**claims, "email_verified": verified}).email == ""
    assert profile_complete(rob, provider, claims).email == "rob@example.org"


@pytest.mark.parametrize("verified", [True, "true", "True", ["true"]])
def test_verified_address_claim_is_recognised_in_every_form(rob: User, verified: object) -> None:
    named = {"id": "house", "name": "House", "server_url": "https://a.test", "client_id": CLIENT}
    provider = OidcProvider(client_secret=SECRET, **named)
    claims = {"email": "rob@example.org", "email_verified": verified}
    assert profile_complete(rob, provider, claims).email == "rob@example.org"


def test_provider_groups_replace_memberships_at_each_sign_in(provider: Provider) -> None:
    ours = Group.objects.create(name="Finance")
    provider.person("rob", "Finance", "Travel")
    sign_in(provider, "rob")
    user = User.objects.get(username="rob")
    assert set(user.member_of.values_list("source", "name")) == {
        ("oidc:house", "Finance"),
        ("oidc:house", "Travel"),
    }
    user.member_of.add(ours)
    provider.person("rob", "Travel")
    sign_in(provider, "rob")
    assert set(user.member_of.values_list("source", "name")) == {("", "Finance"), ("oidc:house", "Travel")}


def test_account_with_equal_name_or_address_is_not_taken_over(provider: Provider, rob: User) -> None:
    user_update(rob, email="rob@example.org", is_admin=True)
    provider.person("ROB")
    sign_in(provider, "ROB")
    assert SocialAccount.objects.get().user != rob
    assert set(User.objects.values_list("username", flat=True)) == {"rob", "ROB.house"}


def test_authorization_request_has_state_nonce_and_pkce_challenge(provider: Provider) -> None:
    sent = parse_qs(urlsplit(sent_to(Client(), "?scope=admin&auth_params=nonce%3Dx&process=connect")).query)
    assert sent.keys() >= {"state", "nonce", "code_challenge"}
    assert sent["code_challenge_method"] == ["S256"]
    assert set(sent["scope"][0].split()) == {"openid", "profile", "email"}
    assert sent["nonce"] != ["x"]


def is_refused(response: Any, client: Client) -> bool:
    return (
        response.status_code == 403
        and "Couldn’t sign in" in text_of(response)
        and client.get("/").status_code == 302
    )


def test_wrong_state_is_rejected(provider: Provider) -> None:
    provider.person("rob")
    client = Client()
    back = provider.authorize(sent_to(client), "rob")
    assert is_refused(come_back(client, with_param(back, state="another")), client)


def test_callback_of_another_session_is_rejected(provider: Provider) -> None:
    provider.person("rob")
    back = provider.authorize(sent_to(Client()), "rob")
    client = Client()
    sent_to(client)
    assert is_refused(come_back(client, back), client)


def test_authorization_code_works_once(provider: Provider) -> None:
    provider.person("rob")
    client = Client()
    back = provider.authorize(sent_to(client), "rob")
    assert come_back(client, back).status_code == 302
    client.post("/logout")
    assert is_refused(come_back(client, back), client)
    state = parse_qs(urlsplit(sent_to(client)).query)["state"][0]
    assert is_refused(come_back(client, with_param(back, state=state)), client)


def test_token_with_another_nonce_is_rejected(provider: Provider) -> None:
    provider.person("rob")
    client = Client()
    back = provider.authorize(with_param(sent_to(client), nonce="another"), "rob")
    assert is_refused(come_back(client, back), client)


def test_stolen_code_is_useless_without_the_verifier(provider: Provider) -> None:
    """Not even with the client's secret: the verifier is in the session."""
    provider.person("rob")
    code = parse_qs(urlsplit(provider.authorize(sent_to(Client()), "rob")).query)["code"][0]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    form |= {"client_id": CLIENT, "client_secret": SECRET}
    answer = httpx.post(f"{provider.url}/identity/o/api/token", data=form)
    assert answer.status_code == 400


def test_cancelled_sign_in_shows_a_message(provider: Provider) -> None:
    client = Client()
    state = parse_qs(urlsplit(sent_to(client)).query)["state"][0]
    assert is_refused(client.get(f"/oidc/house/callback?error=access_denied&state={state}"), client)


@pytest.mark.parametrize("way", ["login", "callback"])
def test_unknown_provider_is_not_found(provider: Provider, client: Client, way: str) -> None:
    assert client.get(f"/oidc/nobody/{way}").status_code == 404


def test_unreachable_or_mismatched_provider_shows_a_message(
    configured: Callable[..., Provider], client: Client
) -> None:
    running = configured(server_url="http://127.0.0.1:9")
    assert is_refused(client.get("/oidc/house/login"), client)
    configured(server_url=f"{running.url}/.well-known/openid-configuration")
    assert client.get("/oidc/house/login").status_code == 403


def test_disabled_openid_user_cannot_sign_in(provider: Provider) -> None:
    provider.person("rob")
    sign_in(provider, "rob")
    User.objects.update(is_active=False)
    client = Client()
    response = sign_in(provider, "rob", client)
    assert response.status_code == 403
    assert "disabled" in text_of(response)
    assert client.get("/").status_code == 302


def test_only_allowed_groups_sign_in(configured: Callable[..., Provider]) -> None:
    provider = configured(allowed_groups=["Staff"])
    provider.person("rob", "Guests")
    response = sign_in(provider, "rob")
    assert response.status_code == 403
    assert "aren’t in a group" in text_of(response)
    assert not User.objects.exists()
    provider.person("rob", "Staff")
    assert sign_in(provider, "rob").status_code == 302
    provider.person("rob", "Guests")
    assert sign_in(provider, "rob").status_code == 403


def test_admin_group_of_the_provider_grants_and_revokes_admin_rights(
    configured: Callable[..., Provider], admin: User
) -> None:
    provider = configured(admin_group="Admins")
    provider.person("rob", "Admins")
    sign_in(provider, "rob")
    assert User.objects.get(username="rob").is_admin
    provider.person("rob")
    sign_in(provider, "rob")
    assert not User.objects.get(username="rob").is_admin


def test_last_admin_stays_admin_despite_the_provider(configured: Callable[..., Provider]) -> None:
    provider = configured(admin_group="Admins")
    provider.person("rob", "Admins")
    sign_in(provider, "rob")
    provider.person("rob")
    assert sign_in(provider, "rob").status_code == 302
    assert User.objects.get(username="rob").is_admin


def test_admin_role_requires_an_admin_group(provider: Provider) -> None:
    provider.person("rob", "Admins", "")
    sign_in(provider, "rob")
    assert not User.objects.get(username="rob").is_admin


def test_openid_user_with_a_scim_id_is_the_same_account(
    configured: Callable[..., Provider], rob: User
) -> None:
    provider = configured(scim="sub")
    provider.person("robert")
    Identity.objects.create(user=rob, source="scim", external_id=provider.subjects["robert"])
    sign_in(provider, "robert")
    assert SocialAccount.objects.get().user == rob
    assert User.objects.count() == 1


def test_second_factor_of_the_provider_is_accepted_if_claimed(
    configured: Callable[..., Provider], settings: Any
) -> None:
    settings.REQUIRE_MFA = "everyone"
    provider = configured()
    provider.person("rob")
    client = Client()
    sign_in(provider, "rob", client)
    assert client.get("/")["Location"] == "/account/second-factor"
    configured(second_factor=True)
    assert client.get("/").status_code == 200
