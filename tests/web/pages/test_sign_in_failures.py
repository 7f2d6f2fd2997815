"""Causes of failed sign-ins, as shown to admins on the page of the provider."""

from collections.abc import Callable
from typing import Any, BinaryIO

import pytest
from django.test import Client
from django.utils.html import escape

from cairn.accounts.models import SignInFailure, User
from cairn.accounts.sign_in_failures import MAX_STORED, sign_in_failure_record
from cairn.messages import CodedMessage
from cairn.settings.identity import IdentityProviders, OidcProvider, allauth_settings
from tests.openid_server import CLIENT, SECRET
from tests.web.pages.conftest import text_of
from tests.web.security.attacks.test_openid_tokens import (
    FORGED,
    SUBJECT,
    Issuer,
    begin,
    come_back,
    genuine,
    issuer,
    issuer_server,
    signs_in,
)

__all__ = ["issuer", "issuer_server"]
PAGE = "/admin/settings/sign_in"
SignIn = Callable[[User], Client]


def causes() -> list[str]:
    return [row.cause.code for row in SignInFailure.objects.all() if isinstance(row.cause, CodedMessage)]


@pytest.mark.parametrize(
    ("forgery", "cause"),
    [
        ("another key under the same id", "sign_in_signature"),
        ("another key under an unknown id", "sign_in_signature"),
        ("expired", "sign_in_time"),
        ("not yet valid", "sign_in_time"),
        ("for another client", "sign_in_audience"),
        ("authorised for another client", "sign_in_audience"),
        ("by another issuer", "sign_in_issuer"),
        ("with another nonce", "sign_in_not_begun"),
        ("without 'exp'", "sign_in_invalid"),
    ],
)
def test_refused_token_is_recorded_with_its_cause(issuer: Issuer, forgery: str, cause: str) -> None:
    assert not signs_in(issuer, FORGED[forgery])
    assert causes() == [cause]
    assert signs_in(issuer, genuine)
    assert causes() == [cause], "a sign-in that works is no failure"


def fail_to_reach(issuer: Issuer, client: Client) -> None:
    del issuer
    client.get("/oidc/house/login")


def answer_with_error(issuer: Issuer, client: Client) -> None:
    state = begin(client)["state"]
    client.get("/oidc/house/callback", {"error": "server_error", "state": state})


def come_unasked(issuer: Issuer, client: Client) -> None:
    come_back(client, "made-up")


def get_no_token(issuer: Issuer, client: Client) -> None:
    state = begin(client)["state"]
    issuer.misbehaving["/token"] = refuse_client
    come_back(client, state)


def refuse_client(out: BinaryIO) -> None:
    head = b"HTTP/1.0 401 No\r\nContent-Type: application/json\r\n\r\n"
    out.write(head + f'{{"error": "invalid_client {SECRET}"}}'.encode())


def come_from_no_group(issuer: Issuer, client: Client) -> None:
    sent = begin(client)
    issuer.token = issuer.sign(sent["nonce"])
    come_back(client, sent["state"])


def configure(settings: Any, url: str, **more: Any) -> None:
    found = OidcProvider(
        id="house", name="House", server_url=url, client_id=CLIENT, client_secret=SECRET, **more
    )
    settings.IDENTITY_PROVIDERS = IdentityProviders(oidc=(found,))
    settings.SOCIALACCOUNT_PROVIDERS = allauth_settings(settings.IDENTITY_PROVIDERS)


@pytest.mark.parametrize(
    ("fail", "text"),
    [
        (fail_to_reach, "Cairn couldn’t reach the provider."),
        (answer_with_error, "The provider refused, or the person cancelled there."),
        (come_unasked, "The sign-in wasn’t started in this browser, took too long or was repeated."),
        (get_no_token, "The provider gave Cairn no token: check the client ID, the secret and the redirect"),
        (come_from_no_group, "The person isn’t in a group that has access to Cairn."),
    ],
)
def test_sign_in_settings_show_the_cause_of_a_failure(
    issuer: Issuer, settings: Any, signed_in: SignIn, admin: User, fail: Callable[..., None], text: str
) -> None:
    client = signed_in(admin)
    assert "Failed sign-ins" in text_of(client.get(PAGE))
    if fail is fail_to_reach:
        configure(settings, "http://127.0.0.1:9")
    if fail is come_from_no_group:
        configure(settings, issuer.url, allowed_groups=["Staff"])
    fail(issuer, Client())
    shown = text_of(client.get(PAGE))
    assert escape(text) in shown
    assert 'data-label="Provider">House<' in shown
    assert SECRET not in shown
    assert SUBJECT not in str(list(SignInFailure.objects.values()))


def test_disabled_account_is_recorded_as_cause(issuer: Issuer) -> None:
    assert signs_in(issuer, genuine)
    User.objects.update(is_active=False)
    assert not signs_in(issuer, genuine)
    assert causes() == ["sign_in_disabled"]


def test_last_failures_of_each_provider_are_listed(db: None) -> None:
    sign_in_failure_record(source="saml:office", cause=CodedMessage("sign_in_group"))
    for status in range(MAX_STORED + 5):
        cause = CodedMessage("sign_in_http_status", status=status)
        sign_in_failure_record(source="oidc:house", cause=cause)
    rows = SignInFailure.objects.filter(source="oidc:house")
    assert [row.cause.rpartition(" ")[2] for row in rows] == [f"{n}." for n in range(24, 4, -1)]
    assert SignInFailure.objects.filter(source="saml:office").count() == 1
